//! The journal of one account's transactions: what was signed, for what purpose, under which nonce.
//!
//! The order is the safety: sign, record, save, broadcast. Whoever dies after saving finds the same bytes again, and
//! asks for the same purpose as often as it likes: a purpose is signed for once, so nothing is paid twice. This module
//! is the record; [`super::sender`] acts on it.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{SignedTx, TxReceipt};
use crate::value::{Address, Data, Hash};

/// Format of [`Journal`]. 1 had no version, no kinds of attempts and kept all bytes; it is still read.
const VERSION: u32 = 2;
/// Blocks past its own after which a transaction is taken to stay: until then it is kept, to be sent again when a
/// reorganization undoes its block, however deep it lay.
pub const KEPT: u64 = 64;

/// A journal that cannot be kept or was misused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    /// The node could not store it; nothing was sent.
    #[error("the journal could not be saved, so nothing was sent: {0}")]
    Save(String),
    /// Nothing was signed for this purpose.
    #[error("no transaction is recorded for {0:?}")]
    UnknownPurpose(String),
    /// The journal of another account.
    #[error("this is the journal of {expected}, not of {got}")]
    WrongAccount {
        /// The journal's account.
        expected: Address,
        /// The account that wants to use it.
        got: Address,
    },
    /// Written by a later release.
    #[error("the journal has version {found}, this build reads up to {VERSION}; use the release that wrote it")]
    Version {
        /// The version found.
        found: u32,
    },
}

/// One transaction signed for a purpose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// As it was signed; its bytes are dropped [`KEPT`] blocks past the block of one.
    #[serde(flatten)]
    pub tx: SignedTx,
    /// It does not do what was asked for: it sends nothing to oneself, so that the nonce is used.
    #[serde(default)]
    pub withdraws: bool,
    /// Height of the newest block when it was signed: before another block, no higher fee helps.
    #[serde(default)]
    pub head: u64,
}

/// A block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its height.
    pub number: u64,
    /// Which one, of all that may have been at that height.
    pub hash: Hash,
}

impl Place {
    /// Where a transaction was executed.
    pub fn of(receipt: &TxReceipt) -> Self {
        Self {
            number: receipt.number,
            hash: receipt.block,
        }
    }

    fn is_buried(&self, head: u64) -> bool {
        self.number.saturating_add(KEPT) <= head
    }
}

/// Everything signed for one purpose, all of it under the same nonce: at most one attempt is ever executed, and until
/// one is, any of them may be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is for, in the node's words: unique, the same after a restart ("accept 0x12...", "prove 0x12.../3").
    pub purpose: String,
    /// In the order of signing. Only the executed one once that is sure to stay.
    pub attempts: Vec<Attempt>,
    /// The one that was executed and did what was asked for, once it is deep enough.
    pub mined: Option<Hash>,
    /// Its block, while that may still be undone.
    #[serde(default)]
    pub block: Option<Place>,
    /// Another transaction was seen in its place: see [`super::ChainError::NonceTaken`].
    #[serde(default)]
    pub void: bool,
}

impl Entry {
    /// The nonce of all its attempts; `None` for an entry without one, which no sender makes.
    pub fn nonce(&self) -> Option<u64> {
        self.attempts.first().map(|attempt| attempt.tx.nonce)
    }

    /// Whether one of its transactions may still be executed, as far as is known.
    pub fn is_pending(&self) -> bool {
        self.mined.is_none() && !self.void
    }
}

/// The journal of one account. The node stores it (it is plain data) and hands it back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Journal {
    version: u32,
    account: Address,
    entries: Vec<Entry>,
    /// Nonces below are used, whatever a server that lags behind says.
    used: u64,
    /// Nonces used by what did nothing, whose purposes are forgotten, each with its block, while that may still be undone.
    spent: BTreeMap<u64, Place>,
}

/// A journal of any version.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    version: Option<u32>,
    account: Address,
    entries: Vec<Entry>,
    #[serde(default)]
    used: u64,
    #[serde(default)]
    spent: BTreeMap<u64, Place>,
}

impl TryFrom<Stored> for Journal {
    type Error = JournalError;

    fn try_from(stored: Stored) -> Result<Self, JournalError> {
        let found = stored.version.unwrap_or(1);
        if found > VERSION {
            return Err(JournalError::Version { found });
        }
        let mut journal = Self {
            version: VERSION,
            account: stored.account,
            entries: stored.entries,
            used: stored.used,
            spent: stored.spent,
        };
        for entry in &mut journal.entries {
            // Of before blocks were written down.
            if let (Some(mined), None) = (entry.mined, entry.block) {
                keep_only(entry, mined);
            }
        }
        Ok(journal)
    }
}

/// How long to wait for a transaction, and how deep it must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two looks.
    pub poll: Duration,
    /// Until a waiting transaction's fee is raised or its sender told, and as long again until it is deep enough.
    pub limit: Duration,
    /// Blocks on top of the transaction's own.
    pub depth: u64,
}

impl Default for Patience {
    /// 200 ms, two minutes, no depth.
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(200),
            limit: Duration::from_secs(120),
            depth: 0,
        }
    }
}

impl Journal {
    /// An empty journal.
    pub fn new(account: Address) -> Self {
        Self {
            version: VERSION,
            account,
            entries: Vec::new(),
            used: 0,
            spent: BTreeMap::new(),
        }
    }

    /// What was signed for a purpose. No entry: nothing was ever signed for it, or what was is known, as deep as was
    /// asked for, to have done nothing (it reverted, or was withdrawn). Only then has no money moved.
    pub fn entry(&self, purpose: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.purpose == purpose)
    }

    /// Everything that may still be executed, by nonce: what to look after before anything new is signed.
    pub fn pending(&self) -> Vec<&Entry> {
        let mut pending: Vec<&Entry> = self.entries.iter().filter(|e| e.is_pending()).collect();
        pending.sort_by_key(|entry| entry.nonce());
        pending
    }

    /// The nonce for the next purpose, given the chain's count.
    pub fn next_nonce(&self, executed: u64) -> u64 {
        let signed = self.entries.iter().filter_map(Entry::nonce);
        signed
            .map(|nonce| nonce.saturating_add(1))
            .fold(executed.max(self.used), u64::max)
    }

    /// Marks a purpose as done by this receipt; save afterwards.
    pub fn record_mined(&mut self, purpose: &str, receipt: &TxReceipt) -> Result<(), JournalError> {
        let entry = self.entry_mut(purpose)?;
        entry.mined = Some(receipt.tx);
        entry.block = Some(Place::of(receipt));
        entry.void = false;
        Ok(())
    }

    /// Drops what is no longer needed of transactions that lie [`KEPT`] blocks below the newest one, `head`; save
    /// afterwards.
    pub fn drop_buried(&mut self, head: u64) {
        for entry in &mut self.entries {
            let (Some(mined), Some(block)) = (entry.mined, entry.block) else {
                continue;
            };
            if block.is_buried(head) {
                entry.block = None;
                keep_only(entry, mined);
            }
        }
        self.spent.retain(|_, block| !block.is_buried(head));
    }

    /// Nonces from `next`, the account's next one, on that were used before, and the block of each: undone, if the chain
    /// has another block there.
    pub(super) fn unused(&self, next: u64) -> BTreeMap<u64, Place> {
        let done = self.entries.iter();
        let done = done.filter_map(|entry| Some((entry.nonce()?, entry.block?)));
        let open = |nonce| {
            let mut entries = self.entries.iter();
            entries.any(|entry| entry.nonce() == Some(nonce) && entry.block.is_none())
        };
        let spent = self.spent.iter().map(|(nonce, block)| (*nonce, *block));
        let used = spent.chain(done);
        used.filter(|(nonce, _)| *nonce >= next && !open(*nonce))
            .collect()
    }

    /// Takes for pending again what was done under this nonce; false where nothing was. Save afterwards.
    pub(super) fn reopen(&mut self, nonce: u64) -> bool {
        let mut entries = self.entries.iter_mut();
        let entry = entries.find(|entry| entry.nonce() == Some(nonce));
        entry.is_some_and(|entry| {
            (entry.mined, entry.block) = (None, None);
            true
        })
    }

    /// Marks whether another transaction seems to have taken the place of this purpose's; save afterwards.
    pub(super) fn set_void(&mut self, purpose: &str, void: bool) -> Result<(), JournalError> {
        self.entry_mut(purpose)?.void = void;
        Ok(())
    }

    /// Forgets a purpose, so that it may be signed for anew. Only when its nonce is used, as deep as was asked for,
    /// by what did nothing for it, in `block` if that is known. Save afterwards.
    pub fn forget(&mut self, purpose: &str, block: Option<Place>) {
        if let Some(nonce) = self.entry(purpose).and_then(Entry::nonce) {
            self.used = self.used.max(nonce.saturating_add(1));
            self.spent.extend(block.map(|block| (nonce, block)));
        }
        self.entries.retain(|entry| entry.purpose != purpose);
    }

    /// Adds an attempt; save before it is sent.
    pub(super) fn record(&mut self, purpose: &str, attempt: Attempt) {
        match self.entry_mut(purpose) {
            Ok(entry) => entry.attempts.push(attempt),
            Err(_) => self.entries.push(Entry {
                purpose: purpose.into(),
                attempts: vec![attempt],
                mined: None,
                block: None,
                void: false,
            }),
        }
    }

    fn entry_mut(&mut self, purpose: &str) -> Result<&mut Entry, JournalError> {
        self.entries
            .iter_mut()
            .find(|entry| entry.purpose == purpose)
            .ok_or_else(|| JournalError::UnknownPurpose(purpose.into()))
    }

    /// Fails for the journal of another account.
    pub(super) fn check_account(&self, got: Address) -> Result<(), JournalError> {
        let expected = self.account;
        if expected == got {
            Ok(())
        } else {
            Err(JournalError::WrongAccount { expected, got })
        }
    }
}

/// Nothing else under this nonce can be executed any more: its bytes and the other attempts are of no use.
fn keep_only(entry: &mut Entry, mined: Hash) {
    entry.attempts.retain(|attempt| attempt.tx.hash == mined);
    for attempt in &mut entry.attempts {
        attempt.tx.raw = Data(Vec::new());
    }
}
