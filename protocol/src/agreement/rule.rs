//! Why an event is refused: one variant for each custom error of the contract, under the same name.

use thiserror::Error;

use super::{Mode, State};
use crate::value::{Address, Amount, Hash, ModelId};

/// A refused event changes nothing and moves nothing. Fields say what the rule expected and what it found.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum RuleError {
    #[error("no model is registered under {model}")]
    UnknownModel { model: ModelId },
    #[error("the model was registered in block {registered}, not before block {current}: open one block later")]
    ModelNotEarlier { registered: u64, current: u64 },
    #[error("model {model} is being retired (stake free after {retires_at}): ask the seller for a new one")]
    ModelRetiring { model: ModelId, retires_at: u64 },
    #[error("the token {token} has no code")]
    TokenWithoutCode { token: Address },
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
    #[error(
        "the last second {last_second} is after {latest}: the stake must outlive the agreement"
    )]
    AgreementTooLong { last_second: u64, latest: u64 },

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
    #[error("the deadline {deadline} is over at {now}")]
    TooLate { deadline: u64, now: u64 },
    #[error("the deadline {deadline} is not over at {now}: wait for the second after it")]
    TooEarly { deadline: u64, now: u64 },
    #[error("neither sent nor signed by {signer}")]
    NotSigned { signer: Address },
    #[error("the block {draw_block} that draws is not below {current}: wait for the next")]
    DrawTooEarly { draw_block: u64, current: u64 },
    #[error("the chain at {current} does not know the hash of block {draw_block} any more")]
    DrawTooLate { draw_block: u64, current: u64 },

    #[error("shard {index} is outside a dataset of {shards} shards")]
    ShardOutOfRange { index: u32, shards: u32 },
    #[error("shard {index} is proven already")]
    ShardAlreadyProven { index: u32 },
    #[error("shard {index} is contested already")]
    ShardAlreadyContested { index: u32 },
    #[error("shard {index} is not contested")]
    ShardNotContested { index: u32 },
    #[error("{count} correct answers of {samples} samples cannot be claimed")]
    ClaimAboveSamples { count: u32, samples: u32 },
    #[error("the shard leads to the claim {found}, the seller's is {expected}")]
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
    #[error("the proven shards hold {found} samples, the agreement says {expected} in all")]
    SamplesMismatch { expected: u32, found: u64 },

    #[error("send exactly {expected} wei, not {found}")]
    WrongValue { expected: Amount, found: Amount },
    #[error("nothing is credited to {account} in {token}")]
    NothingToWithdraw { account: Address, token: Address },
    #[error("the amounts add up past 2^128 base units")]
    AmountOverflow,
}

impl RuleError {
    /// The name of the contract's error: that of the variant.
    pub fn name(&self) -> String {
        let mut name = format!("{self:?}");
        name.truncate(
            name.find(|c: char| !c.is_alphanumeric())
                .unwrap_or(name.len()),
        );
        name
    }
}
