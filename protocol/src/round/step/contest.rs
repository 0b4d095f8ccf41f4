//! Predictions that are doubted, and their proofs.

use super::{paid_in, require, Case, Effects, Outcome};
use crate::{
    deal::{exact_value, in_time, DealError},
    round::{Contest, Prediction, RoundError, RoundState},
    value::{Address, Amount},
};

impl Case {
    pub(super) fn contest(
        mut self,
        prediction: Prediction,
        signer: Option<Address>,
        value: Amount,
    ) -> Outcome {
        self.in_state(&[RoundState::Closed, RoundState::Contested])?;
        self.only_buyer()?;
        let (seller, terms) = (self.record.round.seller, self.record.round.terms.clone());
        // Not excused where buyer and seller are one: a prediction is nothing but its signature.
        let unsigned = DealError::NotSigned { signer: seller };
        require(signer == Some(seller), unsigned.into())?;
        self.in_time()?;
        in_time(self.record.round.window_end, self.now)?;
        let (index, batches) = (prediction.index, terms.batches);
        require(
            index < batches,
            RoundError::IndexOutOfRange { index, batches },
        )?;
        let known = self.record.contests.contains_key(&prediction);
        require(!known, RoundError::AlreadyContested)?;
        exact_value(terms.wei(terms.contest_fee), value)?;
        self.record.contests.insert(prediction, Contest::Open);
        self.record.round.contests += 1;
        let answer_by = self.now.saturating_add(terms.prove_time.into());
        self.enter(RoundState::Contested, answer_by);
        Ok((self.record, paid_in(terms.contest_fee)))
    }

    pub(super) fn answer(mut self, prediction: Prediction, accepted: bool) -> Outcome {
        self.in_state(&[RoundState::Contested])?;
        self.in_time()?;
        match self.record.contests.get(&prediction) {
            None => return Err(RoundError::NotContested),
            Some(Contest::Proven) => return Err(RoundError::AlreadyProven),
            Some(Contest::Open) => {}
        }
        let index = prediction.index;
        require(accepted, RoundError::ProofRejected { index })?;
        self.record.contests.insert(prediction, Contest::Proven);
        let left = self.record.round.contests.saturating_sub(1);
        self.record.round.contests = left;
        if left == 0 {
            self.enter(RoundState::Closed, self.record.round.window_end);
        }
        let to_seller = self.record.round.terms.contest_fee;
        let effects = Effects {
            to_seller,
            ..Effects::default()
        };
        Ok((self.record, effects))
    }
}
