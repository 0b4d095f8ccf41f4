//! Which rounds a seller accepts: those it can serve, prove and be paid for.

use thiserror::Error;
use zknode_protocol::{
    round::RoundTerms,
    value::{Address, Amount, ModelId},
};

use super::book::{closing, reserves};
use crate::seller::{
    schedule::{self, Duty, Late, Pace},
    send::{answer_pace, step_pace},
};

/// Openings kept back for each round: a proof that is interrupted spends one, and is made again.
const SPARE_OPENINGS: u32 = 8;

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

/// Why a round is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RoundRefusal {
    /// No predictions here.
    #[error("this node takes no new rounds of predictions: start it with --price-per-batch")]
    NotOffered,
    /// Someone else's model, or another of ours.
    #[error("this node sells model {expected}, the round is about {got}")]
    Model {
        /// The model served.
        expected: ModelId,
        /// The round's.
        got: ModelId,
    },
    /// Not in the right money.
    #[error("this node is paid in the token {expected} (zero for ether), the round in {got}")]
    Token {
        /// The node's.
        expected: Address,
        /// The round's.
        got: Address,
    },
    /// Too cheap.
    #[error("expected a price of at least {expected} a batch, got {got}")]
    Price {
        /// Least price.
        expected: Amount,
        /// Price offered.
        got: Amount,
    },
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, got {got}")]
    Bond {
        /// The most.
        expected: Amount,
        /// The round's.
        got: Amount,
    },
    /// Too many batches.
    #[error("expected at most {expected} batches, got {got}")]
    Batches {
        /// The most.
        expected: u32,
        /// The round's.
        got: u32,
    },
    /// Contests would cost the seller more than the buyer.
    #[error("expected a contest fee of at least {expected} ({rule}), got {got}")]
    ContestFee {
        /// The least.
        expected: Amount,
        /// How it comes about.
        rule: String,
        /// The round's.
        got: Amount,
    },
    /// No time to serve before the seller must close.
    #[error("expected more than {expected} s until the end of service, got {got} s")]
    Service {
        /// What closing takes.
        expected: u64,
        /// Time left.
        got: u64,
    },
    /// The bond would be locked too long.
    #[error("expected the bond to be locked for at most {expected} s, got {got} s")]
    Lock {
        /// The longest.
        expected: u64,
        /// The terms' last second, from now.
        got: u64,
    },
    /// All batches could be contested at once, and not be proven in time, or something promised to others.
    #[error(transparent)]
    Late(#[from] Late),
    /// No time to answer on chain.
    #[error("expected at least {expected} s to answer contests, got {got} s")]
    Answer {
        /// Least time.
        expected: u64,
        /// Time agreed.
        got: u32,
    },
    /// Too poor to bring the proofs to the chain.
    #[error("the seller's account needs {expected} wei for the bond and for proofs on chain, those promised to others included, and has {got}")]
    Funds {
        /// The least.
        expected: Amount,
        /// The balance.
        got: Amount,
    },
    /// The model was opened too often.
    #[error("the model's commitment may be opened {left} more times, the round needs {needed}; register the model again")]
    Openings {
        /// Openings left.
        left: u32,
        /// One a batch, and some to spare.
        needed: u32,
    },
}

fn require(holds: bool, otherwise: RoundRefusal) -> Result<(), RoundRefusal> {
    if holds {
        Ok(())
    } else {
        Err(otherwise)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use zknode_protocol::value::Bytes;

    const MODEL: ModelId = ModelId(Bytes([1; 32]));
    const POLICY: RoundPolicy = RoundPolicy {
        token: Address::ZERO,
        price_per_batch: Amount(10),
        max_bond: Amount(50),
        max_batches: 4,
        seconds_per_proof: 25,
        gas_per_proof: Amount(7),
        longest_lock: 512,
        shortest_answer: 90,
        least_contest_fee: LeastFee::Named(Amount(3)),
    };
    /// Exactly what [`terms`] need.
    const FACTS: RoundFacts = RoundFacts {
        model: MODEL,
        openings_left: 12,
        promised: 1,
        duties: Vec::new(),
        answers: Vec::new(),
        steps: Vec::new(),
        queue: 0,
        balance: Amount(5 * 7 + 50),
        close_before: 99,
        gas_price: Amount(2),
        now: 100,
    };

    fn terms() -> RoundTerms {
        RoundTerms {
            model: MODEL,
            token: Address::ZERO,
            batches: 4,
            price: Amount(10),
            bond: Amount(50),
            contest_fee: Amount(3),
            accept_by: 150,
            serve_by: 200,
            window: 300,
            prove_time: 112,
        }
    }

    #[test]
    fn each_limit_is_inclusive_and_refuses_one_beyond() {
        assert_eq!(POLICY.check(&terms(), &FACTS), Ok(()));
        type Change = (fn(&mut RoundTerms, &mut RoundFacts), &'static str);
        let changes: [Change; 15] = [
            (|t, _| t.model = ModelId(Bytes([9; 32])), "sells model"),
            (|t, _| t.token = Bytes([9; 20]), "paid in the token"),
            (|t, _| t.price = Amount(9), "a price of at least 10"),
            (|t, _| t.bond = Amount(51), "a bond of at most 50"),
            (|t, _| t.batches = 5, "at most 4 batches"),
            (|t, _| t.contest_fee = Amount(2), "fee of at least 3"),
            (|_, f| f.close_before = 100, "more than 100 s until the end"),
            (|t, _| t.window = 301, "at most 512 s, got 513"),
            (|t, _| t.prove_time = 111, "by 1 s: 4 proofs"),
            (
                |_, f| f.duties = vec![Duty::by("another", 1, 150, 900)],
                "by 25 s",
            ),
            (
                |_, f| f.duties = vec![Duty::by("another", 1, 150, 190)],
                "another would miss its deadline 190",
            ),
            // The way of a proof takes a second more, too.
            (|_, f| f.queue = 1, "by 2 s: 4 proofs"),
            (
                |_, f| f.answers = vec![Duty::on_demand("another", 5, (150, 900), 100)],
                "by 21 s: 9 proofs",
            ),
            (|_, f| f.balance = Amount(84), "needs 85 wei"),
            (|_, f| f.openings_left = 11, "11 more times"),
        ];
        for (change, words) in changes {
            let (mut terms, mut facts) = (terms(), FACTS);
            change(&mut terms, &mut facts);
            let refusal = POLICY.check(&terms, &facts).err();
            let said = refusal
                .map(|refusal| refusal.to_string())
                .unwrap_or_default();
            assert!(said.contains(words), "{said:?} says nothing of {words:?}");
        }
        // Of all rounds that end together each is to be closed in time.
        let closing = |others| {
            let facts = RoundFacts {
                queue: 32,
                steps: vec![Duty::by("others", others, 101, 156)],
                ..FACTS
            };
            let terms = RoundTerms {
                prove_time: 200,
                ..terms()
            };
            let policy = RoundPolicy {
                longest_lock: 600,
                ..POLICY
            };
            policy.check(&terms, &facts)
        };
        assert_eq!(closing(26), Ok(()));
        let late = closing(27).err().map(|late| late.to_string());
        let words = "this round, to be closed, would miss its deadline 156 by 1 s";
        assert!(
            late.as_ref().is_some_and(|late| late.contains(words)),
            "{late:?}"
        );
        // Unless it is named, the fee is what a proof costs.
        let mut policy = POLICY;
        for (gas, enough) in [(1, true), (2, false)] {
            policy.least_contest_fee = LeastFee::Cost { gas };
            let judged = policy.check(&terms(), &FACTS);
            assert_eq!(judged.is_ok(), enough, "{judged:?}");
        }
        let refusal = policy.check(&terms(), &FACTS).err();
        let words = refusal.map(|refusal| refusal.to_string());
        let expected = "expected a contest fee of at least 4 (what a proof on chain costs, 2 gas at the price of gas), got 3";
        assert_eq!(words.as_deref(), Some(expected));
        // Few batches still leave the seller its least time.
        let few = RoundTerms {
            batches: 1,
            prove_time: 89,
            ..terms()
        };
        let refusal = POLICY.check(&few, &FACTS);
        assert!(matches!(
            refusal,
            Err(RoundRefusal::Answer { expected: 90, .. })
        ));
    }
}
