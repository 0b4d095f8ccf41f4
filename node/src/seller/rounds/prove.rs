//! Proofs of predictions: of the contested ones, which go on chain, and of those the buyer audits, which are handed over.
//! Proofs are made by the prover, one at a time; those that are contested go to the chain beside it, many at once.

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
    seller::{
        event::Event,
        send::{Due, Found},
        Seller,
    },
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
    let now = rounds.wallet.chain().head().await?.time;
    let served = served(seller, rounds).await?.into_iter();
    let mut contested = served.filter(|(_, _, round)| is_contested(round, now));
    Ok(contested.next().map(|(_, _, round)| round.deadline))
}

/// Rounds of which batches were served, as the newest block has them, the nearest deadline first.
async fn served<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
) -> anyhow::Result<Vec<(RoundId, Service, Round)>> {
    let mut found = vec![];
    for (id, service) in seller.services()? {
        if service.served == 0 {
            continue;
        }
        if let Some(round) = rounds.wallet.chain().round_at_depth(id, 0).await? {
            found.push((id, service, round));
        }
    }
    found.sort_by_key(|(id, _, round)| (round.deadline, *id));
    Ok(found)
}

/// Past its deadline the bond is lost; whoever gains by it ends the round.
fn is_contested(round: &Round, now: u64) -> bool {
    round.state == RoundState::Contested && now <= round.deadline
}

/// Proves one batch that is contested, or else one that is audited; whether there was any.
pub(in crate::seller) async fn prove_next<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    contested: bool,
) -> anyhow::Result<bool> {
    let Some(rounds) = &seller.rounds else {
        return Ok(false);
    };
    let now = rounds.wallet.chain().head().await?.time;
    let mut failed = None;
    for (id, service, round) in served(seller, rounds).await? {
        let done = match round.state {
            _ if contested && is_contested(&round, now) => {
                prove_contested(seller, rounds, id, &service).await
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

/// Batches of this seller's that are contested, and not answered yet.
async fn contested<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
) -> anyhow::Result<Vec<u32>> {
    let mut found = vec![];
    for index in 0..service.served {
        let Some(batch) = seller.batch(id, index)? else {
            continue;
        };
        let prediction = batch.answer.prediction();
        let digest = rounds.domain().prediction_digest(id, &prediction);
        if rounds.wallet.chain().contest_of(digest).await? == Some(Contest::Open) {
            found.push(index);
        }
    }
    Ok(found)
}

/// Makes the proof of one contested prediction of this seller's.
async fn prove_contested<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    rounds: &Rounds<C>,
    id: RoundId,
    service: &Service,
) -> anyhow::Result<bool> {
    for index in contested(seller, rounds, id, service).await? {
        if seller.batch_proof(id, index)?.is_none() {
            seller.attest_batch(rounds, id, index).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The answers to contested predictions whose proofs are made, the nearest deadlines first, no more than `most`.
pub(in crate::seller) async fn answers<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    most: usize,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let Some(rounds) = &seller.rounds else {
        return Ok(found);
    };
    let now = rounds.wallet.chain().head().await?.time;
    for (id, service, round) in served(seller, rounds).await? {
        let Some(most) = most.checked_sub(found.due.len()).filter(|most| *most > 0) else {
            break;
        };
        if is_contested(&round, now) {
            let due = answers_of(seller, rounds, (id, &service, &round), most).await;
            found.add(due, format!("round {id}"));
        }
    }
    Ok(found)
}

/// The answers to some contests of a round.
async fn answers_of<C: RoundChain>(
    seller: &Arc<Seller<C>>,
    rounds: &Rounds<C>,
    (id, service, round): (RoundId, &Service, &Round),
    most: usize,
) -> anyhow::Result<Vec<Due>> {
    let contested = contested(seller, rounds, id, service).await?;
    if contested.is_empty() && round.contests > 0 {
        seller.progress.say(format!(
            "round {id}: {} contested predictions are none of those stored here",
            round.contests
        ));
    }
    let mut answers = vec![];
    for index in contested {
        if answers.len() == most {
            break;
        }
        if seller.batch_proof(id, index)?.is_none() {
            continue;
        }
        let attestation = seller.attest_batch(rounds, id, index).await?;
        let batch = seller.batch(id, index)?;
        let batch = batch.with_context(|| format!("batch {index} is not stored here"))?;
        let call = RoundCall::Answer {
            id,
            index,
            valid: batch.answer.prediction().valid,
            model_points: model_points(&attestation.model),
            shard_points: batch.answer.points,
            proof: Data(attestation.proof),
        };
        let purpose = format!("answer round {id}/{index}");
        let order = rounds.wallet.order(purpose, Call::Round(Box::new(call)));
        let event = move |gas| Event::PredictionProven {
            round: id,
            batch: index,
            gas,
        };
        answers.push(Due::new(round.deadline, order, event));
    }
    Ok(answers)
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
