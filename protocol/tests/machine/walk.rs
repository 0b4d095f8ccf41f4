//! A model check: every state a deal of three shards or batches can reach, by every event of every party: at once, in the
//! last second to contest, in the last second of the state, each of them and one later, and where the draw was missed.

use std::collections::{BTreeSet, VecDeque};

use zknode_protocol::{agreement::Agreement, deal::Moment, retrieval, round, value::Address};

use super::{
    game::{Game, Moves, Variant, FIRST, SECOND, START, STRANGER},
    table::{table, Table},
};

/// Where a story stands: the deal, what went in, what is credited.
struct Place<G: Game> {
    record: G,
    paid_in: i128,
    credited: i128,
    now: Moment,
}

impl<G: Game> Place<G> {
    fn opened(variant: &Variant) -> Self {
        let action = G::action(variant, "open", 0);
        let (record, moves) = G::step(None, FIRST, action, START).unwrap();
        Self {
            record,
            paid_in: moves.deposit,
            credited: 0,
            now: START,
        }
    }

    /// Takes an event; `None` when it is refused.
    fn after(&self, by: Address, action: G::Action, now: Moment) -> Option<Self> {
        let (record, moves) = G::step(Some(&self.record), by, action, now)?;
        let Moves {
            deposit,
            first,
            second,
            nobody,
        } = moves;
        Some(Self {
            record,
            paid_in: self.paid_in + deposit,
            credited: self.credited + first + second + nobody,
            now,
        })
    }

    /// When something may happen next.
    fn moments(&self) -> BTreeSet<(u64, u64)> {
        let edges = [self.record.contest_by(), self.record.place().1];
        let edges = edges.into_iter().flat_map(|edge| [edge, edge + 1]);
        let times = edges.chain([0]).map(|time| time.max(self.now.time));
        let blocks = [Some(self.now.block + 2), self.record.draw_missed()];
        let blocks = blocks.into_iter().flatten();
        times
            .flat_map(|time| blocks.clone().map(move |block| (block, time)))
            .collect()
    }

    /// Two places with the same future.
    fn key(&self) -> String {
        let (time, paid_in, credited) = (self.now.time, self.paid_in, self.credited);
        format!("{:?} {time} {paid_in} {credited}", self.record)
    }

    fn is_over(&self, table: &Table) -> bool {
        let (name, _) = self.record.place();
        let state = table.states.iter().find(|state| state.name == name);
        state.unwrap().terminal
    }

    fn check(&self, variant: &Variant, table: &Table) {
        // Nobody is credited what did not come in.
        assert!(self.credited <= self.paid_in, "{:?}", self.record);
        if self.is_over(table) {
            // Nothing stays locked.
            assert_eq!(self.credited, self.paid_in, "{:?}", self.record);
            return;
        }
        // Anyone ends it after its deadline, alone; and nobody waits for a draw that cannot come any more.
        let time = self.record.place().1.max(self.now.time) + 1;
        let late = Moment { time, ..self.now };
        let missed = self.record.draw_missed();
        let missed = missed.map(|block| Moment { block, ..self.now });
        for now in [Some(late), missed].into_iter().flatten() {
            let expire = G::action(variant, "expire", 0);
            let ended = self.after(STRANGER, expire, now).unwrap();
            ended.check(variant, table);
        }
    }
}

fn no_story_locks_or_loses_a_wei<G: Game>(least: u32) {
    let table = table(G::TABLE);
    let mut states = BTreeSet::new();
    let mut places = 0;
    // Contests come and go on the walk: which is the last, and whether the window is over, is no matter of the terms.
    let walks = Variant::all(&table).into_iter();
    let walks = walks.filter(|variant| {
        let fixed = |name| !table.conditions.contains_key(name) || variant.is(name);
        fixed("last") && fixed("window")
    });
    for variant in walks {
        let first = Place::<G>::opened(&variant);
        let mut seen = BTreeSet::from([first.key()]);
        let mut queue = VecDeque::from([first]);
        while let Some(place) = queue.pop_front() {
            place.check(&variant, &table);
            places += 1;
            states.insert(place.record.place().0);
            for (event, by, index) in moves(&table.events) {
                for (block, time) in place.moments() {
                    let now = Moment { block, time };
                    let action = G::action(&variant, event, index);
                    let Some(next) = place.after(by, action, now) else {
                        continue;
                    };
                    assert!(!place.is_over(&table));
                    if seen.insert(next.key()) {
                        queue.push_back(next);
                    }
                }
            }
        }
    }
    assert_eq!(states.len() + 1, table.states.len(), "{states:?}");
    assert!(places > least, "{places}");
}

fn moves(events: &[String]) -> impl Iterator<Item = (&str, Address, u32)> {
    events.iter().skip(1).flat_map(|event| {
        let shards = match event.as_str() {
            "contest" | "answer" | "proveShard" => 3,
            _ => 1,
        };
        [FIRST, SECOND, STRANGER]
            .into_iter()
            .flat_map(move |by| (0..shards).map(move |index| (event.as_str(), by, index)))
    })
}

#[test]
fn no_agreement_locks_or_loses_a_wei() {
    no_story_locks_or_loses_a_wei::<Agreement>(500);
}

#[test]
fn no_round_locks_or_loses_a_wei() {
    no_story_locks_or_loses_a_wei::<round::Record>(500);
}

#[test]
fn no_retrieval_locks_or_loses_a_wei() {
    no_story_locks_or_loses_a_wei::<retrieval::Record>(200);
}
