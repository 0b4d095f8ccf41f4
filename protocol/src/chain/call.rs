//! What a node asks the contracts to do, and what they log.

use serde::{Deserialize, Serialize};

use crate::{
    agreement::{ShardCount, Terms},
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
    /// Open an agreement; sends the price when it is ether.
    Open(Terms),
    /// Lock the bond.
    Accept {
        /// The agreement.
        id: AgreementId,
        /// Wei to send: `terms.wei(terms.bond)`.
        value: Amount,
    },
    /// End an open agreement.
    Cancel(AgreementId),
    /// End an accepted agreement.
    Decline(AgreementId),
    /// The seller holds the test set.
    Acknowledge {
        /// The agreement.
        id: AgreementId,
        /// Hash of the ciphertext.
        ciphertext: Hash,
    },
    /// The same by the seller's signed receipt.
    AcknowledgeBySignature {
        /// The agreement.
        id: AgreementId,
        /// Hash of the ciphertext.
        ciphertext: Hash,
        /// The seller's signature of the receipt.
        signature: Signature,
    },
    /// Prove one shard; the last one settles.
    ProveShard(Box<ShardProof>),
    /// Take price and bond after the last deadline.
    Slash(AgreementId),
    /// Take everything credited to the sender.
    Withdraw {
        /// In ether (zero) or this token.
        token: Address,
    },
    /// Send no wei to oneself: what takes the nonce of a transaction that is no longer wanted.
    Nothing,
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
    Accepted(AgreementId),
    /// It was ended before delivery.
    Declined(AgreementId),
    /// The seller holds the test set.
    Acknowledged { id: AgreementId, ciphertext: Hash },
    /// A shard counts.
    ShardProven { id: AgreementId, shard: ShardCount },
    /// Every shard is proven; paid.
    Settled {
        id: AgreementId,
        correct: u64,
        passed: bool,
    },
    /// The bond is lost.
    Slashed(AgreementId),
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
            | Self::Acknowledged { id, .. }
            | Self::ShardProven { id, .. }
            | Self::Settled { id, .. }
            | Self::Cancelled(id)
            | Self::Accepted(id)
            | Self::Declined(id)
            | Self::Slashed(id) => Some(*id),
            _ => None,
        }
    }
}
