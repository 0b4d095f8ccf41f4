//! Retrievals: `retrieval-stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    agreement::NOBODY,
    deal::Moment,
    digest::keccak,
    retrieval::{step, Action, Event, Record, Terms},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::told::{judge, Args, Deal, Moves, Shards, Stage, FIRST, SECOND};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    shards: u32,
    samples: u32,
    max_items: u32,
    price_per_item: u128,
    scan_fee: u128,
    requester_bond: u128,
    bond: u128,
    contest_fee: u128,
    accept_by: u64,
    claim_by: u64,
    window: u32,
    prove_time: u32,
    receipt_time: u32,
}

impl Deal for Record {
    const PARTIES: [&'static str; 2] = ["requester", "responder"];
    type Told = Told;
    type Terms = Terms;
    type Action = Action;

    fn terms(t: &Told, shards: &Shards) -> Terms {
        Terms {
            model: ModelId(Bytes([1; 32])),
            corpus_root: Hash::ZERO,
            dataset_root: shards.root(),
            reading_key: Bytes([8; 32]),
            token: Address::ZERO,
            shards: t.shards,
            samples: t.samples,
            wanted_class: 7,
            max_items: t.max_items,
            price_per_item: Amount(t.price_per_item),
            scan_fee: Amount(t.scan_fee),
            requester_bond: Amount(t.requester_bond),
            bond: Amount(t.bond),
            contest_fee: Amount(t.contest_fee),
            accept_by: t.accept_by,
            claim_by: t.claim_by,
            window: t.window,
            prove_time: t.prove_time,
            receipt_time: t.receipt_time,
        }
    }

    fn action(stage: &Stage<Self>, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let value = Amount(args.value);
        match event {
            "open" => Action::Open {
                terms: stage.terms.clone(),
                model: stage.model,
                token_has_code: false,
                value,
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value },
            "claim" => {
                let top = stage.shards.claim(args).top();
                Action::Claim {
                    node: top.hash,
                    top1: top.sums.top1 as u32,
                    topk: top.sums.topk as u32,
                    ciphertext: keccak(b"ciphertext"),
                }
            }
            "approve" => Action::Approve { signer },
            "contest" => Action::Contest {
                index: args.index,
                value,
            },
            "answer" => {
                let (shard, proof, path) = stage.shards.answer(args);
                Action::Answer { shard, proof, path }
            }
            "reject" => Action::Reject,
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
        let paid = effects.paid;
        let moves = Moves {
            deposit: effects.deposit.0,
            credits: vec![
                (FIRST, paid.requester.0),
                (SECOND, paid.responder.0),
                (NOBODY, paid.burnt.0),
            ],
        };
        Ok((after, moves))
    }

    fn state(&self) -> String {
        format!("{:?}", self.retrieval.state)
    }
}

#[test]
fn retrievals_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/retrieval-stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/retrieval-machine.json");
    judge::<Record>(stories, machine);
}
