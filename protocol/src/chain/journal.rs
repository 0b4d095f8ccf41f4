//! The journal of one account's transactions: what was signed, for what purpose, under which nonce.
//!
//! The order is the safety: sign, record, save, broadcast. Whoever dies after saving finds the same bytes again, and
//! asks for the same purpose as often as it likes: a purpose is signed for once, so nothing is paid twice.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Call, Chain, ChainError, SignedTx, TxReceipt};
use crate::value::{Address, Hash};

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
}

/// Everything signed for one purpose: one transaction, or more under the same nonce when its fee was raised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What it is for, in the node's words: unique, the same after a restart ("accept 0x12...", "prove 0x12.../3").
    pub purpose: String,
    /// In the order of signing; at most one of them is ever executed.
    pub attempts: Vec<SignedTx>,
    /// The one that was, once it is deep enough.
    pub mined: Option<Hash>,
}

/// The journal of one account. The node stores it (it is plain data) and hands it back after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    account: Address,
    entries: Vec<Entry>,
}

/// How long to wait for a transaction, and how deep it must lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Between two looks.
    pub poll: Duration,
    /// In all.
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
            account,
            entries: Vec::new(),
        }
    }

    /// What was signed for a purpose.
    pub fn entry(&self, purpose: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.purpose == purpose)
    }

    /// Everything not known to be in a block: what to send again after a restart.
    pub fn pending(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.mined.is_none())
    }

    /// The nonce for the next purpose, given the chain's count.
    pub fn next_nonce(&self, executed: u64) -> u64 {
        let signed = self.entries.iter().flat_map(|entry| &entry.attempts);
        signed
            .map(|tx| tx.nonce.saturating_add(1))
            .fold(executed, u64::max)
    }

    /// Marks a purpose as done by this receipt; save afterwards.
    pub fn record_mined(&mut self, purpose: &str, receipt: &TxReceipt) -> Result<(), JournalError> {
        self.entry_mut(purpose)?.mined = Some(receipt.tx);
        Ok(())
    }

    /// Forgets a purpose, so that it may be signed for anew. Only after [`ChainError::NonceTaken`] or
    /// [`ChainError::Failed`]: the recorded transaction can then no longer do what it was for. Save afterwards.
    pub fn forget(&mut self, purpose: &str) {
        self.entries.retain(|entry| entry.purpose != purpose);
    }

    fn record(&mut self, purpose: &str, tx: SignedTx) {
        match self
            .entries
            .iter_mut()
            .find(|entry| entry.purpose == purpose)
        {
            Some(entry) => entry.attempts.push(tx),
            None => self.entries.push(Entry {
                purpose: purpose.into(),
                attempts: vec![tx],
                mined: None,
            }),
        }
    }

    fn entry_mut(&mut self, purpose: &str) -> Result<&mut Entry, JournalError> {
        self.entries
            .iter_mut()
            .find(|entry| entry.purpose == purpose)
            .ok_or_else(|| JournalError::UnknownPurpose(purpose.into()))
    }

    fn check_account(&self, got: Address) -> Result<(), JournalError> {
        let expected = self.account;
        if expected == got {
            Ok(())
        } else {
            Err(JournalError::WrongAccount { expected, got })
        }
    }
}

/// Sends `call` for `purpose`, once. A purpose already in the journal is sent again as it was signed, whatever `call`
/// says now. `save` stores the journal for good and is called before anything leaves this machine.
pub async fn submit<C: Chain>(
    chain: &C,
    journal: &mut Journal,
    purpose: &str,
    call: &Call,
    save: impl FnOnce(&Journal) -> Result<(), String>,
) -> Result<Entry, ChainError> {
    journal.check_account(chain.account())?;
    if let Some(entry) = journal.entry(purpose) {
        resend(chain, entry).await?;
        return Ok(entry.clone());
    }
    let nonce = journal.next_nonce(chain.next_nonce().await?);
    let tx = chain.sign(call, nonce, None).await?;
    send(chain, journal, purpose, tx, save).await
}

/// Signs `call` again under the nonce of `purpose` with a higher fee, and sends it: for a transaction that waits too
/// long. Either of the two is executed, never both.
pub async fn replace<C: Chain>(
    chain: &C,
    journal: &mut Journal,
    purpose: &str,
    call: &Call,
    save: impl FnOnce(&Journal) -> Result<(), String>,
) -> Result<Entry, ChainError> {
    journal.check_account(chain.account())?;
    let unknown = || JournalError::UnknownPurpose(purpose.into());
    let entry = journal.entry(purpose).ok_or_else(unknown)?;
    let last = entry.attempts.last().ok_or_else(unknown)?;
    let tx = chain.sign(call, last.nonce, Some(last)).await?;
    send(chain, journal, purpose, tx, save).await
}

async fn send<C: Chain>(
    chain: &C,
    journal: &mut Journal,
    purpose: &str,
    tx: SignedTx,
    save: impl FnOnce(&Journal) -> Result<(), String>,
) -> Result<Entry, ChainError> {
    let before = journal.clone();
    journal.record(purpose, tx.clone());
    if let Err(reason) = save(journal) {
        *journal = before;
        return Err(JournalError::Save(reason).into());
    }
    chain.broadcast(&tx).await?;
    Ok(journal.entry_mut(purpose)?.clone())
}

/// Sends the last attempt of an entry again, unless it is known to be in a block.
pub async fn resend<C: Chain>(chain: &C, entry: &Entry) -> Result<(), ChainError> {
    match (entry.mined, entry.attempts.last()) {
        // Whether it was this entry or another that used the nonce is for `confirm` to say, with patience.
        (None, Some(tx)) => match chain.broadcast(tx).await {
            Err(ChainError::NonceTaken { .. }) => Ok(()),
            outcome => outcome,
        },
        _ => Ok(()),
    }
}

/// Looks between two broadcasts of a transaction that is still in no block: a pool may have lost it.
const LOOKS_A_RESEND: u32 = 25;

/// Looks in a row that must find the nonce used and no receipt: servers count a transaction a moment before they show
/// its receipt, and calling a paid transaction void would invite paying it again.
const LOOKS_TO_BE_VOID: u32 = 10;

/// Waits until one attempt of the entry is in a block and deep enough. [`ChainError::Failed`] when it reverted there,
/// [`ChainError::NonceTaken`] when another transaction took its place.
pub async fn confirm<C: Chain>(
    chain: &C,
    entry: &Entry,
    patience: Patience,
) -> Result<TxReceipt, ChainError> {
    let deadline = tokio::time::Instant::now() + patience.limit;
    let mut void_looks = 0;
    for look in 1u32.. {
        match look_up(chain, entry).await? {
            Look::Mined(receipt) if !receipt.succeeded => {
                let TxReceipt { tx, number, .. } = receipt;
                return Err(ChainError::Failed { tx, number });
            }
            Look::Mined(receipt) => {
                void_looks = 0;
                if chain.head().await?.number >= receipt.number.saturating_add(patience.depth) {
                    return Ok(receipt);
                }
            }
            Look::Waiting => {
                void_looks = 0;
                if look % LOOKS_A_RESEND == 0 {
                    resend(chain, entry).await?;
                }
            }
            Look::Void(error) => {
                void_looks += 1;
                if void_looks == LOOKS_TO_BE_VOID {
                    return Err(error);
                }
            }
        }
        if tokio::time::Instant::now() + patience.poll > deadline {
            break;
        }
        tokio::time::sleep(patience.poll).await;
    }
    Err(ChainError::Timeout {
        what: format!("the transaction for {:?}", entry.purpose),
        after: patience.limit,
    })
}

/// What one look at the chain says of an entry.
enum Look {
    Mined(TxReceipt),
    Waiting,
    Void(ChainError),
}

async fn look_up<C: Chain>(chain: &C, entry: &Entry) -> Result<Look, ChainError> {
    // The count is read before the receipts: a transaction executed in between then has its receipt.
    let executed = chain.next_nonce().await?;
    for tx in &entry.attempts {
        if let Some(receipt) = chain.receipt(tx.hash).await? {
            return Ok(Look::Mined(receipt));
        }
    }
    Ok(match entry.attempts.last() {
        Some(tx) if tx.nonce < executed => Look::Void(ChainError::NonceTaken {
            nonce: tx.nonce,
            tx: tx.hash,
        }),
        _ => Look::Waiting,
    })
}
