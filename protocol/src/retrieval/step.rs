//! The rules: one function per event, each a list of checks in the contract's order and then one change.

mod open;

use std::collections::BTreeSet;

use super::{Payout, Retrieval, RetrievalError, State, Terms};
use crate::{
    claim_tree::SumNode,
    deal::{exact_value, in_time, overdue, signed, ModelFacts, Moment},
    shards::{check_leaf, check_shard, claim_root, in_range, ShardError, ShardFacts},
    value::{Address, Amount, Hash},
};

use open::open;

/// A retrieval with its contests, which the chain keeps too but does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the chain lists.
    pub retrieval: Retrieval,
    /// Indices of the shards contested so far.
    pub contested: BTreeSet<u32>,
    /// Indices of the shards proven on chain so far.
    pub proven: BTreeSet<u32>,
}

/// Somebody does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who sends it.
    pub by: Address,
    /// What.
    pub action: Action,
}

/// What may happen to a retrieval. `signer`: whose signature comes with it, if any.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // The fields are those of the contract's functions.
pub enum Action {
    /// The requester asks and deposits.
    Open {
        terms: Terms,
        model: Option<ModelFacts>,
        token_has_code: bool,
        value: Amount,
    },
    /// The requester takes an offer back that nobody accepted.
    Cancel,
    /// The responder locks its bond.
    Accept { value: Amount },
    /// The responder says how many items match.
    Claim {
        node: Hash,
        top1: u32,
        topk: u32,
        ciphertext: Hash,
    },
    /// The requester has the items.
    Approve { signer: Option<Address> },
    /// The requester wants a shard's proof on chain.
    Contest { index: u32, value: Amount },
    /// A contested shard's proof, and its opening of the claim.
    Answer {
        shard: ShardFacts,
        proof: Hash,
        path: Vec<SumNode>,
    },
    /// The requester says that the items did not come or do not open.
    Reject,
    /// After the deadline of its state.
    Expire,
}

/// The money an event moves: into the contract, and from its deposits to accounts' credit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Paid in by the sender.
    pub deposit: Amount,
    /// Credited.
    pub paid: Payout,
}

type Outcome = Result<(Record, Effects), RetrievalError>;

/// What `event` at `now` makes of the retrieval `before` (`None`: not opened yet): the retrieval after it and the money it
/// moves, or the rule that refuses it. Pure and total; a refused event changes nothing.
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
    let record = before.cloned().ok_or(RetrievalError::UnknownRequest)?;
    let case = Case {
        record,
        by,
        now: now.time,
    };
    match &event.action {
        Action::Open { .. } => Err(RetrievalError::AlreadyOpened),
        Action::Cancel => case.cancel(),
        Action::Accept { value } => case.accept(*value),
        Action::Claim {
            node,
            top1,
            topk,
            ciphertext,
        } => case.claim(*node, *top1, *topk, *ciphertext),
        Action::Approve { signer } => case.approve(*signer),
        Action::Contest { index, value } => case.contest(*index, *value),
        Action::Answer { shard, proof, path } => case.answer(shard, *proof, path),
        Action::Reject => case.reject(),
        Action::Expire => case.expire(),
    }
}

fn paid_in(deposit: Amount) -> Effects {
    let paid = Payout::default();
    Effects { deposit, paid }
}

/// One event under judgement.
struct Case {
    record: Record,
    by: Address,
    now: u64,
}

impl Case {
    fn cancel(self) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_requester()?;
        self.in_time()?;
        self.ended(State::Cancelled)
    }

    fn accept(mut self, value: Amount) -> Outcome {
        self.in_state(&[State::Open])?;
        self.only_responder()?;
        self.in_time()?;
        let terms = &self.record.retrieval.terms;
        let (bond, claim_by) = (terms.bond, terms.claim_by);
        exact_value(terms.wei(bond), value)?;
        self.enter(State::Accepted, claim_by);
        Ok((self.record, paid_in(bond)))
    }

    fn claim(mut self, node: Hash, top1: u32, topk: u32, ciphertext: Hash) -> Outcome {
        self.in_state(&[State::Accepted])?;
        self.only_responder()?;
        self.in_time()?;
        let terms = &self.record.retrieval.terms;
        let claim = claim_root(node, terms.samples, top1, topk)?;
        let window_end = self.now.saturating_add(terms.window.into());
        let retrieval = &mut self.record.retrieval;
        (retrieval.claim, retrieval.ciphertext) = (claim, ciphertext);
        (retrieval.matches, retrieval.window_end) = (top1, window_end);
        self.enter(State::Claimed, window_end);
        Ok((self.record, Effects::default()))
    }

    fn approve(self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Claimed])?;
        signed(self.by, self.record.retrieval.requester, signer)?;
        self.in_time()?;
        self.ended(State::Settled)
    }

    fn contest(mut self, index: u32, value: Amount) -> Outcome {
        self.in_state(&[State::Claimed, State::Contested])?;
        self.only_requester()?;
        self.in_time()?;
        in_time(self.record.retrieval.window_end, self.now)?;
        let terms = self.record.retrieval.terms.clone();
        in_range(index, terms.shards)?;
        if !self.record.contested.insert(index) {
            return Err(ShardError::ShardAlreadyContested { index }.into());
        }
        exact_value(terms.wei(terms.contest_fee), value)?;
        let contests = &mut self.record.retrieval.contests;
        *contests = contests.saturating_add(1);
        // One deadline for all open contests: a later one prolongs the earlier.
        let answer_by = self.now.saturating_add(terms.prove_time.into());
        self.enter(State::Contested, answer_by);
        Ok((self.record, paid_in(terms.contest_fee)))
    }

    fn answer(mut self, facts: &ShardFacts, proof: Hash, path: &[SumNode]) -> Outcome {
        self.in_state(&[State::Contested])?;
        self.in_time()?;
        let retrieval = &self.record.retrieval;
        let (index, terms) = (facts.shard.index, retrieval.terms.clone());
        in_range(index, terms.shards)?;
        if !self.record.contested.contains(&index) {
            return Err(ShardError::ShardNotContested { index }.into());
        }
        if self.record.proven.contains(&index) {
            return Err(ShardError::ShardAlreadyProven { index }.into());
        }
        check_leaf(retrieval.claim, terms.shards, facts.shard, proof, path)?;
        check_shard(terms.dataset_root, terms.shards, facts)?;
        self.record.proven.insert(index);
        let left = self.record.retrieval.contests.saturating_sub(1);
        self.record.retrieval.contests = left;
        if left == 0 {
            let judge_by = self.now.saturating_add(terms.receipt_time.into());
            self.enter(
                State::Claimed,
                self.record.retrieval.window_end.max(judge_by),
            );
        }
        let paid = Payout {
            responder: terms.contest_fee,
            ..Payout::default()
        };
        let deposit = Amount::ZERO;
        Ok((self.record, Effects { deposit, paid }))
    }

    fn reject(self) -> Outcome {
        self.in_state(&[State::Claimed])?;
        self.only_requester()?;
        self.in_time()?;
        self.ended(State::Rejected)
    }

    fn expire(self) -> Outcome {
        let (found, deadline) = (self.record.retrieval.state, self.record.retrieval.deadline);
        require(!found.is_terminal(), || RetrievalError::WrongState {
            found,
        })?;
        overdue(deadline, self.now)?;
        self.ended(match found {
            State::Open => State::Cancelled,
            State::Claimed => State::Settled,
            _ => State::Slashed,
        })
    }

    // ---- who, what, when

    fn ended(mut self, state: State) -> Outcome {
        self.enter(state, 0);
        let paid = self.record.retrieval.payout(state)?;
        let deposit = Amount::ZERO;
        Ok((self.record, Effects { deposit, paid }))
    }

    fn enter(&mut self, state: State, deadline: u64) {
        let retrieval = &mut self.record.retrieval;
        (retrieval.state, retrieval.deadline) = (state, deadline);
    }

    fn in_state(&self, expected: &[State]) -> Result<(), RetrievalError> {
        let found = self.record.retrieval.state;
        require(expected.contains(&found), || RetrievalError::WrongState {
            found,
        })
    }

    fn only_requester(&self) -> Result<(), RetrievalError> {
        let (requester, caller) = (self.record.retrieval.requester, self.by);
        require(requester == caller, || RetrievalError::OnlyRequester {
            requester,
            caller,
        })
    }

    fn only_responder(&self) -> Result<(), RetrievalError> {
        let (responder, caller) = (self.record.retrieval.responder, self.by);
        require(responder == caller, || RetrievalError::OnlyResponder {
            responder,
            caller,
        })
    }

    fn in_time(&self) -> Result<(), RetrievalError> {
        Ok(in_time(self.record.retrieval.deadline, self.now)?)
    }
}

fn require(holds: bool, otherwise: impl FnOnce() -> RetrievalError) -> Result<(), RetrievalError> {
    if holds {
        Ok(())
    } else {
        Err(otherwise())
    }
}
