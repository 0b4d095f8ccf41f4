//! Batches while the seller serves: asked for, checked, paid.

use anyhow::Context;
use rand::{rngs::OsRng, Rng};
use zknode_protocol::{
    chain::RoundChain,
    digest::keccak,
    message::Version,
    round::message::{PredictRequest, SignedPrediction},
};

use super::{audit::all_proven, RoundCase, Step};
use crate::{
    card::write_delivery,
    delivery::{self, Sample, ShardOpening},
    predict::answered,
    testset::shard_points,
};

impl<C: RoundChain> RoundCase<'_, C> {
    /// While the seller serves: audits what is answered, asks for the next batch, pays, and at last approves.
    pub(super) async fn ask(&self) -> anyhow::Result<Step> {
        if self.order.stopped.is_some() {
            // What is wrong is contested once the round is closed.
            return Ok(Step::Wait);
        }
        let audited = self.audit().await?;
        if audited.found {
            return Ok(Step::Again);
        }
        let next = self
            .order
            .batches
            .iter()
            .position(|batch| batch.answer.is_none());
        if let Some(index) = next {
            return self.request(index).await;
        }
        let count = self.order.batches.len() as u32;
        let domain = self.domain();
        if !self.order.paid {
            let digest = domain.voucher_digest(self.id, count);
            self.client
                .voucher(self.id, &self.payment(count, digest)?)
                .await?;
            self.change(|order| order.paid = true)?;
            return Ok(Step::Again);
        }
        if !all_proven(self.order) || self.order.approved.is_some() {
            return audited.wait();
        }
        let digest = domain.approval_digest(self.id, count);
        let payment = self.payment(count, digest)?;
        self.client.approval(self.id, &payment).await?;
        self.change(|order| order.approved = Some((count, payment.signature)))?;
        Ok(Step::Wait)
    }

    /// Sends one batch, with the voucher for those before it.
    async fn request(&self, index: usize) -> anyhow::Result<Step> {
        let number = index as u32;
        let opening = self.opening(index)?;
        let key = self.order.card.seller.reading_key;
        let sealed = delivery::seal(std::slice::from_ref(&opening), &key.0, &mut OsRng)?;
        let (domain, hash) = (self.domain(), keccak(&sealed));
        let sign = |digest| self.buyer.key.sign(digest);
        let request = PredictRequest {
            version: Version,
            round: self.id,
            index: number,
            ciphertext_hash: hash,
            ciphertext_bytes: sealed.len() as u64,
            signature: sign(domain.request_digest(self.id, number, hash))?,
            voucher: sign(domain.voucher_digest(self.id, number))?,
        };
        let body = write_delivery(&request, &sealed)?;
        let answer = match self.client.predict(self.id, body).await {
            Err(error) if !error.may_pass() => {
                // Nothing more may come: what came is paid for.
                self.pay(number).await;
                return Err(error.into());
            }
            answer => answer?,
        };
        if let Err(reason) = self.check_answer(number, &opening, &answer) {
            // Neither paid nor contested: it binds nobody to these inputs.
            let words = format!("batch {index}: {reason}");
            self.say(format!("round {}: {words}; no further batch", self.id));
            self.change(|order| order.stopped = Some(words))?;
            self.pay(number).await;
            return Ok(Step::Again);
        }
        self.say(format!(
            "round {}: batch {index}: {}",
            self.id,
            words(&answer.labels)
        ));
        // Drawn only now that it is signed, from the system's randomness: the seller cannot know which.
        let audit = OsRng.gen_bool(self.order.audit_rate.clamp(0.0, 1.0));
        self.change_batch(index, |batch| {
            (batch.answer, batch.audit) = (Some(answer), audit);
        })?;
        Ok(Step::Again)
    }

    /// Pays for the first `count` batches, where the seller listens: it may have no request that carries the voucher.
    async fn pay(&self, count: u32) {
        let digest = self.domain().voucher_digest(self.id, count);
        let sent = async {
            let payment = self.payment(count, digest)?;
            Ok::<_, anyhow::Error>(self.client.voucher(self.id, &payment).await?)
        };
        if count > 0 {
            if let Err(error) = sent.await {
                self.say(format!(
                    "round {}: the voucher for {count} batches did not arrive: {error}",
                    self.id
                ));
            }
        }
    }

    /// The inputs of a batch with their seed; labels of the dataset are nobody's business.
    fn opening(&self, index: usize) -> anyhow::Result<ShardOpening> {
        let missing = || format!("there is no batch {index}");
        let batches = &self.order.batches;
        let batch = batches.get(index).with_context(missing)?;
        let before = batches.iter().take(index);
        let start: usize = before.map(|batch| batch.inputs as usize).sum();
        let samples = self.inputs.get(start..start + batch.inputs as usize);
        let samples = samples.with_context(missing)?.iter().map(|sample| Sample {
            pixels: sample.pixels.clone(),
            label: 0,
        });
        Ok(ShardOpening {
            seed: batch.seed.clone(),
            samples: samples.collect(),
        })
    }

    /// Whether the seller signed exactly these inputs with these outputs.
    fn check_answer(
        &self,
        index: u32,
        inputs: &ShardOpening,
        answer: &SignedPrediction,
    ) -> Result<(), String> {
        let (expected, got) = (inputs.samples.len(), answer.labels.len());
        if expected != got {
            return Err(format!("expected {expected} predictions, got {got}"));
        }
        let opening = answered(inputs, &answer.labels);
        let (layout, srs) = (&self.model.layout, &self.model.srs);
        let shard = tokio::task::block_in_place(|| opening.commit(layout, srs));
        let shard = shard.map_err(|error| error.to_string())?;
        if answer.points != shard_points(&shard.column().commitment()) {
            return Err(
                "the seller signed other inputs or outputs than it was sent or sent".into(),
            );
        }
        answer
            .check(self.domain(), self.round.seller, self.id, index)
            .map_err(|error| error.to_string())
    }
}

/// The first classes of a batch.
fn words(labels: &[u16]) -> String {
    const SHOWN: usize = 16;
    let shown = labels.iter().take(SHOWN).map(u16::to_string);
    let shown: Vec<_> = shown.collect();
    let more = labels.len().saturating_sub(SHOWN);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("classes {}{rest}", shown.join(" "))
}
