//! The rules that an agreement, a round and a retrieval share, as `contracts/src/Deal.sol` and `Ledger.sol` have them:
//! over which model, until when, signed by whom, for exactly which deposit.

use std::fmt::Debug;

use thiserror::Error;

use crate::value::{Address, Amount, Hash, ModelId};

/// Seconds between a seller's notice and its stake, and so the longest life of a deal: 30 days.
pub const NOTICE_PERIOD: u64 = 2_592_000;

/// What the registry says about a model, as far as the rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Who registered it.
    pub seller: Address,
    /// Block of the registration.
    pub registered_block: u64,
    /// 0 while offered; else the last second of the notice period.
    pub retires_at: u64,
    /// Digest of its commitment points.
    pub points: Hash,
    /// Points of a shard's commitment.
    pub shard_points: u16,
}

/// When a transaction is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Block number.
    pub block: u64,
    /// Block time, Unix seconds.
    pub time: u64,
}

/// Why a deal of any kind refuses an event: one variant for each custom error of the contracts, under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[allow(missing_docs)] // The message names every field.
pub enum DealError {
    #[error("no model is registered under {model}")]
    UnknownModel { model: ModelId },
    #[error("the model was registered in block {registered}, not before block {current}: open one block later")]
    ModelNotEarlier { registered: u64, current: u64 },
    #[error("model {model} is being retired (stake free after {retires_at}): ask the seller for a new one")]
    ModelRetiring { model: ModelId, retires_at: u64 },
    #[error("the token {token} has no code on this chain: name a deployed ERC-20, or the zero address for ether")]
    TokenWithoutCode { token: Address },
    #[error("the deadline {deadline} is over at {now}")]
    TooLate { deadline: u64, now: u64 },
    #[error("the deadline {deadline} is not over at {now}: wait for the second after it")]
    TooEarly { deadline: u64, now: u64 },
    #[error("neither sent nor signed by {signer}")]
    NotSigned { signer: Address },
    #[error("send exactly {expected} wei, not {found}")]
    WrongValue { expected: Amount, found: Amount },
    #[error("nothing is credited to {account} in {token}")]
    NothingToWithdraw { account: Address, token: Address },
    #[error("with {amount} a sum leaves the range of 128 bits: agree on lower amounts")]
    AmountOverflow { amount: Amount },
}

/// The name of the contract's error: that of the variant.
pub(crate) fn name_of(error: &impl Debug) -> String {
    let text = format!("{error:?}");
    let end = text.find(|c: char| !c.is_alphanumeric());
    text.get(..end.unwrap_or(text.len()))
        .unwrap_or_default()
        .into()
}

/// The model was fixed in an earlier block and is not being retired; and the last second up to which its stake is sure to
/// be there, beyond which no deal may go.
pub(crate) fn offered(
    facts: Option<ModelFacts>,
    model: ModelId,
    now: Moment,
) -> Result<(ModelFacts, u64), DealError> {
    let facts = facts.ok_or(DealError::UnknownModel { model })?;
    let (registered, current) = (facts.registered_block, now.block);
    let retires_at = facts.retires_at;
    if registered >= current {
        Err(DealError::ModelNotEarlier {
            registered,
            current,
        })
    } else if retires_at != 0 {
        Err(DealError::ModelRetiring { model, retires_at })
    } else {
        Ok((facts, now.time.saturating_add(NOTICE_PERIOD)))
    }
}

pub(crate) fn is_money(token: Address, has_code: bool) -> Result<(), DealError> {
    if has_code || token == Address::ZERO {
        Ok(())
    } else {
        Err(DealError::TokenWithoutCode { token })
    }
}

pub(crate) fn in_time(deadline: u64, now: u64) -> Result<(), DealError> {
    if now <= deadline {
        Ok(())
    } else {
        Err(DealError::TooLate { deadline, now })
    }
}

pub(crate) fn overdue(deadline: u64, now: u64) -> Result<(), DealError> {
    if now > deadline {
        Ok(())
    } else {
        Err(DealError::TooEarly { deadline, now })
    }
}

pub(crate) fn signed(by: Address, must: Address, signer: Option<Address>) -> Result<(), DealError> {
    if by == must || signer == Some(must) {
        Ok(())
    } else {
        Err(DealError::NotSigned { signer: must })
    }
}

pub(crate) fn exact_value(expected: Amount, found: Amount) -> Result<(), DealError> {
    if expected == found {
        Ok(())
    } else {
        Err(DealError::WrongValue { expected, found })
    }
}

pub(crate) fn sum<const N: usize>(amounts: [Amount; N]) -> Result<Amount, DealError> {
    let add = |sum: Amount, amount| {
        let sum = sum.checked_add(amount);
        sum.ok_or(DealError::AmountOverflow { amount })
    };
    amounts.into_iter().try_fold(Amount::ZERO, add)
}

pub(crate) fn subtract(from: Amount, amount: Amount) -> Result<Amount, DealError> {
    let left = from.checked_sub(amount);
    left.ok_or(DealError::AmountOverflow { amount })
}

pub(crate) fn times(amount: Amount, count: u32) -> Result<Amount, DealError> {
    let product = amount.0.checked_mul(count.into()).map(Amount);
    product.ok_or(DealError::AmountOverflow { amount })
}
