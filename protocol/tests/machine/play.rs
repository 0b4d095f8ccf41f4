//! Each event in each state by each party, in the last second and one later, under all conditions: the rules allow
//! what the table has a row for, with its effect, and refuse everything else. Every row is met, and every state.

use std::collections::BTreeSet;

use zknode_protocol::{agreement::Agreement, deal::Moment, retrieval, round, value::Address};

use super::{
    game::{Game, Moves, Turn, Variant, FIRST, SECOND, START, STRANGER},
    table::{sum, table, Row, Table},
};

/// A deal in `state` (`None`: not opened yet), or nothing where this variant never is.
fn reach<G: Game>(variant: &Variant, state: &str) -> Option<(Option<G>, Moment)> {
    let mut now = START;
    let mut record: Option<G> = None;
    if state == "None" {
        return Some((record, now));
    }
    for turn in G::reach(variant, state)? {
        let deadline = record.as_ref().map_or(0, |record| record.place().1);
        match turn {
            Turn::At(time) => now.time = time,
            Turn::Deadline(more) => now.time = deadline + more,
            Turn::Blocks => now.block += 2,
            Turn::Do(event, by, index) => {
                let action = G::action(variant, event, index);
                let done = G::step(record.as_ref(), by, action, now);
                record = Some(done.unwrap_or_else(|| panic!("{event} to {state}")).0);
            }
        }
    }
    assert_eq!(record.as_ref().unwrap().place().0, state);
    Some((record, now))
}

/// Who tries what, where and when.
#[derive(Debug)]
struct Try<'a> {
    state: &'a str,
    event: &'a str,
    by: Address,
    late: bool,
}

/// The row that allows it, and its position.
fn matching<'a>(table: &'a Table, variant: &Variant, tried: &Try) -> Option<(usize, &'a Row)> {
    let [first, second] = &table.parties;
    let may = |row: &Row| match &row.by {
        party if party == first => tried.by == FIRST,
        party if party == second => tried.by == SECOND,
        _ => true,
    };
    let rows = table.transitions.iter().enumerate().filter(|(_, row)| {
        row.from == tried.state
            && row.event == tried.event
            && may(row)
            && match row.when.as_str() {
                "until" => !tried.late,
                "after" => tried.late,
                _ => true,
            }
            && row
                .conditions
                .iter()
                .all(|condition| variant.holds(table, condition))
    });
    let mut rows = rows.collect::<Vec<_>>();
    assert!(rows.len() <= 1, "{tried:?}: {} rows", rows.len());
    rows.pop()
}

/// What the rules make of it is what the table says; the row that allows it.
fn judge<G: Game>(
    table: &Table,
    variant: &Variant,
    record: Option<&G>,
    tried: &Try,
    now: Moment,
) -> Option<usize> {
    let index = if tried.event == "contest" { 2 } else { 0 };
    let action = G::action(variant, tried.event, index);
    let outcome = G::step(record, tried.by, action, now);
    let place = format!("{variant:?}: {tried:?}");
    let Some((number, row)) = matching(table, variant, tried) else {
        assert!(outcome.is_none(), "{place}");
        return None;
    };
    let (after, moves) = outcome.unwrap_or_else(|| panic!("{place}"));
    assert_eq!(after.place().0, row.to, "{place}");
    let amounts = G::amounts(variant, record.map_or(0, G::owed));
    let pays = |name: &str| sum(row.pays(name), &amounts);
    let expected = Moves {
        deposit: pays("deposit"),
        first: pays(&table.parties[0]),
        second: pays(&table.parties[1]),
        nobody: pays("nobody"),
    };
    assert_eq!(moves, expected, "{place}");
    Some(number)
}

fn the_rules_are_the_table<G: Game>() {
    let table = table(G::TABLE);
    let (mut met, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for variant in Variant::all(&table) {
        for state in &table.states {
            let Some((record, reached)) = reach::<G>(&variant, &state.name) else {
                continue;
            };
            seen.insert(&state.name);
            let deadline = match &record {
                Some(record) if !state.terminal => record.place().1,
                _ => reached.time,
            };
            for (late, by) in [false, true]
                .into_iter()
                .flat_map(|late| [FIRST, SECOND, STRANGER].map(|by| (late, by)))
            {
                let time = deadline + u64::from(late);
                let now = Moment { time, ..reached };
                for event in &table.events {
                    // Whoever opens is the first party.
                    if event == "open" && by != FIRST {
                        continue;
                    }
                    let tried = Try {
                        state: &state.name,
                        event,
                        by,
                        late,
                    };
                    met.extend(judge(&table, &variant, record.as_ref(), &tried, now));
                }
            }
        }
    }
    assert_eq!(met, (0..table.transitions.len()).collect(), "rows met");
    assert_eq!(seen, table.states.iter().map(|state| &state.name).collect());
}

#[test]
fn agreements_are_their_table() {
    the_rules_are_the_table::<Agreement>();
}

#[test]
fn rounds_are_their_table() {
    the_rules_are_the_table::<round::Record>();
}

#[test]
fn retrievals_are_their_table() {
    the_rules_are_the_table::<retrieval::Record>();
}
