#![allow(clippy::unwrap_used)]

use super::*;
use crate::seller::schedule::Late;
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
