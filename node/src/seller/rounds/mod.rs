//! Predictions by the batch: accepts rounds, answers their requests ([`http`], [`batch`]), proves what is audited or contested
//! ([`prove`]) and closes with the newest voucher. As with agreements, every step follows from the chain and what is stored.

mod batch;
pub(super) mod http;
pub mod policy;
mod prove;

use std::{collections::BTreeSet, sync::Arc};

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    chain::{Call, ChainError, RoundCall, RoundChain},
    round::{
        message::{Domain, RoundOffer},
        Round, RoundId, RoundState,
    },
    value::{AgreementId, Signature},
};

use self::policy::{RoundFacts, RoundPolicy};
pub(super) use self::prove::{nearest, prove_next};
use super::{deal::Next, event::Event, model::openings_left, Seller};
use crate::{store::Table, wallet::Wallet};

/// The predictions side of a seller's node.
pub struct Rounds<C> {
    /// Its transactions: the same account and journal, the predictions contract in the escrow's place.
    pub wallet: Wallet<C>,
    /// Which rounds it takes; `None`: no new ones, those under way are seen through.
    pub policy: Option<RoundPolicy>,
    /// Seconds before the end of service at which it stops serving and closes.
    pub close_before: u64,
}

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
    let Some(round) = chain.round_at_depth(id, 0).await? else {
        return Ok(Next::Wait);
    };
    let now = chain.head().await?.time;
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
    // Once it may have been sent, it is seen through.
    if !service.accepted {
        let facts = seller.round_facts(rounds, id, now).await?;
        let judged = match &rounds.policy {
            Some(policy) => policy.check(terms, facts),
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
    // An approval of fewer batches than are paid for is no reason to hurry.
    let approval = service.approval.filter(|(count, _)| match serving {
        true => *count >= paid,
        false => *count == round.count,
    });
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
    seller.change_service(id, |service| service.over = true)?;
    seller.forget_batches(id, service.served)?;
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
        match self.wallet.execute(purpose, &call).await {
            Ok(_) => Ok(Next::Again),
            Err(ChainError::Revert { .. }) => Ok(Next::Wait),
            Err(error) => Err(error.into()),
        }
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

    /// Proofs that accepted rounds may still ask for, at worst.
    pub(super) fn promised_batches(&self) -> anyhow::Result<u32> {
        let accepted = self.services()?.into_iter();
        let batches = accepted
            .filter(|(_, service)| service.accepted)
            .map(|(_, service)| service.offer.terms.batches);
        Ok(batches.fold(0, u32::saturating_add))
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

    /// What the policy must know at `now`.
    async fn round_facts(
        &self,
        rounds: &Rounds<C>,
        id: RoundId,
        now: u64,
    ) -> anyhow::Result<RoundFacts> {
        let promised = self.promised(AgreementId(id.0)).await?;
        let chain = rounds.wallet.chain();
        Ok(RoundFacts {
            model: self.card.model,
            openings_left: openings_left(&self.store, &self.model.record)?.saturating_sub(promised),
            promised,
            balance: chain.balance(chain.account()).await?,
            close_before: rounds.close_before,
            now,
        })
    }
}
