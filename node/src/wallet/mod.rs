//! Transactions of one account, each sent once however often the node dies.

use std::sync::Arc;

use tokio::sync::Mutex;
use zknode_protocol::{
    chain::{
        fees::FEE_CEILING,
        journal::{Journal, JournalError, Patience},
        sender::Sender,
        AgreementSummary, Call, Chain, ChainError, ChainEvent, Contracts, Order, TxReceipt,
    },
    value::{Address, AgreementId, Amount},
};

use crate::store::{Store, StoreError, Table};

/// How often a token is asked for an allowance for one purpose. An allowance is not always spent on what it was asked
/// for, so it is asked for again; a token that forgets what it allowed must not take the account's ether in fees.
const APPROVALS: u32 = 8;

/// An account: its chain, and its journal in the database. One transaction at a time.
pub struct Wallet<C> {
    chain: C,
    store: Arc<Store>,
    journal: String,
    patience: Patience,
    ceiling: u64,
    turn: Arc<Mutex<()>>,
}

impl<C: Chain> Wallet<C> {
    /// The wallet of `chain`'s account, with the usual ceiling of fees.
    pub fn new(chain: C, store: Arc<Store>, patience: Patience) -> Self {
        Self {
            journal: format!("{}/{}", chain.chain_id(), chain.account()),
            turn: Arc::default(),
            chain,
            store,
            patience,
            ceiling: FEE_CEILING,
        }
    }

    /// Another ceiling: the highest fee offered, as a multiple of the current base fee and tip (see [`FEE_CEILING`]).
    pub fn with_fee_ceiling(self, ceiling: u64) -> Self {
        Self { ceiling, ..self }
    }

    /// The same account and journal over another contract that keeps money as the escrow does, in the escrow's place.
    pub fn over(&self, contract: Address) -> Self {
        let registry = self.chain.contracts().registry;
        self.at(Contracts {
            registry,
            escrow: contract,
        })
    }

    /// The same account where `contracts.escrow` is another contract that keeps money likewise. Both take turns.
    pub fn at(&self, contracts: Contracts) -> Self {
        Self {
            chain: self.chain.with_contracts(contracts),
            store: self.store.clone(),
            journal: self.journal.clone(),
            patience: self.patience,
            ceiling: self.ceiling,
            turn: self.turn.clone(),
        }
    }

    /// Blocks that must lie on top of one before it is believed.
    pub fn depth(&self) -> u64 {
        self.patience.depth
    }

    /// The chain it acts on.
    pub fn chain(&self) -> &C {
        &self.chain
    }

    /// An agreement as the newest block has it.
    pub async fn agreement(&self, id: AgreementId) -> Result<Option<AgreementSummary>, ChainError> {
        self.chain.agreement_at_depth(id, 0).await
    }

    /// An agreement as it is at the depth at which a block is believed; `None` when it is younger.
    pub async fn settled(&self, id: AgreementId) -> Result<Option<AgreementSummary>, ChainError> {
        self.chain.agreement_at_depth(id, self.patience.depth).await
    }

    /// An agreement that ended, once its end lies as deep as a block must to be believed: before that, a
    /// reorganization may bring it back.
    pub async fn ended(&self, id: AgreementId) -> Result<Option<AgreementSummary>, ChainError> {
        let found = self.settled(id).await?;
        Ok(found.filter(|agreement| agreement.state.is_terminal()))
    }

    /// Sends `call` for `purpose`, once, and waits until it is deep enough. Asked again with the same purpose, after a
    /// crash or not, it sees through what was signed the first time and gives the same receipt. Which errors leave it
    /// open whether money moves: see [`Sender::execute`] and [`Wallet::was_sent`].
    pub async fn execute(&self, purpose: &str, call: &Call) -> Result<TxReceipt, ChainError> {
        let _turn = self.turn.lock().await;
        let mut journal = self.load()?;
        let mut sender = self.sender(&mut journal);
        sender.execute(purpose, call).await
    }

    /// Sends calls that do not wait for each other, all before any is waited for: see [`Sender::execute_all`].
    pub async fn execute_all(
        &self,
        orders: &[Order],
    ) -> Result<Vec<Result<TxReceipt, ChainError>>, ChainError> {
        let _turn = self.turn.lock().await;
        let mut journal = self.load()?;
        let mut sender = self.sender(&mut journal);
        sender.execute_all(orders).await
    }

    /// The same as [`Wallet::execute`] for what somebody else may have done, or made impossible, in the meantime: `None` where the contract refuses
    /// it. Then the chain is to be looked at again.
    pub async fn attempt(
        &self,
        purpose: &str,
        call: &Call,
    ) -> Result<Option<TxReceipt>, ChainError> {
        match self.execute(purpose, call).await {
            Ok(receipt) => Ok(Some(receipt)),
            Err(ChainError::Revert { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sends a call by which the escrow takes `amount` of `token`, after leave for that is given for `occasion`. An error within
    /// is a refusal, by the contract or for want of money: none moved.
    pub async fn deposit(
        &self,
        (token, amount): (Address, Amount),
        occasion: &str,
        purpose: &str,
        call: &Call,
    ) -> Result<Result<TxReceipt, ChainError>, ChainError> {
        let sent = async {
            self.allow(token, amount, occasion).await?;
            self.execute(purpose, call).await
        };
        match sent.await {
            Err(error) if is_refusal(&error) && !self.was_sent(purpose)? => Ok(Err(error)),
            outcome => outcome.map(Ok),
        }
    }

    /// What [`Wallet::execute_all`] takes, to the contract of this wallet.
    pub fn order(&self, purpose: String, call: Call) -> Order {
        Order {
            purpose,
            contract: self.chain.contracts().escrow,
            call,
        }
    }

    /// Whether a transaction was signed for `purpose` that did or may still do what it is for. False is certain: none
    /// was ever signed, or it is known at depth that it reverted or was withdrawn. Only then has no money moved.
    pub fn was_sent(&self, purpose: &str) -> Result<bool, ChainError> {
        Ok(self.load()?.entry(purpose).is_some())
    }

    /// Sees to it that the escrow may take `amount` of a token from this account, before it is taken for `purpose`.
    /// Looks at what the chain says is allowed, so it may be called as often as one likes. Ether needs no leave.
    pub async fn allow(
        &self,
        token: Address,
        amount: Amount,
        purpose: &str,
    ) -> Result<(), ChainError> {
        if token == Address::ZERO || amount == Amount::ZERO {
            return Ok(());
        }
        let _turn = self.turn.lock().await;
        let mut journal = self.load()?;
        // What waits may use up what is allowed now.
        self.sender(&mut journal).clear_the_way(None).await?;
        let approve = |amount| Call::ApproveToken { token, amount };
        let mut tries = 0;
        loop {
            let allowed = self.chain.allowance(token, self.chain.account()).await?;
            if allowed >= amount {
                return Ok(());
            }
            let base = format!("allow {token} {purpose}");
            let Some(name) = unused(&journal, &base).filter(|_| tries < APPROVALS) else {
                return Err(ChainError::Allowance {
                    token,
                    needed: amount,
                    allowed,
                    tries: APPROVALS,
                });
            };
            let reset = unused(&journal, &format!("{base} from 0"));
            tries += 1;
            let mut sender = self.sender(&mut journal);
            match sender.execute(&name, &approve(amount)).await {
                // Some tokens change an allowance only from or to zero.
                Err(error @ ChainError::Revert { .. }) if allowed != Amount::ZERO => {
                    let reset = reset.ok_or(error)?;
                    sender.execute(&reset, &approve(Amount::ZERO)).await?;
                    sender.execute(&name, &approve(amount)).await?;
                }
                outcome => drop(outcome?),
            }
        }
    }

    /// Takes whatever the escrow holds for this account in `token`; returns how much that was. `purpose` names the
    /// occasion: asked again for the same one, it takes nothing more.
    pub async fn withdraw(&self, token: Address, purpose: &str) -> Result<Amount, ChainError> {
        let account = self.chain.account();
        let purpose = format!("withdraw {token} {purpose}");
        if !self.was_sent(&purpose)? && self.chain.credit(account, token).await? == Amount::ZERO {
            return Ok(Amount::ZERO);
        }
        let receipt = self.execute(&purpose, &Call::Withdraw { token }).await?;
        let taken = receipt.events.iter().map(|event| match event {
            ChainEvent::Withdrawn { amount, .. } => amount.0,
            _ => 0,
        });
        Ok(Amount(taken.sum()))
    }

    fn sender<'a>(
        &'a self,
        journal: &'a mut Journal,
    ) -> Sender<'a, C, impl FnMut(&Journal) -> Result<(), String> + 'a> {
        let save = |journal: &Journal| self.save(journal).map_err(|error| error.to_string());
        Sender::new(&self.chain, journal, self.patience, save).with_fee_ceiling(self.ceiling)
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

/// Whether the contract or the account's balance says no, rather than the way there.
fn is_refusal(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::Revert { .. }
            | ChainError::InsufficientFunds { .. }
            | ChainError::NoCode { .. }
            | ChainError::Allowance { .. }
    )
}

/// The first of `base`, `base 2`, ... that is not done; `None` when all are.
fn unused(journal: &Journal, base: &str) -> Option<String> {
    let names = (1..=APPROVALS).map(|number| match number {
        1 => base.to_owned(),
        _ => format!("{base} {number}"),
    });
    let not_done = |name: &String| journal.entry(name).is_none_or(|entry| entry.is_pending());
    names.into_iter().find(not_done)
}

fn unsaved(error: StoreError) -> ChainError {
    JournalError::Save(error.to_string()).into()
}

#[cfg(test)]
pub(crate) mod tests;
