//! The diagrams in ARCHITECTURE.md, drawn from the tables. `ZKNODE_BLESS=1` writes them anew.

use super::table::{table, Table, ALL};

const NAMES: [&str; 3] = ["agreement", "round", "retrieval"];

fn drawn(table: &Table) -> String {
    let mut text = String::from("```mermaid\nstateDiagram-v2\n");
    for state in table.states.iter().filter(|state| state.terminal) {
        text += &format!("    {} --> [*]\n", state.name);
    }
    // One arrow for each pair of states and event, conditions aside.
    let mut arrows: Vec<String> = vec![];
    for row in &table.transitions {
        let from = if row.from == "None" { "[*]" } else { &row.from };
        let arrow = format!("    {from} --> {}: {}\n", row.to, row.event);
        if !arrows.contains(&arrow) {
            arrows.push(arrow);
        }
    }
    text += &arrows.concat();
    text += "```\n\n| in | until | `expire` after it leads to | who gets what then |\n| --- | --- | --- | --- |\n";
    for state in table.states.iter().filter(|state| !state.terminal) {
        let defaults = table.transitions.iter();
        let defaults = defaults.filter(|row| row.from == state.name && row.event == "expire");
        for row in defaults {
            let deadline = state.deadline.as_deref().unwrap_or_default();
            let when = row.conditions.join(", ");
            let to = match when.as_str() {
                "" => row.to.clone(),
                when => format!("{} ({when})", row.to),
            };
            let paid: Vec<String> = [&table.parties[0], &table.parties[1], "nobody"]
                .into_iter()
                .filter(|who| !row.pays(who).is_empty())
                .map(|who| format!("{who}: {}", row.pays(who)))
                .collect();
            text += &format!(
                "| {}: {} | {deadline} | {to} | {} |\n",
                state.name,
                state.says,
                paid.join("; ")
            );
        }
    }
    text
}

#[test]
fn the_diagrams_are_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let mut text = std::fs::read_to_string(path).unwrap();
    for (name, json) in NAMES.into_iter().zip(ALL) {
        let begin = format!("<!-- {name}: drawn from contracts/{name}.json; ZKNODE_BLESS=1 cargo test -p zknode-protocol --test machine -->\n");
        let end = format!("<!-- {name}: end -->\n");
        let (before, rest) = text.split_once(&begin).unwrap();
        let (found, after) = rest.split_once(&end).unwrap();
        let drawn = drawn(&table(json));
        if std::env::var_os("ZKNODE_BLESS").is_some() {
            text = format!("{before}{begin}{drawn}{end}{after}");
        } else {
            assert_eq!(found, drawn, "ZKNODE_BLESS=1 writes it anew");
        }
    }
    if std::env::var_os("ZKNODE_BLESS").is_some() {
        std::fs::write(path, text).unwrap();
    }
}
