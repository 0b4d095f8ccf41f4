//! The escrow's books: deposits locked in live agreements, credits to be withdrawn.

use std::collections::BTreeMap;

use super::Effect;
use crate::{
    deal::{subtract, sum, DealError},
    value::{Address, Amount},
};

/// For every token: `held = locked + sum of credits`, always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    locked: BTreeMap<Address, Amount>,
    /// By account and token; no zero entries.
    credits: BTreeMap<(Address, Address), Amount>,
}

impl Ledger {
    /// Books the effects of one accepted event, all or none.
    pub fn apply(&mut self, effects: &[Effect]) -> Result<(), DealError> {
        let mut next = self.clone();
        for effect in effects {
            match *effect {
                Effect::Deposit { token, amount, .. } => {
                    let locked = next.locked.entry(token).or_default();
                    *locked = sum([*locked, amount])?;
                }
                Effect::Credit { to, token, amount } => {
                    let locked = next.locked.entry(token).or_default();
                    *locked = subtract(*locked, amount)?;
                    let credit = next.credits.entry((to, token)).or_default();
                    *credit = sum([*credit, amount])?;
                }
            }
        }
        *self = next;
        Ok(())
    }

    /// Takes everything credited to `account` in `token`.
    pub fn withdraw(&mut self, account: Address, token: Address) -> Result<Amount, DealError> {
        self.credits
            .remove(&(account, token))
            .ok_or(DealError::NothingToWithdraw { account, token })
    }

    /// What `account` may withdraw in `token`.
    pub fn credit(&self, account: Address, token: Address) -> Amount {
        self.credits
            .get(&(account, token))
            .copied()
            .unwrap_or_default()
    }

    /// Everything owed in `token`, locked deposits and credits; `None` past 2^128.
    pub fn held(&self, token: Address) -> Option<Amount> {
        let locked = self.locked.get(&token).copied().unwrap_or_default();
        self.credits
            .iter()
            .filter(|((_, of), _)| *of == token)
            .try_fold(locked, |sum, (_, credit)| sum.checked_add(*credit))
    }
}
