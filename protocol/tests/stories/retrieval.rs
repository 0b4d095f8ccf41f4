//! Retrievals: `retrieval-stories.jsonl`.

use serde::Deserialize;
use zknode_protocol::{
    agreement::NOBODY,
    claim_tree::ClaimTree,
    deal::{ModelFacts, Moment},
    digest::keccak,
    retrieval::{step, Action, Event, Record, Terms},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::told::{judge, Args, Moves, Shards, Stage, Story, FIRST, SECOND};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TermsTold {
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

struct RetrievalStage {
    shards: Shards,
    terms: Terms,
    model: Option<ModelFacts>,
    record: Option<Record>,
}

impl RetrievalStage {
    fn action(&self, event: &str, args: &Args, signer: Option<Address>) -> Action {
        let value = Amount(args.value);
        match event {
            "open" => Action::Open {
                terms: self.terms.clone(),
                model: self.model,
                token_has_code: false,
                value,
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value },
            "claim" => {
                let top = ClaimTree::new(self.shards.claim(args)).unwrap().top();
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
                let (leaf, tree) = self.shards.answer(args);
                let accepted = !args.rejected.contains(&args.index);
                Action::Answer {
                    shard: self.shards.facts(leaf.count, accepted),
                    proof: leaf.proof,
                    path: tree.path(args.index).unwrap_or_default(),
                }
            }
            "reject" => Action::Reject,
            "expire" => Action::Expire,
            other => panic!("unknown event {other}"),
        }
    }
}

impl Stage for RetrievalStage {
    const PARTIES: [&'static str; 2] = ["requester", "responder"];
    type Terms = TermsTold;

    fn new(story: &Story<TermsTold>) -> Self {
        let (t, shards) = (&story.terms, Shards::new(&story.dataset));
        let terms = Terms {
            model: ModelId(Bytes([1; 32])),
            corpus_root: Hash::ZERO,
            dataset_root: shards.0.root(),
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
        };
        Self {
            shards,
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
        let paid = effects.paid;
        Ok(Moves {
            deposit: effects.deposit.0,
            credits: vec![
                (FIRST, paid.requester.0),
                (SECOND, paid.responder.0),
                (NOBODY, paid.burnt.0),
            ],
        })
    }

    fn state(&self) -> Option<String> {
        let record = self.record.as_ref();
        record.map(|record| format!("{:?}", record.retrieval.state))
    }
}

#[test]
fn retrievals_end_the_same_way_as_in_the_contract() {
    let stories = include_str!("../../../contracts/vectors/retrieval-stories.jsonl");
    let machine = include_str!("../../../contracts/vectors/retrieval-machine.json");
    judge::<RetrievalStage>(stories, machine);
}
