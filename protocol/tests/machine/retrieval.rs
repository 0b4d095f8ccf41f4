//! `contracts/retrieval.json`, played by the rules of a retrieval.

use std::collections::BTreeMap;

use zknode_protocol::{
    claim_tree::{ClaimTree, ShardClaim, ShardCount},
    dataset_root::{DatasetTree, ShardLeaf},
    deal::{ModelFacts, Moment},
    retrieval::{step, Action, Event, Record, Terms},
    shards::{ShardFacts, Verdict},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::game::{
    Game, Moves,
    Turn::{self, Deadline, Do},
    Variant, FIRST, SECOND, STRANGER,
};

/// Items of each shard, and how many of them match.
const SHARDS: [(u32, u32); 3] = [(4, 2), (4, 1), (2, 1)];

pub struct RetrievalGame(Variant);

fn corpus() -> DatasetTree {
    let leaf = |(index, (valid, _)): (u32, (u32, u32))| {
        ShardLeaf::new(index, valid, &[Bytes([index as u8; 64])])
    };
    DatasetTree::new((0..).zip(SHARDS).map(leaf).collect()).unwrap()
}

fn count(index: u32) -> ShardCount {
    let (valid, top1) = SHARDS[index as usize];
    ShardCount {
        index,
        valid,
        top1,
        topk: valid,
    }
}

fn claim() -> ClaimTree {
    let leaf = |index| ShardClaim {
        count: count(index),
        proof: Hash::ZERO,
    };
    ClaimTree::new((0..3).map(leaf).collect()).unwrap()
}

fn terms() -> Terms {
    Terms {
        model: ModelId(Bytes([9; 32])),
        corpus_root: Hash::ZERO,
        dataset_root: corpus().root(),
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

impl RetrievalGame {
    fn action(&self, event: &str, index: u32) -> Action {
        match event {
            "open" => Action::Open {
                terms: terms(),
                model: Some(ModelFacts {
                    seller: SECOND,
                    registered_block: 10,
                    retires_at: 0,
                    points: Hash::ZERO,
                    shard_points: 1,
                }),
                token_has_code: false,
                value: Amount(600),
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value: Amount(577) },
            "claim" => Action::Claim {
                node: claim().top().hash,
                top1: 4,
                topk: 10,
                ciphertext: Hash::ZERO,
            },
            "approve" => Action::Approve {
                signer: self.0.is("signed").then_some(FIRST),
            },
            "contest" => Action::Contest {
                index,
                value: Amount(40),
            },
            "answer" => Action::Answer {
                shard: ShardFacts {
                    shard: count(index),
                    registered_points: Hash::ZERO,
                    model_points: Hash::ZERO,
                    registered_length: 1,
                    length: 1,
                    shard_points: corpus().leaves()[index as usize].points,
                    path: corpus().path(index).unwrap(),
                    verdict: Verdict::Accepted,
                },
                proof: Hash::ZERO,
                path: claim().path(index).unwrap(),
            },
            "reject" => Action::Reject,
            "expire" => Action::Expire,
            other => panic!("{other}"),
        }
    }
}

impl Game for RetrievalGame {
    const TABLE: &'static str = include_str!("../../../contracts/retrieval.json");
    type Record = Record;

    fn new(variant: Variant) -> Self {
        Self(variant)
    }

    fn step(
        &self,
        before: Option<&Record>,
        event: &str,
        by: Address,
        index: u32,
        now: Moment,
    ) -> Option<(Record, Moves)> {
        let action = self.action(event, index);
        let (after, effects) = step(before, &Event { by, action }, now).ok()?;
        let moves = Moves {
            deposit: effects.deposit.0 as i128,
            first: effects.paid.requester.0 as i128,
            second: effects.paid.responder.0 as i128,
            nobody: effects.paid.burnt.0 as i128,
        };
        Some((after, moves))
    }

    fn place(record: &Record) -> (String, u64) {
        let retrieval = &record.retrieval;
        (format!("{:?}", retrieval.state), retrieval.deadline)
    }

    fn window_end(record: &Record) -> u64 {
        record.retrieval.window_end
    }

    fn unanswered(record: &Record) -> u32 {
        record.retrieval.contests
    }

    fn amounts(&self, unanswered: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 500),
            ("due", 400),
            ("scanFee", 70),
            ("requesterBond", 30),
            ("bond", 577),
            ("contestFee", 40),
            ("contestFees", 40 * i128::from(unanswered)),
        ])
    }

    fn reach(&self, state: &str) -> Option<Vec<Turn>> {
        let window = self.0.is("window");
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
                if !self.0.is("last") {
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
