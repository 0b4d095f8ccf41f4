//! The rules, one by one, and against the vectors the contract is tested by.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::{message::Domain, *};
use crate::{
    agreement::NOTICE_PERIOD,
    chain::key::recover,
    digest::proof_context,
    value::{AgreementId, Signature},
};

const REQUESTER: Address = Bytes([1; 20]);
const RESPONDER: Address = Bytes([2; 20]);
const STRANGER: Address = Bytes([3; 20]);
const NOW: u64 = 1_000;

fn vectors() -> Value {
    let text = include_str!("../../../contracts/vectors/retrieval.json");
    serde_json::from_str(text).unwrap()
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn read<T: std::str::FromStr>(value: &Value) -> T
where
    T::Err: std::fmt::Debug,
{
    text(value).parse().unwrap()
}

fn terms() -> Terms {
    let v = &vectors()["terms"];
    Terms {
        model: ModelId(read(&v["modelId"])),
        corpus_root: read(&v["corpusRoot"]),
        dataset_root: read(&v["datasetRoot"]),
        reading_key: read(&v["readingKey"]),
        token: read(&v["token"]),
        shards: read(&v["shards"]),
        samples: read(&v["samples"]),
        wanted_class: read(&v["wantedClass"]),
        max_items: read(&v["maxItems"]),
        price_per_item: read(&v["pricePerItem"]),
        scan_fee: read(&v["scanFee"]),
        requester_bond: read(&v["requesterBond"]),
        bond: read(&v["bond"]),
        contest_fee: read(&v["contestFee"]),
        accept_by: read(&v["acceptBy"]),
        claim_by: read(&v["claimBy"]),
        window: read(&v["window"]),
        prove_time: read(&v["proveTime"]),
        receipt_time: read(&v["receiptTime"]),
    }
}

fn open() -> Retrieval {
    let terms = terms();
    Retrieval {
        requester: REQUESTER,
        responder: RESPONDER,
        state: State::Open,
        deadline: terms.accept_by,
        contests: 0,
        matches: 0,
        window_end: 0,
        claim: Hash::ZERO,
        ciphertext: Hash::ZERO,
        terms,
    }
}

fn accept() -> Action {
    let deposit = terms().bond;
    Action::Accept { deposit }
}

fn claim(top1: u32) -> Action {
    Action::Claim {
        node: Bytes([5; 32]),
        top1,
        topk: top1,
        ciphertext: Bytes([6; 32]),
    }
}

fn contest(index: u32) -> Action {
    Action::Contest {
        index,
        again: false,
        deposit: terms().contest_fee,
    }
}

fn after(before: &Retrieval, by: Address, action: Action, now: u64) -> Retrieval {
    step(before, by, &action, now).unwrap().after
}

fn accepted() -> Retrieval {
    after(&open(), RESPONDER, accept(), NOW)
}

fn claimed(top1: u32) -> Retrieval {
    after(&accepted(), RESPONDER, claim(top1), 3_000)
}

#[test]
fn hashes_are_those_of_the_contract() {
    let v = vectors();
    let (chain_id, contract) = (31_337, read(&v["contract"]));
    let id = terms().id(chain_id, contract, read(&v["requester"]), read(&v["nonce"]));
    assert_eq!(id.0, read(&v["id"]));
    let domain = Domain { chain_id, contract };
    assert_eq!(domain.separator(), read(&v["domainSeparator"]));
    let approval = &v["approval"];
    let (claim, sealed) = (
        read(&approval["claimRoot"]),
        read(&approval["ciphertextHash"]),
    );
    let digest = domain.approval_digest(id, claim, sealed);
    assert_eq!(digest, read(&approval["digest"]));
    let signature: Signature = read(&approval["signature"]);
    assert_eq!(recover(digest, &signature).unwrap(), read(&v["requester"]));
    let context = proof_context(
        chain_id,
        contract,
        AgreementId(id.0),
        read(&v["context"]["index"]),
        read(&v["context"]["payee"]),
    );
    assert_eq!(Bytes(context), read(&v["context"]["context"]));
}

#[test]
fn every_end_pays_what_the_vectors_say() {
    let v = vectors();
    let amounts = &v["amounts"];
    let mut retrieval = open();
    retrieval.terms.max_items = read(&amounts["maxItems"]);
    retrieval.terms.price_per_item = read(&amounts["pricePerItem"]);
    retrieval.terms.scan_fee = read(&amounts["scanFee"]);
    retrieval.terms.requester_bond = read(&amounts["requesterBond"]);
    retrieval.terms.bond = read(&amounts["bond"]);
    retrieval.terms.contest_fee = read(&amounts["contestFee"]);
    for case in v["cases"].as_array().unwrap() {
        retrieval.matches = read(&case["matches"]);
        retrieval.contests = read(&case["contests"]);
        for (name, state) in [
            ("cancelled", State::Cancelled),
            ("settled", State::Settled),
            ("rejected", State::Rejected),
            ("slashed", State::Slashed),
        ] {
            let Payout {
                requester,
                responder,
                burnt,
            } = retrieval.payout(state);
            let expected: Vec<Amount> = (case[name].as_array().unwrap().iter()).map(read).collect();
            assert_eq!(
                [requester, responder, burnt][..],
                expected[..],
                "{name} {case}"
            );
        }
    }
}

#[test]
fn the_road_to_settlement() {
    let retrieval = claimed(4);
    assert_eq!(
        (retrieval.state, retrieval.deadline),
        (State::Claimed, 3_500)
    );
    assert_eq!(retrieval.matches, 4);
    let signed = Action::Approve {
        signer: Some(REQUESTER),
    };
    assert_eq!(
        after(&retrieval, STRANGER, signed, 3_500).state,
        State::Settled
    );
    let own = Action::Approve { signer: None };
    assert_eq!(
        after(&retrieval, REQUESTER, own.clone(), 3_001).state,
        State::Settled
    );
    assert_eq!(
        step(&retrieval, STRANGER, &own, 3_001),
        Err(RetrievalError::NotSigned(REQUESTER))
    );
    // Silence settles too.
    assert_eq!(
        after(&retrieval, STRANGER, Action::Expire, 3_501).state,
        State::Settled
    );
}

#[test]
fn contests_are_answered_or_cost_the_bond() {
    let first = after(&claimed(4), REQUESTER, contest(0), 3_400);
    assert_eq!(
        (first.state, first.deadline, first.contests),
        (State::Contested, 3_700, 1)
    );
    let both = after(&first, REQUESTER, contest(2), 3_450);
    let one = step(&both, STRANGER, &Action::Answer, 3_500).unwrap();
    assert_eq!(one.after.state, State::Contested);
    assert_eq!(one.paid.responder, terms().contest_fee);
    let none = after(&one.after, STRANGER, Action::Answer, 3_600);
    // The window is over; what is left is the time to judge the items.
    assert_eq!(
        (none.state, none.deadline, none.contests),
        (State::Claimed, 3_800, 0)
    );
    assert_eq!(
        step(&none, REQUESTER, &contest(1), 3_601),
        Err(RetrievalError::TooLate {
            deadline: 3_500,
            now: 3_601
        })
    );
    assert_eq!(
        after(&none, REQUESTER, Action::Reject, 3_800).state,
        State::Rejected
    );
    let slashed = after(&both, STRANGER, Action::Expire, 3_751);
    assert_eq!(slashed.state, State::Slashed);
}

#[test]
fn whoever_and_whatever_does_not_fit_is_refused() {
    let wrong = |before: &Retrieval, by, action: Action, now| {
        step(before, by, &action, now).map(|step| step.after.state)
    };
    use RetrievalError as E;
    let (open, accepted, claimed) = (open(), accepted(), claimed(4));
    let only_requester = |found| {
        Err(E::OnlyRequester {
            expected: REQUESTER,
            found,
        })
    };
    let only_responder = |found| {
        Err(E::OnlyResponder {
            expected: RESPONDER,
            found,
        })
    };
    assert_eq!(
        wrong(&open, STRANGER, Action::Cancel, NOW),
        only_requester(STRANGER)
    );
    assert_eq!(
        wrong(&open, REQUESTER, accept(), NOW),
        only_responder(REQUESTER)
    );
    assert_eq!(
        wrong(&accepted, REQUESTER, claim(1), NOW),
        only_responder(REQUESTER)
    );
    assert_eq!(
        wrong(&claimed, RESPONDER, Action::Reject, NOW),
        only_requester(RESPONDER)
    );
    assert_eq!(
        wrong(&claimed, STRANGER, contest(0), NOW),
        only_requester(STRANGER)
    );
    let late = |deadline, now| Err(E::TooLate { deadline, now });
    assert_eq!(wrong(&open, RESPONDER, accept(), 2_001), late(2_000, 2_001));
    assert_eq!(
        wrong(&accepted, RESPONDER, claim(1), 4_001),
        late(4_000, 4_001)
    );
    assert_eq!(
        wrong(&claimed, REQUESTER, Action::Reject, 3_501),
        late(3_500, 3_501)
    );
    let samples = 10;
    assert_eq!(
        wrong(&accepted, RESPONDER, claim(11), NOW),
        Err(E::ClaimAboveSamples { samples, found: 11 })
    );
    let deposit = Amount(1);
    assert_eq!(
        wrong(&open, RESPONDER, Action::Accept { deposit }, NOW),
        Err(E::WrongValue {
            expected: terms().bond,
            found: deposit
        })
    );
    assert_eq!(
        wrong(&claimed, REQUESTER, contest(3), NOW),
        Err(E::ShardOutOfRange {
            index: 3,
            shards: 3
        })
    );
    let again = Action::Contest {
        index: 1,
        again: true,
        deposit: terms().contest_fee,
    };
    assert_eq!(
        wrong(&claimed, REQUESTER, again, NOW),
        Err(E::ShardAlreadyContested(1))
    );
    assert_eq!(
        wrong(&open, STRANGER, Action::Expire, 2_000),
        Err(E::TooEarly {
            deadline: 2_000,
            now: 2_000
        })
    );
}

#[test]
fn terms_that_make_no_sense_are_refused() {
    let refused = |change: &dyn Fn(&mut Terms)| {
        let mut changed = terms();
        change(&mut changed);
        changed.check(NOW).unwrap_err()
    };
    assert_eq!(terms().check(NOW), Ok(()));
    use RetrievalError as E;
    assert!(matches!(
        refused(&|t| t.shards = 0),
        E::ShardsOutOfRange { .. }
    ));
    assert!(matches!(
        refused(&|t| t.samples = 2),
        E::ShardsOutOfRange { .. }
    ));
    assert!(matches!(
        refused(&|t| t.bond.0 -= 1),
        E::BondTooSmall { .. }
    ));
    assert!(matches!(
        refused(&|t| t.accept_by = NOW),
        E::DeadlinesOutOfOrder { .. }
    ));
    assert!(matches!(
        refused(&|t| t.claim_by = t.accept_by),
        E::DeadlinesOutOfOrder { .. }
    ));
    for time in [0, 1, 2] {
        let change = |t: &mut Terms| match time {
            0 => t.window = 0,
            1 => t.prove_time = 0,
            _ => t.receipt_time = 0,
        };
        assert_eq!(refused(&change), E::NoTimeToJudge);
    }
    assert!(matches!(
        refused(&|t| t.claim_by = NOW + NOTICE_PERIOD - 999),
        E::TooLong { .. }
    ));
    assert_eq!(refused(&|t| t.price_per_item.0 = u128::MAX), E::TooMuch);
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        Just(Action::Cancel),
        Just(accept()),
        (0u32..12).prop_map(claim),
        prop_oneof![Just(None), Just(Some(REQUESTER)), Just(Some(STRANGER))]
            .prop_map(|signer| Action::Approve { signer }),
        (0u32..4).prop_map(contest),
        Just(Action::Answer),
        Just(Action::Reject),
        Just(Action::Expire),
    ]
}

proptest! {
    /// Whatever is tried, ends absorb, and what is paid in the end is what was deposited.
    #[test]
    fn no_story_makes_or_locks_money(story in prop::collection::vec(
        (any_action(), 0usize..3, 0u64..400), 1..40,
    )) {
        let mut retrieval = open();
        let terms = terms();
        let (mut held, mut paid, mut now) = (terms.deposit().unwrap().0, 0, NOW);
        let people = [REQUESTER, RESPONDER, STRANGER];
        // At last everybody is silent.
        let end = (0..3).map(|_| (Action::Expire, 2, 10_000));
        for (action, by, passed) in story.into_iter().chain(end) {
            now += passed;
            let Ok(next) = step(&retrieval, people[by], &action, now) else { continue };
            prop_assert!(!retrieval.state.is_terminal());
            held += match action {
                Action::Accept { deposit } | Action::Contest { deposit, .. } => deposit.0,
                _ => 0,
            };
            paid += next.paid.requester.0 + next.paid.responder.0 + next.paid.burnt.0;
            prop_assert!(next.after.deadline <= terms.last_second());
            retrieval = next.after;
        }
        prop_assert!(retrieval.state.is_terminal());
        prop_assert_eq!(held, paid);
    }
}
