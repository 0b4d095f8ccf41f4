//! `contracts/round.json`, played by the rules of a round.

use std::collections::BTreeMap;

use zknode_protocol::{
    deal::{ModelFacts, Moment},
    round::{step, Action, Event, Prediction, Record, RoundTerms},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::game::{
    Game, Moves,
    Turn::{self, Deadline, Do},
    Variant, FIRST, SECOND, STRANGER,
};

pub struct RoundGame(Variant);

impl RoundGame {
    fn count(&self) -> u32 {
        if self.0.is("zero") {
            0
        } else {
            7
        }
    }

    fn action(&self, event: &str, index: u32) -> Action {
        let signer = self.0.is("signed").then_some(FIRST);
        let count = self.count();
        let prediction = Prediction {
            index,
            valid: 3,
            points: Bytes([index as u8; 32]),
        };
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
                value: Amount(1_000),
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept {
                value: Amount(5_000),
            },
            "close" => Action::Close { count, signer },
            // No event of the table: the way to what comes after it, whatever a variant signs.
            "close with the voucher" => Action::Close {
                count,
                signer: Some(FIRST),
            },
            "approve" => Action::Approve { count, signer },
            "contest" => Action::Contest {
                prediction,
                signer: Some(SECOND),
                value: Amount(40),
            },
            "answer" => Action::Answer {
                prediction,
                accepted: true,
            },
            "expire" => Action::Expire,
            other => panic!("{other}"),
        }
    }
}

fn terms() -> RoundTerms {
    RoundTerms {
        model: ModelId(Bytes([9; 32])),
        token: Address::ZERO,
        batches: 10,
        price: Amount(100),
        bond: Amount(5_000),
        contest_fee: Amount(40),
        accept_by: 2_000,
        serve_by: 3_000,
        window: 500,
        prove_time: 300,
    }
}

impl Game for RoundGame {
    const TABLE: &'static str = include_str!("../../../contracts/round.json");
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
            first: effects.to_buyer.0 as i128,
            second: effects.to_seller.0 as i128,
            nobody: 0,
        };
        Some((after, moves))
    }

    fn place(record: &Record) -> (String, u64) {
        (format!("{:?}", record.round.state), record.round.deadline)
    }

    fn window_end(record: &Record) -> u64 {
        record.round.window_end
    }

    fn unanswered(record: &Record) -> u32 {
        record.round.contests
    }

    fn amounts(&self, unanswered: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 1_000),
            ("earned", 100 * i128::from(self.count())),
            ("bond", 5_000),
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
        match state {
            "Serving" => return Some(road),
            _ => road.push(Do("close with the voucher", SECOND, 0)),
        }
        let contest = |index| Do("contest", FIRST, index);
        match state {
            // A closed round's deadline is the end of its window.
            "Closed" if !window => return None,
            "Closed" => {}
            "Settled" => road.push(Do("approve", FIRST, 0)),
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
