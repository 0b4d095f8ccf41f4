//! The port: what a node needs from a chain, and nothing else. Two adapters: [`ethers`] speaks JSON-RPC over HTTP,
//! [`fake`] runs the same rules in memory for tests.
//!
//! A transaction is signed first, written into the [`journal`], and only then broadcast: a node that dies in between
//! sends the same bytes again and never pays twice.

mod call;
pub mod ethers;
pub mod fake;
pub mod journal;

use std::{future::Future, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::call::{Call, ChainEvent, Registration, ShardProof};
pub use self::ethers::key;
use crate::{
    agreement::{Agreement, ModelFacts},
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
}

impl Model {
    /// What the rules of the agreement ask of it.
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            seller: self.seller,
            registered_block: self.registered_block,
            retires_at: self.retires_at,
            points: self.points,
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
    /// The bytes to broadcast.
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
        /// Name of the error, the same as in [`crate::agreement::RuleError`]; empty when it gives none.
        name: String,
        /// Its arguments.
        detail: String,
    },
    /// Executed in a block and reverted there.
    #[error("transaction {tx} was executed in block {number} and reverted")]
    Failed {
        /// The transaction.
        tx: Hash,
        /// Height of its block.
        number: u64,
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
    Key(#[from] key::KeyError),
    /// The journal could not be kept.
    #[error(transparent)]
    Journal(#[from] journal::JournalError),
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
    /// An agreement of the escrow, `None` when unknown.
    fn agreement(
        &self,
        id: AgreementId,
    ) -> impl Future<Output = Result<Option<Agreement>, ChainError>> + Send;
    /// What `account` may withdraw in `token`.
    fn credit(
        &self,
        account: Address,
        token: Address,
    ) -> impl Future<Output = Result<Amount, ChainError>> + Send;
    /// The escrow's registry; fails unless registry and escrow are deployed and belong together.
    fn check_contracts(&self) -> impl Future<Output = Result<(), ChainError>> + Send;

    /// The account's count of executed transactions: the next free nonce when nothing is under way.
    fn next_nonce(&self) -> impl Future<Output = Result<u64, ChainError>> + Send;
    /// Signs a call without sending it. Runs it on the newest state first: a call that would revert is refused with
    /// the contract's error, and one the account cannot pay for is refused too. With `replaces`, the fees are raised
    /// enough for the pool to take this one instead.
    fn sign(
        &self,
        call: &Call,
        nonce: u64,
        replaces: Option<&SignedTx>,
    ) -> impl Future<Output = Result<SignedTx, ChainError>> + Send;
    /// Sends a signed transaction; sending it again is no error, whether it waits or is in a block. In the moment of
    /// its execution it may be told [`ChainError::NonceTaken`] by mistake: believe [`journal::confirm`] instead.
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
