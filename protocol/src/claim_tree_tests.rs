//! Tests of the claim's tree: what opens, and what a dishonest tree cannot hide.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::value::Bytes;
use proptest::prelude::*;

fn leaves(counts: &[(u32, u32)]) -> Vec<ShardClaim> {
    let leaf = |(index, (valid, top1)): (u32, &(u32, u32))| ShardClaim {
        count: ShardCount {
            index,
            valid: *valid,
            top1: *top1,
            topk: *valid,
        },
        proof: keccak(&index.to_be_bytes()),
    };
    (0..).zip(counts).map(leaf).collect()
}

/// A tree of 3 shards with `padding` beyond the last one: its root, and the path of the last.
fn tree_with_padding(padding: SumNode) -> (Hash, Vec<SumNode>, ShardClaim) {
    let all = leaves(&[(4, 4), (4, 4), (2, 2)]);
    let left = SumNode::over(all[0].leaf(), all[1].leaf());
    let right = SumNode::over(all[2].leaf(), padding);
    (
        SumNode::over(left, right).root(),
        vec![padding, left],
        all[2],
    )
}

#[test]
fn nothing_is_counted_behind_the_last_shard() {
    let (root, path, leaf) = tree_with_padding(SumNode::default());
    assert_eq!(verify_opening(root, 3, &leaf, &path), Ok(()));
    let hidden = SumNode {
        hash: keccak(b"hidden"),
        sums: Sums {
            valid: 0,
            top1: 2,
            topk: 2,
        },
    };
    let (root, path, leaf) = tree_with_padding(hidden);
    let refused = ClaimError::Sibling {
        index: 2,
        height: 0,
    };
    assert_eq!(verify_opening(root, 3, &leaf, &path), Err(refused));
}

/// Sums that wrap: a sibling of 2^64 - 1 would take one away.
#[test]
fn no_sum_wraps() {
    let all = leaves(&[(4, 4), (4, 4)]);
    for sums in [
        Sums {
            top1: u64::MAX,
            ..Sums::default()
        },
        Sums {
            topk: 1 << 32,
            ..Sums::default()
        },
        Sums {
            valid: 1 << 32,
            ..Sums::default()
        },
    ] {
        let sibling = SumNode {
            hash: keccak(b"x"),
            sums,
        };
        let root = SumNode::over(all[0].leaf(), sibling).root();
        let refused = verify_opening(root, 2, &all[0], &[sibling]);
        assert!(
            matches!(refused, Err(ClaimError::Sibling { height: 0, .. })),
            "{refused:?}"
        );
    }
}

/// A claim of more than the leaves hold: whatever the tree behind it, not every leaf opens.
#[test]
fn inflated_totals_have_a_leaf_that_does_not_open() {
    let tree = ClaimTree::new(leaves(&[(4, 3), (4, 3), (4, 3), (4, 3)])).unwrap();
    let mut top = tree.top();
    top.sums.top1 += 1;
    let open = |root, path: &dyn Fn(u32) -> Vec<SumNode>| {
        (0..4)
            .filter(|i| verify_opening(root, 4, &tree.leaves()[*i as usize], &path(*i)).is_ok())
            .count()
    };
    // The top alone inflated: none opens.
    assert_eq!(open(top.root(), &|i| tree.path(i).unwrap()), 0);
    // A node inflated halfway up: none below it opens.
    let honest = |index: usize| tree.leaves()[index].leaf();
    let left = SumNode::over(honest(0), honest(1));
    let mut right = SumNode::over(honest(2), honest(3));
    right.sums.top1 += 1;
    let root = SumNode::over(left, right).root();
    let path = |index: u32| {
        let sibling = honest(index as usize ^ 1);
        vec![sibling, if index < 2 { right } else { left }]
    };
    assert_eq!(open(root, &path), 2);
}

#[test]
fn lists_that_are_no_claim() {
    assert_eq!(ClaimTree::new(vec![]), Err(ClaimError::Shards { got: 0 }));
    let mut swapped = leaves(&[(1, 1), (1, 1)]);
    swapped.swap(0, 1);
    let refused = ClaimError::Order {
        expected: 0,
        got: 1,
    };
    assert_eq!(ClaimTree::new(swapped), Err(refused));
    let tree = ClaimTree::new(leaves(&[(1, 1)])).unwrap();
    assert_eq!(tree.path(0), Ok(vec![]));
    assert!(matches!(
        tree.path(1),
        Err(ClaimError::Index {
            index: 1,
            shards: 1
        })
    ));
    let leaf = tree.leaves()[0];
    assert_eq!(verify_opening(tree.root(), 1, &leaf, &[]), Ok(()));
    assert!(climb(0, &leaf, &[]).is_err());
    let long = climb(1, &leaf, &[SumNode::default()]);
    assert!(matches!(long, Err(ClaimError::PathLength { .. })));
}

proptest! {
    #[test]
    fn every_leaf_opens_and_only_as_it_is(
        counts in prop::collection::vec((0u32..100, 0u32..100), 1..20),
        at in any::<prop::sample::Index>(),
        bit in 0usize..256,
    ) {
        let tree = ClaimTree::new(leaves(&counts)).unwrap();
        let shards = counts.len() as u32;
        let total: u64 = counts.iter().map(|(_, top1)| u64::from(*top1)).sum();
        prop_assert_eq!(tree.top().sums.top1, total);
        for (index, leaf) in (0..).zip(tree.leaves()) {
            let path = tree.path(index).unwrap();
            prop_assert_eq!(verify_opening(tree.root(), shards, leaf, &path), Ok(()));
        }
        let index = at.index(counts.len()) as u32;
        let (leaf, path) = (tree.leaves()[index as usize], tree.path(index).unwrap());
        let mut other = leaf;
        other.count.top1 += 1;
        prop_assert!(verify_opening(tree.root(), shards, &other, &path).is_err());
        let mut other = leaf;
        other.proof.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_opening(tree.root(), shards, &other, &path).is_err());
        for height in 0..path.len() {
            let mut bent = path.clone();
            bent[height].sums.top1 += 1;
            prop_assert!(verify_opening(tree.root(), shards, &leaf, &bent).is_err());
        }
        let root = Bytes(keccak(b"other").0);
        prop_assert!(verify_opening(root, shards, &leaf, &path).is_err());
    }
}
