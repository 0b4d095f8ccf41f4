//! From the offer to the count that is paid for.

use super::{paid_in, require, Case, Effects, Outcome};
use crate::{
    deal::exact_value,
    round::{RoundError, RoundState},
    value::{Address, Amount},
};

impl Case {
    pub(super) fn cancel(self) -> Outcome {
        self.in_state(&[RoundState::Open])?;
        self.only_buyer()?;
        self.in_time()?;
        self.cancelled()
    }

    pub(super) fn accept(mut self, value: Amount) -> Outcome {
        self.in_state(&[RoundState::Open])?;
        self.only_seller()?;
        self.in_time()?;
        let terms = &self.record.round.terms;
        let (bond, serve_by) = (terms.bond, terms.serve_by);
        exact_value(terms.wei(bond), value)?;
        self.enter(RoundState::Serving, serve_by);
        Ok((self.record, paid_in(bond)))
    }

    pub(super) fn close(mut self, count: u32, signer: Option<Address>) -> Outcome {
        self.in_state(&[RoundState::Serving])?;
        self.only_seller()?;
        if count > 0 {
            self.signed(self.record.round.buyer, signer)?;
        }
        self.in_time()?;
        self.in_batches(count)?;
        let end = self.now.saturating_add(self.window());
        self.closed(count, end);
        Ok((self.record, Effects::default()))
    }

    pub(super) fn approve(mut self, count: u32, signer: Option<Address>) -> Outcome {
        self.in_state(&[RoundState::Serving, RoundState::Closed])?;
        let serving = self.record.round.state == RoundState::Serving;
        if serving {
            self.only_seller()?;
        }
        self.signed(self.record.round.buyer, signer)?;
        self.in_time()?;
        if serving {
            self.in_batches(count)?;
        } else {
            let expected = self.record.round.count;
            let found = count;
            require(
                count == expected,
                RoundError::CountMismatch { expected, found },
            )?;
        }
        self.record.round.count = count;
        self.settled()
    }
}
