//! The state of the fake chain and what one call does to it: registry, escrow and ledger over the pure rules.

mod action;
mod events;
mod registry;

use std::collections::BTreeMap;

use self::events::logged;
use crate::{
    agreement::{step, Agreement, Effect, Event, Ledger, RuleError},
    chain::{Call, ChainEvent, Contracts, Model, ShardProof},
    deal::{DealError, Moment},
    digest::{hash_words, keccak},
    round::{Record, RoundId},
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId},
};

/// Why a call reverts: the contract's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub name: String,
    pub detail: String,
}

impl From<DealError> for Refusal {
    fn from(rule: DealError) -> Self {
        RuleError::from(rule).into()
    }
}

impl From<RuleError> for Refusal {
    fn from(rule: RuleError) -> Self {
        Self {
            name: rule.name(),
            detail: rule.to_string(),
        }
    }
}

pub(super) fn refusal(name: &str, detail: impl ToString) -> Refusal {
    Refusal {
        name: name.into(),
        detail: detail.to_string(),
    }
}

/// What surrounds one call.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub chain_id: u64,
    pub by: Address,
    pub nonce: u64,
    pub now: Moment,
    /// The verifier of this world.
    pub judge: fn(&ShardProof) -> bool,
}

/// Everything a block changes.
#[derive(Clone, Default)]
pub(super) struct World {
    pub contracts: Contracts,
    pub balances: BTreeMap<Address, Amount>,
    pub counts: BTreeMap<Address, u64>,
    pub code: BTreeMap<Address, Hash>,
    pub models: BTreeMap<ModelId, Model>,
    pub agreements: BTreeMap<AgreementId, Agreement>,
    pub rounds: BTreeMap<RoundId, Record>,
    pub ledger: Ledger,
    tokens: BTreeMap<Address, Token>,
    model_nonces: BTreeMap<Address, u64>,
    agreement_nonces: BTreeMap<Address, u64>,
}

/// An ERC-20 as far as the escrow notices: everybody has enough of it, allowances are kept.
#[derive(Clone, Default)]
struct Token {
    strict: bool,
    allowances: BTreeMap<Address, Amount>,
}

/// The contract created, and what was logged.
pub(super) type Done = Result<(Option<Address>, Vec<ChainEvent>), Refusal>;

impl World {
    pub fn balance(&self, account: Address) -> Amount {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Transactions an account ever made.
    pub fn count(&self, account: Address) -> u64 {
        self.counts.get(&account).copied().unwrap_or_default()
    }

    pub fn create_token(&mut self, token: Address, strict: bool) {
        self.code.insert(token, keccak(&token.0));
        let allowances = BTreeMap::new();
        self.tokens.insert(token, Token { strict, allowances });
    }

    /// What the escrow may take of `owner`'s tokens; `None` for no token.
    pub fn allowance(&self, token: Address, owner: Address) -> Option<Amount> {
        let allowances = &self.tokens.get(&token)?.allowances;
        Some(allowances.get(&owner).copied().unwrap_or_default())
    }

    fn approve(&mut self, token: Address, owner: Address, amount: Amount) -> Result<(), Refusal> {
        let found = self.tokens.get_mut(&token);
        let token = found.ok_or(DealError::TokenWithoutCode { token })?;
        let allowed = token.allowances.entry(owner).or_default();
        if token.strict && *allowed != Amount::ZERO && amount != Amount::ZERO {
            return Err(refusal("", "set the allowance to zero first"));
        }
        *allowed = amount;
        Ok(())
    }

    /// Takes what an agreement deposits out of the depositor's wallet.
    pub(super) fn take(
        &mut self,
        from: Address,
        token: Address,
        amount: Amount,
    ) -> Result<(), Refusal> {
        let left = if token == Address::ZERO {
            self.balance(from).checked_sub(amount)
        } else {
            let allowed = self.allowance(token, from).unwrap_or_default();
            allowed.checked_sub(amount)
        };
        let left = left.ok_or_else(|| refusal("", "out of funds"))?;
        match self.tokens.get_mut(&token) {
            Some(token) => token.allowances.insert(from, left),
            None => self.balances.insert(from, left),
        };
        Ok(())
    }

    /// Executes a call. The caller throws the world away when it is refused.
    pub fn execute(&mut self, call: &Call, at: Setting, hashes: &BTreeMap<u64, Hash>) -> Done {
        match call {
            Call::DeployRegistry => {
                let address = self.create(at, b"registry");
                self.contracts.registry = address;
                Ok((Some(address), vec![]))
            }
            Call::DeployEscrow { .. } => {
                let address = self.create(at, b"escrow");
                self.contracts.escrow = address;
                Ok((Some(address), vec![]))
            }
            Call::DeployVerifier { creation_code } => {
                Ok((Some(self.create(at, &creation_code.0)), vec![]))
            }
            Call::Register(registration) => self.register(registration, at),
            Call::Retire(id) => self.retire(*id, at),
            Call::WithdrawStake(id) => self.withdraw_stake(*id, at),
            Call::Nothing => Ok((None, vec![])),
            Call::Round(call) => self.play(call, at),
            // There is no such contract on this chain.
            Call::Retrieval(_) => Err(refusal("", "no retrieval contract here")),
            Call::ApproveToken { token, amount } => {
                self.approve(*token, at.by, *amount)?;
                Ok((None, vec![]))
            }
            Call::Withdraw { token } => {
                let amount = self.ledger.withdraw(at.by, *token)?;
                if *token == Address::ZERO {
                    self.pay(at.by, amount);
                }
                let (account, token) = (at.by, *token);
                Ok((
                    None,
                    vec![ChainEvent::Withdrawn {
                        account,
                        token,
                        amount,
                    }],
                ))
            }
            _ => self.agree(call, at, hashes),
        }
    }

    /// The calls that [`step`] judges.
    fn agree(&mut self, call: &Call, at: Setting, hashes: &BTreeMap<u64, Hash>) -> Done {
        let (id, action) = self.action(call, at, hashes)?;
        let before = self.agreements.get(&id);
        let event = Event { by: at.by, action };
        let (after, effects) = step(before, &event, at.now)?;
        self.ledger.apply(&effects)?;
        let mut events = logged(id, call, &after, self.agreement_nonces.get(&at.by).copied());
        for effect in effects {
            match effect {
                Effect::Deposit {
                    from,
                    token,
                    amount,
                } => self.take(from, token, amount)?,
                Effect::Credit {
                    to: account,
                    token,
                    amount,
                } => {
                    events.push(ChainEvent::Credited {
                        account,
                        token,
                        amount,
                    });
                }
            }
        }
        if matches!(call, Call::Open(_)) {
            *self.agreement_nonces.entry(at.by).or_default() += 1;
        }
        self.agreements.insert(id, after);
        Ok((None, events))
    }

    fn create(&mut self, at: Setting, code: &[u8]) -> Address {
        let name = hash_words(&[at.by.into(), at.nonce.into()]);
        let mut address = Address::ZERO;
        address.0.copy_from_slice(&name.0[12..]);
        if !code.is_empty() {
            self.code.insert(address, keccak(code));
        }
        address
    }

    fn pay(&mut self, to: Address, amount: Amount) {
        let balance = self.balances.entry(to).or_default();
        *balance = Amount(balance.0.saturating_add(amount.0));
    }
}

/// A name no other block has.
pub(super) fn block_hash(parent: Hash, number: u64, salt: u64) -> Hash {
    hash_words(&[
        parent.into(),
        number.into(),
        salt.into(),
        Bytes([0xb1; 32]).into(),
    ])
}
