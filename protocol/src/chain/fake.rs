//! A chain in memory for tests: the pure rules behind the port, with a clock and weather of the test's choosing.
//!
//! Every broadcast makes a block at once unless the pool is held. Fees decide what the pool and a block take, and are
//! not charged.

mod absent;
mod port;
mod rounds;
mod weather;
mod world;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use self::world::{block_hash, Refusal, Setting, World};
use super::{Block, Call, ChainError, Contracts, ShardProof, SignedTx, TxReceipt};
use crate::{
    deal::Moment,
    value::{Address, Amount, Hash},
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
