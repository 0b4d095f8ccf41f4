//! A chain in memory for tests: the pure rules behind the port, with a clock and weather of the test's choosing.
//!
//! Every broadcast makes a block at once unless the pool is held. Fees decide what the pool and a block take, and are
//! not charged.

mod absent;
mod rounds;
mod weather;
mod world;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::world::{block_hash, Refusal, Setting, World};
use super::{
    fees::{Fees, Market},
    AgreementSummary, Block, Call, Chain, ChainError, ChainEvent, Contracts, Model, ShardProof,
    SignedTx, TxReceipt,
};
use crate::{
    deal::Moment,
    digest::keccak,
    value::{Address, AgreementId, Amount, Data, Hash, ModelId},
};

/// The fake chain, seen by one account. Clones share the chain.
#[derive(Clone)]
pub struct FakeChain {
    chain_id: u64,
    account: Address,
    contracts: Contracts,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    /// Each block with its transactions and the world after it; never empty.
    blocks: Vec<Mined>,
    genesis: Mined,
    pool: Vec<SignedTx>,
    held: bool,
    faults: VecDeque<ChainError>,
    /// Blocks ever made: no two get the same hash.
    salt: u64,
    /// Seconds to add to the next block's time.
    skipped: u64,
    /// The least a gas unit costs.
    base_fee: Amount,
    /// The server lags: it counts transactions and shows no receipts.
    receipts_hidden: bool,
    /// Receipts of blocks that are no longer of the chain, which the server still shows.
    orphans: Vec<TxReceipt>,
    judge: fn(&ShardProof) -> bool,
}

#[derive(Clone)]
struct Mined {
    block: Block,
    transactions: Vec<(SignedTx, TxReceipt)>,
    world: World,
}

impl FakeChain {
    /// A chain of one block at time `now`, whose verifiers say what `judge` says.
    pub fn new(chain_id: u64, now: u64, judge: fn(&ShardProof) -> bool) -> Self {
        let genesis = Mined {
            block: Block {
                number: 0,
                hash: block_hash(Hash::ZERO, 0, 0),
                parent: Hash::ZERO,
                time: now,
            },
            transactions: vec![],
            world: World::default(),
        };
        let shared = Shared {
            blocks: vec![],
            genesis,
            pool: vec![],
            held: false,
            faults: VecDeque::new(),
            salt: 0,
            skipped: 0,
            base_fee: Amount::ZERO,
            receipts_hidden: false,
            orphans: vec![],
            judge,
        };
        Self {
            chain_id,
            account: Address::ZERO,
            contracts: Contracts::default(),
            shared: Arc::new(Mutex::new(shared)),
        }
    }

    /// The same chain, seen by `account`.
    pub fn as_account(&self, account: Address) -> Self {
        Self {
            account,
            ..self.clone()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every request passes here: the place where faults are.
    fn request(&self) -> Result<MutexGuard<'_, Shared>, ChainError> {
        let mut shared = self.lock();
        match shared.faults.pop_front() {
            Some(error) => Err(error),
            None => Ok(shared),
        }
    }
}

impl Shared {
    fn newest(&self) -> &Mined {
        self.blocks.last().unwrap_or(&self.genesis)
    }

    fn newest_mut(&mut self) -> &mut Mined {
        self.blocks.last_mut().unwrap_or(&mut self.genesis)
    }

    fn find(&self, hash: Hash) -> Option<&Mined> {
        std::iter::once(&self.genesis)
            .chain(&self.blocks)
            .find(|mined| mined.block.hash == hash)
    }

    /// What the block at this height made of the world.
    fn world_at(&self, number: u64) -> &World {
        let mined = self.blocks.iter().find(|m| m.block.number == number);
        &mined.unwrap_or(&self.genesis).world
    }

    fn receipts(&self) -> impl Iterator<Item = &TxReceipt> {
        self.blocks
            .iter()
            .flat_map(|mined| mined.transactions.iter().map(|(_, receipt)| receipt))
    }

    fn next_moment(&self) -> Moment {
        let newest = self.newest().block;
        Moment {
            block: newest.number + 1,
            time: newest.time + self.skipped.max(1),
        }
    }

    fn setting(&self, chain_id: u64, by: Address, nonce: u64) -> Setting {
        Setting {
            chain_id,
            by,
            nonce,
            now: self.next_moment(),
            judge: self.judge,
        }
    }

    /// The hashes of the newest blocks, by height.
    fn hashes(&self) -> BTreeMap<u64, Hash> {
        std::iter::once(&self.genesis)
            .chain(&self.blocks)
            .map(|mined| (mined.block.number, mined.block.hash))
            .collect()
    }

    /// Makes a block of everything in the pool whose turn it is; the rest waits.
    fn mine(&mut self, chain_id: u64) {
        self.salt += 1;
        let Moment {
            block: number,
            time,
        } = self.next_moment();
        let parent = self.newest().block.hash;
        let hash = block_hash(parent, number, self.salt);
        let mut mined = Mined {
            block: Block {
                number,
                hash,
                parent,
                time,
            },
            transactions: vec![],
            world: self.newest().world.clone(),
        };
        let mut waiting = if self.held {
            vec![]
        } else {
            std::mem::take(&mut self.pool)
        };
        waiting.sort_by_key(|tx| tx.nonce);
        let (waiting, cheap): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|tx| tx.max_fee >= self.base_fee);
        self.pool.extend(cheap);
        for tx in waiting {
            match tx.nonce.cmp(&mined.world.count(tx.from)) {
                std::cmp::Ordering::Less => continue,
                std::cmp::Ordering::Greater => self.pool.push(tx),
                std::cmp::Ordering::Equal => {
                    let receipt = self.execute(chain_id, &tx, &mut mined);
                    mined.transactions.push((tx, receipt));
                }
            }
        }
        self.skipped = 0;
        self.blocks.push(mined);
    }

    fn execute(&self, chain_id: u64, tx: &SignedTx, mined: &mut Mined) -> TxReceipt {
        let mut world = mined.world.clone();
        let done = serde_json::from_slice(&tx.raw.0)
            .map_err(|_| Refusal {
                name: String::new(),
                detail: "not a call".into(),
            })
            .and_then(|call: Call| {
                world.execute(
                    &call,
                    self.setting(chain_id, tx.from, tx.nonce),
                    &self.hashes(),
                )
            });
        let succeeded = done.is_ok();
        if succeeded {
            mined.world = world;
        }
        mined.world.counts.insert(tx.from, tx.nonce + 1);
        let (created, events) = done.unwrap_or_default();
        TxReceipt {
            tx: tx.hash,
            block: mined.block.hash,
            number: mined.block.number,
            succeeded,
            gas: 21_000,
            created,
            events,
        }
    }
}

impl Chain for FakeChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn account(&self) -> Address {
        self.account
    }

    fn contracts(&self) -> Contracts {
        self.contracts
    }

    fn with_contracts(&self, contracts: Contracts) -> Self {
        Self {
            contracts,
            ..self.clone()
        }
    }

    async fn head(&self) -> Result<Block, ChainError> {
        Ok(self.request()?.newest().block)
    }

    async fn block(&self, hash: Hash) -> Result<Option<Block>, ChainError> {
        Ok(self.request()?.find(hash).map(|mined| mined.block))
    }

    async fn block_at(&self, number: u64) -> Result<Option<Block>, ChainError> {
        let shared = self.request()?;
        let mut blocks = std::iter::once(&shared.genesis).chain(&shared.blocks);
        Ok(blocks
            .find(|mined| mined.block.number == number)
            .map(|mined| mined.block))
    }

    async fn events(&self, block: Hash) -> Result<Vec<ChainEvent>, ChainError> {
        let shared = self.request()?;
        let mined = shared.find(block).ok_or_else(|| ChainError::Malformed {
            what: "events".into(),
            reason: format!("there is no block {block}"),
        })?;
        let receipts = mined.transactions.iter().map(|(_, receipt)| receipt);
        Ok(receipts
            .flat_map(|receipt| receipt.events.clone())
            .collect())
    }

    async fn balance(&self, account: Address) -> Result<Amount, ChainError> {
        Ok(self.request()?.newest().world.balance(account))
    }

    async fn code_hash(&self, account: Address) -> Result<Option<Hash>, ChainError> {
        Ok(self.request()?.newest().world.code.get(&account).copied())
    }

    async fn model(&self, id: ModelId) -> Result<Option<Model>, ChainError> {
        Ok(self.request()?.newest().world.models.get(&id).cloned())
    }

    async fn agreement_at_depth(
        &self,
        id: AgreementId,
        depth: u64,
    ) -> Result<Option<AgreementSummary>, ChainError> {
        let shared = self.request()?;
        let number = shared.newest().block.number.saturating_sub(depth);
        let agreement = shared.world_at(number).agreements.get(&id);
        Ok(agreement.map(AgreementSummary::from))
    }

    async fn is_proven(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let shared = self.request()?;
        let agreement = shared.newest().world.agreements.get(&id);
        Ok(agreement.is_some_and(|agreement| agreement.proven.contains(&index)))
    }

    async fn is_contested(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let shared = self.request()?;
        let agreement = shared.newest().world.agreements.get(&id);
        Ok(agreement.is_some_and(|agreement| agreement.contested.contains(&index)))
    }

    async fn credit(&self, account: Address, token: Address) -> Result<Amount, ChainError> {
        Ok(self.request()?.newest().world.ledger.credit(account, token))
    }

    async fn allowance(&self, token: Address, owner: Address) -> Result<Amount, ChainError> {
        let shared = self.request()?;
        let allowed = shared.newest().world.allowance(token, owner);
        allowed.ok_or(ChainError::NoCode { address: token })
    }

    async fn check_contracts(&self) -> Result<(), ChainError> {
        let shared = self.request()?;
        let code = &shared.newest().world.code;
        for address in [self.contracts.registry, self.contracts.escrow] {
            if !code.contains_key(&address) {
                return Err(ChainError::NoCode { address });
            }
        }
        Ok(())
    }

    async fn next_nonce(&self) -> Result<u64, ChainError> {
        Ok(self.request()?.newest().world.count(self.account))
    }

    async fn count_at(&self, number: u64) -> Result<u64, ChainError> {
        let shared = self.request()?;
        Ok(shared.world_at(number).count(self.account))
    }

    async fn market(&self) -> Result<Market, ChainError> {
        let shared = self.request()?;
        Ok(Market {
            block: shared.newest().block.number,
            base: shared.base_fee,
            tip: Amount(1),
        })
    }

    async fn sign(&self, call: &Call, nonce: u64, fees: Fees) -> Result<SignedTx, ChainError> {
        let shared = self.request()?;
        let mut world = shared.newest().world.clone();
        world
            .execute(
                call,
                shared.setting(self.chain_id, self.account, nonce),
                &shared.hashes(),
            )
            .map_err(|Refusal { name, detail }| ChainError::Revert { name, detail })?;
        let raw = serde_json::to_vec(call).map_err(|e| ChainError::Malformed {
            what: "sign".into(),
            reason: e.to_string(),
        })?;
        let Fees { max, tip } = fees;
        let name = format!("{} {nonce} {max} {tip} {}", self.account, hex::encode(&raw));
        Ok(SignedTx {
            hash: keccak(name.as_bytes()),
            from: self.account,
            nonce,
            max_fee: max,
            priority_fee: tip,
            raw: Data(raw),
        })
    }

    async fn sign_again(&self, tx: &SignedTx, fees: Fees) -> Result<SignedTx, ChainError> {
        let call: Call = serde_json::from_slice(&tx.raw.0).map_err(|e| ChainError::Malformed {
            what: "sign_again".into(),
            reason: e.to_string(),
        })?;
        self.sign(&call, tx.nonce, fees).await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), ChainError> {
        let mut shared = self.request()?;
        if shared.receipts().any(|receipt| receipt.tx == tx.hash) || shared.pool.contains(tx) {
            return Ok(());
        }
        if tx.nonce < shared.newest().world.count(tx.from) {
            let (nonce, tx) = (tx.nonce, tx.hash);
            return Err(ChainError::NonceTaken { nonce, tx });
        }
        let rivals = |other: &SignedTx| other.from == tx.from && other.nonce == tx.nonce;
        // A replacement offers a tenth more on both.
        let beaten = |old: Amount, new: Amount| new.0 * 10 < old.0 * 11;
        let outbid = shared.pool.iter().filter(|other| rivals(other)).any(|old| {
            beaten(old.max_fee, tx.max_fee) || beaten(old.priority_fee, tx.priority_fee)
        });
        if outbid || tx.max_fee < shared.base_fee {
            return Err(ChainError::Underpriced { tx: tx.hash });
        }
        shared.pool.retain(|other| !rivals(other));
        shared.pool.push(tx.clone());
        if !shared.held {
            shared.mine(self.chain_id);
        }
        Ok(())
    }

    async fn receipt(&self, tx: Hash) -> Result<Option<TxReceipt>, ChainError> {
        let shared = self.request()?;
        if shared.receipts_hidden {
            return Ok(None);
        }
        let mut shown = shared.orphans.iter().chain(shared.receipts());
        Ok(shown.find(|receipt| receipt.tx == tx).cloned())
    }
}
