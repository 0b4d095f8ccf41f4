//! A chain in memory for tests: the pure rules behind the port, with a clock and weather of the test's choosing.
//!
//! Every broadcast makes a block at once unless the pool is held. No fees are taken and there are no tokens.

mod world;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::world::{block_hash, Refusal, Setting, World};
use super::{
    Block, Call, Chain, ChainError, ChainEvent, Contracts, Model, ShardProof, SignedTx, TxReceipt,
};
use crate::{
    agreement::{Agreement, Moment},
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

    /// Gives ether to an account, out of nothing, in the newest block.
    pub fn fund(&self, account: Address, amount: Amount) {
        self.lock()
            .newest_mut()
            .world
            .balances
            .insert(account, amount);
    }

    /// Lets time pass and makes a block.
    pub fn advance(&self, seconds: u64) {
        let mut shared = self.lock();
        shared.skipped += seconds;
        shared.mine(self.chain_id);
    }

    /// Keeps broadcasts in the pool until [`Self::release`].
    pub fn hold(&self) {
        self.lock().held = true;
    }

    /// Makes a block of what the pool holds, and blocks at once from now on.
    pub fn release(&self) {
        let mut shared = self.lock();
        shared.held = false;
        shared.mine(self.chain_id);
    }

    /// Empties the pool: what waited there is lost.
    pub fn drop_pool(&self) {
        self.lock().pool.clear();
    }

    /// Replaces the newest `depth` blocks by `depth + 1` others. Their transactions are back in the pool, and in the
    /// first of the new blocks unless the pool is held.
    pub fn reorganize(&self, depth: usize) {
        let mut shared = self.lock();
        let keep = shared.blocks.len().saturating_sub(depth);
        let undone: Vec<Mined> = shared.blocks.drain(keep..).collect();
        let returned = undone
            .into_iter()
            .flat_map(|mined| mined.transactions)
            .map(|(tx, _)| tx);
        let waiting = std::mem::take(&mut shared.pool);
        shared.pool = returned.chain(waiting).collect();
        for _ in 0..=depth {
            shared.mine(self.chain_id);
        }
    }

    /// The next request, whichever it is, ends in `error`; called again, the one after it too.
    pub fn fail_next(&self, error: ChainError) {
        self.lock().faults.push_back(error);
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
        for tx in waiting {
            let next = mined
                .world
                .counts
                .get(&tx.from)
                .copied()
                .unwrap_or_default();
            match tx.nonce.cmp(&next) {
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
            .and_then(|call: Call| world.execute(&call, self.setting(chain_id, tx.from, tx.nonce)));
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

    async fn agreement(&self, id: AgreementId) -> Result<Option<Agreement>, ChainError> {
        Ok(self.request()?.newest().world.agreements.get(&id).cloned())
    }

    async fn credit(&self, account: Address, token: Address) -> Result<Amount, ChainError> {
        Ok(self.request()?.newest().world.ledger.credit(account, token))
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
        let shared = self.request()?;
        Ok(shared
            .newest()
            .world
            .counts
            .get(&self.account)
            .copied()
            .unwrap_or_default())
    }

    async fn sign(
        &self,
        call: &Call,
        nonce: u64,
        replaces: Option<&SignedTx>,
    ) -> Result<SignedTx, ChainError> {
        let shared = self.request()?;
        let mut world = shared.newest().world.clone();
        world
            .execute(call, shared.setting(self.chain_id, self.account, nonce))
            .map_err(|Refusal { name, detail }| ChainError::Revert { name, detail })?;
        let max_fee = Amount(replaces.map_or(1, |tx| tx.max_fee.0 + 1));
        let raw = serde_json::to_vec(call).map_err(|e| ChainError::Malformed {
            what: "sign".into(),
            reason: e.to_string(),
        })?;
        let name = format!("{} {nonce} {max_fee} {}", self.account, hex::encode(&raw));
        Ok(SignedTx {
            hash: keccak(name.as_bytes()),
            from: self.account,
            nonce,
            max_fee,
            priority_fee: Amount(1),
            raw: Data(raw),
        })
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), ChainError> {
        let mut shared = self.request()?;
        if shared.receipts().any(|receipt| receipt.tx == tx.hash) || shared.pool.contains(tx) {
            return Ok(());
        }
        let executed = shared
            .newest()
            .world
            .counts
            .get(&tx.from)
            .copied()
            .unwrap_or_default();
        if tx.nonce < executed {
            let (nonce, tx) = (tx.nonce, tx.hash);
            return Err(ChainError::NonceTaken { nonce, tx });
        }
        shared
            .pool
            .retain(|other| other.from != tx.from || other.nonce != tx.nonce);
        shared.pool.push(tx.clone());
        if !shared.held {
            shared.mine(self.chain_id);
        }
        Ok(())
    }

    async fn receipt(&self, tx: Hash) -> Result<Option<TxReceipt>, ChainError> {
        let shared = self.request()?;
        let found = shared.receipts().find(|receipt| receipt.tx == tx).cloned();
        Ok(found)
    }
}
