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
        deliver_by: 188,
        claim_by: 312,
        metric: Metric::Top1,
        mode: Mode::Optimistic,
        preview_shards: 1,
        response_time: 12,
        window: 100,
        prove_time: 24,
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
    answers: Vec::new(),
    steps: Vec::new(),
    deliveries: Vec::new(),
    looks: 0,
    look_within: u32::MAX,
    look_time: Duration::ZERO,
    queue: 0,
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
        terms.deliver_by = 189;
        terms.claim_by = 313;
    });
    assert!(matches!(wait, Refusal::Wait { got: 191, .. }));
    let Refusal::Late(late) = refused(|terms| terms.claim_by = 311) else {
        unreachable!()
    };
    assert_eq!((late.deadline, late.needed, late.left), (299, 100, 99));
}

/// All shards may be contested at once, with those promised to others; a block is taken to hold one answer, and a list of
/// them waits for others.
#[test]
fn answers_have_a_schedule_too() {
    let late = |prove_time, answers, queue| {
        let terms = Terms {
            prove_time,
            ..terms()
        };
        let facts = Facts {
            answers,
            queue,
            ..FACTS
        };
        let terms = Terms {
            response_time: 100,
            claim_by: 500,
            ..terms
        };
        let policy = Policy {
            longest_wait: 300,
            ..POLICY
        };
        match policy.check(&terms, &facts) {
            Ok(()) => None,
            Err(Refusal::Late(late)) => Some((late.whose, late.needed - late.left)),
            Err(other) => unreachable!("{other}"),
        }
    };
    let own = || "this agreement, contested,".to_owned();
    assert_eq!(late(24, vec![], 0), None);
    assert_eq!(late(23, vec![], 0), Some((own(), 1)));
    // Others of this account may be waited for first.
    assert_eq!(late(30 + 36, vec![], 36), None);
    assert_eq!(late(30 + 36, vec![], 37), Some((own(), 1)));
    // Contested while others are, whenever that is, and after they ended.
    let another = |last| vec![Duty::on_demand("another", 3, (10, last), 60)];
    assert_eq!(late(60, another(300), 0), None);
    // All of a list may be in the way.
    assert_eq!(late(24, another(300), 0), Some((own(), 36)));
    let hurt = Some(("another".to_owned(), 12));
    let slow = |last| vec![Duty::on_demand("another", 4, (10, last), 60)];
    assert_eq!(late(61, slow(300), 0), hurt);
    // Eager agreements have no contests.
    let eager = Terms {
        mode: Mode::Eager,
        prove_time: 0,
        ..terms()
    };
    POLICY.check(&eager, &FACTS).unwrap();
}

#[test]
fn a_delivery_of_the_last_second_can_be_looked_at() {
    let check = |response_time, looks, milliseconds, queue| {
        let terms = Terms {
            response_time,
            deliver_by: 200 - u64::from(response_time),
            ..terms()
        };
        let facts = Facts {
            looks,
            look_time: Duration::from_millis(milliseconds),
            queue,
            ..FACTS
        };
        match POLICY.check(&terms, &facts) {
            Ok(()) => None,
            Err(Refusal::Look {
                expected, looks, ..
            }) => Some((expected, looks)),
            Err(other) => unreachable!("{other}"),
        }
    };
    // A block to answer in.
    assert_eq!(check(12, 0, 0, 0), None);
    assert_eq!(check(11, 0, 0, 0), Some((12, 0)));
    // Two shards, twice as slow beside a proof, after three of others.
    assert_eq!(check(22, 3, 1_000, 0), None);
    assert_eq!(check(21, 3, 1_000, 0), Some((22, 10)));
    assert_eq!(check(22, 3, 1_001, 0), Some((23, 11)));
    assert_eq!(check(22, 4, 1_000, 0), Some((24, 12)));
    assert_eq!(check(22, 3, 1_000, 1), Some((23, 10)));
}

/// Both looks may be begun before another's, which does not interrupt them.
#[test]
fn a_later_look_leaves_an_earlier_promise_its_time() {
    let check = |look_within| {
        let facts = Facts {
            looks: 1,
            look_within,
            look_time: Duration::from_millis(500),
            ..FACTS
        };
        let terms = Terms {
            response_time: 30,
            deliver_by: 170,
            ..terms()
        };
        POLICY.check(&terms, &facts)
    };
    check(15).unwrap();
    let refused = Refusal::Look {
        expected: 15,
        looks: 3,
        got: 14,
    };
    assert_eq!(check(14), Err(refused));
}

/// Of all agreements at once a delivery may have to be acknowledged, or denied, sixteen together: so many are accepted.
#[test]
fn what_is_delivered_at_once_can_be_answered_at_once() {
    let terms = Terms {
        response_time: 300,
        deliver_by: 1_000,
        claim_by: 2_000,
        prove_time: 1_000,
        ..terms()
    };
    let policy = Policy {
        longest_wait: 2_000,
        ..POLICY
    };
    // 120 s until the first list is in its block, 7 s each: 25 fit into 180 s.
    let queue = send::queue(2);
    assert_eq!((queue, send::patience(queue, 16)), (108, 120));
    assert_eq!(send::patience(queue, 17), 228);
    let step = || answered("another".into(), &terms, 10, 0, queue);
    let check = |others| {
        let facts = Facts {
            deliveries: (0..others).map(|_| step()).collect(),
            queue,
            ..FACTS
        };
        policy.check(&terms, &facts)
    };
    check(24).unwrap();
    let refused = check(25);
    let Err(Refusal::Late(late)) = refused else {
        unreachable!("{refused:?}")
    };
    assert_eq!((late.proofs, late.needed, late.left), (26, 182, 180));
    assert_eq!(late.whose, "this agreement, delivered,");
}

/// The look at a new one, begun first, delays the answers to all that were promised before.
#[test]
fn a_later_look_leaves_earlier_answers_their_time_together() {
    let queue = send::queue(2);
    let terms = Terms {
        response_time: 3_000,
        deliver_by: 10_000,
        claim_by: 20_000,
        prove_time: 1_000,
        ..terms()
    };
    let before = Terms {
        response_time: 300,
        deliver_by: 1_000,
        ..terms.clone()
    };
    let check = |others, looked_at: u64| {
        let step = || answered("another".into(), &before, 10, 0, queue);
        let facts = Facts {
            deliveries: (0..others).map(|_| step()).collect(),
            queue,
            look_within: 300,
            look_time: Duration::from_secs(looked_at),
            ..FACTS
        };
        let policy = Policy {
            longest_wait: 20_000,
            ..POLICY
        };
        policy.check(&terms, &facts)
    };
    check(24, 0).unwrap();
    let refused = check(24, 10);
    let Err(Refusal::Late(late)) = refused else {
        unreachable!("{refused:?}")
    };
    assert_eq!(late.whose, "another");
}

/// Eager proofs go to the chain one by one, however fast they are made.
#[test]
fn eager_proofs_have_a_place_on_the_chain() {
    let policy = Policy {
        seconds_per_shard: 1,
        ..POLICY
    };
    let eager = |claim_by| Terms {
        mode: Mode::Eager,
        claim_by,
        ..terms()
    };
    policy.check(&eager(224), &FACTS).unwrap();
    let refused = policy.check(&eager(223), &FACTS).unwrap_err();
    let Refusal::Late(late) = refused else {
        unreachable!("{refused}")
    };
    assert_eq!((late.needed, late.left), (24, 23));
    assert_eq!(late.whose, "this agreement, on the chain,");
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
