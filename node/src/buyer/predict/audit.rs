//! Proofs of the batches that were drawn for an audit: asked for and judged.

use std::time::Duration;

use anyhow::anyhow;
use rand::{rngs::OsRng, seq::SliceRandom};
use tokio::time::{timeout, Instant};
use zknode_circuit::verify::Attestation;
use zknode_protocol::{
    chain::RoundChain,
    message::Version,
    round::{
        message::{AuditRequest, SignedPrediction},
        prediction_context,
    },
};

use super::{RoundCase, Step};
use crate::{
    buyer::order::{Order, OrderedBatch, Verdict},
    predict::Expected,
};

/// Longest look at the proofs of a round, before the chain is looked at again.
const AUDIT_PASS: Duration = Duration::from_secs(20);

impl<C: RoundChain> RoundCase<'_, C> {
    /// Looks at the proofs that are wanted, one request each, in random order and for [`AUDIT_PASS`] at most: whoever is slow
    /// gains no time, and the next pass begins elsewhere.
    pub(super) async fn audit(&self) -> anyhow::Result<Audited> {
        let (mut audited, domain) = (Audited::default(), self.domain());
        let end = Instant::now() + AUDIT_PASS;
        for (index, batch) in shuffled(self.order, is_pending) {
            let Some(answer) = &batch.answer else {
                continue;
            };
            let digest = domain.audit_digest(self.id, index);
            let request = AuditRequest {
                version: Version,
                signature: self.buyer.key.sign(digest)?,
            };
            let asked = self.client.batch_proof(self.id, index, &request);
            let left = end.saturating_duration_since(Instant::now());
            let checked = match timeout(left, asked).await {
                Ok(Ok(proof)) => match proof.attestation {
                    Some(proof) => self.verify(index, answer, &proof)?,
                    None => continue,
                },
                // Words about a proof that is to be had are a refusal; trouble on the way may pass.
                Ok(Err(error)) if !error.may_pass() => Err(error.to_string()),
                Ok(Err(error)) => {
                    audited.trouble = Some(error.into());
                    break;
                }
                Err(_) => {
                    let trouble =
                        anyhow!("the seller is slow to hand over the proof of batch {index}");
                    audited.trouble = Some(trouble);
                    break;
                }
            };
            match checked {
                Ok(()) => {
                    self.say(format!("round {}: batch {index} audited, proven", self.id));
                    self.change_batch(index as usize, |batch| {
                        batch.verdict = Some(Verdict::Proven);
                    })?;
                }
                Err(reason) => self.doubt(index, reason)?,
            }
            audited.found = true;
        }
        Ok(audited)
    }

    pub(super) fn doubt(&self, index: u32, reason: String) -> anyhow::Result<()> {
        self.say(format!(
            "round {}: batch {index} is not proven: {reason}",
            self.id
        ));
        let words = format!("batch {index}: {reason}");
        self.change(|order| order.stopped = Some(words))?;
        self.change_batch(index as usize, |batch| {
            batch.verdict = Some(Verdict::Doubted(reason));
        })
    }

    fn verify(
        &self,
        index: u32,
        answer: &SignedPrediction,
        proof: &Attestation,
    ) -> anyhow::Result<Result<(), String>> {
        let domain = self.domain();
        let payee = self.round.seller;
        let expected = Expected {
            model: &self.order.card.points,
            points: &answer.points,
            valid: answer.prediction().valid,
            context: prediction_context(domain.chain_id, domain.contract, self.id, index, payee),
        };
        let verifier = self.model.verifier(&self.buyer.progress)?;
        Ok(tokio::task::block_in_place(|| {
            expected.check(proof, &verifier)
        }))
    }
}

/// What a look at the proofs came to.
#[derive(Default)]
pub(super) struct Audited {
    /// There is a verdict that was not there before.
    pub(super) found: bool,
    /// Why not all were looked at.
    trouble: Option<anyhow::Error>,
}

impl Audited {
    /// Nothing else is to be done: look again after a pause, a longer one where there was trouble.
    pub(super) fn wait(self) -> anyhow::Result<Step> {
        self.trouble.map_or(Ok(Step::Wait), Err)
    }
}

/// No proof is awaited any more, and none was refused.
pub(super) fn all_proven(order: &Order) -> bool {
    let batches = &order.batches;
    !batches
        .iter()
        .any(|batch| is_pending(batch) || is_doubted(batch))
}

/// In random order, so that the seller cannot tell which comes first.
pub(super) fn shuffled(
    order: &Order,
    wanted: impl Fn(&OrderedBatch) -> bool,
) -> impl Iterator<Item = (u32, &OrderedBatch)> {
    let batches = (0u32..).zip(&order.batches);
    let mut found: Vec<_> = batches.filter(|(_, batch)| wanted(batch)).collect();
    found.shuffle(&mut OsRng);
    found.into_iter()
}

/// Whether its proof did not come, or is none.
pub(super) fn is_doubted(batch: &OrderedBatch) -> bool {
    matches!(batch.verdict, Some(Verdict::Doubted(_)))
}

/// Whether a proof is wanted that was not looked at yet.
pub(super) fn is_pending(batch: &OrderedBatch) -> bool {
    batch.audit && batch.answer.is_some() && batch.verdict.is_none()
}
