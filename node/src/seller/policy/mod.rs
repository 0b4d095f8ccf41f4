//! Which agreements a seller takes. Everything it is bound by once it accepts is looked at before.

mod refusal;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::{Mode, Terms},
    bounds::passing_chance,
    economics::{Costs, Rule, Setting, Side},
    value::{Address, Amount, ModelId},
};

pub use self::refusal::Refusal;
use super::{
    model::SPARE_OPENINGS,
    schedule::{self, Duty, Pace},
    send::{self, answer_pace, step_pace, BLOCK},
};
use crate::costs::{broken, gas};

/// What the seller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What it is paid in: zero for ether, else an ERC-20 token. All amounts are in its least unit.
    pub token: Address,
    /// Least price of a sample.
    pub price_per_sample: Amount,
    /// Largest bond it puts at stake.
    pub max_bond: Amount,
    /// Most samples in one agreement.
    pub max_samples: u32,
    /// Seconds one shard's proof takes, with reserve.
    pub seconds_per_shard: u64,
    /// Wei kept in the account for bringing one shard's proof to the chain.
    pub gas_per_shard: Amount,
    /// Longest time, in seconds, that a bond waits for a delivery.
    pub longest_wait: u64,
    /// Least time, in seconds, to answer the chain: a delivery that is said to be sent, a contested shard.
    pub shortest_answer: u64,
    /// Least fee for bringing a contested proof to the chain.
    pub least_contest_fee: Amount,
    /// By what it judges whether terms leave a buyer a reason to cheat; `None`: it takes the risk.
    pub economics: Option<Economics>,
    /// How accurate the model is, basis points, as far as the seller knows. A test set on which it does far worse is no
    /// test set, and denied; without it, the fault is taken for the model's.
    pub accuracy: Option<u32>,
}

/// What a seller reckons with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Economics {
    /// What proving costs, a sample.
    pub proof: Amount,
    /// What a plain inference costs.
    pub inference: Amount,
    /// Gas of bringing a contested proof to the chain.
    pub answer_gas: u128,
}

/// How far above the threshold a seller's model is taken to be, basis points.
const MARGIN: u32 = 250;
/// How much longer a look takes while a proof is made beside it.
const BESIDE_A_PROOF: u128 = 2;
/// A count that a model of the known accuracy has less often than once in so many test sets is the test set's fault.
const INCREDIBLE: f64 = 1_000.0;

/// What the seller knows besides the agreement.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The model served.
    pub model: ModelId,
    /// Samples a proof covers.
    pub shard_size: usize,
    /// Openings left of the model commitment, those promised to other agreements taken off.
    pub openings_left: u32,
    /// Proofs promised to others that may have to come to the chain.
    pub promised: u32,
    /// When those are owed that are not made yet.
    pub duties: Vec<Duty>,
    /// When they may be asked for on the chain.
    pub answers: Vec<Duty>,
    /// When the clerk may have to send something.
    pub steps: Vec<Duty>,
    /// When it may have to answer others' deliveries, after all looks at them.
    pub deliveries: Vec<Duty>,
    /// Shards of others' deliveries that may have to be looked at.
    pub looks: u32,
    /// Least time, in seconds, that one of those agreements leaves for it.
    pub look_within: u32,
    /// What a look at a shard takes.
    pub look_time: Duration,
    /// Seconds that a transaction may wait for those before it.
    pub queue: u64,
    /// Wei of the account.
    pub balance: Amount,
    /// Block time.
    pub now: u64,
    /// What gas costs, in the money of the agreement.
    pub gas_price: Amount,
}

impl Policy {
    /// Whether the agreement may be accepted.
    pub fn check(&self, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        if terms.model != facts.model {
            return Err(Refusal::Model {
                expected: facts.model,
                got: terms.model,
            });
        }
        if terms.token != self.token {
            return Err(Refusal::Token {
                expected: self.token,
                got: terms.token,
            });
        }
        let expected = self.price_per_sample.0.saturating_mul(terms.samples.into());
        if terms.price.0 < expected {
            return Err(Refusal::Price {
                expected,
                samples: terms.samples,
                got: terms.price,
            });
        }
        if terms.bond > self.max_bond {
            return Err(Refusal::Bond {
                expected: self.max_bond,
                got: terms.bond,
            });
        }
        if terms.samples > self.max_samples {
            return Err(Refusal::Samples {
                expected: self.max_samples,
                got: terms.samples,
            });
        }
        let full = (terms.samples as usize).div_ceil(facts.shard_size.max(1));
        if full != terms.shards as usize {
            return Err(Refusal::Shards {
                expected: u32::try_from(full).unwrap_or(u32::MAX),
                samples: terms.samples,
                size: facts.shard_size,
                got: terms.shards,
            });
        }
        let (expected, got) = (self.least_contest_fee, terms.contest_fee);
        if terms.mode == Mode::Optimistic && got < expected {
            return Err(Refusal::ContestFee { expected, got });
        }
        let mut answers = vec![terms.response_time];
        if terms.mode == Mode::Optimistic {
            answers.push(terms.prove_time);
        }
        let expected = self.shortest_answer;
        if let Some(got) = answers.into_iter().find(|got| u64::from(*got) < expected) {
            return Err(Refusal::Answer { expected, got });
        }
        self.check_look(terms, facts)?;
        if terms.buyer_bond < terms.preview_fee {
            return Err(Refusal::BuyerBond {
                expected: terms.preview_fee,
                got: terms.buyer_bond,
            });
        }
        let received_by = received_by(terms);
        let got = received_by.saturating_sub(facts.now);
        if got > self.longest_wait {
            return Err(Refusal::Wait {
                expected: self.longest_wait,
                got,
            });
        }
        // Delivered in the last second, which is after this one.
        let from = received_by.max(facts.now);
        self.check_means(terms, facts, from, terms.wei(terms.bond))?;
        let needed = terms.shards.saturating_add(SPARE_OPENINGS);
        if facts.openings_left < needed {
            return Err(Refusal::Openings {
                left: facts.openings_left,
                needed,
            });
        }
        self.check_reasons(terms, facts)
    }

    /// Whether there is time to look at a delivery of the last second, those of others before it, and to answer: here, and
    /// in each of the others, since a look that is begun is not interrupted for another.
    fn check_look(&self, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        let shards = facts.looks.saturating_add(terms.shards);
        let looks = look_seconds(facts.look_time, shards);
        let expected = looks.saturating_add(facts.queue).saturating_add(BLOCK);
        let got = terms.response_time.min(facts.look_within);
        if u64::from(got) < expected {
            return Err(Refusal::Look {
                expected,
                looks,
                got,
            });
        }
        // All that is promised may be delivered, or not be, at the same moment; this one may be looked at first.
        let longer = looks.saturating_sub(look_seconds(facts.look_time, facts.looks));
        let before = [&facts.steps[..], &facts.deliveries].concat();
        let sooner = facts.deliveries.iter().map(|duty| duty.sooner(longer));
        let then: Vec<_> = facts.steps.iter().cloned().chain(sooner).collect();
        let whose = "this agreement, delivered,";
        let step = answered(whose.into(), terms, facts.now, looks, facts.queue);
        let pace = step_pace(facts.queue);
        schedule::check_hurry(&step, &before, &then, pace, facts.now)?;
        Ok(())
    }

    /// Whether nobody gains by hurting the seller.
    fn check_reasons(&self, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        let Some(economics) = self.economics else {
            return Ok(());
        };
        let costs = Costs {
            // Unknown to the seller, and in no rule that protects it.
            label: Amount::ZERO,
            look: Amount::ZERO,
            prize: Amount::ZERO,
            worth: None,
            interest: 0,
            vigilance: 10_000,
            risk: 500,
            proof: economics.proof,
            inference: economics.inference,
            gas: gas(facts.gas_price, economics.answer_gas),
            error: MARGIN,
            outage: self.shortest_answer,
            seconds_per_shard: self.seconds_per_shard,
            block_seconds: BLOCK,
        };
        let setting = Setting {
            shard_size: u32::try_from(facts.shard_size).unwrap_or(u32::MAX),
            now: facts.now,
            stake: Amount::ZERO,
        };
        let ours = |rule: Rule| rule.protects() == Side::Seller;
        let broken = broken(terms, &setting, &costs, ours)
            .map_err(|error| Refusal::Malformed(error.to_string()))?;
        if broken.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Unsafe(broken))
        }
    }

    /// Whether so few correct answers are the test set's fault: a model as accurate as the seller knows it to be gets no
    /// more of them less than once in a thousand test sets.
    pub fn is_incredible(&self, correct: u64, shown: u64) -> bool {
        let Some(accuracy) = self.accuracy else {
            return false;
        };
        let accuracy = f64::from(accuracy.min(10_000)) / 10_000.0;
        match passing_chance(correct.saturating_add(1), shown, accuracy) {
            Ok(better) => (1.0 - better) * INCREDIBLE < 1.0,
            // All of them are correct.
            Err(_) => false,
        }
    }

    /// Whether the delivery may be acknowledged: the bond is at stake from then on.
    pub fn check_before_receipt(&self, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        self.check_means(terms, facts, facts.now, Amount::ZERO)
    }

    /// Time to make the proofs, owed from the second `from` on, time to bring them to the chain if all are contested, and gas
    /// for that, those promised to others included.
    fn check_means(
        &self,
        terms: &Terms,
        facts: &Facts,
        from: u64,
        bond: Amount,
    ) -> Result<(), Refusal> {
        let proven_by = send::ready_by(terms.claim_by, facts.queue);
        let own = Duty::by("this agreement", terms.shards, from, proven_by);
        let pace = Pace::of(self.seconds_per_shard);
        schedule::check(&own, &facts.duties, pace, facts.now)?;
        let answers = match terms.mode {
            Mode::Optimistic => {
                let whose = "this agreement, contested,";
                let contests = (facts.now, last_contest(terms));
                let within = u64::from(terms.prove_time).saturating_sub(facts.queue);
                Duty::on_demand(whose, terms.shards, contests, within)
            }
            Mode::Eager => {
                let by = terms.claim_by.saturating_sub(facts.queue);
                Duty::by("this agreement, on the chain,", terms.shards, from, by)
            }
        };
        schedule::check(
            &answers,
            &facts.answers,
            answer_pace(facts.queue),
            facts.now,
        )?;
        let proofs = facts.promised.saturating_add(terms.shards);
        let gas = self.gas_per_shard.0.saturating_mul(proofs.into());
        let expected = Amount(gas.saturating_add(bond.0));
        if facts.balance < expected {
            return Err(Refusal::Funds {
                expected,
                got: facts.balance,
            });
        }
        Ok(())
    }
}

/// Seconds that looks at so many shards take.
pub(super) fn look_seconds(look_time: Duration, shards: u32) -> u64 {
    let looks = look_time.as_millis().saturating_mul(shards.into());
    let looks = looks.saturating_mul(BESIDE_A_PROOF).div_ceil(1_000);
    u64::try_from(looks).unwrap_or(u64::MAX)
}

/// When what is delivered, or said to be, is to be answered on the chain: at any moment until the last delivery, after looks
/// of so many seconds.
pub(super) fn answered(whose: String, terms: &Terms, now: u64, looks: u64, queue: u64) -> Duty {
    let within = send::ready_by(terms.response_time.into(), queue).saturating_sub(looks);
    Duty::on_demand(whose, 1, (now, terms.deliver_by.max(now)), within)
}

/// The last second in which a delivery may be acknowledged.
pub(super) fn received_by(terms: &Terms) -> u64 {
    terms.deliver_by.saturating_add(terms.response_time.into())
}

/// The last second in which a shard may be contested.
pub(super) fn last_contest(terms: &Terms) -> u64 {
    terms.claim_by.saturating_add(terms.window.into())
}

#[cfg(test)]
mod tests;
