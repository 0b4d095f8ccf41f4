//! Predictions by the batch: accepts rounds, answers their requests ([`http`], [`batch`]), proves what is audited or contested
//! ([`prove`]) and closes with the newest voucher. As with agreements, every step follows from the chain and what is stored.

mod batch;
mod book;
mod gate;
pub(super) mod http;
pub mod policy;
mod prove;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    chain::{Call, RoundCall, RoundChain},
    round::{
        message::{Domain, RoundOffer},
        Round, RoundId, RoundState,
    },
    value::Signature,
};

pub use self::gate::Gate;
use self::policy::RoundPolicy;
pub(super) use self::prove::{answers, nearest, prove_next};
use super::{clerk::Next, event::Event, send::Due, Seller};
use crate::{store::Table, wallet::Wallet};

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

/// Seconds after which a round that was never accepted is forgotten: the chain may be reorganized until then.
const FORGET_AFTER: u64 = 600;

/// What the seller remembers of a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    version: u16,
    /// As the buyer offered it.
    pub offer: RoundOffer,
    /// The bond is, or may be, locked.
    pub accepted: bool,
    /// Batches answered; the answers are stored beside.
    pub served: u32,
    /// The newest voucher.
    pub voucher: Option<(u32, Signature)>,
    /// The buyer is content with so many.
    pub approval: Option<(u32, Signature)>,
    /// Batches the buyer wants a proof of.
    pub audits: BTreeSet<u32>,
    /// Why the seller will not accept it.
    pub refused: Option<String>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Service`].
const VERSION: u16 = 1;

impl Service {
    /// A round just heard of.
    pub fn new(offer: RoundOffer) -> Self {
        Self {
            version: VERSION,
            offer,
            accepted: false,
            served: 0,
            voucher: None,
            approval: None,
            audits: BTreeSet::new(),
            refused: None,
            over: false,
        }
    }

    /// Whether it can come to nothing any more, `state` being the chain's: it was never accepted, and the time is over.
    fn is_dead(&self, state: Option<RoundState>, now: u64) -> bool {
        let accept_by = self.offer.terms.accept_by;
        now > accept_by.saturating_add(FORGET_AFTER)
            && match state {
                None => self.served == 0,
                Some(state) => state == RoundState::Open,
            }
    }

    /// The voucher or approval that is worth more is kept; for the approval of no batch at all there is nothing to keep.
    fn keep(kept: &mut Option<(u32, Signature)>, count: u32, signature: Signature) {
        if count > kept.map_or(0, |(count, _)| count) {
            *kept = Some((count, signature));
        }
    }

    /// The approval that ends the service: of everything served and paid for. To one of less there is no hurry.
    fn ending(&self) -> Option<(u32, Signature)> {
        let paid = self.voucher.map_or(0, |(count, _)| count);
        let least = paid.max(self.served);
        self.approval.filter(|(count, _)| *count >= least)
    }
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

impl<C: zknode_protocol::chain::Chain> Seller<C> {
    /// The rounds about the model on offer that are not over.
    pub fn services(&self) -> anyhow::Result<Vec<(RoundId, Service)>> {
        let all = self.store.all::<Service>(Table::Rounds)?.into_iter();
        let model = self.card.model;
        Ok(all
            .filter(|(_, service)| !service.over && service.offer.terms.model == model)
            .map(|(_, service)| (service.offer.round, service))
            .collect())
    }

    /// A stored round.
    pub fn service(&self, id: RoundId) -> anyhow::Result<Option<Service>> {
        let service: Option<Service> = self.store.get(Table::Rounds, &id.to_string())?;
        if let Some(service) = &service {
            anyhow::ensure!(
                service.version == VERSION,
                "round {id} is stored with version {}, this build reads {VERSION}",
                service.version
            );
        }
        Ok(service)
    }

    /// Changes a stored round in one transaction.
    pub fn change_service(
        &self,
        id: RoundId,
        change: impl FnOnce(&mut Service),
    ) -> anyhow::Result<()> {
        self.store.update(
            Table::Rounds,
            &id.to_string(),
            |service: Option<Service>| {
                let mut service =
                    service.ok_or_else(|| anyhow::anyhow!("round {id} is unknown"))?;
                change(&mut service);
                Ok::<_, anyhow::Error>((service, ()))
            },
        )?
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use zknode_protocol::{
        round::RoundTerms,
        value::{Address, Amount, Bytes, ModelId},
    };

    pub(super) fn service() -> Service {
        let terms = RoundTerms {
            model: ModelId(Bytes([1; 32])),
            token: Address::ZERO,
            batches: 9,
            price: Amount(1),
            bond: Amount(1),
            contest_fee: Amount(0),
            accept_by: 1000,
            serve_by: 2000,
            window: 10,
            prove_time: 10,
        };
        let domain = Domain {
            chain_id: 1,
            contract: Bytes([2; 20]),
        };
        let nonce = Bytes([3; 32]);
        Service::new(RoundOffer::new(domain, Bytes([4; 20]), nonce, terms))
    }

    #[test]
    fn what_was_never_accepted_is_forgotten() {
        let mut service = service();
        let last = 1000 + FORGET_AFTER;
        for state in [None, Some(RoundState::Open)] {
            assert!(!service.is_dead(state, last));
            assert!(service.is_dead(state, last + 1));
        }
        for state in [RoundState::Serving, RoundState::Closed, RoundState::Slashed] {
            assert!(!service.is_dead(Some(state), u64::MAX));
        }
        // A chain that does not know it now knew it once: the bond is there.
        service.served = 1;
        assert!(!service.is_dead(None, u64::MAX));
    }

    #[test]
    fn a_lesser_approval_neither_replaces_nor_ends() {
        let signature = |byte| Bytes([byte; 65]);
        let mut service = service();
        (service.served, service.voucher) = (3, Some((2, signature(0))));
        let keep = |service: &mut Service, count, byte| {
            Service::keep(&mut service.approval, count, signature(byte));
        };
        keep(&mut service, 2, 2);
        assert_eq!(service.ending(), None, "one batch more was served");
        keep(&mut service, 3, 3);
        keep(&mut service, 1, 1);
        assert_eq!(service.ending(), Some((3, signature(3))));
        service.served = 4;
        assert_eq!(service.ending(), None);
    }
}
