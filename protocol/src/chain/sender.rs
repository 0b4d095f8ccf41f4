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

use std::time::Duration;

use tokio::time::Instant;

use super::{
    fees::FEE_CEILING,
    journal::{Attempt, Entry, Journal, JournalError, Patience},
    Call, Chain, ChainError, SignedTx, TxReceipt,
};

/// How often a waiting transaction's fee is raised before its sender is told.
const RAISES: u32 = 3;

/// Looks between two broadcasts of a transaction that is still in no block: a pool may have lost it.
const LOOKS_A_RESEND: u32 = 25;

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

/// How a wait is going.
struct Wait {
    /// Since the last change for the better.
    since: Instant,
    looks: u32,
    raises: u32,
    executed: bool,
    /// Since when the nonce is used, at depth, by something else.
    gone: Option<Instant>,
    /// Why the pool does not take it, or why no better attempt can be made.
    refusal: Option<ChainError>,
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
            let executed = self.chain.next_nonce().await?;
            let nonce = self.journal.next_nonce(executed);
            let market = self.chain.market().await?;
            let tx = self.chain.sign(call, nonce, market.first()).await?;
            self.record(purpose, tx, false, market.block)?;
        }
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
            self.journal.forget(purpose);
            return Ok(false);
        }
        self.journal.set_void(purpose, false)?;
        self.save()?;
        Ok(true)
    }

    /// Waits until the purpose's nonce is used, or the execution deep enough; helps where that is slow.
    async fn drive(
        &mut self,
        purpose: &str,
        goal: Goal,
        fresh: bool,
    ) -> Result<Option<Execution>, ChainError> {
        let mut wait = Wait::new();
        if !fresh {
            self.withdraw_if_unwanted(purpose, goal, &mut wait).await?;
        }
        loop {
            let entry = self.entry(purpose)?.clone();
            match self.look(&entry).await? {
                Look::Executed(execution) if execution.deep || goal == Goal::Used => {
                    return Ok(Some(execution));
                }
                Look::Executed(execution) => {
                    wait.becomes(true);
                    if wait.is_over(self.patience.limit) {
                        return Err(ChainError::NotDeep {
                            tx: execution.receipt.tx,
                            number: execution.receipt.number,
                            head: execution.head,
                            depth: self.patience.depth,
                            after: self.patience.limit,
                        });
                    }
                }
                Look::Gone { .. } if goal == Goal::Used => return Ok(None),
                Look::Gone { buried } => self.wait_for_receipt(&entry, buried, &mut wait)?,
                Look::Waiting { next } => self.help(&entry, next, &mut wait).await?,
            }
            tokio::time::sleep(self.patience.poll).await;
        }
    }

    /// The nonce is used and no receipt is shown. Servers behind one address may count a transaction long before they
    /// show its receipt, and calling a paid transaction void would pay it again: so the nonce must be used at the
    /// depth that is believed, and no receipt be shown during half of the limit.
    fn wait_for_receipt(
        &self,
        entry: &Entry,
        buried: bool,
        wait: &mut Wait,
    ) -> Result<(), ChainError> {
        // What once lay deep was executed, even where its receipt is no longer kept.
        if buried && entry.mined.is_none() {
            let since = *wait.gone.get_or_insert_with(Instant::now);
            if since.elapsed() >= self.patience.limit / 2 {
                if let Some(Attempt { tx, .. }) = entry.attempts.last() {
                    let (nonce, tx) = (tx.nonce, tx.hash);
                    return Err(ChainError::NonceTaken { nonce, tx });
                }
            }
        } else {
            wait.gone = None;
        }
        if wait.is_over(self.patience.limit) {
            return Err(self.not_mined(entry));
        }
        Ok(())
    }

    /// Sends what waits again, and for a higher fee where that may help: it is the account's next, it was refused for
    /// its fee or waits too long, and there was a block since, so that somebody passed it over.
    async fn help(&mut self, entry: &Entry, next: u64, wait: &mut Wait) -> Result<(), ChainError> {
        wait.becomes(false);
        let late = wait.is_over(self.patience.limit);
        let Some(last) = entry
            .attempts
            .last()
            .filter(|last| !last.tx.raw.0.is_empty())
        else {
            // Deep once, and then undone: the pools have it back, the journal has not.
            return if late {
                Err(self.not_mined(entry))
            } else {
                Ok(())
            };
        };
        if wait.looks.is_multiple_of(LOOKS_A_RESEND) {
            wait.refusal = self.broadcast(&last.tx).await?;
        }
        wait.looks += 1;
        let refused = matches!(wait.refusal, Some(ChainError::Underpriced { .. }));
        if (late || refused) && last.tx.nonce == next && wait.raises < RAISES {
            match self.raise(entry, last).await {
                Ok(true) => {
                    wait.starts_anew();
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) if late => return Err(error),
                Err(error @ ChainError::FeeCeiling { .. }) => wait.refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        if !late {
            return Ok(());
        }
        if last.tx.nonce != next {
            let nonce = last.tx.nonce;
            return Err(ChainError::NonceGap { nonce, next });
        }
        Err(match wait.refusal.take() {
            Some(error @ ChainError::FeeCeiling { .. }) => error,
            Some(reason) => stuck(entry, reason),
            None => self.not_mined(entry),
        })
    }

    /// Signs the last attempt again for a higher fee; where its call would revert by now, a transfer of nothing.
    /// False: there was no block since, so that a fee decides nothing.
    async fn raise(&mut self, entry: &Entry, last: &Attempt) -> Result<bool, ChainError> {
        let market = self.chain.market().await?;
        if market.block <= last.head {
            return Ok(false);
        }
        let fees = market.raised(last.tx.fees());
        let ceiling = market.ceiling(self.ceiling);
        if fees.max > ceiling {
            return Err(ChainError::FeeCeiling {
                tx: last.tx.hash,
                needed: fees.max,
                ceiling,
            });
        }
        let again = match last.withdraws {
            true => self.chain.sign(&Call::Nothing, last.tx.nonce, fees).await,
            false => self.chain.sign_again(&last.tx, fees).await,
        };
        match again {
            Ok(tx) => self.record(&entry.purpose, tx, last.withdraws, market.block)?,
            Err(ChainError::Revert { .. }) => return self.withdraw(entry, last).await,
            Err(reason) => return Err(stuck(entry, reason)),
        }
        Ok(true)
    }

    /// Withdraws what was signed before, if it is the account's next and its call would revert now. Where others wait
    /// for it, what the account cannot pay any more is withdrawn too.
    async fn withdraw_if_unwanted(
        &mut self,
        purpose: &str,
        goal: Goal,
        wait: &mut Wait,
    ) -> Result<(), ChainError> {
        let entry = self.entry(purpose)?.clone();
        let Some(last) = entry.attempts.last() else {
            return Ok(());
        };
        if !entry.is_pending() || last.withdraws || self.chain.next_nonce().await? != last.tx.nonce
        {
            return Ok(());
        }
        // Signing runs the call; what is signed is not used.
        let unwanted = match self.chain.sign_again(&last.tx, last.tx.fees()).await {
            Err(ChainError::Revert { .. }) => true,
            Err(ChainError::InsufficientFunds { .. }) => goal == Goal::Used,
            _ => false,
        };
        if unwanted {
            match self.withdraw(&entry, last).await {
                Err(error @ ChainError::FeeCeiling { .. }) => wait.refusal = Some(error),
                outcome => drop(outcome?),
            }
        }
        Ok(())
    }

    /// Signs a transfer of nothing under the entry's nonce, unless that was used in the meantime: a call that was
    /// executed just now would revert a second time.
    async fn withdraw(&mut self, entry: &Entry, last: &Attempt) -> Result<bool, ChainError> {
        if !matches!(self.look(entry).await?, Look::Waiting { .. }) {
            return Ok(true);
        }
        let market = self.chain.market().await?;
        let fees = market.raised(last.tx.fees());
        let ceiling = market.ceiling(self.ceiling);
        if fees.max > ceiling {
            return Err(ChainError::FeeCeiling {
                tx: last.tx.hash,
                needed: fees.max,
                ceiling,
            });
        }
        let signed = self.chain.sign(&Call::Nothing, last.tx.nonce, fees).await;
        let tx = signed.map_err(|reason| stuck(entry, reason))?;
        self.record(&entry.purpose, tx, true, market.block)?;
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
        if execution.withdraws || !execution.receipt.succeeded {
            self.journal.forget(purpose);
        } else if self.entry(purpose)?.mined.is_none() {
            self.journal.record_mined(purpose, &execution.receipt)?;
        } else {
            return Ok(());
        }
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

    fn not_mined(&self, entry: &Entry) -> ChainError {
        ChainError::NotMined {
            purpose: entry.purpose.clone(),
            tx: entry
                .attempts
                .last()
                .map(|last| last.tx.hash)
                .unwrap_or_default(),
            after: self.patience.limit,
        }
    }
}

fn stuck(entry: &Entry, reason: ChainError) -> ChainError {
    ChainError::Stuck {
        purpose: entry.purpose.clone(),
        reason: Box::new(reason),
    }
}

impl Wait {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            looks: 0,
            raises: 0,
            executed: false,
            gone: None,
            refusal: None,
        }
    }

    /// In a block now, or out of it again: the wait for the other thing begins.
    fn becomes(&mut self, executed: bool) {
        self.gone = None;
        if self.executed != executed {
            self.executed = executed;
            self.since = Instant::now();
            self.looks = 0;
        }
    }

    /// A new attempt was made: it is sent at the next look, and waited for.
    fn starts_anew(&mut self) {
        self.raises += 1;
        self.since = Instant::now();
        self.looks = 0;
        self.refusal = None;
    }

    fn is_over(&self, limit: Duration) -> bool {
        self.since.elapsed() >= limit
    }
}
