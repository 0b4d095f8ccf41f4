//! What goes wrong between here and the chain, one variant for each trouble.

use std::time::Duration;

use thiserror::Error;

use super::{journal::JournalError, key::KeyError};
use crate::value::{Address, Amount, Hash};

/// What went wrong between here and the chain.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChainError {
    /// No connection.
    #[error("the RPC at {endpoint} cannot be reached ({reason}): is it running?")]
    Unreachable {
        /// Scheme, host and port.
        endpoint: String,
        /// Why.
        reason: String,
    },
    /// No answer in time.
    #[error("no answer to {what} within {after:?}")]
    Timeout {
        /// The request, or what was waited for.
        what: String,
        /// How long.
        after: Duration,
    },
    /// Another chain.
    #[error("expected chain {expected}, the RPC serves chain {got}")]
    WrongChain {
        /// The configured chain.
        expected: u64,
        /// The chain found.
        got: u64,
    },
    /// No contract where one should be.
    #[error("there is no code at {address}: deploy it first, or correct the address")]
    NoCode {
        /// The address.
        address: Address,
    },
    /// A contract that is no escrow.
    #[error("the contract at {address} is not an escrow: it names no registry")]
    NotEscrow {
        /// The address.
        address: Address,
    },
    /// One of the contracts where another should be.
    #[error("the contract at {address} is {got:?}, expected {expected:?}: correct the address")]
    OtherContract {
        /// The address.
        address: Address,
        /// The name in the domain of the one that should be there.
        expected: &'static str,
        /// The name that is.
        got: String,
    },
    /// The contracts at these addresses do not belong together.
    #[error("the escrow's registry is {got}, expected {expected}")]
    WrongRegistry {
        /// The configured registry.
        expected: Address,
        /// The escrow's.
        got: Address,
    },
    /// Not enough ether for value and fee.
    #[error("{account} has {available} wei and needs {needed} for value and fee")]
    InsufficientFunds {
        /// The sender.
        account: Address,
        /// Value and highest fee.
        needed: Amount,
        /// Balance.
        available: Amount,
    },
    /// A contract refuses the call, by the name of its custom error.
    #[error("the contract refuses: {name} {detail}")]
    Revert {
        /// Name of the error, the same as [`crate::agreement::RuleError::name`]; empty when it gives none.
        name: String,
        /// Its arguments.
        detail: String,
    },
    /// Executed in a block and reverted there; as deep as was asked for.
    #[error("transaction {tx} was executed in block {number} and reverted")]
    Failed {
        /// The transaction.
        tx: Hash,
        /// Height of its block.
        number: u64,
    },
    /// A transfer of nothing took the nonce, because the call would have reverted; as deep as was asked for.
    #[error("the transaction for {purpose:?} was withdrawn: {tx} took its nonce in block {number}; ask again to sign it anew")]
    Withdrawn {
        /// What was asked for.
        purpose: String,
        /// The transfer of nothing.
        tx: Hash,
        /// Height of its block.
        number: u64,
    },
    /// Signed and sent, and in no block yet. It may still be executed.
    #[error("the transaction for {purpose:?}, {tx}, is in no block after {after:?}; it was sent and may still be executed: ask again")]
    NotMined {
        /// What it is for.
        purpose: String,
        /// The newest attempt.
        tx: Hash,
        /// How long was waited.
        after: Duration,
    },
    /// In a block with too few on top of it.
    #[error("transaction {tx} is in block {number} and needs {depth} blocks on top of it; the newest is {head} after {after:?}: ask again")]
    NotDeep {
        /// The transaction.
        tx: Hash,
        /// Height of its block.
        number: u64,
        /// The newest block.
        head: u64,
        /// Blocks wanted on top.
        depth: u64,
        /// How long was waited.
        after: Duration,
    },
    /// A higher fee would be needed than the ceiling allows. The transaction waits and may still be executed.
    #[error("{tx} waits; raising its fee takes {needed} wei a gas unit, the ceiling is {ceiling}: wait for lower fees or raise the ceiling")]
    FeeCeiling {
        /// The newest attempt.
        tx: Hash,
        /// What the next attempt must offer.
        needed: Amount,
        /// The most that may be offered.
        ceiling: Amount,
    },
    /// An earlier nonce is used by nobody, and the journal does not know what it was for.
    #[error("nonce {nonce} waits for nonce {next}, which is not in the journal; is the key used elsewhere, or the chain another one?")]
    NonceGap {
        /// The nonce that waits.
        nonce: u64,
        /// The account's next.
        next: u64,
    },
    /// Signed, and neither can it be sent now nor replaced. It may still be executed.
    #[error("the transaction for {purpose:?} was signed and waits: {reason}")]
    Stuck {
        /// What it is for.
        purpose: String,
        /// Why.
        reason: Box<ChainError>,
    },
    /// A token does not keep the allowance it was asked for.
    #[error("the token {token} allows {allowed} of {needed} after {tries} approvals: is it a token at all?")]
    Allowance {
        /// The token.
        token: Address,
        /// What is needed.
        needed: Amount,
        /// What is allowed.
        allowed: Amount,
        /// How often it was approved.
        tries: u32,
    },
    /// Another transaction took the nonce: this one will never be executed.
    #[error("nonce {nonce} was used by a transaction outside the journal: {tx} is void; is the key used elsewhere?")]
    NonceTaken {
        /// The count.
        nonce: u64,
        /// The void transaction.
        tx: Hash,
    },
    /// The chain's fees rose above what the transaction pays.
    #[error("{tx} pays too little to be taken: replace it with a higher fee")]
    Underpriced {
        /// The transaction.
        tx: Hash,
    },
    /// An answer out of range or shape.
    #[error("the RPC answers {what} with something unexpected: {reason}")]
    Malformed {
        /// The request.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// Any other error the RPC reports.
    #[error("the RPC refuses {what}: {message} (code {code})")]
    Rpc {
        /// The request.
        what: String,
        /// JSON-RPC error code.
        code: i64,
        /// Its message.
        message: String,
    },
    /// Key trouble.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The journal could not be kept.
    #[error(transparent)]
    Journal(#[from] JournalError),
}
