//! Each event in each state by each party, in the last second and one later, under all conditions: the rules allow
//! what the table has a row for, with its effect, and refuse everything else. Every row is met, and every state.

use std::collections::BTreeSet;

use zknode_protocol::{deal::Moment, value::Address};

use super::{
    agreement::AgreementGame,
    game::{Game, Moves, Turn, Variant, FIRST, SECOND, START, STRANGER},
    retrieval::RetrievalGame,
    round::RoundGame,
    table::{sum, table, Row, Table},
};

/// A deal in `state` (`None`: not opened yet), or nothing where this variant never is.
fn reach<G: Game>(game: &G, state: &str) -> Option<(Option<G::Record>, Moment)> {
    let mut now = START;
    let mut record = None;
    if state == "None" {
        return Some((record, now));
    }
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
    assert_eq!(G::place(record.as_ref().unwrap()).0, state);
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
    (game, variant): (&G, &Variant),
    record: Option<&G::Record>,
    tried: &Try,
    now: Moment,
) -> Option<usize> {
    let index = if tried.event == "contest" { 2 } else { 0 };
    let outcome = game.step(record, tried.event, tried.by, index, now);
    let place = format!("{variant:?}: {tried:?}");
    let Some((number, row)) = matching(table, variant, tried) else {
        assert!(outcome.is_none(), "{place}");
        return None;
    };
    let (after, moves) = outcome.unwrap_or_else(|| panic!("{place}"));
    assert_eq!(G::place(&after).0, row.to, "{place}");
    let amounts = game.amounts(record.map_or(0, G::unanswered));
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
        let game = G::new(variant.clone());
        for state in &table.states {
            let Some((record, reached)) = reach(&game, &state.name) else {
                continue;
            };
            seen.insert(&state.name);
            let deadline = match &record {
                Some(record) if !state.terminal => G::place(record).1,
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
                    met.extend(judge(
                        &table,
                        (&game, &variant),
                        record.as_ref(),
                        &tried,
                        now,
                    ));
                }
            }
        }
    }
    assert_eq!(met, (0..table.transitions.len()).collect(), "rows met");
    assert_eq!(seen, table.states.iter().map(|state| &state.name).collect());
}

#[test]
fn agreements_are_their_table() {
    the_rules_are_the_table::<AgreementGame>();
}

#[test]
fn rounds_are_their_table() {
    the_rules_are_the_table::<RoundGame>();
}

#[test]
fn retrievals_are_their_table() {
    the_rules_are_the_table::<RetrievalGame>();
}
