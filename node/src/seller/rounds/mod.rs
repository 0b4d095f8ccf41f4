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

use zknode_protocol::{
    chain::{Call, RoundCall, RoundChain},
    round::{message::Domain, Round, RoundId, RoundState},
};

use self::policy::RoundPolicy;
pub(super) use self::prove::{answers, nearest, prove_next};
pub use self::{gate::Gate, service::Service};
use super::{clerk::Next, event::Event, send::Due, Seller};
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

/// Takes the next step of a round.
pub(super) async fn advance<C: RoundChain>(
    seller: &Seller<C>,
    id: RoundId,
) -> anyhow::Result<Next> {
    let Some(rounds) = &seller.rounds else {
        return Ok(Next::Wait);
    };
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
                Ok(Next::send(rounds.due(None, purpose, RoundCall::Expire(id))))
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
        RoundState::Open if service.refused.is_some() => Ok(Next::Wait),
        RoundState::Open => Ok(Next::Later),
        RoundState::Serving | RoundState::Closed => Ok(finish(rounds, id, &service, &round, now)),
        // The prover's.
        RoundState::Contested => Ok(Next::Wait),
        RoundState::Cancelled | RoundState::Settled | RoundState::Slashed => {
            let ended = rounds.ended(id).await?;
            Ok(ended.map_or(Next::Wait, |_| Next::Later))
        }
    }
}

/// Accepts a round that is open, or says why not; takes the money of one that ended.
pub(super) async fn take_time<C: RoundChain>(
    seller: &Seller<C>,
    id: RoundId,
) -> anyhow::Result<()> {
    let (Some(rounds), Some(service)) = (&seller.rounds, seller.service(id)?) else {
        return Ok(());
    };
    if let Some(ended) = rounds.ended(id).await? {
        return over(seller, rounds, id, &service, &ended).await;
    }
    let chain = rounds.wallet.chain();
    let now = chain.head().await?.time;
    match chain.round_at_depth(id, 0).await? {
        Some(round) if round.state == RoundState::Open => {
            open(seller, rounds, id, &service, &round, now).await
        }
        _ => Ok(()),
    }
}

async fn open<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
    now: u64,
) -> anyhow::Result<()> {
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
            return Ok(());
        }
        seller.change_service(id, |service| service.accepted = true)?;
    }
    let purpose = format!("accept round {id}");
    let allowed = rounds.wallet.allow(terms.token, terms.bond, &purpose);
    allowed.await?;
    let value = terms.wei(terms.bond);
    let call = Call::Round(Box::new(RoundCall::Accept { id, value }));
    // The buyer may have taken it back.
    if rounds.wallet.attempt(&purpose, &call).await?.is_some() {
        seller.tell(Event::RoundAccepted { round: id });
    }
    Ok(())
}

/// Settles with the buyer's approval; without one, closes in time with what it was paid for.
fn finish<C: RoundChain>(
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
    now: u64,
) -> Next {
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
        return Next::send(rounds.due(Some(round.deadline), purpose, call));
    }
    if !serving || now.saturating_add(rounds.close_before) <= round.terms.serve_by {
        return Next::Wait;
    }
    let call = RoundCall::Close {
        id,
        count: paid,
        signature: voucher,
    };
    let close = rounds.due(Some(round.deadline), format!("close round {id}"), call);
    Next::send(close.telling(move |_| Event::RoundClosed {
        round: id,
        count: paid,
    }))
}

async fn over<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
) -> anyhow::Result<()> {
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
    Ok(())
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

    /// What somebody else may have done, or made impossible, in the meantime.
    fn due(&self, deadline: Option<u64>, purpose: String, call: RoundCall) -> Due {
        let order = self.wallet.order(purpose, Call::Round(Box::new(call)));
        Due::attempt(deadline, order)
    }

    /// A round that ended, once its end is believed.
    async fn ended(&self, id: RoundId) -> anyhow::Result<Option<Round>> {
        let depth = self.wallet.depth();
        let found = self.wallet.chain().round_at_depth(id, depth).await?;
        Ok(found.filter(|round| round.state.is_terminal()))
    }
}
