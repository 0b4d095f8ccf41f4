//! The port: what a node needs from a chain, and nothing else. Two adapters: [`ethers`] speaks JSON-RPC over HTTP,
//! [`fake`] runs the same rules in memory for tests.
//!
//! A transaction is signed first, written into the [`journal`], and only then broadcast (see [`sender`]): a node that
//! dies in between sends the same bytes again and never pays twice.

mod call;
mod error;
pub mod ethers;
pub mod fake;
pub mod fees;
pub mod journal;
pub mod retrieval;
mod rounds;
pub mod sender;
mod summary;

use std::{collections::BTreeSet, future::Future};

use serde::{Deserialize, Serialize};

pub use self::call::{Call, ChainEvent, Order, Registration, ShardProof};
pub use self::error::ChainError;
pub use self::ethers::key;
use self::fees::{Fees, Market};
pub use self::rounds::{RoundCall, RoundChain};
pub use self::summary::AgreementSummary;
use crate::{
    agreement::Agreement,
    deal::ModelFacts,
    value::{Address, AgreementId, Amount, Data, Hash, ModelId},
};

/// A block as far as the node follows it. The chain is followed by `hash`: a number says nothing across a
/// reorganization.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Its name.
    pub hash: Hash,
    /// The block before it.
    pub parent: Hash,
    /// Unix seconds.
    pub time: u64,
}

/// Where the contracts are; zero while not deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contracts {
    /// The model registry.
    pub registry: Address,
    /// The escrow over it.
    pub escrow: Address,
}

/// Contracts that hold money over a registry; each is an "escrow" to [`Contracts`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Agreements about an accuracy.
    Escrow,
    /// Rounds of predictions.
    Predictions,
    /// Retrievals.
    Retrieval,
}

impl Kind {
    /// The name in the contract's EIP-712 domain, as EIP-5267 tells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Escrow => "zknode Escrow",
            Self::Predictions => "zknode Predictions",
            Self::Retrieval => "zknode Retrieval",
        }
    }
}

/// A registered model, as the registry stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// Owner and payee.
    pub seller: Address,
    /// Wei held for it.
    pub stake: Amount,
    /// Contract that judges its proofs.
    pub verifier: Address,
    /// Code hash of the verifier at registration.
    pub verifier_code: Hash,
    /// Block of the registration.
    pub registered_block: u64,
    /// 0 while offered; else the last second of the notice period.
    pub retires_at: u64,
    /// Digest of the verifying key.
    pub architecture: Hash,
    /// Digest of the commitment points; the points are in the block's [`ChainEvent::ModelRegistered`].
    pub points: Hash,
    /// Points of a shard's commitment.
    pub shard_points: u16,
}

impl Model {
    /// What the rules of the agreement ask of it.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            seller: self.seller,
            registered_block: self.registered_block,
            retires_at: self.retires_at,
            points: self.points,
            shard_points: self.shard_points,
        }
    }
}

/// A signed transaction, ready to be sent any number of times.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedTx {
    /// Its name.
    pub hash: Hash,
    /// Who signed it.
    pub from: Address,
    /// The sender's count it takes.
    pub nonce: u64,
    /// Highest price of a gas unit, wei.
    pub max_fee: Amount,
    /// Highest tip a gas unit, wei.
    pub priority_fee: Amount,
    /// The bytes to broadcast; empty in a journal once they are not needed any more.
    pub raw: Data,
}

/// A transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TxReceipt {
    /// The transaction.
    pub tx: Hash,
    /// Block it is in.
    pub block: Hash,
    /// Height of that block.
    pub number: u64,
    /// False: it was executed and reverted; nothing but its fee moved.
    pub succeeded: bool,
    /// Gas it took.
    pub gas: u64,
    /// The contract it created.
    pub created: Option<Address>,
    /// What the registry and the escrow logged in it, in order.
    pub events: Vec<ChainEvent>,
}

/// A chain, seen by one account. Cheap to clone.
pub trait Chain: Clone + Send + Sync + 'static {
    /// EIP-155 id, checked when connecting.
    fn chain_id(&self) -> u64;
    /// The account that signs.
    fn account(&self) -> Address;
    /// Where the contracts are.
    fn contracts(&self) -> Contracts;
    /// The same chain with the contracts elsewhere.
    fn with_contracts(&self, contracts: Contracts) -> Self;

    /// The newest block.
    fn head(&self) -> impl Future<Output = Result<Block, ChainError>> + Send;
    /// The block of this hash, `None` when unknown.
    fn block(&self, hash: Hash) -> impl Future<Output = Result<Option<Block>, ChainError>> + Send;
    /// The canonical block at this height, `None` above the head.
    fn block_at(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<Option<Block>, ChainError>> + Send;
    /// What registry and escrow logged in the block of this hash, in order.
    fn events(
        &self,
        block: Hash,
    ) -> impl Future<Output = Result<Vec<ChainEvent>, ChainError>> + Send;

    /// Wei of an account.
    fn balance(&self, account: Address) -> impl Future<Output = Result<Amount, ChainError>> + Send;
    /// Keccak-256 of an account's code, `None` without code.
    fn code_hash(
        &self,
        account: Address,
    ) -> impl Future<Output = Result<Option<Hash>, ChainError>> + Send;
    /// A model of the registry, `None` when unknown.
    fn model(&self, id: ModelId) -> impl Future<Output = Result<Option<Model>, ChainError>> + Send;
    /// How far an agreement came, without which of its shards are proven, in one request for its state: as of the
    /// block `depth` below the newest (0: the newest itself). `None` when unknown there. What is to be believed for
    /// good, such as a state that ends the agreement, is read at the depth at which the node believes a block.
    fn agreement_at_depth(
        &self,
        id: AgreementId,
        depth: u64,
    ) -> impl Future<Output = Result<Option<AgreementSummary>, ChainError>> + Send;
    /// Whether this shard of an agreement is proven, in the newest block.
    fn is_proven(
        &self,
        id: AgreementId,
        index: u32,
    ) -> impl Future<Output = Result<bool, ChainError>> + Send;
    /// Whether this shard of an agreement was ever contested, in the newest block.
    fn is_contested(
        &self,
        id: AgreementId,
        index: u32,
    ) -> impl Future<Output = Result<bool, ChainError>> + Send;
    /// The first contested shards that are not proven yet, no more than `most`, of an agreement that is as `summary` says:
    /// one or two requests a shard until so many are found.
    fn unanswered(
        &self,
        id: AgreementId,
        summary: &AgreementSummary,
        most: usize,
    ) -> impl Future<Output = Result<BTreeSet<u32>, ChainError>> + Send {
        let (shards, count) = (summary.terms.shards, most.min(summary.unanswered as usize));
        async move {
            let mut found = BTreeSet::new();
            for index in 0..shards {
                if found.len() == count {
                    break;
                }
                if self.is_contested(id, index).await? && !self.is_proven(id, index).await? {
                    found.insert(index);
                }
            }
            Ok(found)
        }
    }
    /// An agreement of the escrow with its contested and proven shards, `None` when unknown: so many requests where
    /// there are many shards.
    fn agreement(
        &self,
        id: AgreementId,
    ) -> impl Future<Output = Result<Option<Agreement>, ChainError>> + Send {
        async move {
            let Some(summary) = self.agreement_at_depth(id, 0).await? else {
                return Ok(None);
            };
            let (mut contested, mut proven) = (BTreeSet::new(), BTreeSet::new());
            for index in 0..summary.terms.shards {
                if self.is_contested(id, index).await? {
                    contested.insert(index);
                }
                if self.is_proven(id, index).await? {
                    proven.insert(index);
                }
            }
            Ok(Some(summary.with_shards(contested, proven)))
        }
    }
    /// What `account` may withdraw in `token`.
    fn credit(
        &self,
        account: Address,
        token: Address,
    ) -> impl Future<Output = Result<Amount, ChainError>> + Send;
    /// What the escrow may still take of `owner`'s tokens (ERC-20 `allowance`).
    fn allowance(
        &self,
        token: Address,
        owner: Address,
    ) -> impl Future<Output = Result<Amount, ChainError>> + Send;
    /// Fails unless registry and escrow are deployed and belong together, and the escrow is of this kind.
    fn check_contracts(&self, kind: Kind) -> impl Future<Output = Result<(), ChainError>> + Send;

    /// The account's count of executed transactions: the next free nonce when nothing is under way.
    fn next_nonce(&self) -> impl Future<Output = Result<u64, ChainError>> + Send;
    /// The same count after the block at this height.
    fn count_at(&self, number: u64) -> impl Future<Output = Result<u64, ChainError>> + Send;
    /// What a gas unit costs now.
    fn market(&self) -> impl Future<Output = Result<Market, ChainError>> + Send;
    /// Signs a call without sending it. Runs it on the newest state first: a call that would revert is refused with
    /// the contract's error, and one the account cannot pay for is refused too.
    fn sign(
        &self,
        call: &Call,
        nonce: u64,
        fees: Fees,
    ) -> impl Future<Output = Result<SignedTx, ChainError>> + Send;
    /// Signs what `tx` does once more, under the same nonce for other fees; run first, as in [`Chain::sign`].
    fn sign_again(
        &self,
        tx: &SignedTx,
        fees: Fees,
    ) -> impl Future<Output = Result<SignedTx, ChainError>> + Send;
    /// Sends a signed transaction; sending it again is no error, whether it waits or is in a block. In the moment of
    /// its execution it may be told [`ChainError::NonceTaken`] by mistake: believe [`sender`] instead.
    /// [`ChainError::Underpriced`] is any refusal that a higher fee cures.
    fn broadcast(&self, tx: &SignedTx) -> impl Future<Output = Result<(), ChainError>> + Send;
    /// The receipt of a transaction, `None` while it is in no block.
    fn receipt(
        &self,
        tx: Hash,
    ) -> impl Future<Output = Result<Option<TxReceipt>, ChainError>> + Send;
}

/// The contract that a mined deployment created, checked to have code.
pub async fn created_contract<C: Chain>(
    chain: &C,
    receipt: &TxReceipt,
) -> Result<Address, ChainError> {
    let address = receipt.created.ok_or_else(|| ChainError::Malformed {
        what: "eth_getTransactionReceipt".into(),
        reason: format!("{} created no contract", receipt.tx),
    })?;
    match chain.code_hash(address).await? {
        Some(_) => Ok(address),
        None => Err(ChainError::NoCode { address }),
    }
}
