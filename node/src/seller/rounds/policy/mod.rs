//! Which rounds a seller accepts: those it can serve, prove and be paid for.

mod refusal;

use zknode_protocol::{
    round::RoundTerms,
    value::{Address, Amount, ModelId},
};

pub use self::refusal::RoundRefusal;
use super::book::{closing, reserves};
use crate::seller::{
    model::SPARE_OPENINGS,
    schedule::{self, Duty, Pace},
    send::{answer_pace, step_pace},
};

/// What the seller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundPolicy {
    /// What it is paid in: zero for ether, else an ERC-20 token. All amounts are in its least unit.
    pub token: Address,
    /// Least price of a batch.
    pub price_per_batch: Amount,
    /// Largest bond it puts at stake.
    pub max_bond: Amount,
    /// Most batches in one round.
    pub max_batches: u32,
    /// Seconds one proof takes, with reserve.
    pub seconds_per_proof: u64,
    /// Wei kept in the account for bringing one proof to the chain.
    pub gas_per_proof: Amount,
    /// Longest time, in seconds, that the bond may be locked.
    pub longest_lock: u64,
    /// Least time, in seconds, to answer a contest.
    pub shortest_answer: u64,
    /// Least fee for bringing a contested proof to the chain.
    pub least_contest_fee: LeastFee,
}

/// The least fee for bringing a contested proof to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeastFee {
    /// As the owner says.
    Named(Amount),
    /// What the proof costs: with less, a buyer makes the seller lose more by contesting than it pays.
    Cost {
        /// Of bringing it.
        gas: u128,
    },
}

impl LeastFee {
    /// The fee while gas costs `price`.
    pub fn at(self, price: Amount) -> Amount {
        match self {
            Self::Named(fee) => fee,
            Self::Cost { gas } => Amount(price.0.saturating_mul(gas)),
        }
    }

    /// How it comes about.
    pub fn rule(self) -> String {
        match self {
            Self::Named(fee) => format!("{fee}, as --least-contest-fee says"),
            Self::Cost { gas } => {
                format!("what a proof on chain costs, {gas} gas at the price of gas")
            }
        }
    }
}

/// What the seller knows besides the terms.
#[derive(Clone, Debug)]
pub struct RoundFacts {
    /// The model served.
    pub model: ModelId,
    /// Openings left of the model commitment, those promised to others taken off.
    pub openings_left: u32,
    /// Proofs promised to others that may have to come to the chain.
    pub promised: u32,
    /// When those are owed that are not made yet.
    pub duties: Vec<Duty>,
    /// When they may be asked for on the chain.
    pub answers: Vec<Duty>,
    /// When the clerk may have to send something.
    pub steps: Vec<Duty>,
    /// Seconds that an answer may wait for its turn.
    pub queue: u64,
    /// Wei of the account.
    pub balance: Amount,
    /// Seconds before the end at which the seller closes.
    pub close_before: u64,
    /// What gas costs, in the money of the round.
    pub gas_price: Amount,
    /// Block time.
    pub now: u64,
}

impl RoundPolicy {
    /// Whether the round may be accepted. Every limit is inclusive.
    pub fn check(&self, terms: &RoundTerms, facts: &RoundFacts) -> Result<(), RoundRefusal> {
        let (expected, got) = (facts.model, terms.model);
        require(expected == got, RoundRefusal::Model { expected, got })?;
        let (expected, got) = (self.token, terms.token);
        require(expected == got, RoundRefusal::Token { expected, got })?;
        let (expected, got) = (self.price_per_batch, terms.price);
        require(got >= expected, RoundRefusal::Price { expected, got })?;
        let (expected, got) = (self.max_bond, terms.bond);
        require(got <= expected, RoundRefusal::Bond { expected, got })?;
        let (expected, got) = (self.max_batches, terms.batches);
        require(got <= expected, RoundRefusal::Batches { expected, got })?;
        let least = self.least_contest_fee;
        let (expected, got) = (least.at(facts.gas_price), terms.contest_fee);
        let rule = least.rule();
        let too_low = RoundRefusal::ContestFee {
            expected,
            rule,
            got,
        };
        require(got >= expected, too_low)?;
        let left = terms.serve_by.saturating_sub(facts.now);
        let (expected, got) = (facts.close_before, left);
        require(got > expected, RoundRefusal::Service { expected, got })?;
        let lock = terms.last_second().saturating_sub(facts.now);
        let (expected, got) = (self.longest_lock, lock);
        require(got <= expected, RoundRefusal::Lock { expected, got })?;
        let (expected, got) = (self.shortest_answer, terms.prove_time);
        require(
            u64::from(got) >= expected,
            RoundRefusal::Answer { expected, got },
        )?;
        // Closed by this node at the earliest; contested at any moment of the window, all batches at once.
        let contests = (
            terms.serve_by.saturating_sub(facts.close_before),
            terms.serve_by.saturating_add(terms.window.into()),
        );
        let own = |reserve| {
            let within = u64::from(got).saturating_sub(reserve);
            Duty::on_demand("this round", terms.batches, contests, within)
        };
        let (queue, now) = (facts.queue, facts.now);
        let (proving, sending) = reserves(queue, self.seconds_per_proof);
        let pace = Pace::of(self.seconds_per_proof);
        schedule::check(&own(proving), &facts.duties, pace, now)?;
        schedule::check(&own(sending), &facts.answers, answer_pace(queue), now)?;
        let whose = "this round, to be closed,".to_owned();
        let close = closing(whose, terms.serve_by, facts.close_before, queue, now);
        schedule::check(&close, &facts.steps, step_pace(queue), now)?;
        let proofs = facts.promised.saturating_add(terms.batches);
        let gas = self.gas_per_proof.0.saturating_mul(proofs.into());
        let expected = Amount(gas.saturating_add(terms.wei(terms.bond).0));
        let got = facts.balance;
        require(got >= expected, RoundRefusal::Funds { expected, got })?;
        let needed = terms.batches.saturating_add(SPARE_OPENINGS);
        let left = facts.openings_left;
        require(left >= needed, RoundRefusal::Openings { left, needed })
    }
}

fn require(holds: bool, otherwise: RoundRefusal) -> Result<(), RoundRefusal> {
    if holds {
        Ok(())
    } else {
        Err(otherwise)
    }
}

#[cfg(test)]
mod tests;
