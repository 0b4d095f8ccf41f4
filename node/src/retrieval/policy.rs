//! Which retrievals a responder takes. Everything it is bound by once it accepts is looked at before.

use thiserror::Error;
use zknode_circuit::{commitment::OpeningBudget, corpus::openings};
use zknode_protocol::{
    chain::{Chain, ChainError, RoundChain},
    retrieval::{RetrievalError, Terms},
    value::{Amount, Hash},
};

use super::{
    book::last_contest,
    responder::{active, Responder},
};
use crate::{
    seller::{
        model::openings_left,
        policy::Policy,
        schedule::{self, Duty, Late, Pace},
        send, Seller,
    },
    store::Table,
};

/// Openings kept back for proofs that are interrupted and made again.
const SPARE_OPENINGS: u32 = 8;

/// What a responder asks for, beside the seller's own policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrievalPolicy {
    /// Least price of a matching item.
    pub price_per_item: Amount,
    /// Least fee for looking at an item, matching or not.
    pub fee_per_scan: Amount,
    /// Least bond of the requester, what a false rejection costs it; half of what all items may cost is asked for anyway.
    pub requester_bond: Amount,
}

/// Why a retrieval is not taken.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Terms that the contract would not take either.
    #[error(transparent)]
    Rule(#[from] RetrievalError),
    /// Not this model, corpus, class or size.
    #[error("expected {what} {expected}, the terms say {found}")]
    Other {
        /// What.
        what: &'static str,
        /// As it is here.
        expected: String,
        /// As it is in the terms.
        found: String,
    },
    /// Not worth it.
    #[error("expected {what} of at least {expected}, the terms say {found}")]
    TooLittle {
        /// What.
        what: &'static str,
        /// The least.
        expected: u128,
        /// As it is in the terms.
        found: u128,
    },
    /// Too little time for the proofs, or for those promised to others before.
    #[error(transparent)]
    Late(#[from] Late),
    /// Too much at stake.
    #[error("expected a bond of at most {expected}, the terms say {found}")]
    Bond {
        /// The most.
        expected: Amount,
        /// As it is in the terms.
        found: Amount,
    },
    /// Too long a lock.
    #[error("expected the bond to be locked for at most {expected} s after the claim, the terms say {found}")]
    Wait {
        /// The most.
        expected: u64,
        /// As it is in the terms.
        found: u64,
    },
    /// Too poor to accept and to bring the proofs to the chain.
    #[error("the responder's account needs {expected} wei for the bond and for proofs on chain, those promised to others included, and has {found}")]
    Funds {
        /// The least.
        expected: Amount,
        /// The balance.
        found: Amount,
    },
    /// The contract does not take the bond.
    #[error("the retrieval cannot be accepted: {0}")]
    Accept(ChainError),
    /// The commitments hide no more openings.
    #[error("{what} hides {left} more proofs, {needed} are needed: commit again with fresh salt")]
    Openings {
        /// The model, or a shard.
        what: String,
        /// Proofs needed.
        needed: u32,
        /// Proofs left.
        left: u32,
    },
}

/// What the responder knows besides the terms.
#[derive(Clone, Debug)]
struct Facts {
    /// Proofs promised to agreements, rounds of predictions and other retrievals, still to be made.
    promised: u32,
    /// When those are owed that are not made yet.
    duties: Vec<Duty>,
    /// Proofs promised that may have to come to the chain.
    on_chain: u32,
    /// When they may be asked for there.
    answers: Vec<Duty>,
    /// Seconds that an answer may wait for its turn.
    queue: u64,
    /// Wei of the account.
    balance: Amount,
    /// What gas costs, in the money of the retrieval.
    gas_price: Amount,
    /// Block time.
    now: u64,
}

impl Facts {
    async fn of<C: RoundChain>(seller: &Seller<C>, now: u64) -> anyhow::Result<Self> {
        let promised = seller.promised(None, now).await?;
        let chain = seller.wallet.chain();
        Ok(Self {
            promised: promised.proofs,
            duties: promised.duties,
            on_chain: promised.on_chain,
            answers: promised.answers,
            queue: send::queue(seller.wallet.depth()),
            balance: chain.balance(chain.account()).await?,
            gas_price: seller.price_of_gas().await?,
            now,
        })
    }
}

/// Everything the responder is bound by once it accepts a retrieval that it has not promised yet. A [`Refusal`], or the
/// store's or the chain's trouble.
pub(super) async fn check<C: RoundChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    terms: &Terms,
    now: u64,
) -> anyhow::Result<()> {
    let published = &responder.corpus.published;
    terms.check(now).map_err(Refusal::Rule)?;
    let classes = seller.card.architecture.classes();
    if usize::from(terms.wanted_class) >= classes {
        let (expected, found) = (format!("below {classes}"), terms.wanted_class.to_string());
        return Err(other("class", expected, found).into());
    }
    let same = |what, expected: String, found: String| {
        if expected == found {
            Ok(())
        } else {
            Err(other(what, expected, found))
        }
    };
    same(
        "model",
        seller.card.model.to_string(),
        terms.model.to_string(),
    )?;
    same(
        "corpus",
        published.root.to_string(),
        terms.corpus_root.to_string(),
    )?;
    same(
        "token",
        seller.policy.token.to_string(),
        terms.token.to_string(),
    )?;
    let labelled = published.labelled(terms.wanted_class)?;
    let (root, shards) = (labelled.tree.root(), labelled.shards.len() as u32);
    same(
        "dataset root",
        root.to_string(),
        terms.dataset_root.to_string(),
    )?;
    same("shards", shards.to_string(), terms.shards.to_string())?;
    let items = published.items();
    same("items", items.to_string(), terms.samples.to_string())?;
    let facts = Facts::of(seller, now).await?;
    responder.policy.check(&seller.policy, terms, &facts)?;
    check_openings(seller, responder, shards, facts.promised)
}

fn other(what: &'static str, expected: String, found: String) -> Refusal {
    Refusal::Other {
        what,
        expected,
        found,
    }
}

impl RetrievalPolicy {
    /// Whether money and time are enough for terms about the right items.
    fn check(&self, own: &Policy, terms: &Terms, facts: &Facts) -> Result<(), Refusal> {
        let at_least = |what, expected: u128, found: u128| {
            if found >= expected {
                Ok(())
            } else {
                Err(Refusal::TooLittle {
                    what,
                    expected,
                    found,
                })
            }
        };
        let fee = self.fee_per_scan.0.saturating_mul(terms.samples.into());
        at_least(
            "a price per item",
            self.price_per_item.0,
            terms.price_per_item.0,
        )?;
        at_least("a scan fee", fee, terms.scan_fee.0)?;
        // A threat to reject is worth what it costs the responder beyond what it costs the requester.
        let half = terms.half_price().map_or(u128::MAX, |half| half.0);
        at_least(
            "a requester's bond",
            self.requester_bond.0.max(half),
            terms.requester_bond.0,
        )?;
        let answer = own.economics.map_or(0, |economics| economics.answer_gas);
        let answer = answer.saturating_mul(facts.gas_price.0);
        at_least(
            "a contest fee",
            own.least_contest_fee.0.max(answer),
            terms.contest_fee.0,
        )?;
        // Two proofs a shard, from now on.
        let proofs = terms.shards.saturating_mul(2);
        let proven_by = send::ready_by(terms.claim_by, facts.queue);
        let new = Duty::by("this retrieval", proofs, facts.now, proven_by);
        let pace = Pace::of(own.seconds_per_shard);
        schedule::check(&new, &facts.duties, pace, facts.now)?;
        at_least(
            "seconds to answer contests",
            own.shortest_answer.into(),
            terms.prove_time.into(),
        )?;
        // Every shard may be contested, and those promised to others with it.
        let contests = (facts.now, last_contest(terms));
        let within = u64::from(terms.prove_time).saturating_sub(facts.queue);
        let whose = "this retrieval, contested,";
        let new = Duty::on_demand(whose, terms.shards, contests, within);
        schedule::check(
            &new,
            &facts.answers,
            send::answer_pace(facts.queue),
            facts.now,
        )?;
        if terms.bond > own.max_bond {
            let (expected, found) = (own.max_bond, terms.bond);
            return Err(Refusal::Bond { expected, found });
        }
        let (expected, found) = (own.longest_wait, terms.last_second() - terms.claim_by);
        if found > expected {
            return Err(Refusal::Wait { expected, found });
        }
        let proofs = u128::from(terms.shards) + u128::from(facts.on_chain);
        let gas = own.gas_per_shard.0.saturating_mul(proofs);
        let expected = Amount(gas.saturating_add(terms.wei(terms.bond).0));
        if facts.balance < expected {
            let found = facts.balance;
            return Err(Refusal::Funds { expected, found });
        }
        Ok(())
    }
}

/// Two proofs a shard for this retrieval, those promised already, and some to spare.
fn check_openings<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    shards: u32,
    promised: u32,
) -> anyhow::Result<()> {
    // Of each shard.
    let mut proofs = 2u32;
    for (_, served) in active(seller)? {
        if served.is_promised() && served.sealed.is_none() {
            proofs = proofs.saturating_add(2);
        }
    }
    let enough = |what: String, proofs: u32, left: u32| {
        let needed = proofs.saturating_add(SPARE_OPENINGS);
        if left >= needed {
            Ok(())
        } else {
            Err(Refusal::Openings { what, needed, left })
        }
    };
    let left = openings_left(&seller.store, &seller.model.record)?;
    enough(
        "the model's commitment".into(),
        shards.saturating_mul(2).saturating_add(promised),
        left,
    )?;
    let limit = openings(&seller.model.layout);
    for shard in 0..shards {
        let key = opening_key(responder.corpus.published.root, shard);
        let budget: Option<OpeningBudget> = seller.store.get(Table::Openings, &key)?;
        let left = budget.map_or(limit, |budget| budget.left());
        enough(format!("shard {shard} of the corpus"), proofs, left)?;
    }
    Ok(())
}

/// What a shard's opening budget is stored under: every proof over some of its items counts for all of them.
pub(super) fn opening_key(corpus: Hash, shard: u32) -> String {
    format!("corpus {corpus}/{shard}")
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::seller::policy::Economics;
    use zknode_protocol::value::{Address, Bytes, ModelId};

    const OWN: Policy = Policy {
        token: Address::ZERO,
        price_per_sample: Amount(0),
        max_bond: Amount(1_000),
        max_samples: 0,
        seconds_per_shard: 50,
        gas_per_shard: Amount(7),
        longest_wait: 218,
        shortest_answer: 10,
        least_contest_fee: Amount(9),
        economics: Some(Economics {
            proof: Amount(0),
            inference: Amount(0),
            answer_gas: 20,
        }),
        accuracy: None,
    };
    const POLICY: RetrievalPolicy = RetrievalPolicy {
        price_per_item: Amount(100),
        fee_per_scan: Amount(3),
        requester_bond: Amount(1),
    };
    /// Exactly what [`terms`] need.
    const FACTS: Facts = Facts {
        promised: 3,
        duties: Vec::new(),
        on_chain: 1,
        answers: Vec::new(),
        queue: 30,
        balance: Amount(750 + 3 * 7),
        gas_price: Amount(2),
        now: 10,
    };

    pub fn terms() -> Terms {
        Terms {
            model: ModelId(Hash::ZERO),
            corpus_root: Hash::ZERO,
            dataset_root: Hash::ZERO,
            reading_key: Bytes([0; 32]),
            token: Address::ZERO,
            shards: 2,
            samples: 13,
            wanted_class: 0,
            max_items: 5,
            price_per_item: Amount(100),
            scan_fee: Amount(39),
            requester_bond: Amount(250),
            bond: Amount(750),
            contest_fee: Amount(40),
            accept_by: 100,
            claim_by: 10 + 4 * 50 + 30 + 12,
            window: 100,
            prove_time: 30 + 2 * 14,
            receipt_time: 60,
        }
    }

    #[test]
    fn each_limit_is_inclusive_and_refuses_one_beyond() {
        let check = |change: fn(&mut Terms, &mut Facts, &mut Policy)| {
            let (mut terms, mut facts, mut own) = (terms(), FACTS, OWN);
            change(&mut terms, &mut facts, &mut own);
            POLICY.check(&own, &terms, &facts)
        };
        check(|_, _, _| ()).unwrap();
        let little = |change| match check(change) {
            Err(Refusal::TooLittle {
                what,
                expected,
                found,
            }) => {
                assert_eq!(expected, found + 1, "{what}");
                what
            }
            other => unreachable!("{other:?}"),
        };
        let bond = "a requester's bond";
        assert_eq!(little(|terms, _, _| terms.requester_bond.0 -= 1), bond);
        assert_eq!(little(|terms, _, _| terms.scan_fee.0 -= 1), "a scan fee");
        let fee = "a contest fee";
        assert_eq!(little(|terms, _, _| terms.contest_fee.0 -= 1), fee);
        let late = |change| match check(change) {
            Err(Refusal::Late(late)) => (late.whose, late.needed - late.left),
            other => unreachable!("{other:?}"),
        };
        let more = |change| assert!(check(change).is_err());
        let this = || "this retrieval".to_owned();
        assert_eq!(late(|terms, _, _| terms.claim_by -= 1), (this(), 1));
        more(|_, facts, _| facts.duties = vec![Duty::by("another", 1, 10, 300)]);
        let with_another = check(|terms, facts, _| {
            facts.duties = vec![Duty::by("another", 1, 10, 300)];
            terms.claim_by += 50;
        });
        with_another.unwrap();
        let contested = || "this retrieval, contested,".to_owned();
        assert_eq!(late(|terms, _, _| terms.prove_time -= 1), (contested(), 1));
        assert_eq!(late(|_, facts, _| facts.queue += 1), (this(), 1));
        let queued =
            late(|terms, facts, _| (facts.queue, terms.claim_by) = (31, terms.claim_by + 1));
        assert_eq!(queued, (contested(), 1));
        let answer = "seconds to answer contests";
        assert_eq!(little(|_, _, own| own.shortest_answer = 59), answer);
        // What is promised to others takes time and gas too.
        more(|_, facts, _| facts.gas_price.0 += 1);
        more(|_, facts, _| facts.on_chain += 1);
        let judge = |prove_time| {
            let answers = vec![Duty::on_demand("another", 3, (10, 5_000), 70)];
            let facts = Facts { answers, ..FACTS };
            let terms = Terms {
                prove_time,
                receipt_time: 0,
                ..terms()
            };
            POLICY.check(&OWN, &terms, &facts)
        };
        judge(30 + 5 * 14).unwrap();
        assert!(matches!(judge(30 + 5 * 14 - 1), Err(Refusal::Late(_))));
        assert!(matches!(
            check(|_, facts, _| facts.balance.0 -= 1),
            Err(Refusal::Funds {
                expected: Amount(771),
                found: Amount(770)
            })
        ));
        assert!(matches!(
            check(|_, _, own| own.max_bond.0 = 749),
            Err(Refusal::Bond { .. })
        ));
        assert!(matches!(
            check(|_, _, own| own.longest_wait = 217),
            Err(Refusal::Wait { .. })
        ));
        // Who takes the risk asks for the least it named only.
        check(|terms, _, own| (own.economics, terms.contest_fee) = (None, Amount(9))).unwrap();
        more(|terms, _, own| (own.economics, terms.contest_fee) = (None, Amount(8)));
    }
}
