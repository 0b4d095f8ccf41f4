//! Agreements: `stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    agreement::{step, Action, Agreement, Effect, Event, Metric, Mode, Terms},
    claim_tree::ShardCount,
    deal::Moment,
    digest::keccak,
    value::{Address, Amount, Bytes, ModelId},
};

use super::told::{judge, Args, Deal, Moves, Shards, Stage};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    shards: u32,
    samples: u32,
    threshold: u32,
    metric: Metric,
    mode: Mode,
    price: u128,
    buyer_bond: u128,
    bond: u128,
    penalty: u128,
    preview_fee: u128,
    contest_fee: u128,
    accept_by: u64,
    preview_by: u64,
    deliver_by: u64,
    claim_by: u64,
    preview_shards: u32,
    response_time: u32,
    window: u32,
    prove_time: u32,
}

impl Deal for Agreement {
    const PARTIES: [&'static str; 2] = ["buyer", "seller"];
    type Told = Told;
    type Terms = Terms;
    type Action = Action;

    fn terms(t: &Told, shards: &Shards) -> Terms {
        Terms {
            model: ModelId(Bytes([1; 32])),
            dataset_root: shards.root(),
            token: Address::ZERO,
            shards: t.shards,
            samples: t.samples,
            threshold: t.threshold,
            price: Amount(t.price),
            buyer_bond: Amount(t.buyer_bond),
            bond: Amount(t.bond),
            penalty: Amount(t.penalty),
            preview_fee: Amount(t.preview_fee),
            contest_fee: Amount(t.contest_fee),
            accept_by: t.accept_by,
            preview_by: t.preview_by,
            deliver_by: t.deliver_by,
            claim_by: t.claim_by,
            metric: t.metric,
            mode: t.mode,
            preview_shards: t.preview_shards,
            response_time: t.response_time,
            window: t.window,
            prove_time: t.prove_time,
        }
    }

    fn action(stage: &Stage<Self>, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let value = Amount(args.value);
        let ciphertext = keccak(b"ciphertext");
        match event {
            "open" => Action::Open {
                terms: stage.terms.clone(),
                model: stage.model,
                token_has_code: false,
                value,
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value },
            "draw" => {
                let seed = keccak(b"seed");
                Action::Draw { seed }
            }
            "send" => Action::Send,
            "proceed" => Action::Proceed { signer },
            "acknowledge" => Action::Acknowledge { ciphertext, signer },
            "decline" => Action::Decline,
            "deny" => Action::Deny,
            "claim" => {
                let top = stage.shards.claim(args).top();
                Action::Claim {
                    node: top.hash,
                    top1: top.sums.top1 as u32,
                    topk: top.sums.topk as u32,
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
            "proveShard" => {
                let count = ShardCount {
                    index: args.index,
                    valid: args.valid,
                    top1: args.top1,
                    topk: args.topk,
                };
                Action::ProveShard(stage.shards.facts(count, args.accepted))
            }
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
        let mut moves = Moves {
            deposit: 0,
            credits: vec![],
        };
        for effect in effects {
            match effect {
                Effect::Deposit { from, amount, .. } => {
                    assert_eq!(from, by);
                    moves.deposit += amount.0;
                }
                Effect::Credit { to, amount, .. } => moves.credits.push((to, amount.0)),
            }
        }
        Ok((after, moves))
    }

    fn state(&self) -> String {
        format!("{:?}", self.state)
    }
}

#[test]
fn agreements_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/machine.json");
    judge::<Agreement>(stories, machine);
}
