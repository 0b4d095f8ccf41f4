//! Which agreements a seller takes. Everything it is bound by once it accepts is looked at before.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use zknode_protocol::{
    agreement::Agreement,
    value::{Address, Amount, ModelId},
};

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
}

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
    /// Shards that cannot hold the samples.
    #[error("{shards} shards of this model's proofs hold at most {expected} samples, got {got}")]
    ShardSize {
        /// Shards agreed.
        shards: u32,
        /// Samples they hold.
        expected: u64,
        /// Samples agreed.
        got: u32,
    },
    /// Too little time.
    #[error("expected at least {expected} s between delivery and the last proof, got {got} s")]
    Time {
        /// Least time.
        expected: u64,
        /// Time agreed.
        got: u64,
    },
    /// The model was opened too often.
    #[error("the model's commitment may be opened {left} more times, the agreement needs {needed}; register the model again")]
    Openings {
        /// Openings left.
        left: u32,
        /// One a shard.
        needed: u32,
    },
}

/// What the seller knows besides the agreement.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The model served.
    pub model: ModelId,
    /// Samples a proof covers.
    pub shard_size: usize,
    /// Openings left of the model commitment, those promised to other agreements taken off.
    pub openings_left: u32,
}

impl Policy {
    /// Whether the agreement may be accepted.
    pub fn check(&self, agreement: &Agreement, facts: Facts) -> Result<(), Refusal> {
        let terms = &agreement.terms;
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
        let held = u64::from(terms.shards) * facts.shard_size as u64;
        if u64::from(terms.samples) > held {
            return Err(Refusal::ShardSize {
                shards: terms.shards,
                expected: held,
                got: terms.samples,
            });
        }
        let expected = self.seconds_per_shard.saturating_mul(terms.shards.into());
        let got = terms.prove_by.saturating_sub(terms.deliver_by);
        if got < expected {
            return Err(Refusal::Time { expected, got });
        }
        if facts.openings_left < terms.shards {
            return Err(Refusal::Openings {
                left: facts.openings_left,
                needed: terms.shards,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use zknode_protocol::{
        agreement::{Metric, State, Terms},
        value::{Bytes, Hash},
    };

    fn agreement() -> Agreement {
        Agreement {
            terms: Terms {
                model: ModelId(Bytes([1; 32])),
                dataset_root: Hash::ZERO,
                token: Address::ZERO,
                shards: 2,
                samples: 20,
                threshold: 18,
                price: Amount(200),
                bond: Amount(50),
                penalty: Amount(5),
                accept_by: 100,
                deliver_by: 200,
                prove_by: 300,
                metric: Metric::Top1,
            },
            buyer: Bytes([2; 20]),
            seller: Bytes([3; 20]),
            state: State::Open,
            proven: Default::default(),
            valid: 0,
            correct: 0,
            ciphertext: Hash::ZERO,
        }
    }

    #[test]
    fn each_limit_is_inclusive_and_refuses_one_beyond() {
        let policy = Policy {
            token: Address::ZERO,
            price_per_sample: Amount(10),
            max_bond: Amount(50),
            max_samples: 20,
            seconds_per_shard: 50,
        };
        let facts = Facts {
            model: ModelId(Bytes([1; 32])),
            shard_size: 10,
            openings_left: 2,
        };
        policy.check(&agreement(), facts).unwrap();
        let refused = |change: fn(&mut Agreement)| {
            let mut changed = agreement();
            change(&mut changed);
            policy.check(&changed, facts).unwrap_err()
        };
        let other = refused(|a| a.terms.model = ModelId(Bytes([9; 32])));
        assert!(matches!(other, Refusal::Model { .. }));
        let token = refused(|a| a.terms.token = Bytes([9; 20]));
        assert!(matches!(token, Refusal::Token { .. }));
        let price = refused(|a| a.terms.price = Amount(199));
        assert!(matches!(price, Refusal::Price { expected: 200, .. }));
        let bond = refused(|a| a.terms.bond = Amount(51));
        assert!(matches!(bond, Refusal::Bond { .. }));
        let samples = refused(|a| {
            a.terms.samples = 21;
            a.terms.price = Amount(210);
            a.terms.shards = 3;
            a.terms.prove_by = 350;
        });
        assert!(matches!(samples, Refusal::Samples { .. }));
        let size = refused(|a| a.terms.shards = 1);
        assert!(matches!(size, Refusal::ShardSize { expected: 10, .. }));
        let time = refused(|a| a.terms.prove_by = 299);
        assert!(matches!(
            time,
            Refusal::Time {
                expected: 100,
                got: 99
            }
        ));
        let few = Facts {
            openings_left: 1,
            ..facts
        };
        assert_eq!(
            policy.check(&agreement(), few),
            Err(Refusal::Openings { left: 1, needed: 2 })
        );
    }
}
