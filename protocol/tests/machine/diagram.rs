//! The diagram of the agreement in ARCHITECTURE.md, drawn from the table. `ZKNODE_BLESS=1` writes it anew.

use super::table::table;

const BEGIN: &str = "<!-- agreement: drawn from contracts/agreement.json; ZKNODE_BLESS=1 cargo test -p zknode-protocol --test machine -->\n";
const END: &str = "<!-- agreement: end -->\n";

fn drawn() -> String {
    let table = table();
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
            let get = |who: &str, what: &str| match what {
                "" => None,
                what => Some(format!("{who}: {what}")),
            };
            let money = &row.money;
            let paid: Vec<String> = [get("buyer", &money.buyer), get("seller", &money.seller)]
                .into_iter()
                .flatten()
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
fn the_diagram_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    let drawn = drawn();
    if std::env::var_os("ZKNODE_BLESS").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{drawn}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, drawn, "ZKNODE_BLESS=1 writes it anew");
    }
}
