//! A proof of accuracy outside any chain: one file, which with the verifying key is all a verifier needs.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zknode_circuit::{
    commitment::ModelCommitment,
    verify::{Attestation, AttestationError, Verifier},
};
use zknode_protocol::{
    dataset_root::{DatasetTree, RootError, ShardLeaf},
    value::Hash,
};

use crate::testset::point;

/// Format of the file.
pub const VERSION: u16 = 1;

/// Contents of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProofFile {
    /// [`VERSION`].
    pub version: u16,
    /// Fingerprint of the verifying key it was made for.
    pub key: Hash,
    /// Root over the shard commitments.
    pub dataset_root: Hash,
    /// In shard order.
    pub shards: Vec<Attestation>,
}

/// What all shards together say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Total {
    /// Whose weights.
    pub model: ModelCommitment,
    /// Under which root.
    pub dataset_root: Hash,
    /// Samples.
    pub valid: u64,
    /// Label ranked first.
    pub top1: u64,
    /// Label among the first k.
    pub topk: u64,
}

/// Why a proof file does not prove what it says.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ProofFileError {
    /// Another format.
    #[error("expected a proof file of version {VERSION}, got {got}")]
    Version {
        /// The version found.
        got: u16,
    },
    /// For another architecture, layout or reference string.
    #[error("the proof is for the verifying key {got}, this one is {expected}")]
    Key {
        /// The key at hand.
        expected: Hash,
        /// The proof's.
        got: Hash,
    },
    /// Shards about several models.
    #[error("shard {shard} is about model {got}, expected {expected}")]
    Model {
        /// The shard.
        shard: usize,
        /// Model of the first shard, or the one asked for.
        expected: ModelCommitment,
        /// The shard's.
        got: ModelCommitment,
    },
    /// No dataset.
    #[error("the shards are no dataset: {0}")]
    Shards(#[from] RootError),
    /// Another dataset.
    #[error("the shards have the root {got}, expected {expected}")]
    Root {
        /// The file's, or the one asked for.
        expected: Hash,
        /// The shards'.
        got: Hash,
    },
    /// A proof that does not verify.
    #[error("shard {shard}: {reason}")]
    Proof {
        /// The shard.
        shard: usize,
        /// What the verifier says.
        reason: AttestationError,
    },
    /// Bound to another use.
    #[error("shard {shard} is bound to the context {got}, expected {expected}")]
    Context {
        /// The shard.
        shard: usize,
        /// What was asked for.
        expected: Hash,
        /// The shard's.
        got: Hash,
    },
}

impl ProofFile {
    /// Verifies every shard and adds them up. `model`, `root` and `context` are what the verifier expects, where it
    /// expects something.
    #[allow(clippy::result_large_err, reason = "two commitments, once a file")]
    pub fn verify(
        &self,
        verifier: &Verifier,
        model: Option<ModelCommitment>,
        root: Option<Hash>,
        context: Hash,
    ) -> Result<Total, ProofFileError> {
        if self.version != VERSION {
            return Err(ProofFileError::Version { got: self.version });
        }
        let expected = zknode_protocol::value::Bytes(verifier.fingerprint());
        if self.key != expected {
            return Err(ProofFileError::Key {
                expected,
                got: self.key,
            });
        }
        let leaf = |(index, shard): (u32, &Attestation)| {
            ShardLeaf::new(index, shard.statement.valid, &[point(&shard.shard)])
        };
        let tree = DatasetTree::new((0..).zip(&self.shards).map(leaf).collect())?;
        for expected in [Some(self.dataset_root), root].into_iter().flatten() {
            let got = tree.root();
            if got != expected {
                return Err(ProofFileError::Root { expected, got });
            }
        }
        let first = self.shards.first().map(|shard| shard.model.clone());
        let Some(expected) = model.or(first) else {
            return Err(RootError::Empty.into());
        };
        let mut total = Total {
            model: expected.clone(),
            dataset_root: tree.root(),
            valid: 0,
            top1: 0,
            topk: 0,
        };
        for (shard, attestation) in self.shards.iter().enumerate() {
            if attestation.model != expected {
                return Err(ProofFileError::Model {
                    shard,
                    expected,
                    got: attestation.model.clone(),
                });
            }
            let got = zknode_protocol::value::Bytes(attestation.statement.context.0);
            if got != context {
                return Err(ProofFileError::Context {
                    shard,
                    expected: context,
                    got,
                });
            }
            verifier
                .verify(attestation)
                .map_err(|reason| ProofFileError::Proof { shard, reason })?;
            total.valid += u64::from(attestation.statement.valid);
            total.top1 += u64::from(attestation.statement.top1);
            total.topk += u64::from(attestation.statement.topk);
        }
        Ok(total)
    }
}
