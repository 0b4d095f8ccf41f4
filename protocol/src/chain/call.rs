//! What a node asks the contracts to do, and what they log.

use serde::{Deserialize, Serialize};

use super::retrieval::RetrievalCall;
use super::RoundCall;
use crate::{
    agreement::Terms,
    claim_tree::{ShardCount, SumNode},
    retrieval::RetrievalId,
    round::RoundId,
    value::{Address, AgreementId, Amount, Data, Hash, ModelId, Point, Signature},
};

/// A transaction to be signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Create the model registry.
    DeployRegistry,
    /// Create an escrow over this registry.
    DeployEscrow {
        /// The registry.
        registry: Address,
    },
    /// Create a verifier.
    DeployVerifier {
        /// Creation code, constructor arguments included.
        creation_code: Data,
    },
    /// Register a model of the sender.
    Register(Registration),
    /// Give notice of a model.
    Retire(ModelId),
    /// Take the stake back once the notice period is over.
    WithdrawStake(ModelId),
    /// Let the escrow take tokens of the sender (ERC-20 `approve`).
    ApproveToken {
        /// The token.
        token: Address,
        /// How much.
        amount: Amount,
    },
    /// Open an agreement; sends price and buyer's bond when they are ether.
    Open(Terms),
    /// Lock the bond.
    Accept {
        /// The agreement.
        id: AgreementId,
        /// Wei to send: `terms.wei(terms.bond)`.
        value: Amount,
    },
    /// Take an offer back that nobody accepted.
    Cancel(AgreementId),
    /// Record the draw of the preview.
    Draw(AgreementId),
    /// Put on record that the preview, or the rest, was handed over.
    Send {
        /// The agreement.
        id: AgreementId,
        /// Hash of the ciphertext.
        ciphertext: Hash,
    },
    /// The seller has the preview and goes on.
    Proceed {
        /// The agreement.
        id: AgreementId,
        /// Hash of the ciphertext.
        ciphertext: Hash,
        /// The seller's, where somebody else sends this.
        signature: Option<Signature>,
    },
    /// The seller holds the test set.
    Acknowledge {
        /// The agreement.
        id: AgreementId,
        /// Hash of the ciphertext.
        ciphertext: Hash,
        /// The seller's, where somebody else sends this.
        signature: Option<Signature>,
    },
    /// Go away before the receipt.
    Decline(AgreementId),
    /// Say that what is called sent did not come or is no good.
    Deny(AgreementId),
    /// Say how many are correct.
    Claim {
        /// The agreement.
        id: AgreementId,
        /// Hash of the top node.
        node: Hash,
        /// Correct at the first place, in all.
        top1: u32,
        /// Correct among the first k places, in all.
        topk: u32,
    },
    /// Take the claim as it is.
    Approve {
        /// The agreement.
        id: AgreementId,
        /// The buyer's, where somebody else sends this.
        signature: Option<Signature>,
    },
    /// Ask for the proof of a shard on chain.
    Contest {
        /// The agreement.
        id: AgreementId,
        /// Which shard.
        index: u32,
        /// Wei to send: `terms.wei(terms.contest_fee)`.
        value: Amount,
    },
    /// Bring the proof of a contested shard.
    Answer {
        /// The proof.
        proof: Box<ShardProof>,
        /// Siblings in the claim's tree, from the leaf up.
        path: Vec<SumNode>,
    },
    /// Eager mode: prove one shard; the last one settles.
    ProveShard(Box<ShardProof>),
    /// After the deadline: what it comes to when nobody does anything.
    Expire(AgreementId),
    /// To the retrieval contract, where that is what the chain's `escrow` names.
    Retrieval(Box<RetrievalCall>),
    /// Take everything credited to the sender.
    Withdraw {
        /// In ether (zero) or this token.
        token: Address,
    },
    /// A call of the predictions contract.
    Round(Box<RoundCall>),
    /// Send no wei to oneself: what takes the nonce of a transaction that is no longer wanted.
    Nothing,
}

/// A transaction of many that are sent together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is for.
    pub purpose: String,
    /// Which contract it calls, as the one that keeps money.
    pub contract: Address,
    /// What it does.
    pub call: Call,
}

/// What a seller fixes when it registers a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Digest of the verifying key.
    pub architecture: Hash,
    /// The verifier contract of that key.
    pub verifier: Address,
    /// Commitments of the weight columns.
    pub points: Vec<Point>,
    /// Points of a shard's commitment.
    pub shard_points: u16,
    /// Where the seller answers; not interpreted by the contract.
    pub endpoint: String,
    /// Stake in wei, above zero.
    pub stake: Amount,
}

/// One shard's proof with everything the escrow needs to judge it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardProof {
    /// The agreement.
    pub id: AgreementId,
    /// What the proof says.
    pub shard: ShardCount,
    /// Commitments of the model, as registered.
    pub model_points: Vec<Point>,
    /// Commitments of the shard, under the dataset root.
    pub shard_points: Vec<Point>,
    /// Siblings from the leaf up.
    pub path: Vec<Hash>,
    /// Proof bytes for the verifier.
    pub proof: Data,
}

/// What the contracts log, one for each event they have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)] // The fields are those of the calls above.
pub enum ChainEvent {
    /// A model was registered, with the points a buyer needs.
    ModelRegistered {
        model: ModelId,
        seller: Address,
        registration: Registration,
    },
    /// A seller gave notice.
    ModelRetired { model: ModelId, retires_at: u64 },
    /// A stake went back.
    StakeWithdrawn { model: ModelId, amount: Amount },
    /// A buyer opened an agreement.
    Opened {
        id: AgreementId,
        buyer: Address,
        seller: Address,
        nonce: u64,
        terms: Terms,
    },
    /// It was ended before acceptance.
    Cancelled(AgreementId),
    /// The bond is locked.
    Accepted { id: AgreementId, draw_block: u64 },
    /// The preview is drawn.
    Drawn { id: AgreementId, seed: Hash },
    /// The buyer says that it handed something over.
    Sent { id: AgreementId, ciphertext: Hash },
    /// The seller goes on.
    Proceeded { id: AgreementId, ciphertext: Hash },
    /// The seller holds the test set.
    Acknowledged { id: AgreementId, ciphertext: Hash },
    /// The seller went away.
    Declined(AgreementId),
    /// Delivery is disputed.
    Denied(AgreementId),
    /// The buyer did not deliver.
    Forfeited(AgreementId),
    /// The seller said how many are correct.
    Claimed {
        id: AgreementId,
        claim: Hash,
        top1: u32,
        topk: u32,
        window_end: u64,
    },
    /// The buyer took the claim.
    Approved(AgreementId),
    /// A proof is asked for on chain.
    Contested {
        id: AgreementId,
        index: u32,
        answer_by: u64,
    },
    /// A shard is proven on chain.
    ShardProven { id: AgreementId, shard: ShardCount },
    /// Paid by the count.
    Settled {
        id: AgreementId,
        correct: u64,
        passed: bool,
    },
    /// The bond is lost.
    Slashed(AgreementId),
    /// A buyer opened a round of predictions.
    RoundOpened(RoundId),
    /// A requester opened a retrieval.
    RetrievalOpened(RetrievalId),
    /// Money may be withdrawn.
    Credited {
        account: Address,
        token: Address,
        amount: Amount,
    },
    /// Money was withdrawn.
    Withdrawn {
        account: Address,
        token: Address,
        amount: Amount,
    },
}

impl ChainEvent {
    /// The agreement it is about, if any.
    pub fn agreement(&self) -> Option<AgreementId> {
        match self {
            Self::Opened { id, .. }
            | Self::Accepted { id, .. }
            | Self::Drawn { id, .. }
            | Self::Sent { id, .. }
            | Self::Proceeded { id, .. }
            | Self::Acknowledged { id, .. }
            | Self::Claimed { id, .. }
            | Self::Contested { id, .. }
            | Self::ShardProven { id, .. }
            | Self::Settled { id, .. }
            | Self::Cancelled(id)
            | Self::Declined(id)
            | Self::Denied(id)
            | Self::Forfeited(id)
            | Self::Approved(id)
            | Self::Slashed(id) => Some(*id),
            _ => None,
        }
    }
}
