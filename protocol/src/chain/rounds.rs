//! Rounds of predictions on a chain: their calls, and what is read of them. The contract keeps money as the escrow does, so
//! a chain whose [`super::Contracts::escrow`] is the predictions contract serves deposits, credits and withdrawals too.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::{Chain, ChainError};
use crate::{
    round::{Contest, Prediction, Round, RoundId, RoundTerms},
    value::{Address, Amount, Data, Hash, Point, Signature},
};

/// A call of the predictions contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RoundCall {
    /// Create the contract over this registry.
    Deploy {
        /// The registry.
        registry: Address,
    },
    /// Open a round; sends the price of all batches when it is ether.
    Open {
        /// Of the buyer's choice.
        nonce: Hash,
        /// What is offered.
        terms: RoundTerms,
    },
    /// Take an offer back that nobody accepted.
    Cancel(RoundId),
    /// Lock the bond.
    Accept {
        /// The round.
        id: RoundId,
        /// Wei to send: `terms.wei(terms.bond)`.
        value: Amount,
    },
    /// Close with the newest voucher.
    Close {
        /// The round.
        id: RoundId,
        /// Batches to be paid for.
        count: u32,
        /// The buyer's voucher; none for a count of 0.
        signature: Option<Signature>,
    },
    /// The buyer is content.
    Approve {
        /// The round.
        id: RoundId,
        /// Batches to be paid for.
        count: u32,
        /// The buyer's, where somebody else sends this.
        signature: Option<Signature>,
    },
    /// Ask for the proof of a signed prediction on chain.
    Contest {
        /// The round.
        id: RoundId,
        /// What the seller signed.
        prediction: Prediction,
        /// The seller's signature.
        signature: Signature,
        /// Wei to send: `terms.wei(terms.contest_fee)`.
        value: Amount,
    },
    /// Bring the proof of a contested prediction.
    Answer {
        /// The round.
        id: RoundId,
        /// Which batch.
        index: u32,
        /// Inputs in it.
        valid: u32,
        /// Commitments of the model, as registered.
        model_points: Vec<Point>,
        /// Commitment of inputs and outputs.
        shard_points: Vec<Point>,
        /// Proof bytes for the verifier.
        proof: Data,
    },
    /// After the deadline: what it comes to when nobody does anything.
    Expire(RoundId),
}

/// What a chain tells of rounds.
pub trait RoundChain: Chain {
    /// A round as of the block `depth` below the newest; `None` when unknown there. What is to be believed for good is read
    /// at the depth at which the node believes a block.
    fn round_at_depth(
        &self,
        id: RoundId,
        depth: u64,
    ) -> impl Future<Output = Result<Option<Round>, ChainError>> + Send;

    /// How far the contest of the prediction with this digest came, in the newest block; `None` when there is none.
    fn contest_of(
        &self,
        digest: Hash,
    ) -> impl Future<Output = Result<Option<Contest>, ChainError>> + Send;
}
