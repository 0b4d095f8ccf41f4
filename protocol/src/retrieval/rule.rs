//! Why an event is refused: one variant for each custom error of the contract, under the same name; those of every deal
//! are in [`DealError`], those about shards in [`ShardError`].

use thiserror::Error;

use super::State;
use crate::{
    deal::{name_of, DealError},
    shards::ShardError,
    value::{Address, Amount},
};

/// A refused event changes nothing and moves nothing. Fields say what the rule expected and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum RetrievalError {
    #[error(transparent)]
    Deal(#[from] DealError),
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error("expected 1 <= shards <= items, found {shards} shards and {samples} items")]
    ShardsOutOfRange { shards: u32, samples: u32 },
    #[error("the bond must be {expected} at least, what all items may cost and the requester's bond; found {found}")]
    BondTooSmall { expected: Amount, found: Amount },
    #[error("expected now {now} < accept {accept_by} < claim {claim_by}")]
    DeadlinesOutOfOrder {
        now: u64,
        accept_by: u64,
        claim_by: u64,
    },
    #[error("a window of {window} s, {prove_time} s for a proof and {receipt_time} s for the items leave no time to judge")]
    NoTimeToJudge {
        window: u32,
        prove_time: u32,
        receipt_time: u32,
    },
    #[error("the requester opened these terms under this nonce before: take another one")]
    AlreadyOpened,

    #[error("there is no such retrieval")]
    UnknownRequest,
    #[error("nothing of the kind happens to a retrieval that is {found:?}")]
    WrongState { found: State },
    #[error("only the requester {requester} may do this, not {caller}")]
    OnlyRequester { requester: Address, caller: Address },
    #[error("only the responder {responder} may do this, not {caller}")]
    OnlyResponder { responder: Address, caller: Address },
}

impl RetrievalError {
    /// The name of the contract's error: that of the variant.
    pub fn name(&self) -> String {
        match self {
            Self::Deal(error) => name_of(error),
            Self::Shard(error) => name_of(error),
            own => name_of(own),
        }
    }
}
