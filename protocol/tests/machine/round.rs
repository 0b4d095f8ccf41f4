//! `contracts/round.json`, played by the rules of a round.

use std::collections::BTreeMap;

use zknode_protocol::{
    deal::Moment,
    round::{step, Action, Event, Prediction, Record, RoundTerms},
    value::{Address, Amount, Bytes, ModelId},
};

use super::game::{
    Game, Moves,
    Turn::{self, Deadline, Do},
    Variant, FIRST, MODEL, SECOND, STRANGER,
};

fn count(variant: &Variant) -> u32 {
    if variant.is("zero") {
        0
    } else {
        7
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

impl Game for Record {
    const TABLE: &'static str = include_str!("../../../contracts/round.json");
    type Action = Action;

    fn action(variant: &Variant, event: &str, index: u32) -> Action {
        let signer = variant.is("signed").then_some(FIRST);
        let count = count(variant);
        let prediction = Prediction {
            index,
            valid: 3,
            points: Bytes([index as u8; 32]),
        };
        match event {
            "open" => Action::Open {
                terms: terms(),
                model: Some(MODEL),
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

    fn step(
        before: Option<&Self>,
        by: Address,
        action: Action,
        now: Moment,
    ) -> Option<(Self, Moves)> {
        let (after, effects) = step(before, &Event { by, action }, now).ok()?;
        let moves = Moves {
            deposit: effects.deposit.0 as i128,
            first: effects.to_buyer.0 as i128,
            second: effects.to_seller.0 as i128,
            nobody: 0,
        };
        Some((after, moves))
    }

    fn place(&self) -> (String, u64) {
        (format!("{:?}", self.round.state), self.round.deadline)
    }

    fn contest_by(&self) -> u64 {
        self.round.window_end
    }

    fn owed(&self) -> u32 {
        self.round.contests
    }

    fn amounts(variant: &Variant, owed: u32) -> BTreeMap<&'static str, i128> {
        BTreeMap::from([
            ("price", 1_000),
            ("earned", 100 * i128::from(count(variant))),
            ("bond", 5_000),
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
