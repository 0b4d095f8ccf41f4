//! One retrieval, from the responder's side: what the chain says and what is stored decide the next step, as with a
//! seller's agreements. Proving and claiming are [`super::prove`]'s.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Call, Chain, ChainError,
    },
    retrieval::{
        message::{Domain, Offer},
        Retrieval, RetrievalId, State,
    },
    value::{Address, Hash},
};

use super::{
    event::RetrievalEvent,
    policy::{check, RetrievalPolicy},
};
use crate::{corpus::OwnCorpus, seller::Seller, store::Table, wallet::Wallet};

/// What a seller needs to answer retrievals.
pub struct Responder<C> {
    /// What is asked about.
    pub corpus: OwnCorpus,
    /// The account at the retrieval contract.
    pub wallet: Wallet<C>,
    /// Which retrievals are taken.
    pub policy: RetrievalPolicy,
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
            if let Err(refusal) = check(seller, responder, id, &retrieval.terms, now) {
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
