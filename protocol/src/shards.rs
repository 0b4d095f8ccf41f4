//! Claims over shards: which are contested, and what makes a shard's proof true, as `contracts/src/ShardProofs.sol` has it.
//! Shared by agreements, whose claim counts correct answers, and retrievals, whose claim counts items that match.

use thiserror::Error;

use crate::{
    claim_tree::{climb, ClaimError, ShardClaim, ShardCount, SumNode, Sums},
    dataset_root::{verify_path, RootError, ShardLeaf},
    value::Hash,
};

/// Why a claim or a shard's proof is refused: one variant for each custom error of the contracts, under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum ShardError {
    #[error("the last second {last_second} is after {latest}, up to which the model's stake is sure to be there: agree on earlier deadlines")]
    AgreementTooLong { last_second: u64, latest: u64 },
    #[error("shard {index} is outside a dataset of {shards} shards")]
    ShardOutOfRange { index: u32, shards: u32 },
    #[error("shard {index} is proven already")]
    ShardAlreadyProven { index: u32 },
    #[error("shard {index} is contested already")]
    ShardAlreadyContested { index: u32 },
    #[error("shard {index} is not contested")]
    ShardNotContested { index: u32 },
    #[error("a claim of {count} is above the {samples} samples there are")]
    ClaimAboveSamples { count: u32, samples: u32 },
    #[error("the shard leads to the claim {found}, the one on chain is {expected}")]
    ShardNotInClaim { expected: Hash, found: Hash },
    #[error("expected {expected} points of a shard, found {found}")]
    ShardPointsLength { expected: u16, found: usize },
    #[error("the model points hash to {found}, the registered ones to {expected}")]
    ModelPointsMismatch { expected: Hash, found: Hash },
    #[error("expected a path of {expected} nodes, found {found}")]
    PathLength { expected: usize, found: usize },
    #[error("the shard leads to root {found}, the agreed one is {expected}")]
    ShardNotInDataset { expected: Hash, found: Hash },
    #[error("a count of {count} is above the {valid} valid samples of the shard")]
    CountAboveValid { count: u32, valid: u32 },
    #[error("the verifier's code hash is {found}, the registered one {expected}")]
    VerifierChanged { expected: Hash, found: Hash },
    #[error("the verifier rejects the proof of shard {index}")]
    ProofRejected { index: u32 },
}

/// What the outside world says about a shard proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The verifier of the registered architecture accepted it.
    Accepted,
    /// It did not, for whatever reason.
    Rejected,
    /// The code at the verifier's address is no longer the registered one.
    VerifierChanged {
        /// Code hash at registration.
        expected: Hash,
        /// Code hash now.
        found: Hash,
    },
}

/// A shard proof, and what the outside world says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardFacts {
    /// What the proof says.
    pub shard: ShardCount,
    /// Digest of the model points the registry holds.
    pub registered_points: Hash,
    /// Digest of the model points sent along.
    pub model_points: Hash,
    /// Points of a shard's commitment, as registered.
    pub registered_length: u16,
    /// Points of the shard sent along.
    pub length: usize,
    /// Their digest.
    pub shard_points: Hash,
    /// Siblings under the dataset root, from the leaf up.
    pub path: Vec<Hash>,
    /// What the verifier says.
    pub verdict: Verdict,
}

pub(crate) fn ends_by(last_second: u64, latest: u64) -> Result<(), ShardError> {
    require(last_second <= latest, || ShardError::AgreementTooLong {
        last_second,
        latest,
    })
}

/// Root of a claim, its totals included. The total of samples is not the claimant's to say.
pub(crate) fn claim_root(
    node: Hash,
    samples: u32,
    top1: u32,
    topk: u32,
) -> Result<Hash, ShardError> {
    for count in [top1, topk] {
        require(count <= samples, || ShardError::ClaimAboveSamples {
            count,
            samples,
        })?;
    }
    let sums = Sums {
        valid: samples.into(),
        top1: top1.into(),
        topk: topk.into(),
    };
    Ok(SumNode { hash: node, sums }.root())
}

pub(crate) fn in_range(index: u32, shards: u32) -> Result<(), ShardError> {
    require(index < shards, || ShardError::ShardOutOfRange {
        index,
        shards,
    })
}

/// The leaf of this shard with this proof is in the claim.
pub(crate) fn check_leaf(
    expected: Hash,
    shards: u32,
    count: ShardCount,
    proof: Hash,
    path: &[SumNode],
) -> Result<(), ShardError> {
    let found = match climb(shards, &ShardClaim { count, proof }, path) {
        Ok(root) => root,
        Err(ClaimError::PathLength { expected, got, .. }) => {
            let found = got;
            return Err(ShardError::PathLength { expected, found });
        }
        Err(_) => Hash::ZERO,
    };
    require(found == expected, || ShardError::ShardNotInClaim {
        expected,
        found,
    })
}

/// What makes a shard proof true: the agreed shard, the registered model, the verifier's word.
pub(crate) fn check_shard(root: Hash, shards: u32, facts: &ShardFacts) -> Result<(), ShardError> {
    let ShardCount {
        index,
        valid,
        top1,
        topk,
    } = facts.shard;
    for count in [top1, topk] {
        require(count <= valid, || ShardError::CountAboveValid {
            count,
            valid,
        })?;
    }
    belongs(root, shards, facts)?;
    let (expected, found) = (facts.registered_points, facts.model_points);
    require(found == expected, || ShardError::ModelPointsMismatch {
        expected,
        found,
    })?;
    let (expected, found) = (facts.registered_length, facts.length);
    require(found == usize::from(expected), || {
        ShardError::ShardPointsLength { expected, found }
    })?;
    match facts.verdict {
        Verdict::Accepted => Ok(()),
        Verdict::Rejected => Err(ShardError::ProofRejected { index }),
        Verdict::VerifierChanged { expected, found } => {
            Err(ShardError::VerifierChanged { expected, found })
        }
    }
}

fn belongs(root: Hash, shards: u32, facts: &ShardFacts) -> Result<(), ShardError> {
    let leaf = ShardLeaf {
        index: facts.shard.index,
        valid: facts.shard.valid,
        points: facts.shard_points,
    };
    match verify_path(root, shards, &leaf, &facts.path) {
        Ok(()) => Ok(()),
        Err(RootError::PathLength { expected, got, .. }) => Err(ShardError::PathLength {
            expected,
            found: got,
        }),
        Err(RootError::Mismatch { expected, got, .. }) => Err(ShardError::ShardNotInDataset {
            expected,
            found: got,
        }),
        Err(_) => Err(ShardError::ShardOutOfRange {
            index: leaf.index,
            shards,
        }),
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> ShardError) -> Result<(), ShardError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}
