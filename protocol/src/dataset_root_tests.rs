//! Tests of the dataset root.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::value::Bytes;
use proptest::prelude::*;

fn shards(count: u32) -> Vec<ShardLeaf> {
    (0..count)
        .map(|index| {
            let point = keccak(&index.to_be_bytes());
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&point.0);
            ShardLeaf::new(index, 64, &[Bytes(bytes)])
        })
        .collect()
}

#[test]
fn one_shard_is_its_own_root() {
    let leaves = shards(1);
    let tree = DatasetTree::new(leaves.clone()).unwrap();
    assert_eq!(tree.root(), leaves[0].hash());
    assert_eq!(tree.path(0), Ok(vec![]));
    assert_eq!(verify_path(tree.root(), 1, &leaves[0], &[]), Ok(()));
}

#[test]
fn three_shards_are_padded_with_a_zero_word() {
    let leaves = shards(3);
    let tree = DatasetTree::new(leaves.clone()).unwrap();
    let left = node(leaves[0].hash(), leaves[1].hash());
    let right = node(leaves[2].hash(), Hash::ZERO);
    assert_eq!(tree.root(), node(left, right));
}

#[test]
fn lists_that_are_no_dataset_are_refused() {
    assert_eq!(DatasetTree::new(vec![]), Err(RootError::Empty));

    let many = vec![shards(1)[0]; MAX_SHARDS + 1];
    let got = MAX_SHARDS + 1;
    assert_eq!(DatasetTree::new(many), Err(RootError::TooMany { got }));

    let mut swapped = shards(3);
    swapped.swap(1, 2);
    assert_eq!(
        DatasetTree::new(swapped),
        Err(RootError::Order {
            expected: 1,
            got: 2
        })
    );

    let mut twice = shards(3);
    twice[2].points = twice[0].points;
    assert_eq!(
        DatasetTree::new(twice),
        Err(RootError::Duplicate {
            first: 0,
            second: 2
        })
    );

    let mut hollow = shards(3);
    hollow[1].valid = 0;
    assert_eq!(
        DatasetTree::new(hollow),
        Err(RootError::NoSamples { index: 1 })
    );
}

#[test]
fn paths_of_the_wrong_shape_are_refused() {
    let leaves = shards(5);
    let tree = DatasetTree::new(leaves.clone()).unwrap();
    let root = tree.root();
    assert_eq!(
        tree.path(5),
        Err(RootError::Index {
            index: 5,
            shards: 5
        })
    );
    let path = tree.path(4).unwrap();
    assert_eq!(
        verify_path(root, 4, &leaves[4], &path),
        Err(RootError::Index {
            index: 4,
            shards: 4
        })
    );
    assert_eq!(
        verify_path(root, 5, &leaves[4], &path[..2]),
        Err(RootError::PathLength {
            shards: 5,
            expected: 3,
            got: 2
        })
    );
    // A padding leaf is not a shard, whatever its path.
    let padding = ShardLeaf {
        index: 5,
        ..leaves[4]
    };
    assert!(verify_path(root, 5, &padding, &path).is_err());
}

#[test]
fn depth_is_the_rounded_up_logarithm() {
    let depths: Vec<usize> = [1, 2, 3, 4, 5, 256, 257].map(tree_depth).into();
    assert_eq!(depths, [0, 1, 2, 2, 3, 8, 9]);
    assert_eq!(tree_depth(u32::MAX), 32);
}

proptest! {
    #[test]
    fn every_shard_is_in_and_no_changed_shard_is(count in 1u32..40, pick: prop::sample::Index, bit in 0usize..256) {
        let leaves = shards(count);
        let tree = DatasetTree::new(leaves.clone()).unwrap();
        let leaf = leaves[pick.index(leaves.len())];
        let mut path = tree.path(leaf.index).unwrap();
        prop_assert_eq!(verify_path(tree.root(), count, &leaf, &path), Ok(()));

        let recounted = ShardLeaf { valid: leaf.valid + 1, ..leaf };
        prop_assert!(verify_path(tree.root(), count, &recounted, &path).is_err());
        let moved = ShardLeaf { index: (leaf.index + 1) % count.max(2), ..leaf };
        prop_assert!(verify_path(tree.root(), count, &moved, &path).is_err());
        let mut other = leaf;
        other.points.0[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(verify_path(tree.root(), count, &other, &path).is_err());
        if let Some(sibling) = path.first_mut() {
            sibling.0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(verify_path(tree.root(), count, &leaf, &path).is_err());
        }
    }
}
