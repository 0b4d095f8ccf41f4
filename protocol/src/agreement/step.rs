//! The rules: one function per event, each a list of checks in the contract's order and then one change.

//!
//! By topic: [`open`], [`delivery`] (from acceptance to the receipt), [`count`] (claims and proofs), [`ends`] (defaults
//! and who gets what).

mod count;
mod delivery;
mod ends;
mod open;

use super::{Action, Agreement, Effect, Event, Metric, Mode, RuleError, State};
use crate::{
    deal::{in_time, signed, Moment},
    shards::{in_range, ShardError},
    value::Address,
};

use open::open;

type Outcome = Result<(Agreement, Vec<Effect>), RuleError>;

/// What `event` at `now` makes of the agreement `before` (`None`: not opened yet): the agreement after it and the
/// money it moves, or the rule that refuses it. Pure and total; a refused event changes nothing.
pub fn step(before: Option<&Agreement>, event: &Event, now: Moment) -> Outcome {
    let by = event.by;
    if let Action::Open {
        terms,
        model,
        token_has_code,
        value,
    } = &event.action
    {
        if before.is_some() {
            return Err(RuleError::AgreementExists);
        }
        return open(by, terms, *model, *token_has_code, *value, now);
    }
    let agreement = before.cloned().ok_or(RuleError::UnknownAgreement)?;
    let case = Case { agreement, by, now };
    match &event.action {
        Action::Open { .. } => Err(RuleError::AgreementExists),
        Action::Cancel => case.cancel(),
        Action::Accept { value } => case.accept(*value),
        Action::Draw { seed } => case.draw(*seed),
        Action::Send => case.send(),
        Action::Proceed { signer } => case.proceed(*signer),
        Action::Acknowledge { ciphertext, signer } => case.acknowledge(*ciphertext, *signer),
        Action::Decline => case.decline(),
        Action::Deny => case.deny(),
        Action::Claim { node, top1, topk } => case.claim(*node, *top1, *topk),
        Action::Approve { signer } => case.approve(*signer),
        Action::Contest { index, value } => case.contest(*index, *value),
        Action::Answer { shard, proof, path } => case.answer(shard, *proof, path),
        Action::ProveShard(shard) => case.prove(shard),
        Action::Expire => case.expire(),
    }
}

/// An agreement, the sender of a transaction, and when.
struct Case {
    agreement: Agreement,
    by: Address,
    now: Moment,
}

impl Case {
    fn enter(&mut self, state: State, deadline: u64) {
        self.agreement.state = state;
        self.agreement.deadline = deadline;
    }

    fn counted(&self, top1: u32, topk: u32) -> u64 {
        match self.agreement.terms.metric {
            Metric::Top1 => top1.into(),
            Metric::TopK => topk.into(),
        }
    }

    fn in_state(&self, expected: &[State]) -> Result<(), RuleError> {
        let found = self.agreement.state;
        require(expected.contains(&found), || RuleError::WrongState {
            found,
        })
    }

    fn in_mode(&self, expected: Mode) -> Result<(), RuleError> {
        let found = self.agreement.terms.mode;
        require(found == expected, || RuleError::WrongMode { found })
    }

    fn only_buyer(&self) -> Result<(), RuleError> {
        let (buyer, caller) = (self.agreement.buyer, self.by);
        require(caller == buyer, || RuleError::OnlyBuyer { buyer, caller })
    }

    fn only_seller(&self) -> Result<(), RuleError> {
        let (seller, caller) = (self.agreement.seller, self.by);
        require(caller == seller, || RuleError::OnlySeller {
            seller,
            caller,
        })
    }

    fn signed(&self, must: Address, signer: Option<Address>) -> Result<(), RuleError> {
        Ok(signed(self.by, must, signer)?)
    }

    fn in_time(&self) -> Result<(), RuleError> {
        Ok(in_time(self.agreement.deadline, self.now.time)?)
    }

    fn in_range(&self, index: u32) -> Result<(), RuleError> {
        Ok(in_range(index, self.agreement.terms.shards)?)
    }

    fn not_proven(&self, index: u32) -> Result<(), RuleError> {
        require(!self.agreement.proven.contains(&index), || {
            ShardError::ShardAlreadyProven { index }.into()
        })
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> RuleError) -> Result<(), RuleError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}
