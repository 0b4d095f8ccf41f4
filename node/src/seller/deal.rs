//! One agreement, from the seller's side: what the chain says and what is stored decide the next step.
//!
//! [`advance`] takes one step and says what to do next; proving is [`super::prove`]'s. It keeps nothing in memory, so
//! that a crash at any point is the same as a pause: whatever is sent goes under a fixed purpose, an opening is counted
//! before its proof is made, and a finished proof is stored before it is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Call, Chain},
    message::{DeliveryManifest, Domain, Offer, Receipt, Version},
    value::{AgreementId, Hash},
};

use super::{event::Event, inspect::Finding, policy::Facts, Seller};
use crate::{seller::model::openings_left, store::Table};

/// What the seller remembers of an agreement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deal {
    version: u16,
    /// As the buyer offered it.
    pub offer: Offer,
    /// What came with the ciphertext, which lies in the home.
    pub manifest: Option<DeliveryManifest>,
    /// Signed once the delivery was opened and found good.
    pub receipt: Option<Receipt>,
    /// Why the seller will not go on.
    pub refused: Option<String>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Deal`].
const VERSION: u16 = 1;

impl Deal {
    /// An agreement just heard of.
    pub fn new(offer: Offer) -> Self {
        Self {
            version: VERSION,
            offer,
            manifest: None,
            receipt: None,
            refused: None,
            over: false,
        }
    }
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something happened: look again at once.
    Again,
    /// The other side, the chain or a deadline must move first.
    Wait,
    /// The agreement ended and all money is withdrawn.
    Over,
}

/// Takes the next step of an agreement.
pub async fn advance<C: Chain>(seller: &Arc<Seller<C>>, id: AgreementId) -> anyhow::Result<Next> {
    let Some(deal) = seller.deal(id)? else {
        return Ok(Next::Over);
    };
    if deal.over {
        return Ok(Next::Over);
    }
    let chain = seller.wallet.chain();
    let Some(agreement) = seller.wallet.agreement(id).await? else {
        return Ok(Next::Wait);
    };
    let now = chain.head().await?.time;
    match agreement.state {
        State::Open => open(seller, id, &deal, &agreement, now).await,
        State::Accepted => accepted(seller, id, &deal, &agreement, now).await,
        State::Delivered => Ok(Next::Wait),
        State::Cancelled | State::Declined | State::Settled | State::Slashed => {
            let Some(agreement) = seller.wallet.ended(id).await? else {
                return Ok(Next::Wait);
            };
            let paid = seller
                .wallet
                .withdraw(agreement.terms.token, &id.to_string())
                .await?;
            seller.change(id, |deal| deal.over = true)?;
            seller.forget_delivery(&deal);
            seller.tell(Event::Over {
                agreement: id,
                state: agreement.state,
                correct: agreement.correct,
                withdrawn: paid,
            });
            Ok(Next::Over)
        }
    }
}

async fn open<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    now: u64,
) -> anyhow::Result<Next> {
    if deal.refused.is_some() {
        return Ok(Next::Wait);
    }
    if now > agreement.terms.accept_by {
        return seller.refuse(id, "the time to accept is over".into());
    }
    let facts = seller.facts(id, now).await?;
    if let Err(refusal) = seller.policy.check(&agreement.terms, facts) {
        return seller.refuse(id, refusal.to_string());
    }
    let (token, bond) = (agreement.terms.token, agreement.terms.bond);
    seller.wallet.allow(token, bond, &id.to_string()).await?;
    let value = agreement.terms.wei(bond);
    let call = Call::Accept { id, value };
    seller
        .wallet
        .execute(&format!("accept {id}"), &call)
        .await?;
    seller.tell(Event::Accepted { agreement: id });
    Ok(Next::Again)
}

async fn accepted<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    now: u64,
) -> anyhow::Result<Next> {
    if deal.refused.is_some() || now > agreement.terms.deliver_by {
        let purpose = format!("decline {id}");
        seller.wallet.execute(&purpose, &Call::Decline(id)).await?;
        return Ok(Next::Again);
    }
    let Some(manifest) = &deal.manifest else {
        return Ok(Next::Wait);
    };
    let ciphertext = manifest.ciphertext_hash;
    if deal.receipt.is_none() {
        // From the receipt on the bond is at stake: a last look at the delivery, and at what it takes to prove it.
        let facts = seller.facts(id, now).await?;
        if let Err(refusal) = seller.policy.check_before_receipt(&agreement.terms, facts) {
            return seller.refuse(id, refusal.to_string());
        }
        let (this, terms, delivery) = (seller.clone(), agreement.terms.clone(), manifest.clone());
        let finding = tokio::task::spawn_blocking(move || this.inspect(&terms, &delivery));
        if let Finding::Bad(reason) = finding.await?? {
            return seller.refuse(id, format!("the delivery: {reason}"));
        }
        let domain = Domain {
            chain_id: seller.wallet.chain().chain_id(),
            escrow: seller.wallet.chain().contracts().escrow,
        };
        let signature = seller.key.sign(domain.receipt_digest(id, ciphertext))?;
        let receipt = Receipt {
            version: Version,
            domain,
            agreement: id,
            ciphertext_hash: ciphertext,
            signature,
        };
        seller.change(id, |deal| deal.receipt = Some(receipt))?;
    }
    let call = Call::Acknowledge { id, ciphertext };
    let purpose = format!("acknowledge {id}");
    seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Acknowledged { agreement: id });
    Ok(Next::Again)
}

impl<C: Chain> Seller<C> {
    /// Will not go on with an agreement. Where a bond is locked, the next step gets it back.
    fn refuse(&self, id: AgreementId, reason: String) -> anyhow::Result<Next> {
        self.change(id, |deal| deal.refused = Some(reason.clone()))?;
        self.tell(Event::Refused {
            agreement: id,
            reason,
        });
        Ok(Next::Again)
    }

    /// What the policy must know at `now`, agreement `but` left out of what is promised to others.
    async fn facts(&self, but: AgreementId, now: u64) -> anyhow::Result<Facts> {
        let chain = self.wallet.chain();
        let promised = self.promised(but).await?;
        let left = openings_left(&self.store, &self.model.record)?;
        Ok(Facts {
            model: self.card.model,
            shard_size: self.model.layout.options().samples,
            openings_left: left.saturating_sub(promised),
            promised,
            balance: chain.balance(chain.account()).await?,
            now,
        })
    }

    /// Shards that other accepted agreements still ask for.
    async fn promised(&self, but: AgreementId) -> anyhow::Result<u32> {
        let mut promised = 0u32;
        for (id, deal) in self.active()? {
            if id == but || deal.refused.is_some() {
                continue;
            }
            if let Some(agreement) = self.wallet.agreement(id).await? {
                if matches!(agreement.state, State::Accepted | State::Delivered) {
                    promised = promised.saturating_add(agreement.missing());
                }
            }
        }
        Ok(promised)
    }

    /// The agreements about the model on offer that are not over.
    pub fn active(&self) -> anyhow::Result<Vec<(AgreementId, Deal)>> {
        let all = self.store.all::<Deal>(Table::Deals)?.into_iter();
        Ok(all
            .filter(|(_, deal)| !deal.over && deal.offer.terms.model == self.card.model)
            .map(|(_, deal)| (deal.offer.agreement, deal))
            .collect())
    }

    /// The test set of an agreement that is over is nobody's business any more.
    fn forget_delivery(&self, deal: &Deal) {
        if let Some(manifest) = &deal.manifest {
            let path = self.home.delivery(&manifest.ciphertext_hash.to_string());
            if let Err(error) = std::fs::remove_file(&path) {
                self.progress
                    .say(format!("{} stays: {error}", path.display()));
            }
        }
    }

    /// A stored agreement.
    pub fn deal(&self, id: AgreementId) -> anyhow::Result<Option<Deal>> {
        let deal: Option<Deal> = self.store.get(Table::Deals, &id.to_string())?;
        if let Some(deal) = &deal {
            anyhow::ensure!(
                deal.version == VERSION,
                "agreement {id} is stored with version {}, this build reads {VERSION}",
                deal.version
            );
        }
        Ok(deal)
    }

    /// Changes a stored agreement in one transaction.
    pub fn change(&self, id: AgreementId, change: impl FnOnce(&mut Deal)) -> anyhow::Result<()> {
        self.store
            .update(Table::Deals, &id.to_string(), |deal: Option<Deal>| {
                let mut deal = deal.ok_or_else(|| anyhow::anyhow!("agreement {id} is unknown"))?;
                change(&mut deal);
                Ok::<_, anyhow::Error>((deal, ()))
            })?
    }

    /// Whether this ciphertext is the one already stored for the agreement.
    pub fn has_delivery(&self, id: AgreementId, ciphertext: Hash) -> anyhow::Result<bool> {
        let deal = self.deal(id)?;
        Ok(deal
            .and_then(|deal| deal.manifest)
            .is_some_and(|manifest| manifest.ciphertext_hash == ciphertext))
    }
}
