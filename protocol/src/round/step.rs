//! The rules: one function per event, each a list of checks in the contract's order and then one change.

use std::collections::BTreeMap;

use super::{Contest, Prediction, Round, RoundError, RoundState, RoundTerms};
use crate::{
    deal::{
        exact_value, in_time, is_money, offered, overdue, signed, sum, times, DealError,
        ModelFacts, Moment,
    },
    value::{Address, Amount},
};

/// A round with its contests by name, which the chain keeps too but does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the chain lists.
    pub round: Round,
    /// Every prediction that was ever contested.
    pub contests: BTreeMap<Prediction, Contest>,
}

/// Somebody does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who sends it.
    pub by: Address,
    /// What.
    pub action: Action,
}

/// What may happen to a round. `signer`: whose signature comes with it, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the contract's functions.
pub enum Action {
    /// The buyer offers terms and deposits the price of all batches.
    Open {
        terms: RoundTerms,
        model: Option<ModelFacts>,
        token_has_code: bool,
        value: Amount,
    },
    /// The buyer takes its offer back.
    Cancel,
    /// The seller locks the bond.
    Accept { value: Amount },
    /// The seller closes with a voucher.
    Close { count: u32, signer: Option<Address> },
    /// The buyer is content.
    Approve { count: u32, signer: Option<Address> },
    /// The buyer asks for a proof.
    Contest {
        prediction: Prediction,
        signer: Option<Address>,
        value: Amount,
    },
    /// A proof comes; `accepted`: the verifier's word on it.
    Answer {
        prediction: Prediction,
        accepted: bool,
    },
    /// A deadline is over.
    Expire,
}

/// The money an event moves: into the contract, and from its deposits to accounts' credit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Paid in by the sender.
    pub deposit: Amount,
    /// To be withdrawn by the buyer.
    pub to_buyer: Amount,
    /// To be withdrawn by the seller.
    pub to_seller: Amount,
}

type Outcome = Result<(Record, Effects), RoundError>;

/// What `event` at `now` makes of the round `before` (`None`: not opened yet): the round after it and the money it moves,
/// or the rule that refuses it. Pure and total; a refused event changes nothing.
pub fn step(before: Option<&Record>, event: &Event, now: Moment) -> Outcome {
    let by = event.by;
    if let Action::Open {
        terms,
        model,
        token_has_code,
        value,
    } = &event.action
    {
        return open(before, by, terms, *model, *token_has_code, *value, now);
    }
    let record = before.cloned().ok_or(RoundError::UnknownRound)?;
    let case = Case {
        record,
        by,
        now: now.time,
    };
    match &event.action {
        Action::Open { .. } => Err(RoundError::RoundExists),
        Action::Cancel => case.cancel(),
        Action::Accept { value } => case.accept(*value),
        Action::Close { count, signer } => case.close(*count, *signer),
        Action::Approve { count, signer } => case.approve(*count, *signer),
        Action::Contest {
            prediction,
            signer,
            value,
        } => case.contest(*prediction, *signer, *value),
        Action::Answer {
            prediction,
            accepted,
        } => case.answer(*prediction, *accepted),
        Action::Expire => case.expire(),
    }
}

fn open(
    before: Option<&Record>,
    buyer: Address,
    terms: &RoundTerms,
    model: Option<ModelFacts>,
    token_has_code: bool,
    value: Amount,
    now: Moment,
) -> Outcome {
    let (model, latest) = offered(model, terms.model, now)?;
    let last_second = terms.last_second();
    let too_long = RoundError::RoundTooLong {
        last_second,
        latest,
    };
    require(last_second <= latest, too_long)?;
    is_money(terms.token, token_has_code)?;
    require(terms.batches > 0, RoundError::NoBatches)?;
    require(
        now.time < terms.accept_by && terms.accept_by < terms.serve_by,
        RoundError::DeadlinesOutOfOrder {
            now: now.time,
            accept_by: terms.accept_by,
            serve_by: terms.serve_by,
        },
    )?;
    require(
        terms.window > 0 && terms.prove_time > 0,
        RoundError::NoTimeToContest {
            window: terms.window,
            prove_time: terms.prove_time,
        },
    )?;
    require(before.is_none(), RoundError::RoundExists)?;
    let deposit = times(terms.price, terms.batches)?;
    exact_value(terms.wei(deposit), value)?;
    let round = Round {
        terms: terms.clone(),
        buyer,
        seller: model.seller,
        state: RoundState::Open,
        deadline: terms.accept_by,
        contests: 0,
        count: 0,
        window_end: 0,
    };
    let contests = BTreeMap::new();
    Ok((Record { round, contests }, paid_in(deposit)))
}

fn paid_in(deposit: Amount) -> Effects {
    Effects {
        deposit,
        ..Effects::default()
    }
}

/// One event under judgement.
struct Case {
    record: Record,
    by: Address,
    now: u64,
}

impl Case {
    fn cancel(self) -> Outcome {
        self.in_state(&[RoundState::Open])?;
        self.only_buyer()?;
        self.in_time()?;
        self.cancelled()
    }

    fn accept(mut self, value: Amount) -> Outcome {
        self.in_state(&[RoundState::Open])?;
        self.only_seller()?;
        self.in_time()?;
        let terms = &self.record.round.terms;
        let (bond, serve_by) = (terms.bond, terms.serve_by);
        exact_value(terms.wei(bond), value)?;
        self.enter(RoundState::Serving, serve_by);
        Ok((self.record, paid_in(bond)))
    }

    fn close(mut self, count: u32, signer: Option<Address>) -> Outcome {
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

    fn approve(mut self, count: u32, signer: Option<Address>) -> Outcome {
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

    fn contest(
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

    fn answer(mut self, prediction: Prediction, accepted: bool) -> Outcome {
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

    fn expire(mut self) -> Outcome {
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

    // ---- the ends, and who gets what

    fn cancelled(mut self) -> Outcome {
        self.enter(RoundState::Cancelled, 0);
        let to_buyer = self.cost(self.record.round.terms.batches)?;
        let effects = Effects {
            to_buyer,
            ..Effects::default()
        };
        Ok((self.record, effects))
    }

    fn closed(&mut self, count: u32, window_end: u64) {
        self.record.round.count = count;
        self.record.round.window_end = window_end;
        self.enter(RoundState::Closed, window_end);
    }

    fn settled(mut self) -> Outcome {
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

    fn slashed(mut self) -> Outcome {
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

    // ---- who, what, when

    fn enter(&mut self, state: RoundState, deadline: u64) {
        (self.record.round.state, self.record.round.deadline) = (state, deadline);
    }

    fn window(&self) -> u64 {
        self.record.round.terms.window.into()
    }

    fn cost(&self, batches: u32) -> Result<Amount, RoundError> {
        Ok(times(self.record.round.terms.price, batches)?)
    }

    fn in_state(&self, expected: &[RoundState]) -> Result<(), RoundError> {
        let found = self.record.round.state;
        require(expected.contains(&found), RoundError::WrongState { found })
    }

    fn only_buyer(&self) -> Result<(), RoundError> {
        let (buyer, caller) = (self.record.round.buyer, self.by);
        require(buyer == caller, RoundError::OnlyBuyer { buyer, caller })
    }

    fn only_seller(&self) -> Result<(), RoundError> {
        let (seller, caller) = (self.record.round.seller, self.by);
        require(seller == caller, RoundError::OnlySeller { seller, caller })
    }

    fn signed(&self, wanted: Address, signer: Option<Address>) -> Result<(), RoundError> {
        Ok(signed(self.by, wanted, signer)?)
    }

    fn in_time(&self) -> Result<(), RoundError> {
        Ok(in_time(self.record.round.deadline, self.now)?)
    }

    fn in_batches(&self, count: u32) -> Result<(), RoundError> {
        let batches = self.record.round.terms.batches;
        require(
            count <= batches,
            RoundError::CountAboveBatches { count, batches },
        )
    }
}

fn require(holds: bool, otherwise: RoundError) -> Result<(), RoundError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise)
    }
}
