//! `contracts/retrieval.json`, played by the rules of a retrieval.

use std::collections::BTreeMap;

use zknode_protocol::{
    deal::Moment,
    retrieval::{step, Action, Event, Record, Terms},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::{
    game::{
        Game, Moves,
        Turn::{self, Deadline, Do},
        Variant, FIRST, MODEL, SECOND, STRANGER,
    },
    shards::Shards,
};

/// Two items of the first match, and one of each other.
fn shards() -> Shards {
    Shards::new([(4, 2), (4, 1), (2, 1)])
}

fn terms() -> Terms {
    Terms {
        model: ModelId(Bytes([9; 32])),
        corpus_root: Hash::ZERO,
        dataset_root: shards().root(),
        reading_key: Bytes([8; 32]),
        token: Address::ZERO,
        shards: 3,
        samples: 10,
        wanted_class: 7,
        max_items: 5,
        price_per_item: Amount(100),
        scan_fee: Amount(70),
        requester_bond: Amount(30),
        bond: Amount(577),
        contest_fee: Amount(40),
        accept_by: 2_000,
        claim_by: 4_000,
        window: 500,
        prove_time: 300,
        receipt_time: 200,
    }
}

impl Game for Record {
    const TABLE: &'static str = include_str!("../../../contracts/retrieval.json");
    type Action = Action;

    fn action(variant: &Variant, event: &str, index: u32) -> Action {
        match event {
            "open" => Action::Open {
                terms: terms(),
                model: Some(MODEL),
                token_has_code: false,
                value: Amount(600),
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value: Amount(577) },
            "claim" => Action::Claim {
                node: shards().top().hash,
                top1: 4,
                topk: 10,
                ciphertext: Hash::ZERO,
            },
            "approve" => Action::Approve {
                signer: variant.is("signed").then_some(FIRST),
            },
            "contest" => Action::Contest {
                index,
                value: Amount(40),
            },
            "answer" => Action::Answer {
                shard: shards().facts(index),
                proof: Hash::ZERO,
                path: shards().path(index),
            },
            "reject" => Action::Reject,
            "expire" => Action::Expire,
            other => panic!("{other}"),
        }
    }

    fn step(
        before: Option<&Self>,
        by: Address,
        action: Action,
        now: Moment,
    ) -> Option<(Self, Moves)> {
        let (after, effects) = step(before, &Event { by, action }, now).ok()?;
        let moves = Moves {
            deposit: effects.deposit.0 as i128,
            first: effects.paid.requester.0 as i128,
            second: effects.paid.responder.0 as i128,
            nobody: effects.paid.burnt.0 as i128,
        };
        Some((after, moves))
    }

    fn place(&self) -> (String, u64) {
        let retrieval = &self.retrieval;
        (format!("{:?}", retrieval.state), retrieval.deadline)
    }

    fn contest_by(&self) -> u64 {
        self.retrieval.window_end
    }

    fn owed(&self) -> u32 {
        self.retrieval.contests
    }

    fn amounts(_: &Variant, owed: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 500),
            ("due", 400),
            ("scanFee", 70),
            ("requesterBond", 30),
            ("bond", 577),
            ("contestFee", 40),
            ("contestFees", 40 * i128::from(owed)),
        ])
    }

    fn reach(variant: &Variant, state: &str) -> Option<Vec<Turn>> {
        let window = variant.is("window");
        let mut road = vec![Do("open", FIRST, 0)];
        match state {
            "Open" => return Some(road),
            "Cancelled" => {
                road.push(Do("cancel", FIRST, 0));
                return Some(road);
            }
            _ => road.push(Do("accept", SECOND, 0)),
        }
        if state == "Accepted" {
            return Some(road);
        }
        road.push(Do("claim", SECOND, 0));
        let contest = |index| Do("contest", FIRST, index);
        match state {
            "Claimed" if window => {}
            // Past its window, but in time to judge the items.
            "Claimed" => road.extend([Deadline(0), contest(0), Do("answer", STRANGER, 0)]),
            "Settled" => road.push(Do("approve", FIRST, 0)),
            "Rejected" => road.push(Do("reject", FIRST, 0)),
            "Contested" | "Slashed" => {
                if !window {
                    road.push(Deadline(0));
                }
                road.push(contest(0));
                if !variant.is("last") {
                    road.push(contest(1));
                }
                if state == "Slashed" {
                    road.extend([Deadline(1), Do("expire", STRANGER, 0)]);
                }
            }
            other => panic!("{other}"),
        }
        Some(road)
    }
}
