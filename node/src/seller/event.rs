//! What happens to a seller's agreements, for people and, with `--json`, one line of JSON each for programs.

use std::fmt;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::State,
    round::{RoundId, RoundState},
    value::{AgreementId, Amount, ModelId},
};

use crate::retrieval::event::RetrievalEvent;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The interface is up.
    Listening {
        /// Its address.
        url: String,
        /// The model on offer.
        model: ModelId,
    },
    /// A buyer told of an open agreement.
    Offered {
        /// Which.
        agreement: AgreementId,
    },
    /// The bond is locked.
    Accepted {
        /// Which.
        agreement: AgreementId,
    },
    /// The preview's shards are drawn.
    Drawn {
        /// Which.
        agreement: AgreementId,
    },
    /// Sealed drawn shards arrived.
    PreviewDelivered {
        /// Which.
        agreement: AgreementId,
    },
    /// The preview opened its commitments, and the chain was told to go on.
    Proceeded {
        /// Which.
        agreement: AgreementId,
        /// Shards seen.
        shards: u32,
        /// Of the transaction.
        gas: u64,
    },
    /// The seller told the chain how many are correct.
    Claimed {
        /// Which.
        agreement: AgreementId,
        /// Correct by the label's rank.
        top1: u64,
        /// Of so many samples.
        valid: u64,
        /// Of the transaction.
        gas: u64,
    },
    /// A sealed test set arrived.
    Delivered {
        /// Which.
        agreement: AgreementId,
    },
    /// The test set opened its commitments, and the chain was told so.
    Acknowledged {
        /// Which.
        agreement: AgreementId,
    },
    /// A proof was made and verified here; not yet on the chain.
    Proof {
        /// Which.
        agreement: AgreementId,
        /// Of which shard.
        shard: u32,
        /// Time to make it.
        seconds: f64,
        /// Time to verify it.
        verify_milliseconds: f64,
        /// Its length.
        proof_bytes: usize,
    },
    /// The chain verified a proof.
    Proven {
        /// Which.
        agreement: AgreementId,
        /// Of which shard.
        shard: u32,
        /// Correct by the label's rank.
        top1: u32,
        /// Of so many samples.
        valid: u32,
        /// Of the transaction.
        gas: u64,
    },
    /// The bond of a round of predictions is locked.
    RoundAccepted {
        /// Which.
        round: RoundId,
    },
    /// A round will not be accepted.
    RoundRefused {
        /// Which.
        round: RoundId,
        /// Why.
        reason: String,
    },
    /// A batch was answered and signed.
    Predicted {
        /// Of which round.
        round: RoundId,
        /// Which.
        batch: u32,
        /// Inputs in it.
        inputs: usize,
    },
    /// The proof of a batch was made and verified here.
    BatchProof {
        /// Of which round.
        round: RoundId,
        /// Which.
        batch: u32,
        /// Time to make it.
        seconds: f64,
        /// Time to verify it.
        verify_milliseconds: f64,
    },
    /// The chain verified the proof of a contested prediction.
    PredictionProven {
        /// Of which round.
        round: RoundId,
        /// Which.
        batch: u32,
        /// Of the transaction.
        gas: u64,
    },
    /// The chain was told how many batches are paid for.
    RoundClosed {
        /// Which.
        round: RoundId,
        /// By the newest voucher.
        count: u32,
    },
    /// A round ended and what was due is withdrawn.
    RoundOver {
        /// Which.
        round: RoundId,
        /// How.
        state: RoundState,
        /// Batches paid for.
        count: u32,
        /// In wei, or the least unit of the token.
        withdrawn: Amount,
    },
    /// The seller will not go on.
    Refused {
        /// Which.
        agreement: AgreementId,
        /// Why.
        reason: String,
    },
    /// The agreement ended and what was due is withdrawn.
    Over {
        /// Which.
        agreement: AgreementId,
        /// How.
        state: State,
        /// Correct answers proven.
        correct: u64,
        /// In wei, or the least unit of the token.
        withdrawn: Amount,
    },
    /// About a retrieval.
    #[serde(untagged)]
    Retrieval(RetrievalEvent),
}

impl From<RetrievalEvent> for Event {
    fn from(event: RetrievalEvent) -> Self {
        Self::Retrieval(event)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retrieval(event) => event.fmt(f),
            Self::Listening { url, model } => write!(f, "model {model} is offered at {url}"),
            Self::Offered { agreement } => write!(f, "agreement {agreement}: offered"),
            Self::Accepted { agreement } => {
                write!(f, "agreement {agreement}: accepted, the bond is locked")
            }
            Self::Drawn { agreement } => {
                write!(f, "agreement {agreement}: the preview is drawn")
            }
            Self::PreviewDelivered { agreement } => {
                write!(f, "agreement {agreement}: the drawn shards arrived")
            }
            Self::Proceeded {
                agreement,
                shards,
                gas,
            } => write!(
                f,
                "agreement {agreement}: {shards} drawn shards open their commitments, going on, {gas} gas"
            ),
            Self::Claimed {
                agreement,
                top1,
                valid,
                gas,
            } => write!(
                f,
                "agreement {agreement}: claimed {top1} of {valid} correct, {gas} gas"
            ),
            Self::Delivered { agreement } => {
                write!(f, "agreement {agreement}: a sealed test set arrived")
            }
            Self::Acknowledged { agreement } => {
                write!(f, "agreement {agreement}: the test set opens its commitments")
            }
            Self::Proof {
                agreement,
                shard,
                seconds,
                verify_milliseconds,
                proof_bytes,
            } => write!(
                f,
                "agreement {agreement}: proof of shard {shard} made in {seconds:.1} s, {proof_bytes} bytes, \
                 verified in {verify_milliseconds:.1} ms"
            ),
            Self::Proven {
                agreement,
                shard,
                top1,
                valid,
                gas,
            } => write!(
                f,
                "agreement {agreement}: shard {shard} proven on chain, {top1} of {valid} correct, {gas} gas"
            ),
            Self::RoundAccepted { round } => write!(f, "round {round}: accepted, the bond is locked"),
            Self::RoundRefused { round, reason } => write!(f, "round {round}: refused: {reason}"),
            Self::Predicted {
                round,
                batch,
                inputs,
            } => write!(f, "round {round}: batch {batch} answered, {inputs} predictions"),
            Self::BatchProof {
                round,
                batch,
                seconds,
                verify_milliseconds,
            } => write!(
                f,
                "round {round}: proof of batch {batch} made in {seconds:.1} s, verified in {verify_milliseconds:.1} ms"
            ),
            Self::PredictionProven { round, batch, gas } => {
                write!(f, "round {round}: batch {batch} proven on chain, {gas} gas")
            }
            Self::RoundClosed { round, count } => {
                write!(f, "round {round}: closed, {count} batches are paid for")
            }
            Self::RoundOver {
                round,
                state,
                count,
                withdrawn,
            } => write!(
                f,
                "round {round}: {state:?}, {count} batches paid, {withdrawn} withdrawn"
            ),
            Self::Refused { agreement, reason } => {
                write!(f, "agreement {agreement}: refused: {reason}")
            }
            Self::Over {
                agreement,
                state,
                correct,
                withdrawn,
            } => write!(
                f,
                "agreement {agreement}: {state:?}, {correct} correct, {withdrawn} withdrawn"
            ),
        }
    }
}
