//! Sends one account's transactions, each once, and sees them through.
//!
//! ```text
//! sign -> record -> save -> broadcast -> in a block -> deep enough: done (or reverted: forgotten)
//!                              ^   |
//!                              |   | too slow, or refused for its fee: the same call for a higher fee
//!                              +---+ would revert now: a transfer of nothing ("withdrawn")
//! ```
//! All attempts for one purpose have one nonce, so the chain executes at most one. Which one is for the chain to say:
//! every attempt is watched until one lies as deep as was asked for, and nothing is signed anew before. Before a new
//! purpose is signed for, whatever waits with a lower nonce is brought into a block or withdrawn: behind a gap
//! nothing would ever be executed.

mod drive;

use super::{
    fees::FEE_CEILING,
    journal::{Attempt, Entry, Journal, JournalError, Patience, Place},
    Call, Chain, ChainError, Contracts, Order, SignedTx, TxReceipt,
};

/// Sends for one account, with its chain and its journal. `save` stores the journal for good; it is called before
/// anything leaves this machine.
pub struct Sender<'a, C, S> {
    chain: &'a C,
    journal: &'a mut Journal,
    save: S,
    patience: Patience,
    ceiling: u64,
}

/// How far to see a transaction through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    /// Its nonce is used, so that the next one may be.
    Used,
    /// Deep enough to be believed.
    Deep,
}

/// What one look at the chain says of an entry.
enum Look {
    /// In a block of the chain.
    Executed(Execution),
    /// The nonce is used and no attempt is in a block, as far as this server shows. `buried`: used at the depth that
    /// is believed, too.
    Gone { buried: bool },
    /// The nonce is not used; `next` is the account's next one.
    Waiting { next: u64 },
}

/// The attempt that was executed.
struct Execution {
    receipt: TxReceipt,
    withdraws: bool,
    head: u64,
    deep: bool,
}

impl<'a, C: Chain, S: FnMut(&Journal) -> Result<(), String>> Sender<'a, C, S> {
    /// Sends on `chain` what `journal` keeps, with the usual ceiling of fees.
    pub fn new(chain: &'a C, journal: &'a mut Journal, patience: Patience, save: S) -> Self {
        Self {
            chain,
            journal,
            save,
            patience,
            ceiling: FEE_CEILING,
        }
    }

    /// Another ceiling: the highest offer as a multiple of the current base fee and tip (see [`FEE_CEILING`]).
    pub fn with_fee_ceiling(self, ceiling: u64) -> Self {
        Self { ceiling, ..self }
    }

    /// Sends `call` for `purpose`, once, and waits until it is deep enough. A purpose already in the journal is seen
    /// through as it was signed, whatever `call` says now.
    ///
    /// [`ChainError::Revert`], [`ChainError::InsufficientFunds`] and [`ChainError::NoCode`] are said only of a call
    /// for which nothing was signed. After [`ChainError::Failed`], [`ChainError::Withdrawn`] and
    /// [`ChainError::NonceTaken`] the purpose may be asked for again and is signed for anew. After any other error it
    /// may still be executed: asked for again, it is waited for again.
    pub async fn execute(&mut self, purpose: &str, call: &Call) -> Result<TxReceipt, ChainError> {
        self.clear_the_way(Some(purpose)).await?;
        let fresh = !self.take_up(purpose).await?;
        if fresh {
            self.sign(self.chain, purpose, call).await?;
        }
        self.see_through(purpose, fresh).await
    }

    /// Sends calls that do not wait for each other, of one contract or of several, all of them before any is waited for: one block
    /// may take them all. What each came to, in their order, as [`Sender::execute`] says it; the first of which that stays
    /// open is the last that is told of. What is not told of may still be executed: asked for again, it is waited for again.
    pub async fn execute_all(
        &mut self,
        orders: &[Order],
    ) -> Result<Vec<Result<TxReceipt, ChainError>>, ChainError> {
        self.clear_the_way(None).await?;
        let mut signed = vec![];
        for order in orders {
            let purpose = &order.purpose;
            let fresh = match self.take_up(purpose).await? {
                true => Ok(false),
                false => {
                    let chain = self.chain.with_contracts(Contracts {
                        escrow: order.contract,
                        ..self.chain.contracts()
                    });
                    self.sign(&chain, purpose, &order.call).await.map(|()| true)
                }
            };
            if let Ok(true) = fresh {
                // What the pool does not take is sent again when it is waited for.
                let last = self.entry(purpose)?.attempts.last();
                if let Some(tx) = last.map(|last| last.tx.clone()) {
                    self.broadcast(&tx).await?;
                }
            }
            signed.push(fresh);
        }
        let mut outcomes = vec![];
        for (fresh, Order { purpose, .. }) in signed.into_iter().zip(orders) {
            let outcome = match fresh {
                Ok(fresh) => self.see_through(purpose, fresh).await,
                Err(refusal) => Err(refusal),
            };
            let stays_open = self.journal.entry(purpose).is_some_and(Entry::is_pending);
            outcomes.push(outcome);
            if stays_open {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Finds what a reorganization deeper than was asked for has undone, `next` being the account's next nonce: it waits
    /// again. Where it did nothing, a transfer of nothing takes its place: its purpose may have been signed for anew.
    async fn take_back(&mut self, next: u64) -> Result<(), ChainError> {
        for (nonce, was) in self.journal.unused(next) {
            let block = self.chain.block_at(was.number).await?;
            // A server that lags behind has no block there yet.
            if block.is_none_or(|block| block.hash == was.hash) {
                continue;
            }
            if self.journal.reopen(nonce) {
                self.save()?;
                continue;
            }
            let purpose = format!("nothing under nonce {nonce}");
            let market = self.chain.market().await?;
            let signed = self.chain.sign(&Call::Nothing, nonce, market.first()).await;
            let tx = signed.map_err(|reason| ChainError::Stuck {
                purpose: purpose.clone(),
                reason: Box::new(reason),
            })?;
            self.record(&purpose, tx, true, market.block)?;
        }
        Ok(())
    }

    /// Signs for a purpose under the next nonce, and writes it down.
    async fn sign(&mut self, chain: &C, purpose: &str, call: &Call) -> Result<(), ChainError> {
        let executed = chain.next_nonce().await?;
        let nonce = self.journal.next_nonce(executed);
        let market = chain.market().await?;
        let tx = chain.sign(call, nonce, market.first()).await?;
        self.record(purpose, tx, false, market.block)
    }

    /// Waits until what was signed for a purpose is deep enough.
    async fn see_through(&mut self, purpose: &str, fresh: bool) -> Result<TxReceipt, ChainError> {
        let execution = match self.drive(purpose, Goal::Deep, fresh).await {
            Err(error @ ChainError::NonceTaken { .. }) => {
                self.journal.set_void(purpose, true)?;
                self.save()?;
                return Err(error);
            }
            outcome => outcome?.ok_or_else(|| JournalError::UnknownPurpose(purpose.into()))?,
        };
        self.settle(purpose, &execution)?;
        let receipt = execution.receipt;
        let (tx, number) = (receipt.tx, receipt.number);
        if execution.withdraws {
            let purpose = purpose.into();
            return Err(ChainError::Withdrawn {
                purpose,
                tx,
                number,
            });
        }
        if receipt.succeeded {
            Ok(receipt)
        } else {
            Err(ChainError::Failed { tx, number })
        }
    }

    /// Settles what is decided, and brings whatever waits before `purpose` (before anything new: `None`) into a block:
    /// as it was signed, or withdrawn where it would revert now.
    pub async fn clear_the_way(&mut self, purpose: Option<&str>) -> Result<(), ChainError> {
        self.journal.check_account(self.chain.account())?;
        let executed = self.chain.next_nonce().await?;
        self.take_back(executed).await?;
        let pending: Vec<Entry> = self.journal.pending().into_iter().cloned().collect();
        let own = pending
            .iter()
            .find(|entry| Some(entry.purpose.as_str()) == purpose)
            .and_then(Entry::nonce)
            .unwrap_or(u64::MAX);
        for entry in pending {
            let nonce = entry.nonce().unwrap_or_default();
            if nonce < executed {
                if let Look::Executed(execution) = self.look(&entry).await? {
                    if execution.deep {
                        self.settle(&entry.purpose, &execution)?;
                    }
                }
            } else if nonce < own {
                self.drive(&entry.purpose, Goal::Used, false).await?;
            }
        }
        Ok(())
    }

    /// Whether a transaction for `purpose` is in the journal and to be waited for. One that seemed to be void is
    /// compared with the chain once more before it is given up.
    async fn take_up(&mut self, purpose: &str) -> Result<bool, ChainError> {
        let Some(entry) = self.journal.entry(purpose).cloned() else {
            return Ok(false);
        };
        if !entry.void {
            return Ok(true);
        }
        if let Look::Gone { buried: true } = self.look(&entry).await? {
            self.journal.forget(purpose, None);
            return Ok(false);
        }
        self.journal.set_void(purpose, false)?;
        self.save()?;
        Ok(true)
    }

    async fn look(&self, entry: &Entry) -> Result<Look, ChainError> {
        // The count is read before the receipts: a transaction executed in between then has its receipt.
        let next = self.chain.next_nonce().await?;
        let depth = self.patience.depth;
        for Attempt { tx, withdraws, .. } in &entry.attempts {
            let Some(receipt) = self.chain.receipt(tx.hash).await? else {
                continue;
            };
            let head = self.chain.head().await?.number;
            let block = self.chain.block_at(receipt.number).await?;
            // A server may still show the receipt of a block that is no longer of the chain.
            if block.is_some_and(|block| block.hash == receipt.block) {
                return Ok(Look::Executed(Execution {
                    deep: head >= receipt.number.saturating_add(depth),
                    withdraws: *withdraws,
                    receipt,
                    head,
                }));
            }
        }
        match entry.nonce() {
            Some(nonce) if nonce < next => {
                let head = self.chain.head().await?.number;
                let buried = self.chain.count_at(head.saturating_sub(depth)).await?;
                Ok(Look::Gone {
                    buried: nonce < buried,
                })
            }
            _ => Ok(Look::Waiting { next }),
        }
    }

    /// Why the pool does not take it, if it says so. Whether the nonce is used by this entry or another is for
    /// [`Sender::look`] to say, with patience.
    async fn broadcast(&self, tx: &SignedTx) -> Result<Option<ChainError>, ChainError> {
        match self.chain.broadcast(tx).await {
            Ok(()) | Err(ChainError::NonceTaken { .. }) => Ok(None),
            Err(refusal @ (ChainError::Underpriced { .. } | ChainError::Rpc { .. })) => {
                Ok(Some(refusal))
            }
            Err(error) => Err(error),
        }
    }

    /// Writes down what an execution that is deep enough decided.
    fn settle(&mut self, purpose: &str, execution: &Execution) -> Result<(), ChainError> {
        let receipt = &execution.receipt;
        let entry = self.entry(purpose)?;
        if execution.withdraws || !receipt.succeeded {
            self.journal.forget(purpose, Some(Place::of(receipt)));
        } else if entry.mined.is_none()
            || entry.block.is_some_and(|block| block != Place::of(receipt))
        {
            self.journal.record_mined(purpose, receipt)?;
        } else {
            return Ok(());
        }
        self.journal.drop_buried(execution.head);
        self.save()
    }

    /// Records and saves an attempt; where that fails it is as if it had never been signed.
    fn record(
        &mut self,
        purpose: &str,
        tx: SignedTx,
        withdraws: bool,
        head: u64,
    ) -> Result<(), ChainError> {
        let before = self.journal.clone();
        let attempt = Attempt {
            tx,
            withdraws,
            head,
        };
        self.journal.record(purpose, attempt);
        self.save().inspect_err(|_| *self.journal = before)
    }

    fn save(&mut self) -> Result<(), ChainError> {
        (self.save)(self.journal).map_err(|reason| JournalError::Save(reason).into())
    }

    fn entry(&self, purpose: &str) -> Result<&Entry, JournalError> {
        let unknown = || JournalError::UnknownPurpose(purpose.into());
        self.journal.entry(purpose).ok_or_else(unknown)
    }
}
