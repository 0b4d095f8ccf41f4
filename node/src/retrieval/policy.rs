//! Which retrievals a responder takes. Everything it is bound by once it accepts is looked at before.

use thiserror::Error;
use zknode_circuit::{commitment::OpeningBudget, corpus::openings};
use zknode_protocol::{
    chain::Chain,
    retrieval::{RetrievalError, RetrievalId, Terms},
    value::{Amount, Hash},
};

use super::responder::{active, Responder};
use crate::{
    seller::{model::openings_left, Seller},
    store::Table,
};

/// Openings kept back for proofs that are interrupted and made again.
const SPARE_OPENINGS: u32 = 8;

/// What a responder asks for, beside the seller's own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrievalPolicy {
    /// Least price of a matching item.
    pub price_per_item: Amount,
    /// Least fee for looking at an item, matching or not.
    pub fee_per_scan: Amount,
    /// Least bond of the requester: what a false rejection costs it.
    pub requester_bond: Amount,
}

/// Why a retrieval is not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Terms that the contract would not take either.
    #[error(transparent)]
    Rule(#[from] RetrievalError),
    /// Not this model, corpus, class or size.
    #[error("expected {what} {expected}, the terms say {found}")]
    Other {
        /// What.
        what: &'static str,
        /// As it is here.
        expected: String,
        /// As it is in the terms.
        found: String,
    },
    /// Not worth it.
    #[error("expected {what} of at least {expected}, the terms say {found}")]
    TooLittle {
        /// What.
        what: &'static str,
        /// The least.
        expected: u128,
        /// As it is in the terms.
        found: u128,
    },
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, the terms say {found}")]
    Bond {
        /// The most.
        expected: Amount,
        /// As it is in the terms.
        found: Amount,
    },
    /// Too long a lock.
    #[error("expected the bond to be locked for at most {expected} s after the claim, the terms say {found}")]
    Wait {
        /// The most.
        expected: u64,
        /// As it is in the terms.
        found: u64,
    },
    /// The commitments hide no more openings.
    #[error("{what} hides {left} more proofs, {needed} are needed: commit again with fresh salt")]
    Openings {
        /// The model, or a shard.
        what: String,
        /// Proofs needed.
        needed: u32,
        /// Proofs left.
        left: u32,
    },
}

/// Everything the responder is bound by once it accepts.
pub(super) fn check<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
    terms: &Terms,
    now: u64,
) -> anyhow::Result<()> {
    let published = &responder.corpus.published;
    terms.check(now).map_err(Refusal::Rule)?;
    let same = |what, expected: String, found: String| {
        if expected == found {
            Ok(())
        } else {
            Err(Refusal::Other {
                what,
                expected,
                found,
            })
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
    let labelled = published.labelled(terms.wanted_class)?;
    let (root, shards) = (labelled.tree.root(), labelled.shards.len() as u32);
    same(
        "dataset root",
        root.to_string(),
        terms.dataset_root.to_string(),
    )?;
    same("shards", shards.to_string(), terms.shards.to_string())?;
    let items = published.items();
    same("items", items.to_string(), terms.samples.to_string())?;

    let (own, policy) = (&seller.policy, &responder.policy);
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
    let fee = policy.fee_per_scan.0.saturating_mul(items.into());
    at_least(
        "a price per item",
        policy.price_per_item.0,
        terms.price_per_item.0,
    )?;
    at_least("a scan fee", fee, terms.scan_fee.0)?;
    at_least(
        "a requester's bond",
        policy.requester_bond.0,
        terms.requester_bond.0,
    )?;
    at_least(
        "a contest fee",
        own.least_contest_fee.0,
        terms.contest_fee.0,
    )?;
    // Two proofs a shard.
    let needed = u128::from(own.seconds_per_shard) * 2 * u128::from(shards);
    let left = terms.claim_by.saturating_sub(now);
    at_least("seconds to claim", needed, left.into())?;
    let answer = own.shortest_answer.max(own.seconds_per_shard);
    at_least(
        "seconds to answer a contest",
        answer.into(),
        terms.prove_time.into(),
    )?;
    if terms.bond > own.max_bond {
        let (expected, found) = (own.max_bond, terms.bond);
        return Err(Refusal::Bond { expected, found }.into());
    }
    let (expected, found) = (own.longest_wait, terms.last_second() - terms.claim_by);
    if found > expected {
        return Err(Refusal::Wait { expected, found }.into());
    }
    check_openings(seller, responder, id, shards)
}

/// Two proofs a shard for this retrieval and for each that is promised already, and some to spare.
fn check_openings<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
    shards: u32,
) -> anyhow::Result<()> {
    let mut proofs = 2u32;
    for (other, served) in active(seller)? {
        if other != id && served.refused.is_none() && served.sealed.is_none() {
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
        proofs.saturating_mul(shards),
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
