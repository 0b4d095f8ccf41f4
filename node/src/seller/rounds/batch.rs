//! One batch: opened, run through the network, committed, signed, written down, answered. In this order, so that a seller
//! that died in between signs the same thing for the same batch, and can still prove it.

use anyhow::{ensure, Context};
use serde::{Deserialize, Serialize};
use zknode_circuit::network::import::answer;
use zknode_protocol::{
    chain::{Chain, RoundChain},
    message::Version,
    round::{
        message::{PredictRequest, SignedPrediction},
        Prediction, RoundId,
    },
    value::{Data, Signature},
};

use super::Rounds;
use crate::{
    delivery::{self, DeliveryError, ShardOpening},
    predict::{answered, batch_key},
    seller::Seller,
    store::Table,
    testset::shard_points,
};

/// A batch and its answer.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    version: u16,
    /// The inputs and the seed of their salt, sealed to this seller's reading key; empty once the round is over.
    pub sealed: Data,
    /// What was signed.
    pub answer: SignedPrediction,
}

/// Format of [`Batch`].
const VERSION: u16 = 1;

/// A batch that is not answered.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// Not as agreed: the buyer's to mend.
    #[error("{0}")]
    Refused(String),
    /// This node's own trouble.
    #[error(transparent)]
    Own(#[from] anyhow::Error),
}

impl From<DeliveryError> for BatchError {
    fn from(error: DeliveryError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl<C: Chain> Seller<C> {
    /// A stored batch.
    pub(super) fn batch(&self, id: RoundId, index: u32) -> anyhow::Result<Option<Batch>> {
        let batch: Option<Batch> = self.store.get(Table::Batches, &batch_key(id.0, index))?;
        if let Some(batch) = &batch {
            ensure!(
                batch.version == VERSION,
                "batch {index} of round {id} is stored with version {}, this build reads {VERSION}",
                batch.version
            );
        }
        Ok(batch)
    }

    /// The inputs of a sealed batch.
    fn inputs(&self, sealed: &[u8]) -> Result<ShardOpening, DeliveryError> {
        let samples = self.model.layout.options().samples;
        let pixels = self.model.layout.architecture().input.cells();
        let mut opened = delivery::open(sealed, &self.reading_key, 1, samples, pixels)?;
        opened.pop().ok_or(DeliveryError::Magic)
    }

    /// What opens the commitment of a stored batch.
    pub(super) fn batch_opening(&self, batch: &Batch) -> anyhow::Result<ShardOpening> {
        let inputs = self.inputs(&batch.sealed.0)?;
        Ok(answered(&inputs, &batch.answer.labels))
    }

    /// The inputs of a round that is over are nobody's business any more.
    pub(super) fn forget_batches(&self, id: RoundId, served: u32) -> anyhow::Result<()> {
        for index in 0..served {
            if let Some(mut batch) = self.batch(id, index)? {
                batch.sealed = Data(Vec::new());
                let key = batch_key(id.0, index);
                self.store.put(Table::Batches, &key, &batch)?;
            }
        }
        Ok(())
    }
}

impl<C: RoundChain> Seller<C> {
    /// Answers a batch that was checked to be the buyer's and the next one; or again one that was answered before, if it is
    /// the same.
    pub(super) fn predict(
        &self,
        rounds: &Rounds<C>,
        request: &PredictRequest,
        sealed: Vec<u8>,
    ) -> Result<SignedPrediction, BatchError> {
        let (id, index) = (request.round, request.index);
        let inputs = self.inputs(&sealed)?;
        if inputs.samples.is_empty() {
            return Err(BatchError::Refused("a batch has at least one input".into()));
        }
        let key = batch_key(id.0, index);
        if let Some(stored) = self.batch(id, index)? {
            return self.again(&stored, &inputs, index);
        }
        let mut labels = vec![];
        for sample in &inputs.samples {
            let trace = self.model.network.run(&sample.pixels);
            let trace = trace.map_err(|error| BatchError::Refused(error.to_string()))?;
            labels.push(answer(&trace.logits) as u16);
        }
        // The commitment is made here: one that could not be opened would cost the bond.
        let opening = answered(&inputs, &labels);
        let shard = opening.commit(&self.model.layout, self.prover.srs());
        let shard = shard.map_err(anyhow::Error::from)?;
        let points = shard_points(&shard.column().commitment());
        let signature = self.sign_prediction(rounds, id, index, &labels, &points)?;
        let answer = SignedPrediction {
            version: Version,
            round: id,
            index,
            labels,
            points,
            signature,
        };
        let new = Batch {
            version: VERSION,
            sealed: Data(sealed),
            answer,
        };
        // Whoever was first stays: two requests at once must not make the seller sign twice.
        let keep = |before: Option<Batch>| {
            let stored = before.unwrap_or(new);
            Ok::<_, anyhow::Error>((stored.clone(), stored))
        };
        let stored = self.store.update(Table::Batches, &key, keep);
        let stored = stored.map_err(anyhow::Error::from)??;
        self.again(&stored, &inputs, index)
    }

    fn sign_prediction(
        &self,
        rounds: &Rounds<C>,
        id: RoundId,
        index: u32,
        labels: &[u16],
        points: &[zknode_protocol::value::Point],
    ) -> anyhow::Result<Signature> {
        let valid = u32::try_from(labels.len()).context("too many inputs")?;
        let prediction = Prediction::new(index, valid, points);
        let digest = rounds.domain().prediction_digest(id, &prediction);
        Ok(self.key.sign(digest)?)
    }

    /// The stored answer, to the same inputs under the same salt only.
    fn again(
        &self,
        stored: &Batch,
        inputs: &ShardOpening,
        index: u32,
    ) -> Result<SignedPrediction, BatchError> {
        let same = self.inputs(&stored.sealed.0).is_ok_and(|first| {
            // The labels of a request say nothing.
            answered(&first, &stored.answer.labels) == answered(inputs, &stored.answer.labels)
        });
        if same {
            return Ok(stored.answer.clone());
        }
        Err(BatchError::Refused(format!(
            "batch {index} was answered already, with other inputs"
        )))
    }
}
