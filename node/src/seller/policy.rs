//! Which agreements a seller takes. Everything it is bound by once it accepts is looked at before.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zknode_protocol::{
    agreement::{Mode, Terms},
    bounds::passing_chance,
    economics::{Costs, Rule, Setting, Side},
    value::{Address, Amount, ModelId},
};

use super::schedule::{self, Duty, Late};
use crate::costs::{broken, gas};

/// Openings kept back for each agreement: a proof that is interrupted spends one, and is made again.
const SPARE_OPENINGS: u32 = 8;

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
/// Seconds between two blocks.
const BLOCK: u64 = 12;
/// A count that a model of the known accuracy has less often than once in so many test sets is the test set's fault.
const INCREDIBLE: f64 = 1_000.0;

/// Why an agreement is not taken.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Someone else's model, or another of ours.
    #[error("this node sells model {expected}, the agreement is about {got}")]
    Model {
        /// The model served.
        expected: ModelId,
        /// The agreement's.
        got: ModelId,
    },
    /// Not in the right money.
    #[error("this node is paid in the token {expected} (zero for ether), the agreement in {got}")]
    Token {
        /// The node's.
        expected: Address,
        /// The agreement's.
        got: Address,
    },
    /// Too cheap.
    #[error("expected a price of at least {expected} for {samples} samples, got {got}")]
    Price {
        /// Least price.
        expected: u128,
        /// Samples agreed.
        samples: u32,
        /// Price offered.
        got: Amount,
    },
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, got {got}")]
    Bond {
        /// The most.
        expected: Amount,
        /// The agreement's.
        got: Amount,
    },
    /// Too many samples.
    #[error("expected at most {expected} samples, got {got}")]
    Samples {
        /// The most.
        expected: u32,
        /// The agreement's.
        got: u32,
    },
    /// More or fewer shards than the samples fill.
    #[error("expected {expected} shards for {samples} samples at {size} a proof, got {got}")]
    Shards {
        /// Full ones, and one for the rest.
        expected: u32,
        /// Samples agreed.
        samples: u32,
        /// Samples a proof covers.
        size: usize,
        /// Shards agreed.
        got: u32,
    },
    /// The terms leave the buyer a reason to cheat, or the seller one to stay away.
    #[error("under these terms the seller is hurt, {} inequalities do not hold:\n\n{}", .0.len(), .0.join("\n\n"))]
    Unsafe(Vec<String>),
    /// The terms cannot be judged.
    #[error("the terms cannot be judged: {0}")]
    Malformed(String),
    /// Too little time for the proofs, or for those promised to others before.
    #[error(transparent)]
    Late(#[from] Late),
    /// No time to answer on chain.
    #[error("expected at least {expected} s to answer what is sent or contested, got {got} s")]
    Answer {
        /// Least time.
        expected: u64,
        /// Time agreed.
        got: u32,
    },
    /// Contests would cost the seller more than the buyer.
    #[error("expected a contest fee of at least {expected}, got {got}")]
    ContestFee {
        /// The least.
        expected: Amount,
        /// The agreement's.
        got: Amount,
    },
    /// A buyer could make the seller lose more than itself.
    #[error("expected a buyer's bond of at least the preview fee, {expected}, got {got}")]
    BuyerBond {
        /// The preview fee.
        expected: Amount,
        /// The buyer's bond.
        got: Amount,
    },
    /// The bond would lie idle.
    #[error("expected a delivery within {expected} s at most, got {got} s")]
    Wait {
        /// The longest.
        expected: u64,
        /// Time agreed.
        got: u64,
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
    #[error("the model's commitment may be opened {left} more times, the agreement needs {needed}; register the model again")]
    Openings {
        /// Openings left.
        left: u32,
        /// One a shard, and some to spare.
        needed: u32,
    },
}

/// What the seller knows besides the agreement.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The model served.
    pub model: ModelId,
    /// Samples a proof covers.
    pub shard_size: usize,
    /// Openings left of the model commitment, those promised to other agreements taken off.
    pub openings_left: u32,
    /// Proofs promised to others.
    pub promised: u32,
    /// When those are owed that are not made yet.
    pub duties: Vec<Duty>,
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

    /// Time for the proofs, owed from the second `from` on, and gas for all of them, those promised to others included.
    fn check_means(
        &self,
        terms: &Terms,
        facts: &Facts,
        from: u64,
        bond: Amount,
    ) -> Result<(), Refusal> {
        let own = Duty::by("this agreement", terms.shards, from, terms.claim_by);
        schedule::check(&own, &facts.duties, self.seconds_per_shard, facts.now)?;
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

/// The last second in which a delivery may be acknowledged.
pub(super) fn received_by(terms: &Terms) -> u64 {
    terms.deliver_by.saturating_add(terms.response_time.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use zknode_protocol::{
        agreement::Metric,
        value::{Bytes, Hash},
    };

    fn terms() -> Terms {
        Terms {
            model: ModelId(Bytes([1; 32])),
            dataset_root: Hash::ZERO,
            token: Address::ZERO,
            shards: 2,
            samples: 20,
            threshold: 18,
            price: Amount(200),
            buyer_bond: Amount(4),
            bond: Amount(50),
            penalty: Amount(5),
            preview_fee: Amount(4),
            contest_fee: Amount(1),
            accept_by: 100,
            preview_by: 150,
            deliver_by: 190,
            claim_by: 300,
            metric: Metric::Top1,
            mode: Mode::Optimistic,
            preview_shards: 1,
            response_time: 10,
            window: 100,
            prove_time: 10,
        }
    }

    const POLICY: Policy = Policy {
        token: Address::ZERO,
        price_per_sample: Amount(10),
        max_bond: Amount(50),
        max_samples: 20,
        seconds_per_shard: 50,
        gas_per_shard: Amount(7),
        longest_wait: 190,
        shortest_answer: 10,
        least_contest_fee: Amount(1),
        economics: None,
        accuracy: None,
    };

    /// Exactly what [`terms`] need.
    const FACTS: Facts = Facts {
        model: ModelId(Bytes([1; 32])),
        shard_size: 10,
        openings_left: 10,
        promised: 1,
        duties: Vec::new(),
        balance: Amount(3 * 7 + 50),
        now: 10,
        gas_price: Amount(1),
    };

    #[test]
    fn each_limit_of_the_terms_is_inclusive_and_refuses_one_beyond() {
        POLICY.check(&terms(), &FACTS).unwrap();
        let refused = |change: fn(&mut Terms)| {
            let mut changed = terms();
            change(&mut changed);
            POLICY.check(&changed, &FACTS).unwrap_err()
        };
        let other = refused(|terms| terms.model = ModelId(Bytes([9; 32])));
        assert!(matches!(other, Refusal::Model { .. }));
        let token = refused(|terms| terms.token = Bytes([9; 20]));
        assert!(matches!(token, Refusal::Token { .. }));
        let price = refused(|terms| terms.price = Amount(199));
        assert!(matches!(price, Refusal::Price { expected: 200, .. }));
        let bond = refused(|terms| terms.bond = Amount(51));
        assert!(matches!(bond, Refusal::Bond { .. }));
        let samples = refused(|terms| {
            terms.samples = 21;
            terms.price = Amount(210);
        });
        assert!(matches!(samples, Refusal::Samples { .. }));
        for shards in [1, 3] {
            let refusal = POLICY.check(&Terms { shards, ..terms() }, &FACTS);
            assert!(matches!(refusal, Err(Refusal::Shards { expected: 2, .. })));
        }
        for late in [
            refused(|terms| terms.response_time = 9),
            refused(|terms| terms.prove_time = 9),
        ] {
            assert!(matches!(late, Refusal::Answer { got: 9, .. }));
        }
        let free = refused(|terms| terms.contest_fee = Amount(0));
        assert!(matches!(free, Refusal::ContestFee { .. }));
        let eager = |terms: Terms| Terms {
            contest_fee: Amount(0),
            mode: Mode::Eager,
            ..terms
        };
        POLICY.check(&eager(terms()), &FACTS).unwrap();
        let cheap = refused(|terms| terms.buyer_bond = Amount(3));
        assert!(matches!(cheap, Refusal::BuyerBond { .. }));
        let wait = refused(|terms| {
            terms.deliver_by = 191;
            terms.claim_by = 301;
        });
        assert!(matches!(wait, Refusal::Wait { got: 191, .. }));
        let Refusal::Late(late) = refused(|terms| terms.claim_by = 299) else {
            unreachable!()
        };
        assert_eq!((late.deadline, late.needed, late.left), (299, 100, 99));
    }

    #[test]
    fn so_is_each_limit_of_the_seller() {
        let refused = |change: fn(&mut Facts)| {
            let mut changed = FACTS;
            change(&mut changed);
            POLICY.check(&terms(), &changed).unwrap_err()
        };
        let openings = refused(|facts| facts.openings_left = 9);
        assert_eq!(
            openings,
            Refusal::Openings {
                left: 9,
                needed: 10
            }
        );
        // One of another's proofs that is due later may be in the way.
        let mut busy = FACTS;
        busy.duties = vec![Duty::by("another", 1, 10, 5_000)];
        let refusal = POLICY.check(&terms(), &busy).unwrap_err();
        assert!(matches!(refusal, Refusal::Late(Late { needed: 150, .. })));
        busy.duties = vec![Duty::by("another", 1, 10, 200)];
        POLICY.check(&terms(), &busy).unwrap();
        let Refusal::Late(hurt) = refused(|facts| {
            facts.duties = vec![Duty::by("another", 1, 200, 290)];
        }) else {
            unreachable!()
        };
        assert_eq!((&hurt.whose[..], hurt.deadline), ("another", 290));
        let poor = refused(|facts| facts.balance = Amount(70));
        assert_eq!(
            poor,
            Refusal::Funds {
                expected: Amount(71),
                got: Amount(70)
            }
        );
        // A bond in tokens takes no ether.
        let policy = Policy {
            token: Bytes([9; 20]),
            ..POLICY
        };
        let terms = Terms {
            token: Bytes([9; 20]),
            ..terms()
        };
        policy
            .check(
                &terms,
                &Facts {
                    balance: Amount(21),
                    ..FACTS
                },
            )
            .unwrap();
    }

    /// What hurts the seller is refused, with its numbers; what hurts the buyer is the buyer's to see.
    #[test]
    fn terms_that_hurt_the_seller_are_refused() {
        let policy = Policy {
            economics: Some(Economics {
                proof: Amount(1),
                inference: Amount(0),
                answer_gas: 1,
            }),
            max_bond: Amount(10_000_000),
            shortest_answer: 1,
            ..POLICY
        };
        let facts = Facts {
            balance: Amount(1 << 40),
            ..FACTS
        };
        let fair = Terms {
            price: Amount(1 << 30),
            bond: Amount(10_000_000),
            penalty: Amount(500_000),
            preview_fee: Amount(400_000),
            buyer_bond: Amount(600_000),
            prove_time: 100,
            claim_by: 350,
            ..terms()
        };
        policy.check(&fair, &facts).unwrap();
        type Spoil = fn(&mut Terms);
        let cases: [(&str, Spoil); 4] = [
            // 400,000, and 67,000 of gas.
            (
                "buyer-silence: buyer's bond 0.00000000000045 ether",
                |terms| terms.buyer_bond = Amount(450_000),
            ),
            // 302,000 of gas come on top.
            ("garbled-labels", |terms| terms.penalty = Amount(1_000_000)),
            ("refusal-pays", |terms| {
                terms.preview_fee = Amount(1_000_000);
                terms.buyer_bond = Amount(2_000_000);
            }),
            ("seller-takes-part", |terms| terms.price = Amount(1_000)),
        ];
        for (rule, spoil) in cases {
            let mut spoilt = fair.clone();
            spoil(&mut spoilt);
            let refusal = policy.check(&spoilt, &facts).unwrap_err();
            let words = refusal.to_string();
            assert!(words.contains(rule), "{rule}: {words}");
            assert!(words.contains(">="), "{words}");
            // Unless it takes the risk.
            let risking = Policy {
                economics: None,
                ..policy
            };
            risking.check(&spoilt, &facts).unwrap();
        }
        // A test set too large for its labels: the buyer's own business.
        let harvested = Terms {
            preview_fee: Amount(0),
            ..fair
        };
        policy.check(&harvested, &facts).unwrap();
    }

    #[test]
    fn a_count_is_incredible_once_in_a_thousand() {
        let policy = Policy {
            accuracy: Some(9_900),
            ..POLICY
        };
        // Of 1,000 at 99 %, 22 or more are wrong 0.065 % of the time, 21 or more 0.15 %.
        assert!(policy.is_incredible(978, 1_000));
        assert!(!policy.is_incredible(979, 1_000));
        assert!(!policy.is_incredible(1_000, 1_000));
        assert!(policy.is_incredible(0, 10));
        assert!(!POLICY.is_incredible(0, 10));
        let perfect = Policy {
            accuracy: Some(10_000),
            ..POLICY
        };
        assert!(perfect.is_incredible(9, 10) && !perfect.is_incredible(10, 10));
    }

    #[test]
    fn before_the_receipt_time_is_counted_from_now() {
        let check = |now, balance| {
            let balance = Amount(balance);
            POLICY.check_before_receipt(
                &terms(),
                &Facts {
                    now,
                    balance,
                    ..FACTS
                },
            )
        };
        check(200, 21).unwrap();
        assert!(matches!(
            check(201, 21),
            Err(Refusal::Late(Late { left: 99, .. }))
        ));
        // The bond lies in the escrow already.
        assert!(matches!(check(200, 20), Err(Refusal::Funds { .. })));
    }
}
