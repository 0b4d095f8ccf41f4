//! The rules: one function per event, each a list of checks in the contract's order and then one change.
//!
//! By topic: [`open`], [`service`] (from the offer to the count), [`contest`] (doubts and proofs), [`ends`] (defaults and
//! who gets what).

mod contest;
mod ends;
mod open;
mod service;

use std::collections::BTreeMap;

use super::{Contest, Prediction, Round, RoundError, RoundState, RoundTerms};
use crate::{
    deal::{in_time, signed, times, ModelFacts, Moment},
    value::{Address, Amount},
};

use open::open;

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
