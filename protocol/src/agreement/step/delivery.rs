//! From the offer to the receipt.

use super::{
    ends::{credit, deposited},
    require, Case, Outcome,
};
use crate::{
    agreement::{RuleError, State, DRAW_DELAY, KNOWN_BLOCKS, NOBODY},
    deal::{exact_value, subtract, sum},
    value::{Address, Amount, Hash},
};

impl Case {
    pub(super) fn cancel(self) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_buyer()?;
        self.in_time()?;
        self.cancelled()
    }

    pub(super) fn accept(mut self, value: Amount) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_seller()?;
        self.in_time()?;
        let terms = self.agreement.terms.clone();
        exact_value(terms.wei(terms.bond), value)?;
        if terms.preview_shards == 0 {
            self.enter(State::Previewed, terms.deliver_by);
        } else {
            self.agreement.draw_block = self.now.block.saturating_add(DRAW_DELAY);
            self.enter(State::Accepted, terms.preview_by);
        }
        let effects = deposited(&terms, self.by, terms.bond);
        Ok((self.agreement, effects))
    }

    pub(super) fn draw(mut self, seed: Hash) -> Outcome {
        self.in_state(&[State::Accepted])?;
        self.in_time()?;
        let (draw_block, current) = (self.agreement.draw_block, self.now.block);
        require(current > draw_block, || RuleError::DrawTooEarly {
            draw_block,
            current,
        })?;
        require(!self.draw_missed(), || RuleError::DrawTooLate {
            draw_block,
            current,
        })?;
        self.agreement.seed = seed;
        self.enter(State::Drawn, self.agreement.terms.preview_by);
        self.unpaid()
    }

    pub(super) fn draw_missed(&self) -> bool {
        self.now.block > self.agreement.draw_block.saturating_add(KNOWN_BLOCKS)
    }

    pub(super) fn send(mut self) -> Outcome {
        self.in_state(&[State::Drawn, State::Previewed])?;
        self.only_buyer()?;
        self.in_time()?;
        let next = match self.agreement.state {
            State::Drawn => State::PreviewSent,
            _ => State::RestSent,
        };
        let answer_by = self
            .agreement
            .deadline
            .saturating_add(self.agreement.terms.response_time.into());
        self.enter(next, answer_by);
        self.unpaid()
    }

    pub(super) fn proceed(mut self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Drawn, State::PreviewSent])?;
        self.signed(self.agreement.seller, signer)?;
        self.in_time()?;
        self.enter(State::Previewed, self.agreement.terms.deliver_by);
        self.unpaid()
    }

    pub(super) fn acknowledge(mut self, ciphertext: Hash, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Previewed, State::RestSent])?;
        self.signed(self.agreement.seller, signer)?;
        self.in_time()?;
        self.agreement.ciphertext = ciphertext;
        self.enter(State::Delivered, self.agreement.terms.claim_by);
        self.unpaid()
    }

    pub(super) fn decline(self) -> Outcome {
        let asked_for = State::Accepted..=State::RestSent;
        let found = self.agreement.state;
        require(asked_for.contains(&found), || RuleError::WrongState {
            found,
        })?;
        self.only_seller()?;
        self.in_time()?;
        let free = self.agreement.state == State::Accepted;
        self.declined(!free)
    }

    pub(super) fn deny(mut self) -> Outcome {
        self.in_state(&[State::PreviewSent, State::RestSent])?;
        self.only_seller()?;
        self.in_time()?;
        self.enter(State::Denied, 0);
        let terms = &self.agreement.terms;
        let burnt = sum([terms.preview_fee, terms.buyer_bond])?;
        let kept = subtract(terms.bond, terms.preview_fee)?;
        let mut effects = self.credits(terms.price, kept);
        effects.extend(credit(terms, NOBODY, burnt));
        Ok((self.agreement, effects))
    }
}
