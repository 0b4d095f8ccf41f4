//! Why rounds are not taken, each with what was expected and what was found.

use thiserror::Error;
use zknode_protocol::value::{Address, Amount, ModelId};

use crate::seller::schedule::Late;

/// Why a round is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoundRefusal {
    /// No predictions here.
    #[error("this node takes no new rounds of predictions: start it with --price-per-batch")]
    NotOffered,
    /// Someone else's model, or another of ours.
    #[error("this node sells model {expected}, the round is about {got}")]
    Model {
        /// The model served.
        expected: ModelId,
        /// The round's.
        got: ModelId,
    },
    /// Not in the right money.
    #[error("this node is paid in the token {expected} (zero for ether), the round in {got}")]
    Token {
        /// The node's.
        expected: Address,
        /// The round's.
        got: Address,
    },
    /// Too cheap.
    #[error("expected a price of at least {expected} a batch, got {got}")]
    Price {
        /// Least price.
        expected: Amount,
        /// Price offered.
        got: Amount,
    },
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, got {got}")]
    Bond {
        /// The most.
        expected: Amount,
        /// The round's.
        got: Amount,
    },
    /// Too many batches.
    #[error("expected at most {expected} batches, got {got}")]
    Batches {
        /// The most.
        expected: u32,
        /// The round's.
        got: u32,
    },
    /// Contests would cost the seller more than the buyer.
    #[error("expected a contest fee of at least {expected} ({rule}), got {got}")]
    ContestFee {
        /// The least.
        expected: Amount,
        /// How it comes about.
        rule: String,
        /// The round's.
        got: Amount,
    },
    /// No time to serve before the seller must close.
    #[error("expected more than {expected} s until the end of service, got {got} s")]
    Service {
        /// What closing takes.
        expected: u64,
        /// Time left.
        got: u64,
    },
    /// The bond would be locked too long.
    #[error("expected the bond to be locked for at most {expected} s, got {got} s")]
    Lock {
        /// The longest.
        expected: u64,
        /// The terms' last second, from now.
        got: u64,
    },
    /// All batches could be contested at once, and not be proven in time, or something promised to others.
    #[error(transparent)]
    Late(#[from] Late),
    /// No time to answer on chain.
    #[error("expected at least {expected} s to answer contests, got {got} s")]
    Answer {
        /// Least time.
        expected: u64,
        /// Time agreed.
        got: u32,
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
    #[error("the model's commitment may be opened {left} more times, the round needs {needed}; register the model again")]
    Openings {
        /// Openings left.
        left: u32,
        /// One a batch, and some to spare.
        needed: u32,
    },
}
