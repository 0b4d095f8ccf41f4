//! A model check: every state an agreement of three shards can reach, by every event of every party, early and late.

use std::collections::{BTreeSet, VecDeque};

use zknode_protocol::{
    agreement::{step, Agreement, Effect, Event, Ledger, Moment, State, NOBODY},
    value::{Address, Amount},
};

use super::{
    play::{action, Variant, BUYER, SELLER, STRANGER},
    table::table,
};

/// Where a story stands: the agreement, what the escrow holds, what went in.
struct Place {
    agreement: Agreement,
    ledger: Ledger,
    paid_in: u128,
    now: Moment,
}

impl Place {
    /// Takes an event; `None` when it is refused.
    fn after(
        &self,
        event: &str,
        by: Address,
        index: u32,
        time: u64,
        variant: Variant,
    ) -> Option<Self> {
        let now = Moment {
            block: self.now.block + 2,
            time,
        };
        let action = action(event, variant, index);
        let (agreement, effects) = step(Some(&self.agreement), &Event { by, action }, now).ok()?;
        let mut ledger = self.ledger.clone();
        ledger.apply(&effects).unwrap();
        let paid_in = effects.iter().map(|effect| match effect {
            Effect::Deposit { amount, .. } => amount.0,
            Effect::Credit { .. } => 0,
        });
        Some(Self {
            paid_in: self.paid_in + paid_in.sum::<u128>(),
            agreement,
            ledger,
            now,
        })
    }

    /// Two places with the same future.
    fn key(&self) -> String {
        format!("{:?} {} {}", self.agreement, self.now.time, self.paid_in)
    }

    fn credited(&self) -> u128 {
        let credit = |who| self.ledger.credit(who, Address::ZERO).0;
        credit(BUYER) + credit(SELLER) + credit(NOBODY)
    }

    fn check(&self, variant: Variant) {
        // Whatever came in is owed to somebody, always.
        assert_eq!(self.ledger.held(Address::ZERO), Some(Amount(self.paid_in)));
        assert_eq!(self.ledger.credit(STRANGER, Address::ZERO), Amount::ZERO);
        if self.agreement.state.is_terminal() {
            // Nothing stays locked.
            assert_eq!(self.credited(), self.paid_in, "{:?}", self.agreement);
            return;
        }
        // Anyone ends it after its deadline, alone, and then nothing is locked.
        let late = self.agreement.deadline.max(self.now.time) + 1;
        let ended = self.after("expire", STRANGER, 0, late, variant).unwrap();
        assert!(ended.agreement.state.is_terminal());
        assert_eq!(ended.credited(), ended.paid_in);
    }
}

#[test]
fn no_story_locks_or_loses_a_wei() {
    let table = table();
    let mut states = BTreeSet::new();
    let mut places = 0;
    for variant in Variant::all().filter(|variant| variant.last) {
        let opening = Event {
            by: BUYER,
            action: action("open", variant, 0),
        };
        let now = Moment {
            block: 11,
            time: 1_000,
        };
        let (agreement, effects) = step(None, &opening, now).unwrap();
        let mut ledger = Ledger::default();
        ledger.apply(&effects).unwrap();
        let first = Place {
            agreement,
            ledger,
            paid_in: 1_100,
            now,
        };
        let mut seen = BTreeSet::from([first.key()]);
        let mut queue = VecDeque::from([first]);
        while let Some(place) = queue.pop_front() {
            place.check(variant);
            places += 1;
            states.insert(place.agreement.state);
            let deadline = place.agreement.deadline;
            for (event, by, index) in moves(&table.events) {
                // At once, in the last second, and one later.
                for time in [
                    place.now.time,
                    deadline.max(place.now.time),
                    deadline.max(place.now.time) + 1,
                ] {
                    let Some(next) = place.after(event, by, index, time, variant) else {
                        continue;
                    };
                    assert!(!place.agreement.state.is_terminal());
                    if seen.insert(next.key()) {
                        queue.push_back(next);
                    }
                }
            }
        }
    }
    assert_eq!(states.len(), State::ALL.len(), "{states:?}");
    assert!(places > 500, "{places}");
}

fn moves(events: &[String]) -> impl Iterator<Item = (&str, Address, u32)> {
    events.iter().skip(1).flat_map(|event| {
        let shards = match event.as_str() {
            "contest" | "answer" | "proveShard" => 3,
            _ => 1,
        };
        [BUYER, SELLER, STRANGER]
            .into_iter()
            .flat_map(move |by| (0..shards).map(move |index| (event.as_str(), by, index)))
    })
}
