//! Transactions of one account, each sent once however often the node dies.

use std::sync::Arc;

use tokio::sync::Mutex;
use zknode_protocol::{
    agreement::{Agreement, State},
    chain::{
        journal::{confirm, replace, submit, Journal, JournalError, Patience},
        Call, Chain, ChainError, ChainEvent, TxReceipt,
    },
    value::{Address, AgreementId, Amount},
};

use crate::store::{Store, StoreError, Table};

/// How often a waiting transaction's fee is raised before its sender is told.
const RAISES: u32 = 3;

/// An account: its chain, and its journal in the database. One transaction at a time.
pub struct Wallet<C> {
    chain: C,
    store: Arc<Store>,
    journal: String,
    patience: Patience,
    turn: Mutex<()>,
}

impl<C: Chain> Wallet<C> {
    /// The wallet of `chain`'s account.
    pub fn new(chain: C, store: Arc<Store>, patience: Patience) -> Self {
        Self {
            journal: format!("{}/{}", chain.chain_id(), chain.account()),
            turn: Mutex::new(()),
            chain,
            store,
            patience,
        }
    }

    /// The chain it acts on.
    pub fn chain(&self) -> &C {
        &self.chain
    }

    /// Sends `call` for `purpose`, once, and waits until it is in a block. Asked again with the same purpose, after a
    /// crash or not, it sends what was signed the first time and gives the same receipt.
    pub async fn execute(&self, purpose: &str, call: &Call) -> Result<TxReceipt, ChainError> {
        let _turn = self.turn.lock().await;
        let mut journal = self.load()?;
        let save = |journal: &Journal| self.save(journal).map_err(|error| error.to_string());
        let mut entry = submit(&self.chain, &mut journal, purpose, call, save).await?;
        let mut raises = 0;
        loop {
            match confirm(&self.chain, &entry, self.patience).await {
                Ok(receipt) => {
                    journal.record_mined(purpose, &receipt)?;
                    self.save(&journal).map_err(unsaved)?;
                    return Ok(receipt);
                }
                Err(error @ (ChainError::Failed { .. } | ChainError::NonceTaken { .. })) => {
                    journal.forget(purpose);
                    self.save(&journal).map_err(unsaved)?;
                    return Err(error);
                }
                Err(ChainError::Timeout { .. }) if raises < RAISES => {
                    raises += 1;
                    entry = replace(&self.chain, &mut journal, purpose, call, save).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets the escrow take `amount` of a token from this account, once for `purpose`. Ether needs no leave.
    pub async fn allow(
        &self,
        token: Address,
        amount: Amount,
        purpose: &str,
    ) -> Result<(), ChainError> {
        if token != Address::ZERO && amount != Amount::ZERO {
            let call = Call::ApproveToken { token, amount };
            self.execute(&format!("allow {token} {purpose}"), &call)
                .await?;
        }
        Ok(())
    }

    /// Takes whatever the escrow holds for this account in `token`; returns how much that was. `purpose` names the
    /// occasion: asked again for the same one, it takes nothing more.
    pub async fn withdraw(&self, token: Address, purpose: &str) -> Result<Amount, ChainError> {
        let account = self.chain.account();
        let purpose = format!("withdraw {token} {purpose}");
        let done = self.load()?.entry(&purpose).is_some();
        if !done && self.chain.credit(account, token).await? == Amount::ZERO {
            return Ok(Amount::ZERO);
        }
        let receipt = self.execute(&purpose, &Call::Withdraw { token }).await?;
        let taken = receipt.events.iter().map(|event| match event {
            ChainEvent::Withdrawn { amount, .. } => amount.0,
            _ => 0,
        });
        Ok(Amount(taken.sum()))
    }

    fn load(&self) -> Result<Journal, ChainError> {
        let stored = self.store.get(Table::Journals, &self.journal);
        let journal = stored.map_err(unsaved)?;
        Ok(journal.unwrap_or_else(|| Journal::new(self.chain.account())))
    }

    fn save(&self, journal: &Journal) -> Result<(), StoreError> {
        self.store.put(Table::Journals, &self.journal, journal)
    }
}

fn unsaved(error: StoreError) -> ChainError {
    JournalError::Save(error.to_string()).into()
}

/// What anybody may do about an agreement at `now` to give the money back, when the other side is silent.
pub fn overdue(id: AgreementId, agreement: &Agreement, now: u64) -> Option<Call> {
    let terms = &agreement.terms;
    match agreement.state {
        State::Open if now > terms.accept_by => Some(Call::Cancel(id)),
        State::Accepted if now > terms.deliver_by => Some(Call::Decline(id)),
        State::Delivered if now > terms.prove_by => Some(Call::Slash(id)),
        _ => None,
    }
}
