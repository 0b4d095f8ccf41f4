//! One agreement, from the seller's side: what the chain says and what is stored decide the next step.
//!
//! [`advance`] takes one step, or says what to send next; proving is [`super::prove`]'s. It keeps nothing in memory, so
//! that a crash at any point is the same as a pause: whatever is sent goes under a fixed purpose, an opening is counted
//! before its proof is made, and a finished proof is stored before it is sent.

pub(crate) mod book;
mod refusal;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Call, Chain, RoundChain},
    message::{DeliveryManifest, Domain, Offer, PreviewManifest, Receipt},
    value::AgreementId,
};

pub use super::clerk::Next;
use super::{event::Event, send::Due, Seller};

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

/// Seconds after which what was never accepted is forgotten: the chain may be reorganized until then.
pub(super) const FORGET_AFTER: u64 = 600;

impl Deal {
    /// Whether a delivery may still come, or not come, that is to be answered.
    pub fn is_awaited(&self) -> bool {
        !self.over && self.receipt.is_none()
    }

    /// Whether nothing can come of it any more, `state` being the chain's and `was_sent` whether the acceptance was: it was
    /// never accepted, and will not be.
    fn is_dead(&self, state: Option<State>, was_sent: bool, now: u64) -> bool {
        let accept_by = self.offer.terms.accept_by;
        let long_past = now > accept_by.saturating_add(FORGET_AFTER);
        match state {
            None => long_past && !was_sent,
            Some(State::Open) if was_sent => long_past,
            Some(State::Open) => self.refused.is_some() || now > accept_by,
            Some(_) => false,
        }
    }
}

/// Takes the next step of an agreement, of `awaited` in all that may have to be answered at once.
pub async fn advance<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    awaited: usize,
) -> anyhow::Result<Next> {
    let Some(deal) = seller.deal(id)? else {
        return Ok(Next::Over);
    };
    if deal.over {
        return Ok(Next::Over);
    }
    let chain = seller.wallet.chain();
    let found = seller.answered(seller.wallet.agreement(id).await)?;
    let head = seller.answered(chain.head().await)?;
    let (now, state) = (head.time, found.as_ref().map(|found| found.state));
    if state.is_none_or(|state| state == State::Open) {
        let was_sent = seller.wallet.was_sent(&book::accept_purpose(id))?;
        if deal.is_dead(state, was_sent, now) {
            return seller.never_accepted(id);
        }
    }
    let Some(agreement) = found else {
        return Ok(Next::Wait);
    };
    if agreement.is_overdue(now, head.number.saturating_add(1)) {
        return Ok(overdue(seller, id, agreement.state));
    }
    let times = (now, awaited);
    match agreement.state {
        State::Open => Ok(Next::Later),
        State::Accepted => Ok(accepted(seller, id, &deal, &agreement, head.number)),
        State::Drawn | State::PreviewSent => drawn(seller, id, &deal, &agreement, times),
        State::Previewed | State::RestSent => previewed(seller, id, &deal, &agreement, times).await,
        // The prover's; or the buyer's turn.
        State::Delivered | State::Claimed | State::Contested => Ok(Next::Wait),
        State::Cancelled
        | State::Declined
        | State::Denied
        | State::Forfeited
        | State::Settled
        | State::Slashed => {
            let ended = seller.wallet.ended(id).await?;
            Ok(ended.map_or(Next::Wait, |_| Next::Later))
        }
    }
}

/// Accepts an agreement that is open, or says why not; takes the money of one that ended.
pub async fn take_time<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
) -> anyhow::Result<()> {
    if let Some(ended) = seller.wallet.ended(id).await? {
        return over(seller, id, &ended).await;
    }
    let now = seller.wallet.chain().head().await?.time;
    match seller.wallet.agreement(id).await? {
        Some(agreement) if agreement.state == State::Open => {
            open(seller, id, &agreement, now).await
        }
        _ => Ok(()),
    }
}

async fn over<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    agreement: &AgreementSummary,
) -> anyhow::Result<()> {
    let token = agreement.terms.token;
    let paid = seller.wallet.withdraw(token, &id.to_string()).await?;
    seller.change(id, |deal| deal.over = true)?;
    seller.looks.forget(id);
    seller.forget_delivery(id);
    seller.tell(Event::Over {
        agreement: id,
        state: agreement.state,
        correct: agreement.correct,
        withdrawn: paid,
    });
    Ok(())
}

async fn open<C: RoundChain>(
    seller: &Seller<C>,
    id: AgreementId,
    agreement: &AgreementSummary,
    now: u64,
) -> anyhow::Result<()> {
    // From the look at what is promised to the acceptance, nothing else is accepted: the clerk accepts, one after the other.
    let purpose = book::accept_purpose(id);
    // What was signed once is seen through.
    if !seller.wallet.was_sent(&purpose)? {
        let facts = seller.facts(id, now).await?;
        if let Err(refusal) = seller.policy.check(&agreement.terms, &facts) {
            return seller.refuse(id, refusal.to_string(), false).map(drop);
        }
    }
    let (token, bond) = (agreement.terms.token, agreement.terms.bond);
    seller.wallet.allow(token, bond, &id.to_string()).await?;
    let value = agreement.terms.wei(bond);
    let call = Call::Accept { id, value };
    seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Accepted { agreement: id });
    Ok(())
}

/// After a deadline. Where it ends to the seller's gain, or gives the rest of its bond back, the seller ends it.
fn overdue<C: Chain>(seller: &Seller<C>, id: AgreementId, state: State) -> Next {
    if matches!(state, State::Open | State::Delivered | State::Contested) {
        return Next::Wait;
    }
    let purpose = format!("expire {id} {state:?}");
    let order = seller.wallet.order(purpose, Call::Expire(id));
    Next::send(Due::attempt(None, order))
}

/// Before the draw, going away is free.
fn accepted<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    head: u64,
) -> Next {
    let due = |purpose: &str, call| {
        let order = seller.wallet.order(format!("{purpose} {id}"), call);
        Due::attempt(Some(agreement.deadline), order)
    };
    if deal.refused.is_some() {
        return Next::send(due("decline", Call::Decline(id)));
    }
    // The block that draws must be there; the draw itself goes into a later one.
    if head < agreement.draw_block {
        return Next::Wait;
    }
    let draw = due("draw", Call::Draw(id));
    Next::send(draw.telling(move |_| Event::Drawn { agreement: id }))
}

fn drawn<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    times: (u64, usize),
) -> anyhow::Result<Next> {
    let preview = deal.preview.as_ref().filter(|preview| {
        // A reorganization may have drawn others.
        preview.check(&agreement.terms, agreement.seed).is_ok()
    });
    if preview.is_none() && deal.preview.is_some() {
        seller.change(id, |deal| {
            (deal.preview, deal.preview_receipt) = (None, None);
        })?;
        seller.looks.forget(id);
        return Ok(Next::Again);
    }
    let (Some(preview), None) = (preview, &deal.refused) else {
        return Ok(seller.not_going_on(id, deal, agreement, times));
    };
    let ciphertext = preview.ciphertext_hash;
    if deal.preview_receipt.is_none() {
        let (this, terms, preview) = (seller.clone(), agreement.terms.clone(), preview.clone());
        let look = move || this.inspect_preview(&terms, &preview);
        let Some(finding) = seller.look(id, ciphertext, agreement.deadline, look)? else {
            return Ok(Next::Wait);
        };
        if let Some(next) = seller.weigh(id, "the preview", finding)? {
            return Ok(next);
        }
        let receipt = seller.receipt(id, ciphertext, Domain::preview_digest)?;
        seller.change(id, |deal| deal.preview_receipt = Some(receipt))?;
        seller.looks.forget(id);
    }
    let call = Call::Proceed {
        id,
        ciphertext,
        signature: None,
    };
    let order = seller.wallet.order(format!("proceed {id}"), call);
    let shards = agreement.terms.preview_shards;
    let event = move |gas| Event::Proceeded {
        agreement: id,
        shards,
        gas,
    };
    Ok(Next::send(Due::new(agreement.deadline, order, event)))
}

async fn previewed<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    times: (u64, usize),
) -> anyhow::Result<Next> {
    let (Some(manifest), None) = (&deal.manifest, &deal.refused) else {
        return Ok(seller.not_going_on(id, deal, agreement, times));
    };
    let ciphertext = manifest.ciphertext_hash;
    if deal.receipt.is_none() {
        // From the receipt on the bond is at stake: a last look at the delivery, and at what it takes to prove it.
        let (this, terms, delivery) = (seller.clone(), agreement.terms.clone(), manifest.clone());
        let look = move || this.inspect(&terms, &delivery);
        let Some(finding) = seller.look(id, ciphertext, agreement.deadline, look)? else {
            return Ok(Next::Wait);
        };
        if let Some(next) = seller.weigh(id, "the delivery", finding)? {
            return Ok(next);
        }
        let facts = seller.facts(id, times.0).await?;
        if let Err(refusal) = seller.policy.check_before_receipt(&agreement.terms, &facts) {
            return seller.refuse(id, refusal.to_string(), false);
        }
        let receipt = seller.receipt(id, ciphertext, Domain::receipt_digest)?;
        seller.change(id, |deal| deal.receipt = Some(receipt))?;
        seller.looks.forget(id);
    }
    let call = Call::Acknowledge {
        id,
        ciphertext,
        signature: None,
    };
    let order = seller.wallet.order(format!("acknowledge {id}"), call);
    let event = move |_| Event::Acknowledged { agreement: id };
    Ok(Next::send(Due::new(agreement.deadline, order, event)))
}
