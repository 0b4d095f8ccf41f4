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
    let queued = late(|terms, facts, _| (facts.queue, terms.claim_by) = (31, terms.claim_by + 1));
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
