//! One retrieval, from the responder's side: what the chain says and what is stored decide the next step, as with a
//! seller's agreements. Proving and claiming are [`super::prove`]'s.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zknode_protocol::{
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Call, Chain, ChainError,
    },
    retrieval::{
        message::{Domain, Offer},
        Retrieval, RetrievalError, RetrievalId, State, Terms,
    },
    value::{Address, Amount, Hash},
};

use super::event::RetrievalEvent;
use crate::{
    corpus::OwnCorpus,
    seller::{model::openings_left, Seller},
    store::Table,
    wallet::Wallet,
};

/// Openings kept back for proofs that are interrupted and made again.
const SPARE_OPENINGS: u32 = 8;

/// What a seller needs to answer retrievals.
pub struct Responder<C> {
    /// What is asked about.
    pub corpus: OwnCorpus,
    /// The account at the retrieval contract.
    pub wallet: Wallet<C>,
    /// Which retrievals are taken.
    pub policy: RetrievalPolicy,
}

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

/// What the responder remembers of a retrieval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    version: u16,
    /// As the requester offered it.
    pub offer: Offer,
    /// Why the responder will not go on.
    pub refused: Option<String>,
    /// Hash and length of the sealed items, which lie in the home.
    pub sealed: Option<(Hash, u64)>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Served`].
const VERSION: u16 = 1;

impl Served {
    /// A retrieval just heard of.
    pub fn new(offer: Offer) -> Self {
        Self {
            version: VERSION,
            offer,
            refused: None,
            sealed: None,
            over: false,
        }
    }
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

/// Takes every retrieval as far as it goes without a proof. One that fails does not hold up the others.
pub async fn round<C: RetrievalChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<()> {
    let Some(responder) = &seller.responder else {
        return Ok(());
    };
    let mut failed = None;
    for (id, served) in active(seller)? {
        if let Err(error) = advance(seller, responder, id, &served).await {
            failed = Some(error.context(format!("retrieval {id}")));
        }
    }
    failed.map_or(Ok(()), Err)
}

/// The retrievals about the corpus on offer that are not over.
pub(super) fn active<C: Chain>(seller: &Seller<C>) -> anyhow::Result<Vec<(RetrievalId, Served)>> {
    let Some(responder) = &seller.responder else {
        return Ok(vec![]);
    };
    let root = responder.corpus.published.root;
    let all = seller.store.all::<Served>(Table::Retrievals)?.into_iter();
    let mut found = vec![];
    for (_, served) in all {
        anyhow::ensure!(
            served.version == VERSION,
            "a retrieval is stored with version {}, this build reads {VERSION}",
            served.version
        );
        if !served.over && served.offer.terms.corpus_root == root {
            found.push((served.offer.id, served));
        }
    }
    Ok(found)
}

/// A retrieval as the newest block has it.
pub(super) async fn on_chain<C: RetrievalChain>(
    responder: &Responder<C>,
    id: RetrievalId,
) -> Result<Option<Retrieval>, ChainError> {
    responder.wallet.chain().retrieval_at_depth(id, 0).await
}

/// Changes a stored retrieval in one transaction.
pub(super) fn change<C: Chain>(
    seller: &Seller<C>,
    id: RetrievalId,
    change: impl FnOnce(&mut Served),
) -> anyhow::Result<()> {
    let key = id.to_string();
    seller
        .store
        .update(Table::Retrievals, &key, |served: Option<Served>| {
            let mut served = served.ok_or_else(|| anyhow::anyhow!("it is unknown here"))?;
            change(&mut served);
            Ok::<_, anyhow::Error>((served, ()))
        })?
}

async fn advance<C: RetrievalChain>(
    seller: &Arc<Seller<C>>,
    responder: &Responder<C>,
    id: RetrievalId,
    served: &Served,
) -> anyhow::Result<()> {
    let wallet = &responder.wallet;
    let Some(retrieval) = on_chain(responder, id).await? else {
        return Ok(());
    };
    let now = wallet.chain().head().await?.time;
    if retrieval.is_overdue(now) {
        // Silence settles, to the responder's gain; the other ends are the requester's.
        if retrieval.state == State::Claimed {
            let call = RetrievalCall::Expire(id);
            let purpose = format!("expire retrieval {id} {}", retrieval.deadline);
            match wallet
                .execute(&purpose, &Call::Retrieval(Box::new(call)))
                .await
            {
                Ok(_) | Err(ChainError::Revert { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        return Ok(());
    }
    match retrieval.state {
        State::Open if served.refused.is_none() => {
            if let Err(refusal) = check(seller, responder, &retrieval.terms, now) {
                let reason = refusal.to_string();
                change(seller, id, |served| served.refused = Some(reason.clone()))?;
                seller.tell(RetrievalEvent::Refused {
                    retrieval: id,
                    reason,
                });
                return Ok(());
            }
            let (token, bond) = (retrieval.terms.token, retrieval.terms.bond);
            wallet.allow(token, bond, &id.to_string()).await?;
            let value = retrieval.terms.wei(bond);
            let call = Call::Retrieval(Box::new(RetrievalCall::Accept { id, value }));
            let receipt = wallet
                .execute(&format!("accept retrieval {id}"), &call)
                .await?;
            seller.tell(RetrievalEvent::Accepted {
                retrieval: id,
                gas: receipt.gas,
            });
            Ok(())
        }
        // The requester's turn, or the prover's.
        State::Open | State::Accepted | State::Claimed | State::Contested => Ok(()),
        State::Cancelled | State::Settled | State::Rejected | State::Slashed => {
            let depth = wallet.depth();
            let settled = wallet.chain().retrieval_at_depth(id, depth).await?;
            if settled.is_none_or(|settled| settled.state != retrieval.state) {
                return Ok(());
            }
            let withdrawn = wallet
                .withdraw(retrieval.terms.token, &format!("retrieval {id}"))
                .await?;
            change(seller, id, |served| served.over = true)?;
            seller.tell(RetrievalEvent::Over {
                retrieval: id,
                state: retrieval.state,
                items: retrieval.paid_items(),
                withdrawn,
            });
            Ok(())
        }
    }
}

/// Everything the responder is bound by once it accepts.
fn check<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
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
    check_openings(seller, responder, shards)
}

fn check_openings<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    shards: u32,
) -> anyhow::Result<()> {
    let needed = shards.saturating_mul(2).saturating_add(SPARE_OPENINGS);
    let left = openings_left(&seller.store, &seller.model.record)?;
    if left < needed {
        let what = "the model's commitment".to_owned();
        return Err(Refusal::Openings { what, needed, left }.into());
    }
    let limit = zknode_circuit::corpus::openings(&seller.model.layout);
    for shard in 0..shards {
        let key = opening_key(responder.corpus.published.root, shard);
        let budget: Option<zknode_circuit::commitment::OpeningBudget> =
            seller.store.get(Table::Openings, &key)?;
        let left = budget.map_or(limit, |budget| budget.left());
        if left < 2 {
            let (what, needed) = (format!("shard {shard} of the corpus"), 2);
            return Err(Refusal::Openings { what, needed, left }.into());
        }
    }
    Ok(())
}

/// What a shard's opening budget is stored under: every proof over some of its items counts for all of them.
pub(super) fn opening_key(corpus: Hash, shard: u32) -> String {
    format!("corpus {corpus}/{shard}")
}

impl<C: Chain> Responder<C> {
    /// Contract and chain it answers for.
    pub fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            contract: chain.contracts().escrow,
        }
    }

    /// Its account.
    pub fn account(&self) -> Address {
        self.wallet.chain().account()
    }
}
