//! Agreements: `stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    agreement::{step, Action, Agreement, Effect, Event, Metric, Mode, RuleError, Terms},
    claim_tree::{ClaimTree, ShardCount},
    deal::{ModelFacts, Moment},
    digest::keccak,
    value::{Address, Amount, Bytes, ModelId},
};

use super::told::{judge, Args, Moves, Shards, Stage, Story};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TermsTold {
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

struct AgreementStage {
    shards: Shards,
    terms: Terms,
    model: Option<ModelFacts>,
    agreement: Option<Agreement>,
}

impl AgreementStage {
    fn action(&self, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let value = Amount(args.value);
        let ciphertext = keccak(b"ciphertext");
        match event {
            "open" => Action::Open {
                terms: self.terms.clone(),
                model: self.model,
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
                let top = ClaimTree::new(self.shards.claim(args)).unwrap().top();
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
                let (leaf, tree) = self.shards.answer(args);
                let accepted = !args.rejected.contains(&args.index);
                Action::Answer {
                    shard: self.shards.facts(leaf.count, accepted),
                    proof: leaf.proof,
                    path: tree.path(args.index).unwrap_or_default(),
                }
            }
            "proveShard" => {
                let count = ShardCount {
                    index: args.index,
                    valid: args.valid,
                    top1: args.top1,
                    topk: args.topk,
                };
                Action::ProveShard(self.shards.facts(count, args.accepted))
            }
            "expire" => Action::Expire,
            other => panic!("unknown event {other}"),
        }
    }
}

impl Stage for AgreementStage {
    const PARTIES: [&'static str; 2] = ["buyer", "seller"];
    type Terms = TermsTold;

    fn new(story: &Story<TermsTold>) -> Self {
        let (t, shards) = (&story.terms, Shards::new(&story.dataset));
        let terms = Terms {
            model: ModelId(Bytes([1; 32])),
            dataset_root: shards.0.root(),
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
        };
        Self {
            shards,
            terms,
            model: story.model.facts(),
            agreement: None,
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
        let event = Event { by, action };
        let done = step(self.agreement.as_ref(), &event, now);
        let (after, effects) = done.map_err(|rule: RuleError| rule.name())?;
        self.agreement = Some(after);
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
        Ok(moves)
    }

    fn state(&self) -> Option<String> {
        let agreement = self.agreement.as_ref();
        agreement.map(|agreement| format!("{:?}", agreement.state))
    }
}

#[test]
fn agreements_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/machine.json");
    judge::<AgreementStage>(stories, machine);
}
