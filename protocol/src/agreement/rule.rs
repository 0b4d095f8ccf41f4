//! Why an event is refused: one variant for each custom error of the contract, under the same name.

use thiserror::Error;

use super::State;
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
    #[error("expected now {now} < accept {accept_by} < deliver {deliver_by} < prove {prove_by}")]
    DeadlinesOutOfOrder {
        now: u64,
        accept_by: u64,
        deliver_by: u64,
        prove_by: u64,
    },
    #[error(
        "the last deadline {prove_by} is after {latest}: the stake must outlive the agreement"
    )]
    AgreementTooLong { prove_by: u64, latest: u64 },

    #[error("there is no such agreement")]
    UnknownAgreement,
    #[error("the agreement exists already")]
    AgreementExists,
    #[error("expected an agreement that is {expected:?}, found it {found:?}")]
    WrongState { expected: State, found: State },
    #[error("only the seller {seller} may do this, not {caller}")]
    OnlySeller { seller: Address, caller: Address },
    #[error("the deadline {deadline} is over at {now}")]
    TooLate { deadline: u64, now: u64 },
    #[error("the deadline {deadline} is not over at {now}: wait for the second after it")]
    TooEarly { deadline: u64, now: u64 },
    #[error("until {accept_by} only the buyer cancels, not {caller}")]
    OnlyBuyerUntil { accept_by: u64, caller: Address },
    #[error("until {deliver_by} only the seller declines, not {caller}")]
    OnlySellerUntil { deliver_by: u64, caller: Address },
    #[error("the receipt is not signed by the seller {seller}")]
    ReceiptNotSigned { seller: Address },

    #[error("shard {index} is outside a dataset of {shards} shards")]
    ShardOutOfRange { index: u32, shards: u32 },
    #[error("shard {index} is proven already")]
    ShardAlreadyProven { index: u32 },
    #[error("the model points hash to {found}, the registered ones to {expected}")]
    ModelPointsMismatch { expected: Hash, found: Hash },
    #[error("expected a Merkle proof of {expected} hashes, found {found}")]
    MerkleProofLength { expected: usize, found: usize },
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
