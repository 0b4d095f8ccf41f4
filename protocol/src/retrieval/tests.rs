//! The rules, one by one, and against the vectors the contract is tested by.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::Value;

use super::{message::Domain, *};
use crate::{
    chain::key::recover,
    deal::{DealError, ModelFacts, Moment, NOTICE_PERIOD},
    digest::proof_context,
    shards::ShardError,
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

const START: Moment = Moment {
    block: 11,
    time: NOW,
};

fn ask(before: Option<&Record>, now: Moment) -> Result<(Record, Effects), RetrievalError> {
    let action = Action::Open {
        terms: terms(),
        model: Some(ModelFacts {
            seller: RESPONDER,
            registered_block: 10,
            retires_at: 0,
            points: Hash::ZERO,
            shard_points: 1,
        }),
        token_has_code: true,
        value: Amount::ZERO,
    };
    let by = REQUESTER;
    step(before, &Event { by, action }, now)
}

fn open() -> Record {
    ask(None, START).unwrap().0
}

const ACCEPT: Action = Action::Accept {
    value: Amount::ZERO,
};

fn claim(top1: u32) -> Action {
    Action::Claim {
        node: Bytes([5; 32]),
        top1,
        topk: top1,
        ciphertext: Bytes([6; 32]),
    }
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
    let mut retrieval = open().retrieval;
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
            } = retrieval.payout(state).unwrap();
            let expected: Vec<Amount> = (case[name].as_array().unwrap().iter()).map(read).collect();
            assert_eq!(
                [requester, responder, burnt][..],
                expected[..],
                "{name} {case}"
            );
        }
    }
}

/// Every way through, and who is refused what, is told by the shared stories and the table; here is what they leave out.
#[test]
fn tokens_have_code_and_requests_are_opened_once() {
    let by = REQUESTER;
    let action = Action::Open {
        terms: terms(),
        model: None,
        token_has_code: false,
        value: Amount::ZERO,
    };
    let unknown = step(None, &Event { by, action }, START);
    let model = terms().model;
    assert_eq!(unknown, Err(DealError::UnknownModel { model }.into()));
    let again = ask(Some(&open()), START);
    assert_eq!(again, Err(RetrievalError::AlreadyOpened));
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
        assert!(matches!(refused(&change), E::NoTimeToJudge { .. }));
    }
    assert!(matches!(
        refused(&|t| t.claim_by = NOW + NOTICE_PERIOD - 999),
        E::Shard(ShardError::AgreementTooLong { .. })
    ));
    let amount = Amount(u128::MAX);
    let overflow = E::from(DealError::AmountOverflow { amount });
    assert_eq!(refused(&|t| t.price_per_item = amount), overflow);
}

/// The contract takes a bond of this height, and pays it back with the fees.
#[test]
fn a_payout_past_128_bits_is_refused_by_name() {
    let mut retrieval = open().retrieval;
    let amount = Amount(u128::MAX);
    retrieval.terms.bond = amount;
    assert!(retrieval.payout(State::Cancelled).is_ok());
    for end in [State::Settled, State::Rejected, State::Slashed] {
        let refused = retrieval.payout(end);
        assert_eq!(refused, Err(DealError::AmountOverflow { amount }));
    }
}

fn any_action() -> impl Strategy<Value = Action> {
    let anybody = || prop_oneof![Just(None), Just(Some(REQUESTER)), Just(Some(STRANGER))];
    prop_oneof![
        Just(Action::Cancel),
        Just(ACCEPT),
        (0u32..12).prop_map(claim),
        anybody().prop_map(|signer| Action::Approve { signer }),
        (0u32..4).prop_map(|index| Action::Contest {
            index,
            value: Amount::ZERO
        }),
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
        let (mut record, opened) = ask(None, START).unwrap();
        let (mut held, mut paid, mut time) = (opened.deposit.0, 0, NOW);
        let people = [REQUESTER, RESPONDER, STRANGER];
        // At last everybody is silent.
        let end = (0..3).map(|_| (Action::Expire, 2, 10_000));
        for (action, by, passed) in story.into_iter().chain(end) {
            time += passed;
            let event = Event { by: people[by], action };
            let now = Moment { time, ..START };
            let Ok((after, effects)) = step(Some(&record), &event, now) else { continue };
            prop_assert!(!record.retrieval.state.is_terminal());
            held += effects.deposit.0;
            let Payout { requester, responder, burnt } = effects.paid;
            paid += requester.0 + responder.0 + burnt.0;
            prop_assert!(after.retrieval.deadline <= terms().last_second());
            record = after;
        }
        prop_assert!(record.retrieval.state.is_terminal());
        prop_assert_eq!(held, paid);
    }
}
