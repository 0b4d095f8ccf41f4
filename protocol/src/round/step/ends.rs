//! How a round ends when nobody does anything, and who gets what.

use super::{require, Case, Effects, Outcome};
use crate::{
    deal::{overdue, sum, times},
    round::{RoundError, RoundState},
    value::Amount,
};

impl Case {
    pub(super) fn expire(mut self) -> Outcome {
        let (found, deadline) = (self.record.round.state, self.record.round.deadline);
        require(!found.is_terminal(), RoundError::WrongState { found })?;
        overdue(deadline, self.now)?;
        match found {
            RoundState::Open => self.cancelled(),
            RoundState::Serving => {
                // The window counts from the deadline: whoever calls this late does not prolong it.
                let end = deadline.saturating_add(self.window());
                self.closed(0, end);
                Ok((self.record, Effects::default()))
            }
            RoundState::Closed => self.settled(),
            _ => self.slashed(),
        }
    }

    pub(super) fn cancelled(mut self) -> Outcome {
        self.enter(RoundState::Cancelled, 0);
        let to_buyer = self.cost(self.record.round.terms.batches)?;
        let effects = Effects {
            to_buyer,
            ..Effects::default()
        };
        Ok((self.record, effects))
    }

    pub(super) fn closed(&mut self, count: u32, window_end: u64) {
        self.record.round.count = count;
        self.record.round.window_end = window_end;
        self.enter(RoundState::Closed, window_end);
    }

    pub(super) fn settled(mut self) -> Outcome {
        self.enter(RoundState::Settled, 0);
        let terms = &self.record.round.terms;
        let count = self.record.round.count;
        let earned = self.cost(count)?;
        let effects = Effects {
            to_buyer: self.cost(terms.batches.saturating_sub(count))?,
            to_seller: sum([earned, terms.bond])?,
            deposit: Amount::ZERO,
        };
        Ok((self.record, effects))
    }

    pub(super) fn slashed(mut self) -> Outcome {
        self.enter(RoundState::Slashed, 0);
        let terms = &self.record.round.terms;
        let open = self.record.round.contests;
        let fees = times(terms.contest_fee, open)?;
        let to_buyer = sum([self.cost(terms.batches)?, terms.bond, fees])?;
        let effects = Effects {
            to_buyer,
            ..Effects::default()
        };
        Ok((self.record, effects))
    }
}
