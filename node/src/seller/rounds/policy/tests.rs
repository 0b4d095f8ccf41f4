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
