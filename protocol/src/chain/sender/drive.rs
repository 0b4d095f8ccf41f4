//! Waiting for one transaction, and helping it where it is slow: sent again, for a higher fee, or withdrawn.

use std::time::Duration;

use tokio::time::Instant;

use super::{Execution, Goal, Look, Sender};
use crate::chain::{
    fees::{Fees, Market},
    journal::{Attempt, Entry, Journal},
    Call, Chain, ChainError, SignedTx,
};

/// How often a waiting transaction's fee is raised before its sender is told.
const RAISES: u32 = 3;

/// Looks between two broadcasts of a transaction that is still in no block: a pool may have lost it.
const LOOKS_A_RESEND: u32 = 25;

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

impl<C: Chain, S: FnMut(&Journal) -> Result<(), String>> Sender<'_, C, S> {
    /// Waits until the purpose's nonce is used, or the execution deep enough; helps where that is slow.
    pub(super) async fn drive(
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
            // Deeper once than anything is kept, and then undone: the pools have it back, the journal has not.
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
        let fees = self.outbid(&last.tx, market)?;
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

    /// Fees that replace `tx`, below the ceiling.
    fn outbid(&self, tx: &SignedTx, market: Market) -> Result<Fees, ChainError> {
        let fees = market.raised(tx.fees());
        let ceiling = market.ceiling(self.ceiling);
        if fees.max <= ceiling {
            return Ok(fees);
        }
        Err(ChainError::FeeCeiling {
            tx: tx.hash,
            needed: fees.max,
            ceiling,
        })
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
        let fees = self.outbid(&last.tx, market)?;
        let signed = self.chain.sign(&Call::Nothing, last.tx.nonce, fees).await;
        let tx = signed.map_err(|reason| stuck(entry, reason))?;
        self.record(&entry.purpose, tx, true, market.block)?;
        Ok(true)
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
