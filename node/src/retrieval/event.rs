//! What happens to a responder's retrievals, for people and, with `--json`, for programs.

use std::fmt;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    retrieval::{RetrievalId, State},
    value::Amount,
};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event")]
pub enum RetrievalEvent {
    /// A requester told of an open retrieval.
    #[serde(rename = "retrieval_offered")]
    Offered {
        /// Which.
        retrieval: RetrievalId,
    },
    /// The bond is locked.
    #[serde(rename = "retrieval_accepted")]
    Accepted {
        /// Which.
        retrieval: RetrievalId,
        /// Of the transaction.
        gas: u64,
    },
    /// The responder will not go on.
    #[serde(rename = "retrieval_refused")]
    Refused {
        /// Which.
        retrieval: RetrievalId,
        /// Why.
        reason: String,
    },
    /// A proof was made and verified here.
    #[serde(rename = "retrieval_proof")]
    Proof {
        /// Which.
        retrieval: RetrievalId,
        /// Of which shard.
        shard: u32,
        /// `scan`: how many match; `matches`: that these do.
        what: String,
        /// Time to make it.
        seconds: f64,
    },
    /// The chain knows how many match.
    #[serde(rename = "retrieval_claimed")]
    Claimed {
        /// Which.
        retrieval: RetrievalId,
        /// Items that match.
        matches: u64,
        /// Of so many.
        items: u64,
        /// Of the transaction.
        gas: u64,
    },
    /// The chain verified a contested proof.
    #[serde(rename = "retrieval_proven")]
    Proven {
        /// Which.
        retrieval: RetrievalId,
        /// Of which shard.
        shard: u32,
        /// Items of it that match.
        matches: u32,
        /// Of the transaction.
        gas: u64,
    },
    /// It ended and what was due is withdrawn.
    #[serde(rename = "retrieval_over")]
    Over {
        /// Which.
        retrieval: RetrievalId,
        /// How.
        state: State,
        /// Items that were paid for, if it settled.
        items: u32,
        /// In wei, or the least unit of the token.
        withdrawn: Amount,
    },
}

impl fmt::Display for RetrievalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offered { retrieval } => write!(f, "retrieval {retrieval}: offered"),
            Self::Accepted { retrieval, gas } => write!(
                f,
                "retrieval {retrieval}: accepted, the bond is locked, {gas} gas"
            ),
            Self::Refused { retrieval, reason } => {
                write!(f, "retrieval {retrieval}: refused: {reason}")
            }
            Self::Proof {
                retrieval,
                shard,
                what,
                seconds,
            } => write!(
                f,
                "retrieval {retrieval}: the {what} of shard {shard} proven in {seconds:.1} s"
            ),
            Self::Claimed {
                retrieval,
                matches,
                items,
                gas,
            } => write!(
                f,
                "retrieval {retrieval}: claimed {matches} matches of {items} items, {gas} gas"
            ),
            Self::Proven {
                retrieval,
                shard,
                matches,
                gas,
            } => write!(
                f,
                "retrieval {retrieval}: shard {shard} proven on chain, {matches} matches, {gas} gas"
            ),
            Self::Over {
                retrieval,
                state,
                items,
                withdrawn,
            } => write!(
                f,
                "retrieval {retrieval}: {state:?}, {items} items, {withdrawn} withdrawn"
            ),
        }
    }
}
