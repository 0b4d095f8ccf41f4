//! Tests of the rules that need no contract beside them: money is conserved, terminal states absorb.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::dataset_root::{DatasetTree, ShardLeaf};
use crate::value::Bytes;
use proptest::prelude::*;

const BUYER: Address = Bytes([1; 20]);
const SELLER: Address = Bytes([2; 20]);
const STRANGER: Address = Bytes([3; 20]);
const VALID: [u32; 3] = [4, 4, 2];

fn dataset() -> DatasetTree {
    let leaf =
        |(index, valid): (u32, u32)| ShardLeaf::new(index, valid, &[Bytes([index as u8; 64])]);
    DatasetTree::new((0..).zip(VALID).map(leaf).collect()).unwrap()
}

fn terms() -> Terms {
    Terms {
        model: ModelId(Bytes([9; 32])),
        dataset_root: dataset().root(),
        token: Address::ZERO,
        shards: 3,
        samples: 10,
        threshold: 8,
        price: Amount(1_000),
        bond: Amount(500),
        penalty: Amount(200),
        accept_by: 2_000,
        deliver_by: 3_000,
        prove_by: 4_000,
        metric: Metric::Top1,
    }
}

fn action(kind: u8, index: u32, count: u32, wrong: bool) -> Action {
    let ciphertext = Bytes([7; 32]);
    let value = |right: u128| Amount(if wrong { right + 1 } else { right });
    match kind {
        0 => Action::Open {
            terms: terms(),
            model: Some(ModelFacts {
                seller: SELLER,
                registered_block: 10,
                retires_at: 0,
                points: Hash::ZERO,
            }),
            token_has_code: false,
            value: value(1_000),
        },
        1 => Action::Cancel,
        2 => Action::Accept { value: value(500) },
        3 => Action::Decline,
        4 => Action::Acknowledge { ciphertext },
        5 => Action::AcknowledgeBySignature {
            ciphertext,
            signer: (!wrong).then_some(SELLER),
        },
        6 => Action::Slash,
        _ => prove(index, count, wrong),
    }
}

fn prove(index: u32, count: u32, wrong: bool) -> Action {
    let tree = dataset();
    let leaf = tree.leaves().get(index as usize);
    let valid = leaf.map_or(1, |leaf| leaf.valid);
    Action::ProveShard {
        shard: ShardCount {
            index,
            valid,
            top1: count.min(valid),
            topk: valid,
        },
        registered_points: Hash::ZERO,
        model_points: Hash::ZERO,
        shard_points: leaf.map_or(Hash::ZERO, |leaf| leaf.points),
        path: tree.path(index).unwrap_or_default(),
        verdict: if wrong {
            Verdict::Rejected
        } else {
            Verdict::Accepted
        },
    }
}

/// Who sends what, how many seconds later.
fn any_event() -> impl Strategy<Value = (Event, u64)> {
    let by = prop::sample::select(vec![BUYER, SELLER, STRANGER]);
    (
        by,
        0u8..14,
        0u32..4,
        0u32..5,
        prop::bool::weighted(0.1),
        0u64..700,
    )
        .prop_map(|(by, kind, index, count, wrong, wait)| {
            let action = action(kind, index, count, wrong);
            // Half of the events come from the party that may send them, or few stories would get far.
            let by = match (&action, wait % 2) {
                (Action::Open { .. } | Action::Cancel, 0) => BUYER,
                (Action::Accept { .. } | Action::Decline | Action::Acknowledge { .. }, 0) => SELLER,
                _ => by,
            };
            (Event { by, action }, wait)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn money_is_conserved_and_the_end_is_the_end(events in prop::collection::vec(any_event(), 1..60)) {
        let mut ledger = Ledger::default();
        let mut now = Moment { block: 11, time: 1_000 };
        let opening = Event { by: BUYER, action: action(0, 0, 0, false) };
        let mut current = None;
        let mut paid_in = 0u128;
        for (event, wait) in std::iter::once((opening, 0)).chain(events) {
            now.time += wait;
            let Ok((after, effects)) = step(current.as_ref(), &event, now) else { continue };
            prop_assert!(!current.as_ref().is_some_and(|a: &Agreement| a.state.is_terminal()));
            ledger.apply(&effects).unwrap();
            for effect in &effects {
                if let Effect::Deposit { amount, .. } = effect {
                    paid_in += amount.0;
                }
            }
            prop_assert_eq!(ledger.held(Address::ZERO), Some(Amount(paid_in)));
            let credited = ledger.credit(BUYER, Address::ZERO).0 + ledger.credit(SELLER, Address::ZERO).0;
            prop_assert_eq!(credited, if after.state.is_terminal() { paid_in } else { 0 });
            prop_assert_eq!(ledger.credit(STRANGER, Address::ZERO), Amount::ZERO);
            current = Some(after);
        }
    }

    #[test]
    fn every_state_ends_by_the_deadlines_alone(steps in 0usize..3, proven in 0u32..3) {
        let story = [action(0, 0, 0, false), action(2, 0, 0, false), action(4, 0, 0, false)];
        let senders = [BUYER, SELLER, SELLER];
        let mut current = None;
        let start = Moment { block: 11, time: 1_000 };
        for (by, action) in senders.into_iter().zip(story).take(steps + 1) {
            current = Some(step(current.as_ref(), &Event { by, action }, start).unwrap().0);
        }
        for index in 0..if steps == 2 { proven } else { 0 } {
            let event = Event { by: STRANGER, action: prove(index, 4, false) };
            current = Some(step(current.as_ref(), &event, start).unwrap().0);
        }
        let late = Moment { block: 12, time: 4_001 };
        let ends = [Action::Cancel, Action::Decline, Action::Slash]
            .into_iter()
            .filter_map(|action| step(current.as_ref(), &Event { by: STRANGER, action }, late).ok());
        prop_assert_eq!(ends.filter(|(after, _)| after.state.is_terminal()).count(), 1);
    }
}

/// Rules that the shared stories do not tell, each refused by its own name.
#[test]
fn rules_outside_the_shared_stories() {
    let now = Moment {
        block: 11,
        time: 1_000,
    };
    let run = |current: Option<&Agreement>, by, action| step(current, &Event { by, action }, now);
    let mut token = action(0, 0, 0, false);
    if let Action::Open { terms, .. } = &mut token {
        terms.token = Bytes([5; 20]);
    }
    let refused = run(None, BUYER, token.clone()).unwrap_err();
    assert_eq!(
        refused,
        RuleError::TokenWithoutCode {
            token: Bytes([5; 20])
        }
    );
    if let Action::Open {
        token_has_code,
        value,
        ..
    } = &mut token
    {
        (*token_has_code, *value) = (true, Amount::ZERO);
    }
    let (in_tokens, deposit) = run(None, BUYER, token).unwrap();
    assert!(matches!(
        deposit[..],
        [Effect::Deposit {
            amount: Amount(1_000),
            ..
        }]
    ));
    let wei_too = run(Some(&in_tokens), SELLER, action(2, 0, 0, false)).unwrap_err();
    assert_eq!(wei_too.name(), "WrongValue");

    let opened = run(None, BUYER, action(0, 0, 0, false)).unwrap().0;
    let again = run(Some(&opened), BUYER, action(0, 0, 0, false)).unwrap_err();
    assert_eq!(again, RuleError::AgreementExists);

    let accepted = run(Some(&opened), SELLER, action(2, 0, 0, false))
        .unwrap()
        .0;
    let delivered = run(Some(&accepted), SELLER, action(4, 0, 0, false))
        .unwrap()
        .0;
    assert_eq!(delivered.ciphertext, Bytes([7; 32]));
    let refused = |change: fn(&mut Action)| {
        let mut proof = prove(1, 4, false);
        change(&mut proof);
        run(Some(&delivered), SELLER, proof).unwrap_err().name()
    };
    let edit = [
        refused(|p| {
            if let Action::ProveShard { path, .. } = p {
                path.pop().map(drop).unwrap()
            }
        }),
        refused(|p| {
            if let Action::ProveShard { path, .. } = p {
                path.swap(0, 1)
            }
        }),
        refused(|p| {
            if let Action::ProveShard { shard, .. } = p {
                shard.valid += 1
            }
        }),
        refused(|p| {
            if let Action::ProveShard { shard_points, .. } = p {
                *shard_points = Hash::ZERO
            }
        }),
        refused(|p| {
            if let Action::ProveShard { model_points, .. } = p {
                *model_points = Bytes([1; 32])
            }
        }),
        refused(|p| {
            if let Action::ProveShard { verdict, .. } = p {
                *verdict = Verdict::VerifierChanged {
                    expected: Hash::ZERO,
                    found: Bytes([1; 32]),
                }
            }
        }),
    ];
    assert_eq!(
        edit,
        [
            "MerkleProofLength",
            "ShardNotInDataset",
            "ShardNotInDataset",
            "ShardNotInDataset",
            "ModelPointsMismatch",
            "VerifierChanged"
        ]
    );
}

#[test]
fn books_that_would_not_balance_are_refused_whole() {
    let mut ledger = Ledger::default();
    let token = Address::ZERO;
    let deposit = Effect::Deposit {
        from: BUYER,
        token,
        amount: Amount(5),
    };
    let credit = Effect::Credit {
        to: SELLER,
        token,
        amount: Amount(6),
    };
    assert_eq!(
        ledger.apply(&[deposit, credit]),
        Err(RuleError::AmountOverflow)
    );
    assert_eq!(ledger, Ledger::default());
    assert_eq!(
        ledger.withdraw(SELLER, token),
        Err(RuleError::NothingToWithdraw {
            account: SELLER,
            token
        })
    );
}
