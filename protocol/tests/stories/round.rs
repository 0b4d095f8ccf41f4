//! Rounds of predictions: `round-stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    deal::Moment,
    round::{step, Action, Event, Prediction, Record, RoundTerms},
    value::{Address, Amount, Bytes, ModelId},
};

use super::told::{judge, Args, Deal, Moves, Shards, Stage, FIRST, SECOND};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    batches: u32,
    price: u128,
    bond: u128,
    contest_fee: u128,
    accept_by: u64,
    serve_by: u64,
    window: u32,
    prove_time: u32,
}

impl Deal for Record {
    const PARTIES: [&'static str; 2] = ["buyer", "seller"];
    type Told = Told;
    type Terms = RoundTerms;
    type Action = Action;

    fn terms(t: &Told, _: &Shards) -> RoundTerms {
        RoundTerms {
            model: ModelId(Bytes([1; 32])),
            token: Address::ZERO,
            batches: t.batches,
            price: Amount(t.price),
            bond: Amount(t.bond),
            contest_fee: Amount(t.contest_fee),
            accept_by: t.accept_by,
            serve_by: t.serve_by,
            window: t.window,
            prove_time: t.prove_time,
        }
    }

    fn action(stage: &Stage<Self>, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let (count, value) = (args.count, Amount(args.value));
        let prediction = Prediction {
            index: args.index,
            valid: args.valid,
            points: Bytes([args.points; 32]),
        };
        match event {
            "open" => Action::Open {
                terms: stage.terms.clone(),
                model: stage.model,
                token_has_code: false,
                value,
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value },
            "close" => Action::Close { count, signer },
            "approve" => Action::Approve { count, signer },
            "contest" => Action::Contest {
                prediction,
                signer,
                value,
            },
            "answer" => Action::Answer {
                prediction,
                accepted: args.accepted,
            },
            "expire" => Action::Expire,
            other => panic!("unknown event {other}"),
        }
    }

    fn step(
        before: Option<&Self>,
        by: Address,
        action: Action,
        now: Moment,
    ) -> Result<(Self, Moves), String> {
        let done = step(before, &Event { by, action }, now);
        let (after, effects) = done.map_err(|rule| rule.name())?;
        let moves = Moves {
            deposit: effects.deposit.0,
            credits: vec![(FIRST, effects.to_buyer.0), (SECOND, effects.to_seller.0)],
        };
        Ok((after, moves))
    }

    fn state(&self) -> String {
        format!("{:?}", self.round.state)
    }
}

#[test]
fn rounds_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/round-stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/round-machine.json");
    judge::<Record>(stories, machine);
}
