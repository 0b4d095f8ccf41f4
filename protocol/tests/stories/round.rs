//! Rounds of predictions: `round-stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    deal::{ModelFacts, Moment},
    round::{step, Action, Event, Prediction, Record, RoundTerms},
    value::{Address, Amount, Bytes, ModelId},
};

use super::told::{judge, Args, Moves, Stage, Story, FIRST, SECOND};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TermsTold {
    batches: u32,
    price: u128,
    bond: u128,
    contest_fee: u128,
    accept_by: u64,
    serve_by: u64,
    window: u32,
    prove_time: u32,
}

struct RoundStage {
    terms: RoundTerms,
    model: Option<ModelFacts>,
    record: Option<Record>,
}

impl RoundStage {
    fn action(&self, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let (count, value) = (args.count, Amount(args.value));
        let prediction = Prediction {
            index: args.index,
            valid: args.valid,
            points: Bytes([args.points; 32]),
        };
        match event {
            "open" => Action::Open {
                terms: self.terms.clone(),
                model: self.model,
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
}

impl Stage for RoundStage {
    const PARTIES: [&'static str; 2] = ["buyer", "seller"];
    type Terms = TermsTold;

    fn new(story: &Story<TermsTold>) -> Self {
        let t = &story.terms;
        let terms = RoundTerms {
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
        };
        Self {
            terms,
            model: story.model.facts(),
            record: None,
        }
    }

    fn run(
        &mut self,
        by: Address,
        event: &str,
        args: &Args,
        signer: Option<Address>,
        now: Moment,
    ) -> Result<Moves, String> {
        let action = self.action(event, args, signer);
        let done = step(self.record.as_ref(), &Event { by, action }, now);
        let (after, effects) = done.map_err(|rule| rule.name())?;
        self.record = Some(after);
        Ok(Moves {
            deposit: effects.deposit.0,
            credits: vec![(FIRST, effects.to_buyer.0), (SECOND, effects.to_seller.0)],
        })
    }

    fn state(&self) -> Option<String> {
        let record = self.record.as_ref();
        record.map(|record| format!("{:?}", record.round.state))
    }
}

#[test]
fn rounds_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/round-stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/round-machine.json");
    judge::<RoundStage>(stories, machine);
}
