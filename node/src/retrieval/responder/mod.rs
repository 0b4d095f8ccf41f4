//! One retrieval, from the responder's side: what the chain says and what is stored decide the next step, as with a
//! seller's agreements. Proving and claiming are [`super::prove`]'s.

mod record;

use std::sync::Arc;

use zknode_protocol::{
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Call, Chain, ChainError, RoundChain,
    },
    retrieval::{message::Domain, Retrieval, RetrievalId, State},
    value::Address,
};

pub use self::record::Served;
use super::{
    desk::Desk,
    event::RetrievalEvent,
    policy::{check, Refusal, RetrievalPolicy},
    tries::Tries,
};
use crate::{
    corpus::OwnCorpus,
    seller::{clerk::Next, send::Due, Seller},
    store::Table,
    wallet::Wallet,
};

/// What a seller needs to answer retrievals.
pub struct Responder<C> {
    /// What is asked about.
    pub corpus: OwnCorpus,
    /// The account at the retrieval contract.
    pub wallet: Wallet<C>,
    /// Which retrievals are taken.
    pub policy: RetrievalPolicy,
    /// What strangers are shown.
    pub desk: Desk,
    /// Proofs that failed.
    pub tries: Tries,
}

/// Seconds after its deadline at which a retrieval that was lost is forgotten.
const FORGOTTEN: u64 = 3600;

/// The retrievals about the corpus on offer that are not over.
pub(crate) fn active<C: Chain>(seller: &Seller<C>) -> anyhow::Result<Vec<(RetrievalId, Served)>> {
    let Some(responder) = &seller.responder else {
        return Ok(vec![]);
    };
    let root = responder.corpus.published.root;
    let all = seller.store.all::<Served>(Table::Retrievals)?.into_iter();
    let mut found = vec![];
    for (_, served) in all {
        served.check_version()?;
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
    let missing = || anyhow::anyhow!("it is unknown here");
    seller
        .store
        .change(Table::Retrievals, &id.to_string(), missing, change)?
}

/// A stored retrieval with who answers for it.
fn served<C: Chain>(
    seller: &Seller<C>,
    id: RetrievalId,
) -> anyhow::Result<Option<(&Responder<C>, Served)>> {
    let served = active(seller)?.into_iter().find(|(found, _)| *found == id);
    Ok(seller
        .responder
        .as_ref()
        .zip(served.map(|(_, served)| served)))
}

/// Takes the next step of a retrieval.
pub(crate) async fn advance<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
    id: RetrievalId,
) -> anyhow::Result<Next> {
    let Some((responder, served)) = served(seller, id)? else {
        return Ok(Next::Over);
    };
    let wallet = &responder.wallet;
    let Some(retrieval) = on_chain(responder, id).await? else {
        return Ok(Next::Wait);
    };
    let now = wallet.chain().head().await?.time;
    if retrieval.is_overdue(now) {
        return overdue(seller, responder, id, &retrieval, &served, now);
    }
    if !served.accepted && retrieval.state > State::Open && !retrieval.state.is_terminal() {
        // Stored by a release that did not say so.
        change(seller, id, |served| served.accepted = true)?;
    }
    match retrieval.state {
        State::Open if served.refused.is_none() => Ok(Next::Later),
        // Nothing is at stake, and nothing will be.
        State::Open => {
            change(seller, id, |served| served.over = true)?;
            Ok(Next::Over)
        }
        // The requester's turn, or the prover's.
        State::Accepted | State::Claimed | State::Contested => Ok(Next::Wait),
        State::Cancelled | State::Settled | State::Rejected | State::Slashed => {
            let settled = wallet
                .chain()
                .retrieval_at_depth(id, wallet.depth())
                .await?;
            let is_settled = settled.is_some_and(|settled| settled.state == retrieval.state);
            Ok(if is_settled { Next::Later } else { Next::Wait })
        }
    }
}

/// Accepts a retrieval that is open, or says why not; takes the money of one that ended.
pub(crate) async fn take_time<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
    id: RetrievalId,
) -> anyhow::Result<()> {
    let Some((responder, served)) = served(seller, id)? else {
        return Ok(());
    };
    let wallet = &responder.wallet;
    let now = wallet.chain().head().await?.time;
    let Some(retrieval) = on_chain(responder, id).await? else {
        return Ok(());
    };
    if retrieval.state == State::Open {
        return accept(seller, responder, id, &retrieval, now).await;
    }
    let settled = wallet
        .chain()
        .retrieval_at_depth(id, wallet.depth())
        .await?;
    let Some(retrieval) = settled.filter(|settled| settled.state.is_terminal()) else {
        return Ok(());
    };
    let withdrawn = wallet
        .withdraw(retrieval.terms.token, &format!("retrieval {id}"))
        .await?;
    forget(seller, &served);
    change(seller, id, |served| served.over = true)?;
    seller.tell(RetrievalEvent::Over {
        retrieval: id,
        state: retrieval.state,
        items: retrieval.paid_items(),
        withdrawn,
    });
    Ok(())
}

/// Silence settles a claim, to the responder's gain; the other ends are the requester's.
fn overdue<C: RetrievalChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
    retrieval: &Retrieval,
    served: &Served,
    now: u64,
) -> anyhow::Result<Next> {
    match retrieval.state {
        State::Claimed => {
            let purpose = format!("expire retrieval {id} {}", retrieval.deadline);
            let call = Call::Retrieval(Box::new(RetrievalCall::Expire(id)));
            let order = responder.wallet.order(purpose, call);
            Ok(Next::send(Due::attempt(None, order)))
        }
        // Nothing was at stake.
        State::Open => {
            change(seller, id, |served| served.over = true)?;
            Ok(Next::Over)
        }
        // The bond is lost, whether the requester takes it or not.
        _ if now > retrieval.deadline.saturating_add(FORGOTTEN) => {
            forget(seller, served);
            change(seller, id, |served| served.over = true)?;
            Ok(Next::Over)
        }
        _ => Ok(Next::Wait),
    }
}

/// Accepts an open retrieval, or says why not.
async fn accept<C: RetrievalChain + RoundChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
    retrieval: &Retrieval,
    now: u64,
) -> anyhow::Result<()> {
    let (wallet, purpose) = (&responder.wallet, format!("accept retrieval {id}"));
    // From the look at what is promised to the acceptance, nothing else is accepted: the clerk accepts, one after the other.
    // What was signed once is seen through.
    if !wallet.was_sent(&purpose)? {
        change(seller, id, |served| served.accepted = false)?;
        if let Err(error) = check(seller, responder, &retrieval.terms, now).await {
            // The store's trouble, or the chain's, is no refusal.
            let refusal = error.downcast::<Refusal>()?;
            return refuse(seller, id, &refusal);
        }
    }
    // Promised before anything is sent.
    change(seller, id, |served| served.accepted = true)?;
    let (token, bond) = (retrieval.terms.token, retrieval.terms.bond);
    let value = retrieval.terms.wei(bond);
    let call = Call::Retrieval(Box::new(RetrievalCall::Accept { id, value }));
    let occasion = id.to_string();
    let sent = wallet.deposit((token, bond), &occasion, &purpose, &call);
    match sent.await? {
        Ok(receipt) => {
            seller.tell(RetrievalEvent::Accepted {
                retrieval: id,
                gas: receipt.gas,
            });
            Ok(())
        }
        Err(refused) => refuse(seller, id, &Refusal::Accept(refused)),
    }
}

fn refuse<C: Chain>(seller: &Seller<C>, id: RetrievalId, refusal: &Refusal) -> anyhow::Result<()> {
    let reason = refusal.to_string();
    change(seller, id, |served| served.refused = Some(reason.clone()))?;
    seller.tell(RetrievalEvent::Refused {
        retrieval: id,
        reason,
    });
    Ok(())
}

/// The items of a retrieval that is over are nobody's business any more.
fn forget<C: Chain>(seller: &Seller<C>, served: &Served) {
    if let Some((hash, _)) = served.sealed {
        seller.remove(&seller.home.delivery(&hash.to_string()));
    }
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

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::policy::tests::terms, *};
    use zknode_protocol::{
        message::Version,
        retrieval::message::Offer,
        value::{Bytes, Hash},
    };

    pub fn served() -> Served {
        Served::new(Offer {
            version: Version,
            domain: Domain {
                chain_id: 1,
                contract: Address::ZERO,
            },
            id: RetrievalId(Hash::ZERO),
            requester: Bytes([1; 20]),
            nonce: 0,
            terms: terms(),
        })
    }

    #[test]
    fn only_what_was_accepted_and_goes_on_is_promised() {
        let promised = |change: fn(&mut Served)| {
            let mut served = served();
            served.accepted = true;
            change(&mut served);
            served.is_promised()
        };
        assert!(promised(|_| ()));
        assert!(!promised(|served| served.accepted = false));
        assert!(!promised(|served| served.refused = Some("no".into())));
        assert!(!promised(|served| served.over = true));
    }

    #[test]
    fn two_proofs_a_shard_are_owed_until_the_items_are_sealed() {
        let mut served = served();
        assert_eq!(served.proofs_left(), 2 * terms().shards);
        served.sealed = Some((Hash::ZERO, 0));
        assert_eq!(served.proofs_left(), 0);
    }

    #[test]
    fn a_record_of_before_is_read_as_not_accepted() {
        let mut stored = serde_json::to_value(served()).unwrap();
        stored.as_object_mut().unwrap().remove("accepted").unwrap();
        let read: Served = serde_json::from_value(stored).unwrap();
        assert!(!read.accepted);
    }
}
