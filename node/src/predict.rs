//! What buyer and seller of predictions hand each other besides the protocol's messages, and what both make of a batch.

use serde::{Deserialize, Serialize};
use zknode_circuit::{
    attestation::Context,
    verify::{Attestation, Verifier},
};
use zknode_protocol::{
    message::Version,
    round::RoundState,
    value::{Hash, Point},
};

use crate::{
    delivery::ShardOpening,
    testset::{model_points, shard_points},
};

/// Where a round stands, as the seller sees it. The chain has the last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundStatus {
    /// Version of this message.
    pub version: Version,
    /// The round's state; none while the chain does not know it.
    pub state: Option<RoundState>,
    /// Batches answered.
    pub served: u32,
    /// Why the seller will not accept it.
    pub refused: Option<String>,
}

/// The proof of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchProof {
    /// Version of this message.
    pub version: Version,
    /// None while it is being made: ask again.
    pub attestation: Option<Attestation>,
}

/// Inputs with their outputs: what the prediction commits to. One shard, whose labels are the model's.
pub fn answered(inputs: &ShardOpening, labels: &[u16]) -> ShardOpening {
    let mut opening = inputs.clone();
    for (sample, label) in opening.samples.iter_mut().zip(labels) {
        sample.label = *label;
    }
    opening
}

/// What the proof of a batch must be about.
pub struct Expected<'a> {
    /// The registered model commitment.
    pub model: &'a [Point],
    /// The commitment the seller signed.
    pub points: &'a [Point],
    /// Inputs in the batch.
    pub valid: u32,
    /// Of chain, contract, round, index and payee.
    pub context: [u8; 32],
}

impl Expected<'_> {
    /// Whether the proof says that the model gives every input of the batch its output; `Err` says why not.
    pub fn check(&self, proof: &Attestation, verifier: &Verifier) -> Result<(), String> {
        let require = |holds: bool, otherwise: &str| match holds {
            true => Ok(()),
            false => Err(otherwise.to_owned()),
        };
        let said = proof.statement;
        require(
            model_points(&proof.model) == self.model,
            "the proof is about another model",
        )?;
        require(
            shard_points(&proof.shard) == self.points,
            "the proof is about other inputs or outputs than the signed ones",
        )?;
        let all = self.valid;
        require(
            (said.valid, said.top1, said.topk) == (all, all, all),
            "the proof says that the model gives another output to some input",
        )?;
        require(
            said.context == Context(self.context),
            "the proof is bound to another round",
        )?;
        verifier.verify(proof).map_err(|error| error.to_string())
    }
}

/// What a batch's records are stored under.
pub fn batch_key(round: Hash, index: u32) -> String {
    format!("{round}/{index:010}")
}
