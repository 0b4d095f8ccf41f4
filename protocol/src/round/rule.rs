//! Why an event is refused: one variant for each custom error of the contract, under the same name; those of
//! every deal are in [`DealError`]. The contract also says why it does not ask the verifier (`ModelPointsMismatch`,
//! `ShardPointsLength`, `VerifierChanged`): here that is [`RoundError::ProofRejected`], as a proof is accepted or not.

use thiserror::Error;

use super::RoundState;
use crate::{
    deal::{name_of, DealError},
    value::Address,
};

/// A refused event changes nothing and moves nothing. Fields say what the rule expected and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum RoundError {
    #[error(transparent)]
    Deal(#[from] DealError),
    #[error("a round has at least one batch, these terms have none")]
    NoBatches,
    #[error("expected now {now} < accept {accept_by} < serve {serve_by}")]
    DeadlinesOutOfOrder {
        now: u64,
        accept_by: u64,
        serve_by: u64,
    },
    #[error("a window of {window} s and {prove_time} s for a proof leave no time to contest")]
    NoTimeToContest { window: u32, prove_time: u32 },
    #[error("the last second {last_second} is after {latest}: the stake must outlive the round")]
    RoundTooLong { last_second: u64, latest: u64 },
    #[error("the round exists already: take another nonce")]
    RoundExists,

    #[error("there is no such round")]
    UnknownRound,
    #[error("nothing of the kind happens to a round that is {found:?}")]
    WrongState { found: RoundState },
    #[error("only the buyer {buyer} may do this, not {caller}")]
    OnlyBuyer { buyer: Address, caller: Address },
    #[error("only the seller {seller} may do this, not {caller}")]
    OnlySeller { seller: Address, caller: Address },
    #[error("{count} batches are more than the {batches} of the round")]
    CountAboveBatches { count: u32, batches: u32 },
    #[error("the round was closed with a count of {expected}, the approval is about {found}")]
    CountMismatch { expected: u32, found: u32 },

    #[error("batch {index} is not one of the round's {batches}")]
    IndexOutOfRange { index: u32, batches: u32 },
    #[error("this prediction was contested before")]
    AlreadyContested,
    #[error("this prediction was not contested")]
    NotContested,
    #[error("this prediction is proven already")]
    AlreadyProven,
    #[error("the verifier does not accept the proof of batch {index}")]
    ProofRejected { index: u32 },
}

impl RoundError {
    /// The name of the contract's error: that of the variant.
    pub fn name(&self) -> String {
        match self {
            Self::Deal(error) => name_of(error),
            own => name_of(own),
        }
    }
}
