//! One agreement, from the seller's side: what the chain says and what is stored decide the next step.
//!
//! [`advance`] takes one step and says what to do next; proving is [`super::prove`]'s. It keeps nothing in memory, so
//! that a crash at any point is the same as a pause: whatever is sent goes under a fixed purpose, an opening is counted
//! before its proof is made, and a finished proof is stored before it is sent.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Call, Chain, ChainError},
    message::{DeliveryManifest, Domain, Offer, PreviewManifest, Receipt, Version},
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
    /// What came with the preview, which lies in the home.
    pub preview: Option<PreviewManifest>,
    /// Signed once the preview was opened and found good.
    pub preview_receipt: Option<Receipt>,
    /// What came with the ciphertext, which lies in the home.
    pub manifest: Option<DeliveryManifest>,
    /// Signed once the delivery was opened and found good.
    pub receipt: Option<Receipt>,
    /// Why the seller will not go on.
    pub refused: Option<String>,
    /// That is because what was delivered is not what was agreed: the buyer has not delivered, whatever it says.
    pub disputed: bool,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Deal`].
const VERSION: u16 = 2;

impl Deal {
    /// An agreement just heard of.
    pub fn new(offer: Offer) -> Self {
        Self {
            version: VERSION,
            offer,
            preview: None,
            preview_receipt: None,
            manifest: None,
            receipt: None,
            refused: None,
            disputed: false,
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
    let head = chain.head().await?;
    let now = head.time;
    if agreement.is_overdue(now, head.number.saturating_add(1)) {
        return overdue(seller, id, agreement.state).await;
    }
    match agreement.state {
        State::Open => open(seller, id, &deal, &agreement, now).await,
        State::Accepted => accepted(seller, id, &deal, &agreement, head.number).await,
        State::Drawn | State::PreviewSent => drawn(seller, id, &deal, &agreement, now).await,
        State::Previewed | State::RestSent => previewed(seller, id, &deal, &agreement, now).await,
        // The prover's; or the buyer's turn.
        State::Delivered | State::Claimed | State::Contested => Ok(Next::Wait),
        State::Cancelled
        | State::Declined
        | State::Denied
        | State::Forfeited
        | State::Settled
        | State::Slashed => {
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
        return seller.refuse(id, "the time to accept is over".into(), false);
    }
    let facts = seller.facts(id, now).await?;
    if let Err(refusal) = seller.policy.check(&agreement.terms, facts) {
        return seller.refuse(id, refusal.to_string(), false);
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

/// After a deadline. Where it ends to the seller's gain, or gives the rest of its bond back, the seller ends it.
async fn overdue<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    state: State,
) -> anyhow::Result<Next> {
    if matches!(state, State::Open | State::Delivered | State::Contested) {
        return Ok(Next::Wait);
    }
    let purpose = format!("expire {id} {state:?}");
    seller.attempt(&purpose, &Call::Expire(id)).await
}

/// Before the draw, going away is free.
async fn accepted<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    head: u64,
) -> anyhow::Result<Next> {
    if deal.refused.is_some() {
        let purpose = format!("decline {id}");
        return seller.attempt(&purpose, &Call::Decline(id)).await;
    }
    // The block that draws must be there; the draw itself goes into a later one.
    if head < agreement.draw_block {
        return Ok(Next::Wait);
    }
    let purpose = format!("draw {id}");
    let next = seller.attempt(&purpose, &Call::Draw(id)).await?;
    if next == Next::Again {
        seller.tell(Event::Drawn { agreement: id });
    }
    Ok(next)
}

async fn drawn<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    now: u64,
) -> anyhow::Result<Next> {
    let preview = deal.preview.as_ref().filter(|preview| {
        // A reorganization may have drawn others.
        preview.check(&agreement.terms, agreement.seed).is_ok()
    });
    if preview.is_none() && deal.preview.is_some() {
        seller.change(id, |deal| {
            (deal.preview, deal.preview_receipt) = (None, None);
        })?;
        return Ok(Next::Again);
    }
    let (Some(preview), None) = (preview, &deal.refused) else {
        return seller.not_going_on(id, deal, agreement, now).await;
    };
    let ciphertext = preview.ciphertext_hash;
    if deal.preview_receipt.is_none() {
        let (this, terms, preview) = (seller.clone(), agreement.terms.clone(), preview.clone());
        let finding = tokio::task::spawn_blocking(move || this.inspect_preview(&terms, &preview));
        if let Some(next) = seller.weigh(id, "the preview", finding.await??)? {
            return Ok(next);
        }
        let receipt = seller.receipt(id, ciphertext, Domain::preview_digest)?;
        seller.change(id, |deal| deal.preview_receipt = Some(receipt))?;
    }
    let call = Call::Proceed {
        id,
        ciphertext,
        signature: None,
    };
    let purpose = format!("proceed {id}");
    let receipt = seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Proceeded {
        agreement: id,
        shards: agreement.terms.preview_shards,
        gas: receipt.gas,
    });
    Ok(Next::Again)
}

async fn previewed<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    now: u64,
) -> anyhow::Result<Next> {
    let (Some(manifest), None) = (&deal.manifest, &deal.refused) else {
        return seller.not_going_on(id, deal, agreement, now).await;
    };
    let ciphertext = manifest.ciphertext_hash;
    if deal.receipt.is_none() {
        // From the receipt on the bond is at stake: a last look at the delivery, and at what it takes to prove it.
        let facts = seller.facts(id, now).await?;
        if let Err(refusal) = seller.policy.check_before_receipt(&agreement.terms, facts) {
            return seller.refuse(id, refusal.to_string(), false);
        }
        let (this, terms, delivery) = (seller.clone(), agreement.terms.clone(), manifest.clone());
        let finding = tokio::task::spawn_blocking(move || this.inspect(&terms, &delivery));
        if let Some(next) = seller.weigh(id, "the delivery", finding.await??)? {
            return Ok(next);
        }
        let receipt = seller.receipt(id, ciphertext, Domain::receipt_digest)?;
        seller.change(id, |deal| deal.receipt = Some(receipt))?;
    }
    let call = Call::Acknowledge {
        id,
        ciphertext,
        signature: None,
    };
    let purpose = format!("acknowledge {id}");
    seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Acknowledged { agreement: id });
    Ok(Next::Again)
}

impl<C: Chain> Seller<C> {
    /// Nothing good was delivered, or it is not wanted. Going away from a delivery as it was agreed costs the preview
    /// fee; one that is not as agreed is the buyer's to answer for: it forfeits its bond, or says on chain that it has
    /// delivered, and is then denied.
    async fn not_going_on(
        &self,
        id: AgreementId,
        deal: &Deal,
        agreement: &AgreementSummary,
        now: u64,
    ) -> anyhow::Result<Next> {
        let sent = matches!(agreement.state, State::PreviewSent | State::RestSent);
        // What is said to be sent may still be on its way.
        let patience = u64::from(agreement.terms.response_time) / 4;
        let late = now.saturating_add(patience) > agreement.deadline;
        let missing = deal.refused.is_none();
        if deal.refused.is_some() && !deal.disputed {
            let purpose = format!("decline {id}");
            return self.attempt(&purpose, &Call::Decline(id)).await;
        }
        if sent && (!missing || late) {
            return self.attempt(&format!("deny {id}"), &Call::Deny(id)).await;
        }
        Ok(Next::Wait)
    }

    /// What a look at a delivery leads to; `None`: on with it.
    fn weigh(&self, id: AgreementId, what: &str, finding: Finding) -> anyhow::Result<Option<Next>> {
        let (reason, disputed) = match finding {
            Finding::Good => return Ok(None),
            Finding::Unwanted(reason) => (reason, false),
            Finding::Bad(reason) => (reason, true),
        };
        self.refuse(id, format!("{what}: {reason}"), disputed)
            .map(Some)
    }

    fn receipt(
        &self,
        id: AgreementId,
        ciphertext: Hash,
        digest: impl Fn(&Domain, AgreementId, Hash) -> Hash,
    ) -> anyhow::Result<Receipt> {
        let domain = Domain {
            chain_id: self.wallet.chain().chain_id(),
            escrow: self.wallet.chain().contracts().escrow,
        };
        Ok(Receipt {
            version: Version,
            domain,
            agreement: id,
            ciphertext_hash: ciphertext,
            signature: self.key.sign(digest(&domain, id, ciphertext))?,
        })
    }

    /// Sends what somebody else may have done, or made impossible, in the meantime: then the chain is looked at again.
    async fn attempt(&self, purpose: &str, call: &Call) -> anyhow::Result<Next> {
        match self.wallet.execute(purpose, call).await {
            Ok(_) => Ok(Next::Again),
            Err(ChainError::Revert { .. }) => Ok(Next::Wait),
            Err(error) => Err(error.into()),
        }
    }

    /// Will not go on with an agreement. Where a bond is locked, the next step gets it back.
    fn refuse(&self, id: AgreementId, reason: String, disputed: bool) -> anyhow::Result<Next> {
        self.change(id, |deal| {
            (deal.refused, deal.disputed) = (Some(reason.clone()), disputed);
        })?;
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

    /// Proofs that other accepted agreements, and rounds of predictions at worst, still ask for.
    pub(super) async fn promised(&self, but: AgreementId) -> anyhow::Result<u32> {
        let mut promised = self.promised_batches()?;
        for (id, deal) in self.active()? {
            if id == but || deal.refused.is_some() {
                continue;
            }
            if let Some(agreement) = self.wallet.agreement(id).await? {
                if (State::Accepted..=State::Delivered).contains(&agreement.state) {
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
        let preview = deal.preview.as_ref().map(|preview| preview.ciphertext_hash);
        let rest = deal.manifest.as_ref().map(|rest| rest.ciphertext_hash);
        for hash in [preview, rest].into_iter().flatten() {
            let path = self.home.delivery(&hash.to_string());
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
