//! Why an event is refused: one variant for each custom error of the contract, under the same name; those of every deal
//! are in [`DealError`], those about shards in [`ShardError`].

use thiserror::Error;

use super::{Mode, State};
use crate::{
    deal::{name_of, DealError},
    shards::ShardError,
    value::{Address, Amount},
};

/// A refused event changes nothing and moves nothing. Fields say what the rule expected and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum RuleError {
    #[error(transparent)]
    Deal(#[from] DealError),
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error("the penalty {penalty} is above the bond {bond} it is taken from")]
    PenaltyAboveBond { penalty: Amount, bond: Amount },
    #[error("expected 1 <= shards <= samples, found {shards} shards and {samples} samples")]
    ShardsOutOfRange { shards: u32, samples: u32 },
    #[error("the threshold {threshold} is above the {samples} samples")]
    ThresholdAboveSamples { threshold: u32, samples: u32 },
    #[error("the preview fee {preview_fee} is above the bond {bond} it is taken from")]
    PreviewFeeAboveBond { preview_fee: Amount, bond: Amount },
    #[error("a preview of {preview_shards} shards is more than the {shards} there are")]
    PreviewAboveShards { preview_shards: u32, shards: u32 },
    #[error("expected now {now} < accept {accept_by} < preview {preview_by} < deliver {deliver_by} < claim {claim_by}, with time to answer between")]
    DeadlinesOutOfOrder {
        now: u64,
        accept_by: u64,
        preview_by: u64,
        deliver_by: u64,
        claim_by: u64,
    },
    #[error("a window of {window} s and {prove_time} s for a proof leave no time to contest")]
    NoTimeToContest { window: u32, prove_time: u32 },

    #[error("there is no such agreement")]
    UnknownAgreement,
    #[error("the agreement exists already")]
    AgreementExists,
    #[error("nothing of the kind happens to an agreement that is {found:?}")]
    WrongState { found: State },
    #[error("nothing of the kind happens in the mode {found:?}")]
    WrongMode { found: Mode },
    #[error("only the buyer {buyer} may do this, not {caller}")]
    OnlyBuyer { buyer: Address, caller: Address },
    #[error("only the seller {seller} may do this, not {caller}")]
    OnlySeller { seller: Address, caller: Address },
    #[error("the block {draw_block} that draws is not below {current}: wait for the next")]
    DrawTooEarly { draw_block: u64, current: u64 },
    #[error("the chain at {current} does not know the hash of block {draw_block} any more")]
    DrawTooLate { draw_block: u64, current: u64 },

    #[error("the proven shards hold {found} samples, the agreement says {expected} in all")]
    SamplesMismatch { expected: u32, found: u64 },
}

impl RuleError {
    /// The name of the contract's error: that of the variant.
    pub fn name(&self) -> String {
        match self {
            Self::Deal(error) => name_of(error),
            Self::Shard(error) => name_of(error),
            own => name_of(own),
        }
    }
}
