//! Predictions by the batch: accepts rounds, answers their requests ([`http`], [`request`], [`batch`]), proves what is audited
//! or contested ([`prove`]) and closes with the newest voucher. As with agreements, every step follows from the chain and what
//! is stored.

mod batch;
mod book;
mod gate;
pub(super) mod http;
pub mod policy;
mod prove;
mod request;
mod service;

use std::sync::Arc;

use zknode_protocol::{
    chain::{Call, RoundCall, RoundChain},
    round::{message::Domain, Round, RoundId, RoundState},
};

use self::policy::RoundPolicy;
pub(super) use self::prove::{answer_contests, nearest, prove_next};
pub use self::{gate::Gate, service::Service};
use super::{deal::Next, event::Event, Seller};
use crate::wallet::Wallet;

/// The predictions side of a seller's node.
pub struct Rounds<C> {
    /// Its transactions: the same account and journal, the predictions contract in the escrow's place.
    pub wallet: Wallet<C>,
    /// Which rounds it takes; `None`: no new ones, those under way are seen through.
    pub policy: Option<RoundPolicy>,
    /// Seconds before the end of service at which it stops serving and closes.
    pub close_before: u64,
    /// How much is inferred at once.
    pub gate: Gate,
}

/// Takes every round as far as it goes without a proof.
pub(super) async fn round_trip<C: RoundChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<()> {
    let Some(rounds) = &seller.rounds else {
        return Ok(());
    };
    let mut failed = None;
    for (id, _) in seller.services()? {
        loop {
            match advance(seller, rounds, id).await {
                Ok(Next::Again) => {}
                Ok(Next::Wait | Next::Over) => break,
                Err(error) => {
                    failed = Some(error.context(format!("round {id}")));
                    break;
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Takes the next step of a round.
async fn advance<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
) -> anyhow::Result<Next> {
    let Some(service) = seller.service(id)?.filter(|service| !service.over) else {
        return Ok(Next::Over);
    };
    let chain = rounds.wallet.chain();
    let found = chain.round_at_depth(id, 0).await?;
    let now = chain.head().await?.time;
    if service.is_dead(found.as_ref().map(|round| round.state), now) {
        seller.change_service(id, |service| service.over = true)?;
        let words = format!("round {id} was not accepted in time, and is forgotten");
        seller.progress.say(words);
        return Ok(Next::Over);
    }
    let Some(round) = found else {
        return Ok(Next::Wait);
    };
    if round.is_overdue(now) {
        // Where it ends to the seller's gain, or gives its bond back, the seller ends it.
        return match round.state {
            RoundState::Serving | RoundState::Closed => {
                let purpose = format!("expire round {id} {:?}", round.state);
                rounds.attempt(&purpose, RoundCall::Expire(id)).await
            }
            // The buyer's price to take back; nothing is owed for it any more.
            RoundState::Open if service.accepted => {
                seller.change_service(id, |service| service.accepted = false)?;
                Ok(Next::Wait)
            }
            _ => Ok(Next::Wait),
        };
    }
    match round.state {
        RoundState::Open => open(seller, rounds, id, &service, &round, now).await,
        RoundState::Serving | RoundState::Closed => {
            finish(seller, rounds, id, &service, &round, now).await
        }
        // The prover's.
        RoundState::Contested => Ok(Next::Wait),
        RoundState::Cancelled | RoundState::Settled | RoundState::Slashed => {
            over(seller, rounds, id, &service).await
        }
    }
}

async fn open<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
    now: u64,
) -> anyhow::Result<Next> {
    if service.refused.is_some() {
        return Ok(Next::Wait);
    }
    let terms = &round.terms;
    // From the look at what is promised to the acceptance, nothing else is accepted: the clerk accepts, one after the other.
    // Once it may have been sent, it is seen through.
    if !service.accepted {
        let facts = seller.round_facts(rounds, now).await?;
        let judged = match &rounds.policy {
            Some(policy) => policy.check(terms, &facts),
            None => Err(policy::RoundRefusal::NotOffered),
        };
        if let Err(refusal) = judged {
            let reason = refusal.to_string();
            seller.change_service(id, |service| service.refused = Some(reason.clone()))?;
            seller.tell(Event::RoundRefused { round: id, reason });
            return Ok(Next::Again);
        }
        seller.change_service(id, |service| service.accepted = true)?;
    }
    let purpose = format!("accept round {id}");
    let allowed = rounds.wallet.allow(terms.token, terms.bond, &purpose);
    allowed.await?;
    let value = terms.wei(terms.bond);
    let next = rounds.attempt(&purpose, RoundCall::Accept { id, value });
    let next = next.await?;
    if next == Next::Again {
        seller.tell(Event::RoundAccepted { round: id });
    }
    Ok(next)
}

/// Settles with the buyer's approval; without one, closes in time with what it was paid for.
async fn finish<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
    now: u64,
) -> anyhow::Result<Next> {
    let serving = round.state == RoundState::Serving;
    let (paid, voucher) = match service.voucher {
        Some((count, signature)) => (count, Some(signature)),
        None => (0, None),
    };
    let approval = match serving {
        true => service.ending(),
        false => service.approval.filter(|(count, _)| *count == round.count),
    };
    if let Some((count, signature)) = approval {
        let call = RoundCall::Approve {
            id,
            count,
            signature: Some(signature),
        };
        let purpose = format!("approve round {id} {:?}", round.state);
        return rounds.attempt(&purpose, call).await;
    }
    if !serving || now.saturating_add(rounds.close_before) <= round.terms.serve_by {
        return Ok(Next::Wait);
    }
    let call = RoundCall::Close {
        id,
        count: paid,
        signature: voucher,
    };
    let next = rounds.attempt(&format!("close round {id}"), call).await?;
    if next == Next::Again {
        seller.tell(Event::RoundClosed {
            round: id,
            count: paid,
        });
    }
    Ok(next)
}

async fn over<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
) -> anyhow::Result<Next> {
    let depth = rounds.wallet.depth();
    let ended = rounds.wallet.chain().round_at_depth(id, depth).await?;
    let Some(round) = ended.filter(|round| round.state.is_terminal()) else {
        return Ok(Next::Wait);
    };
    let token = round.terms.token;
    let withdrawn = rounds
        .wallet
        .withdraw(token, &format!("round {id}"))
        .await?;
    // In this order: a crash in between leaves no inputs behind.
    seller.forget_batches(id, service.served)?;
    seller.change_service(id, |service| service.over = true)?;
    seller.tell(Event::RoundOver {
        round: id,
        state: round.state,
        count: round.count,
        withdrawn,
    });
    Ok(Next::Over)
}

impl<C: RoundChain> Rounds<C> {
    /// Where signatures of these rounds are good.
    pub fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            contract: chain.contracts().escrow,
        }
    }

    /// Sends what somebody else may have done, or made impossible, in the meantime: then the chain is looked at again.
    async fn attempt(&self, purpose: &str, call: RoundCall) -> anyhow::Result<Next> {
        let call = Call::Round(Box::new(call));
        let sent = self.wallet.attempt(purpose, &call).await?;
        Ok(sent.map_or(Next::Wait, |_| Next::Again))
    }
}
