//! Which retrievals a responder takes. Everything it is bound by once it accepts is looked at before.

mod refusal;

use zknode_circuit::{commitment::OpeningBudget, corpus::openings};
use zknode_protocol::{
    chain::{Chain, RoundChain},
    retrieval::Terms,
    value::{Amount, Hash},
};

pub use self::refusal::Refusal;
use super::{
    book::last_contest,
    responder::{active, Responder},
};
use crate::{
    seller::{
        model::{openings_left, SPARE_OPENINGS},
        policy::Policy,
        schedule::{self, Duty, Pace},
        send, Seller,
    },
    store::Table,
};

/// What a responder asks for, beside the seller's own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrievalPolicy {
    /// Least price of a matching item.
    pub price_per_item: Amount,
    /// Least fee for looking at an item, matching or not.
    pub fee_per_scan: Amount,
    /// Least bond of the requester, what a false rejection costs it; half of what all items may cost is asked for anyway.
    pub requester_bond: Amount,
}

/// What the responder knows besides the terms.
#[derive(Clone, Debug)]
struct Facts {
    /// Proofs promised to agreements, rounds of predictions and other retrievals, still to be made.
    promised: u32,
    /// When those are owed that are not made yet.
    duties: Vec<Duty>,
    /// Proofs promised that may have to come to the chain.
    on_chain: u32,
    /// When they may be asked for there.
    answers: Vec<Duty>,
    /// Seconds that an answer may wait for its turn.
    queue: u64,
    /// Wei of the account.
    balance: Amount,
    /// What gas costs, in the money of the retrieval.
    gas_price: Amount,
    /// Block time.
    now: u64,
}

impl Facts {
    async fn of<C: RoundChain>(seller: &Seller<C>, now: u64) -> anyhow::Result<Self> {
        let promised = seller.promised(None, now).await?;
        let chain = seller.wallet.chain();
        Ok(Self {
            promised: promised.proofs,
            duties: promised.duties,
            on_chain: promised.on_chain,
            answers: promised.answers,
            queue: send::queue(seller.wallet.depth()),
            balance: chain.balance(chain.account()).await?,
            gas_price: seller.price_of_gas().await?,
            now,
        })
    }
}

/// Everything the responder is bound by once it accepts a retrieval that it has not promised yet. A [`Refusal`], or the
/// store's or the chain's trouble.
pub(super) async fn check<C: RoundChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    terms: &Terms,
    now: u64,
) -> anyhow::Result<()> {
    let published = &responder.corpus.published;
    terms.check(now).map_err(Refusal::Rule)?;
    let classes = seller.card.architecture.classes();
    if usize::from(terms.wanted_class) >= classes {
        let (expected, found) = (format!("below {classes}"), terms.wanted_class.to_string());
        return Err(other("class", expected, found).into());
    }
    let same = |what, expected: String, found: String| {
        if expected == found {
            Ok(())
        } else {
            Err(other(what, expected, found))
        }
    };
    same(
        "model",
        seller.card.model.to_string(),
        terms.model.to_string(),
    )?;
    same(
        "corpus",
        published.root.to_string(),
        terms.corpus_root.to_string(),
    )?;
    same(
        "token",
        seller.policy.token.to_string(),
        terms.token.to_string(),
    )?;
    let items = published.items();
    same("items", items.to_string(), terms.samples.to_string())?;
    let facts = Facts::of(seller, now).await?;
    responder.policy.check(&seller.policy, terms, &facts)?;
    // Last what takes long: whoever asks for too little has not earned it.
    let labelled = published.labelled(terms.wanted_class)?;
    let (root, shards) = (labelled.tree.root(), labelled.shards.len() as u32);
    same(
        "dataset root",
        root.to_string(),
        terms.dataset_root.to_string(),
    )?;
    same("shards", shards.to_string(), terms.shards.to_string())?;
    check_openings(seller, responder, shards, facts.promised)
}

fn other(what: &'static str, expected: String, found: String) -> Refusal {
    Refusal::Other {
        what,
        expected,
        found,
    }
}

impl RetrievalPolicy {
    /// Whether money and time are enough for terms about the right items.
    fn check(&self, own: &Policy, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        let at_least = |what, expected: u128, found: u128| {
            if found >= expected {
                Ok(())
            } else {
                Err(Refusal::TooLittle {
                    what,
                    expected,
                    found,
                })
            }
        };
        let fee = self.fee_per_scan.0.saturating_mul(terms.samples.into());
        at_least(
            "a price per item",
            self.price_per_item.0,
            terms.price_per_item.0,
        )?;
        at_least("a scan fee", fee, terms.scan_fee.0)?;
        // A threat to reject is worth what it costs the responder beyond what it costs the requester.
        let half = terms.half_price().map_or(u128::MAX, |half| half.0);
        at_least(
            "a requester's bond",
            self.requester_bond.0.max(half),
            terms.requester_bond.0,
        )?;
        let answer = own.economics.map_or(0, |economics| economics.answer_gas);
        let answer = answer.saturating_mul(facts.gas_price.0);
        at_least(
            "a contest fee",
            own.least_contest_fee.0.max(answer),
            terms.contest_fee.0,
        )?;
        // Two proofs a shard, from now on.
        let proofs = terms.shards.saturating_mul(2);
        let proven_by = send::ready_by(terms.claim_by, facts.queue);
        let new = Duty::by("this retrieval", proofs, facts.now, proven_by);
        let pace = Pace::of(own.seconds_per_shard);
        schedule::check(&new, &facts.duties, pace, facts.now)?;
        at_least(
            "seconds to answer contests",
            own.shortest_answer.into(),
            terms.prove_time.into(),
        )?;
        // Every shard may be contested, and those promised to others with it.
        let contests = (facts.now, last_contest(terms));
        let within = u64::from(terms.prove_time).saturating_sub(facts.queue);
        let whose = "this retrieval, contested,";
        let new = Duty::on_demand(whose, terms.shards, contests, within);
        schedule::check(
            &new,
            &facts.answers,
            send::answer_pace(facts.queue),
            facts.now,
        )?;
        if terms.bond > own.max_bond {
            let (expected, found) = (own.max_bond, terms.bond);
            return Err(Refusal::Bond { expected, found });
        }
        let (expected, found) = (own.longest_wait, terms.last_second() - terms.claim_by);
        if found > expected {
            return Err(Refusal::Wait { expected, found });
        }
        let proofs = u128::from(terms.shards) + u128::from(facts.on_chain);
        let gas = own.gas_per_shard.0.saturating_mul(proofs);
        let expected = Amount(gas.saturating_add(terms.wei(terms.bond).0));
        if facts.balance < expected {
            let found = facts.balance;
            return Err(Refusal::Funds { expected, found });
        }
        Ok(())
    }
}

/// Two proofs a shard for this retrieval, those promised already, and some to spare.
fn check_openings<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    shards: u32,
    promised: u32,
) -> anyhow::Result<()> {
    // Of each shard.
    let mut proofs = 2u32;
    for (_, served) in active(seller)? {
        if served.is_promised() && served.sealed.is_none() {
            proofs = proofs.saturating_add(2);
        }
    }
    let enough = |what: String, proofs: u32, left: u32| {
        let needed = proofs.saturating_add(SPARE_OPENINGS);
        if left >= needed {
            Ok(())
        } else {
            Err(Refusal::Openings { what, needed, left })
        }
    };
    let left = openings_left(&seller.store, &seller.model.record)?;
    enough(
        "the model's commitment".into(),
        shards.saturating_mul(2).saturating_add(promised),
        left,
    )?;
    let limit = openings(&seller.model.layout);
    for shard in 0..shards {
        let key = opening_key(responder.corpus.published.root, shard);
        let budget: Option<OpeningBudget> = seller.store.get(Table::Openings, &key)?;
        let left = budget.map_or(limit, |budget| budget.left());
        enough(format!("shard {shard} of the corpus"), proofs, left)?;
    }
    Ok(())
}

/// What a shard's opening budget is stored under: every proof over some of its items counts for all of them.
pub(super) fn opening_key(corpus: Hash, shard: u32) -> String {
    format!("corpus {corpus}/{shard}")
}

#[cfg(test)]
pub(super) mod tests;
