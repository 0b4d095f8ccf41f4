//! Why retrievals are not taken, each with what was expected and what was found.

use thiserror::Error;
use zknode_protocol::{chain::ChainError, retrieval::RetrievalError, value::Amount};

use crate::seller::schedule::Late;

/// Why a retrieval is not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Terms that the contract would not take either.
    #[error(transparent)]
    Rule(#[from] RetrievalError),
    /// Not this model, corpus, class or size.
    #[error("expected {what} {expected}, the terms say {found}")]
    Other {
        /// What.
        what: &'static str,
        /// As it is here.
        expected: String,
        /// As it is in the terms.
        found: String,
    },
    /// Not worth it.
    #[error("expected {what} of at least {expected}, the terms say {found}")]
    TooLittle {
        /// What.
        what: &'static str,
        /// The least.
        expected: u128,
        /// As it is in the terms.
        found: u128,
    },
    /// Too little time for the proofs, or for those promised to others before.
    #[error(transparent)]
    Late(#[from] Late),
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, the terms say {found}")]
    Bond {
        /// The most.
        expected: Amount,
        /// As it is in the terms.
        found: Amount,
    },
    /// Too long a lock.
    #[error("expected the bond to be locked for at most {expected} s after the claim, the terms say {found}")]
    Wait {
        /// The most.
        expected: u64,
        /// As it is in the terms.
        found: u64,
    },
    /// Too poor to accept and to bring the proofs to the chain.
    #[error("the responder's account needs {expected} wei for the bond and for proofs on chain, those promised to others included, and has {found}")]
    Funds {
        /// The least.
        expected: Amount,
        /// The balance.
        found: Amount,
    },
    /// The contract does not take the bond.
    #[error("the retrieval cannot be accepted: {0}")]
    Accept(ChainError),
    /// The commitments hide no more openings.
    #[error("{what} hides {left} more proofs, {needed} are needed: commit again with fresh salt")]
    Openings {
        /// The model, or a shard.
        what: String,
        /// Proofs needed.
        needed: u32,
        /// Proofs left.
        left: u32,
    },
}
