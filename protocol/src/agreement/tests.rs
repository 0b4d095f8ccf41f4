//! Tests of the rules that neither the table (`tests/machine.rs`) nor the shared stories tell.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::dataset_root::{DatasetTree, ShardLeaf};
use crate::deal::DealError;
use crate::value::Bytes;

const BUYER: Address = Bytes([1; 20]);
const SELLER: Address = Bytes([2; 20]);
const VALID: [u32; 3] = [4, 4, 2];
const NOW: Moment = Moment {
    block: 11,
    time: 1_000,
};

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
        buyer_bond: Amount(100),
        bond: Amount(500),
        penalty: Amount(200),
        preview_fee: Amount(50),
        contest_fee: Amount(40),
        accept_by: 2_000,
        preview_by: 2_400,
        deliver_by: 3_000,
        claim_by: 4_000,
        metric: Metric::Top1,
        mode: Mode::Eager,
        preview_shards: 0,
        response_time: 100,
        window: 500,
        prove_time: 300,
    }
}

fn open(terms: Terms, token_has_code: bool, value: u128) -> Action {
    Action::Open {
        terms,
        model: Some(ModelFacts {
            seller: SELLER,
            registered_block: 10,
            retires_at: 0,
            points: Hash::ZERO,
            shard_points: 1,
        }),
        token_has_code,
        value: Amount(value),
    }
}

fn run(
    current: Option<&Agreement>,
    by: Address,
    action: Action,
) -> Result<(Agreement, Vec<Effect>), RuleError> {
    step(current, &Event { by, action }, NOW)
}

#[test]
fn tokens_bring_no_ether_and_need_code() {
    let token = Bytes([5; 20]);
    let in_token = Terms { token, ..terms() };
    let refused = run(None, BUYER, open(in_token.clone(), false, 0));
    assert_eq!(refused, Err(DealError::TokenWithoutCode { token }.into()));
    let (opened, deposit) = run(None, BUYER, open(in_token, true, 0)).unwrap();
    let expected = Effect::Deposit {
        from: BUYER,
        token,
        amount: Amount(1_100),
    };
    assert_eq!(deposit, [expected]);
    let value = Amount(500);
    let wei_too = run(Some(&opened), SELLER, Action::Accept { value });
    assert_eq!(wei_too.unwrap_err().name(), "WrongValue");
    let big = Terms {
        price: Amount(u128::MAX),
        ..terms()
    };
    let refused = run(None, BUYER, open(big, false, 0));
    assert_eq!(
        refused,
        Err(DealError::AmountOverflow {
            amount: Amount(100)
        }
        .into())
    );
}

/// What is wrong with a shard proof, each by its own name.
#[test]
fn each_part_of_a_proof_is_judged() {
    let opened = run(None, BUYER, open(terms(), false, 1_100)).unwrap().0;
    let value = Amount(500);
    let accepted = run(Some(&opened), SELLER, Action::Accept { value }).unwrap();
    let acknowledge = Action::Acknowledge {
        ciphertext: Bytes([7; 32]),
        signer: None,
    };
    let delivered = run(Some(&accepted.0), SELLER, acknowledge).unwrap().0;
    assert_eq!(delivered.ciphertext, Bytes([7; 32]));
    let tree = dataset();
    let refused = |change: fn(&mut ShardFacts)| {
        let mut facts = ShardFacts {
            shard: ShardCount {
                index: 1,
                valid: 4,
                top1: 4,
                topk: 4,
            },
            registered_points: Hash::ZERO,
            model_points: Hash::ZERO,
            registered_length: 1,
            length: 1,
            shard_points: tree.leaves()[1].points,
            path: tree.path(1).unwrap(),
            verdict: Verdict::Accepted,
        };
        change(&mut facts);
        let outcome = run(Some(&delivered), SELLER, Action::ProveShard(facts));
        outcome.map_or_else(|error| error.name(), |_| "counted".into())
    };
    let found = [
        refused(|_| {}),
        refused(|facts| facts.path.truncate(1)),
        refused(|facts| facts.path.swap(0, 1)),
        refused(|facts| facts.shard.valid += 1),
        refused(|facts| facts.shard_points = Hash::ZERO),
        refused(|facts| facts.model_points = Bytes([1; 32])),
        refused(|facts| facts.length = 2),
        refused(|facts| {
            facts.verdict = Verdict::VerifierChanged {
                expected: Hash::ZERO,
                found: Bytes([1; 32]),
            }
        }),
        refused(|facts| facts.verdict = Verdict::Rejected),
    ];
    let expected = [
        "counted",
        "PathLength",
        "ShardNotInDataset",
        "ShardNotInDataset",
        "ShardNotInDataset",
        "ModelPointsMismatch",
        "ShardPointsLength",
        "VerifierChanged",
        "ProofRejected",
    ];
    assert_eq!(found, expected);
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
        Err(DealError::AmountOverflow { amount: Amount(6) })
    );
    assert_eq!(ledger, Ledger::default());
    assert_eq!(
        ledger.withdraw(SELLER, token),
        Err(DealError::NothingToWithdraw {
            account: SELLER,
            token
        })
    );
}
