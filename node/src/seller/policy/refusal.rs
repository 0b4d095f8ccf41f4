//! Why agreements are not taken, each with what was expected and what was found.

use thiserror::Error;
use zknode_protocol::value::{Address, Amount, ModelId};

use crate::seller::schedule::Late;

/// Why an agreement is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Someone else's model, or another of ours.
    #[error("this node sells model {expected}, the agreement is about {got}")]
    Model {
        /// The model served.
        expected: ModelId,
        /// The agreement's.
        got: ModelId,
    },
    /// Not in the right money.
    #[error("this node is paid in the token {expected} (zero for ether), the agreement in {got}")]
    Token {
        /// The node's.
        expected: Address,
        /// The agreement's.
        got: Address,
    },
    /// Too cheap.
    #[error("expected a price of at least {expected} for {samples} samples, got {got}")]
    Price {
        /// Least price.
        expected: u128,
        /// Samples agreed.
        samples: u32,
        /// Price offered.
        got: Amount,
    },
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, got {got}")]
    Bond {
        /// The most.
        expected: Amount,
        /// The agreement's.
        got: Amount,
    },
    /// Too many samples.
    #[error("expected at most {expected} samples, got {got}")]
    Samples {
        /// The most.
        expected: u32,
        /// The agreement's.
        got: u32,
    },
    /// More or fewer shards than the samples fill.
    #[error("expected {expected} shards for {samples} samples at {size} a proof, got {got}")]
    Shards {
        /// Full ones, and one for the rest.
        expected: u32,
        /// Samples agreed.
        samples: u32,
        /// Samples a proof covers.
        size: usize,
        /// Shards agreed.
        got: u32,
    },
    /// The terms leave the buyer a reason to cheat, or the seller one to stay away.
    #[error("under these terms the seller is hurt, {} inequalities do not hold:\n\n{}", .0.len(), .0.join("\n\n"))]
    Unsafe(Vec<String>),
    /// The terms cannot be judged.
    #[error("the terms cannot be judged: {0}")]
    Malformed(String),
    /// Too little time to make the proofs, or to bring them to the chain, or those promised to others before.
    #[error(transparent)]
    Late(#[from] Late),
    /// No time to answer on chain.
    #[error("expected at least {expected} s to answer what is sent or contested, got {got} s")]
    Answer {
        /// Least time.
        expected: u64,
        /// Time agreed.
        got: u32,
    },
    /// No time to look at what is delivered in the last second.
    #[error("expected at least {expected} s to answer a delivery ({looks} s of them to look at it and at those promised before), got {got} s here or there: see --respond-within")]
    Look {
        /// Least time.
        expected: u64,
        /// What the looks take of it.
        looks: u64,
        /// Least time agreed, here or in what was promised before.
        got: u32,
    },
    /// Contests would cost the seller more than the buyer.
    #[error("expected a contest fee of at least {expected}, got {got}")]
    ContestFee {
        /// The least.
        expected: Amount,
        /// The agreement's.
        got: Amount,
    },
    /// A buyer could make the seller lose more than itself.
    #[error("expected a buyer's bond of at least the preview fee, {expected}, got {got}")]
    BuyerBond {
        /// The preview fee.
        expected: Amount,
        /// The buyer's bond.
        got: Amount,
    },
    /// The bond would lie idle.
    #[error("expected a delivery within {expected} s at most, got {got} s")]
    Wait {
        /// The longest.
        expected: u64,
        /// Time agreed.
        got: u64,
    },
    /// Too poor to bring the proofs to the chain.
    #[error("the seller's account needs {expected} wei for the bond and for proofs on chain, those promised to others included, and has {got}")]
    Funds {
        /// The least.
        expected: Amount,
        /// The balance.
        got: Amount,
    },
    /// The model was opened too often.
    #[error("the model's commitment may be opened {left} more times, the agreement needs {needed}; register the model again")]
    Openings {
        /// Openings left.
        left: u32,
        /// One a shard, and some to spare.
        needed: u32,
    },
}
