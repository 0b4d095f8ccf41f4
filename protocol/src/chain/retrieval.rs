//! The port of a retrieval contract: what it is asked to do, and what is read of it.
//!
//! It keeps its money as the escrow does (`contracts/src/Ledger.sol`), so a [`Chain`] whose `escrow` is the retrieval
//! contract ([`Chain::with_contracts`]) deposits, credits and withdraws there, and its `is_contested` and `is_proven` are
//! about retrievals' shards.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::{Chain, ChainError, ShardProof};
use crate::{
    claim_tree::{ShardCount, SumNode},
    retrieval::{Retrieval, RetrievalId, Terms},
    value::{Address, Amount, Data, Hash, Point, Signature},
};

/// A transaction to the retrieval contract. Deposits are in wei: `terms.wei(...)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The fields are those of `contracts/src/IRetrieval.sol`.
pub enum RetrievalCall {
    /// Create the contract over a registry.
    Deploy { registry: Address },
    /// Ask.
    Open { terms: Terms, nonce: u64 },
    /// Take an offer back.
    Cancel(RetrievalId),
    /// Lock the bond.
    Accept { id: RetrievalId, value: Amount },
    /// Say how many items match.
    Claim {
        id: RetrievalId,
        node: Hash,
        top1: u32,
        topk: u32,
        ciphertext: Hash,
    },
    /// Say that the items are there.
    Approve {
        id: RetrievalId,
        signature: Option<Signature>,
    },
    /// Ask for a shard's proof on chain.
    Contest {
        id: RetrievalId,
        index: u32,
        value: Amount,
    },
    /// Bring it.
    Answer {
        id: RetrievalId,
        proof: MatchProof,
        path: Vec<SumNode>,
    },
    /// Say that the items are not there.
    Reject(RetrievalId),
    /// After the deadline.
    Expire(RetrievalId),
}

/// One shard's proof with everything the contract needs to judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MatchProof {
    /// What the proof says.
    pub shard: ShardCount,
    /// Commitments of the model, as registered.
    pub model_points: Vec<Point>,
    /// The labelled shard's commitment, under the dataset root.
    pub shard_points: Vec<Point>,
    /// Siblings from the leaf up.
    pub path: Vec<Hash>,
    /// Proof bytes for the verifier.
    pub proof: Data,
}

impl MatchProof {
    /// As the escrow's calls carry it.
    pub(super) fn for_request(&self, id: RetrievalId) -> ShardProof {
        ShardProof {
            id: crate::value::AgreementId(id.0),
            shard: self.shard,
            model_points: self.model_points.clone(),
            shard_points: self.shard_points.clone(),
            path: self.path.clone(),
            proof: self.proof.clone(),
        }
    }
}

/// A chain that retrievals are read from.
pub trait RetrievalChain: Chain {
    /// How far a retrieval came, as of the block `depth` below the newest; `None` when unknown there.
    fn retrieval_at_depth(
        &self,
        id: RetrievalId,
        depth: u64,
    ) -> impl Future<Output = Result<Option<Retrieval>, ChainError>> + Send;
}
