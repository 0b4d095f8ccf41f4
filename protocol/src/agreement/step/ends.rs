//! How an agreement ends when nobody does anything, and who gets what.

use super::{require, Case, Outcome};
use crate::{
    agreement::{Agreement, Effect, RuleError, State, Terms},
    deal::{overdue, subtract, sum, times},
    value::{Address, Amount},
};

impl Case {
    pub(super) fn expire(self) -> Outcome {
        let found = self.agreement.state;
        require(!found.is_terminal(), || RuleError::WrongState { found })?;
        let missed = found == State::Accepted && self.draw_missed();
        if !missed {
            overdue(self.agreement.deadline, self.now.time)?;
        }
        match found {
            State::Open => self.cancelled(),
            State::Accepted => self.declined(false),
            State::Drawn | State::Previewed => self.forfeited(),
            State::PreviewSent | State::RestSent => self.declined(true),
            State::Claimed => self.settled(),
            _ => self.slashed(),
        }
    }

    pub(super) fn cancelled(mut self) -> Outcome {
        self.enter(State::Cancelled, 0);
        let back = sum([self.agreement.terms.price, self.agreement.terms.buyer_bond])?;
        let effects = self.credits(back, Amount::ZERO);
        Ok((self.agreement, effects))
    }

    pub(super) fn declined(mut self, costs: bool) -> Outcome {
        self.enter(State::Declined, 0);
        let terms = &self.agreement.terms;
        let fee = if costs {
            terms.preview_fee
        } else {
            Amount::ZERO
        };
        let to_buyer = sum([terms.price, terms.buyer_bond, fee])?;
        let effects = self.credits(to_buyer, subtract(terms.bond, fee)?);
        Ok((self.agreement, effects))
    }

    pub(super) fn forfeited(mut self) -> Outcome {
        self.enter(State::Forfeited, 0);
        let terms = &self.agreement.terms;
        let effects = self.credits(terms.price, sum([terms.bond, terms.buyer_bond])?);
        Ok((self.agreement, effects))
    }

    pub(super) fn slashed(mut self) -> Outcome {
        self.enter(State::Slashed, 0);
        let terms = &self.agreement.terms;
        let unanswered = self.agreement.unanswered().count();
        let fees = times(
            terms.contest_fee,
            u32::try_from(unanswered).unwrap_or(u32::MAX),
        )?;
        let all = sum([terms.price, terms.buyer_bond, terms.bond, fees])?;
        let effects = self.credits(all, Amount::ZERO);
        Ok((self.agreement, effects))
    }

    pub(super) fn settled(mut self) -> Outcome {
        self.enter(State::Settled, 0);
        let terms = &self.agreement.terms;
        let effects = if self.agreement.passed() {
            self.credits(terms.buyer_bond, sum([terms.price, terms.bond])?)
        } else {
            let to_buyer = sum([terms.price, terms.buyer_bond, terms.penalty])?;
            self.credits(to_buyer, subtract(terms.bond, terms.penalty)?)
        };
        Ok((self.agreement, effects))
    }

    pub(super) fn unpaid(self) -> Outcome {
        Ok((self.agreement, vec![]))
    }

    pub(super) fn credits(&self, to_buyer: Amount, to_seller: Amount) -> Vec<Effect> {
        let Agreement {
            terms,
            buyer,
            seller,
            ..
        } = &self.agreement;
        credit(terms, *buyer, to_buyer)
            .into_iter()
            .chain(credit(terms, *seller, to_seller))
            .collect()
    }
}

pub(super) fn deposited(terms: &Terms, from: Address, amount: Amount) -> Vec<Effect> {
    let token = terms.token;
    Some(Effect::Deposit {
        from,
        token,
        amount,
    })
    .filter(|_| amount != Amount::ZERO)
    .into_iter()
    .collect()
}

pub(super) fn credit(terms: &Terms, to: Address, amount: Amount) -> Option<Effect> {
    let token = terms.token;
    Some(Effect::Credit { to, token, amount }).filter(|_| amount != Amount::ZERO)
}
