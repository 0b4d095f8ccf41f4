//! Each event in each state by each party, in the last second and one later, under all conditions: the rules allow
//! what the table has a row for, with its effect, and refuse everything else.

use zknode_protocol::{agreement::Moment, value::Address};

use super::{
    agreement::AgreementGame,
    game::{Game, Moves, Turn, Variant, FIRST, SECOND, START, STRANGER},
    retrieval::RetrievalGame,
    round::RoundGame,
    table::{sum, table, Row, Table},
};

/// A deal in `state`, or `None` where this variant never is.
fn reach<G: Game>(game: &G, state: &str) -> Option<(G::Record, Moment)> {
    let mut now = START;
    let mut record = None;
    for turn in game.reach(state)? {
        let deadline = record.as_ref().map_or(0, |record| G::place(record).1);
        match turn {
            Turn::At(time) => now.time = time,
            Turn::Deadline(more) => now.time = deadline + more,
            Turn::Blocks => now.block += 2,
            Turn::Do(event, by, index) => {
                let done = game.step(record.as_ref(), event, by, index, now);
                record = Some(done.unwrap_or_else(|| panic!("{event} to {state}")).0);
            }
        }
    }
    let record = record.unwrap();
    assert_eq!(G::place(&record).0, state);
    Some((record, now))
}

fn matching<'a>(
    table: &'a Table,
    state: &str,
    event: &str,
    by: Address,
    late: bool,
    variant: &Variant,
) -> Option<&'a Row> {
    let [first, second] = &table.parties;
    let may = |row: &Row| match &row.by {
        party if party == first => by == FIRST,
        party if party == second => by == SECOND,
        _ => true,
    };
    let rows = table.transitions.iter().filter(|row| {
        row.from == state
            && row.event == event
            && may(row)
            && match row.when.as_str() {
                "until" => !late,
                "after" => late,
                _ => true,
            }
            && row
                .conditions
                .iter()
                .all(|condition| variant.holds(table, condition))
    });
    let mut rows = rows.collect::<Vec<_>>();
    assert!(rows.len() <= 1, "{state} {event}: {} rows", rows.len());
    rows.pop()
}

fn the_rules_are_the_table<G: Game>(least_allowed: u32, least_refused: u32) {
    let table = table(G::TABLE);
    let (mut allowed, mut refused) = (0, 0);
    for variant in Variant::all(&table) {
        let game = G::new(variant.clone());
        for state in table.states.iter().skip(1) {
            let Some((record, reached)) = reach(&game, &state.name) else {
                continue;
            };
            let deadline = match state.terminal {
                true => reached.time,
                false => G::place(&record).1,
            };
            for late in [false, true] {
                let time = deadline + u64::from(late);
                let now = Moment { time, ..reached };
                for (by, event) in [FIRST, SECOND, STRANGER]
                    .into_iter()
                    .flat_map(|by| table.events.iter().skip(1).map(move |event| (by, event)))
                {
                    let index = if event == "contest" { 2 } else { 0 };
                    let outcome = game.step(Some(&record), event, by, index, now);
                    let name = &state.name;
                    let place = format!("{variant:?}: {event} in {name} by {by}, late: {late}");
                    match matching(&table, name, event, by, late, &variant) {
                        Some(row) => {
                            allowed += 1;
                            let (after, moves) = outcome.unwrap_or_else(|| panic!("{place}"));
                            assert_eq!(G::place(&after).0, row.to, "{place}");
                            let amounts = game.amounts(G::unanswered(&record));
                            let pays = |name: &str| sum(row.pays(name), &amounts);
                            let expected = Moves {
                                deposit: pays("deposit"),
                                first: pays(&table.parties[0]),
                                second: pays(&table.parties[1]),
                                nobody: pays("nobody"),
                            };
                            assert_eq!(moves, expected, "{place}");
                        }
                        None => {
                            refused += 1;
                            assert!(outcome.is_none(), "{place}");
                        }
                    }
                }
            }
            // Nothing is opened twice.
            assert!(game
                .step(Some(&record), "open", FIRST, 0, reached)
                .is_none());
        }
    }
    assert!(
        allowed > least_allowed && refused > least_refused,
        "{allowed} {refused}"
    );
}

#[test]
fn agreements_are_their_table() {
    the_rules_are_the_table::<AgreementGame>(150, 5_000);
}

#[test]
fn rounds_are_their_table() {
    the_rules_are_the_table::<RoundGame>(150, 2_500);
}

#[test]
fn retrievals_are_their_table() {
    the_rules_are_the_table::<RetrievalGame>(100, 2_000);
}
