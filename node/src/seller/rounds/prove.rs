//! Proofs of predictions: of the contested ones, which go on chain, and of those the buyer audits, which are handed over.

use std::sync::Arc;

use anyhow::Context;
use zknode_circuit::{attestation::Context as ProofContext, verify::Attestation};
use zknode_protocol::{
    chain::{Call, Chain, RoundCall, RoundChain},
    round::{prediction_context, Contest, Round, RoundId, RoundState},
    value::Data,
};

use super::{Rounds, Service};
use crate::{
    predict::batch_key,
    seller::{event::Event, Seller},
    store::Table,
    testset::model_points,
};

/// The nearest deadline of a contested prediction.
pub(in crate::seller) async fn nearest<C: RoundChain>(
    seller: &Seller<C>,
) -> anyhow::Result<Option<u64>> {
    let Some(rounds) = &seller.rounds else {
        return Ok(None);
    };
    let chain = rounds.wallet.chain();
    let now = chain.head().await?.time;
    let mut nearest = None;
    for (id, service) in seller.services()? {
        if service.served == 0 {
            continue;
        }
        if let Some(round) = chain.round_at_depth(id, 0).await? {
            if round.state == RoundState::Contested && now <= round.deadline {
                nearest =
                    Some(nearest.map_or(round.deadline, |known: u64| known.min(round.deadline)));
            }
        }
    }
    Ok(nearest)
}

/// Proves one batch that is contested, else one that is audited; whether there was any.
pub(in crate::seller) async fn prove_next<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    contested: bool,
) -> anyhow::Result<bool> {
    let Some(rounds) = &seller.rounds else {
        return Ok(false);
    };
    let chain = rounds.wallet.chain();
    let mut failed = None;
    let mut owed = vec![];
    for (id, service) in seller.services()? {
        if service.served == 0 {
            continue;
        }
        if let Some(round) = chain.round_at_depth(id, 0).await? {
            owed.push((id, service, round));
        }
    }
    owed.sort_by_key(|(id, _, round)| (round.deadline, *id));
    let now = chain.head().await?.time;
    for (id, service, round) in owed {
        let done = match round.state {
            // Past its deadline the bond is lost; whoever gains by it ends the round.
            RoundState::Contested if contested && now <= round.deadline => {
                answer(seller, rounds, id, &service, &round).await
            }
            RoundState::Serving | RoundState::Closed | RoundState::Contested if !contested => {
                audit(seller, rounds, id, &service).await
            }
            _ => Ok(false),
        };
        match done {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error.context(format!("round {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Brings the proof of one contested prediction of this seller's.
async fn answer<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
    round: &Round,
) -> anyhow::Result<bool> {
    let chain = rounds.wallet.chain();
    for index in 0..service.served {
        let Some(batch) = seller.batch(id, index)? else {
            continue;
        };
        let prediction = batch.answer.prediction();
        let digest = rounds.domain().prediction_digest(id, &prediction);
        if chain.contest_of(digest).await? != Some(Contest::Open) {
            continue;
        }
        let attestation = seller.attest_batch(rounds, id, index).await?;
        let call = RoundCall::Answer {
            id,
            index,
            valid: prediction.valid,
            model_points: model_points(&attestation.model),
            shard_points: batch.answer.points,
            proof: Data(attestation.proof),
        };
        let purpose = format!("answer round {id}/{index}");
        let call = Call::Round(Box::new(call));
        let receipt = rounds.wallet.execute(&purpose, &call).await?;
        seller.tell(Event::PredictionProven {
            round: id,
            batch: index,
            gas: receipt.gas,
        });
        return Ok(true);
    }
    if round.contests > 0 {
        seller.progress.say(format!(
            "round {id}: {} contested predictions are none of those stored here",
            round.contests
        ));
    }
    Ok(false)
}

/// Makes one proof the buyer asked for.
async fn audit<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
) -> anyhow::Result<bool> {
    for index in service.audits.iter().copied() {
        if seller.batch_proof(id, index)?.is_none() {
            seller.attest_batch(rounds, id, index).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

impl<C: Chain> Seller<C> {
    /// The stored proof of a batch.
    pub(super) fn batch_proof(
        &self,
        id: RoundId,
        index: u32,
    ) -> anyhow::Result<Option<Attestation>> {
        Ok(self.store.get(Table::Proofs, &batch_key(id.0, index))?)
    }
}

impl<C: RoundChain> Seller<C> {
    async fn attest_batch(
        self: &Arc<Self>,
        rounds: &Rounds<C>,
        id: RoundId,
        index: u32,
    ) -> anyhow::Result<Attestation> {
        let batch = self.batch(id, index)?;
        let batch = batch.with_context(|| format!("batch {index} is not stored here"))?;
        let opening = self.batch_opening(&batch)?;
        let domain = rounds.domain();
        let payee = self.key.address();
        let context = prediction_context(domain.chain_id, domain.contract, id, index, payee);
        let (attestation, made) = self
            .prove_shard(
                &batch_key(id.0, index),
                (&format!("round {id}"), &format!("batch {index}")),
                ProofContext(context),
                &opening,
                &batch.answer.points,
            )
            .await?;
        if let Some((seconds, verify_milliseconds)) = made {
            self.tell(Event::BatchProof {
                round: id,
                batch: index,
                seconds,
                verify_milliseconds,
            });
        }
        Ok(attestation)
    }
}
