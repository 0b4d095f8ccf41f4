//! The dataset root: a Keccak Merkle tree over shard commitments, and proofs that a shard belongs to it.
//!
//! A leaf is `keccak256(keccak256(abi.encode(index, valid, keccak256(points))))`, hashed twice so that no inner node
//! can pass for a leaf; leaves are padded with zero words to a power of two; a node is `keccak256(left || right)` in
//! index order, so the index fixes the path and nothing else needs sorting.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    digest::{hash_words, keccak, points_digest},
    value::{Hash, Point},
};

/// Most shards one tree holds: deeper than any dataset here, shallow enough that a proof stays small.
pub const MAX_SHARDS: usize = 1 << 16;

/// What the root says about one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardLeaf {
    /// Position in the dataset, from 0.
    pub index: u32,
    /// Samples in the shard that count; the rest is padding.
    pub valid: u32,
    /// [`points_digest`] of the shard's commitment.
    pub points: Hash,
}

impl ShardLeaf {
    /// The leaf of shard `index` with `valid` samples under the commitment `points`.
    pub fn new(index: u32, valid: u32, points: &[Point]) -> Self {
        Self {
            index,
            valid,
            points: points_digest(points),
        }
    }

    /// The word that stands at the bottom of the tree.
    pub fn hash(&self) -> Hash {
        let inner = hash_words(&[self.index.into(), self.valid.into(), self.points.into()]);
        keccak(inner.as_slice())
    }
}

/// A list of shards that is no dataset, or a proof that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RootError {
    /// No shards.
    #[error("a dataset root needs at least one shard")]
    Empty,
    /// More than [`MAX_SHARDS`].
    #[error("a dataset root holds at most {MAX_SHARDS} shards, got {got}: use larger shards")]
    TooMany {
        /// Shards given.
        got: usize,
    },
    /// Leaves out of order.
    #[error("expected shard {expected} at this position, got shard {got}: list the shards in index order")]
    Order {
        /// Index that belongs here.
        expected: u32,
        /// Index found.
        got: u32,
    },
    /// A shard without samples.
    #[error("shard {index} counts no sample")]
    NoSamples {
        /// The shard.
        index: u32,
    },
    /// Two shards under one commitment: the same samples would count twice.
    #[error("shards {first} and {second} have the same commitment: samples would count twice")]
    Duplicate {
        /// The earlier shard.
        first: u32,
        /// The later shard.
        second: u32,
    },
    /// No such shard.
    #[error("shard {index} is outside a dataset of {shards} shards")]
    Index {
        /// Index asked for.
        index: u32,
        /// Shards there are.
        shards: u32,
    },
    /// A path of the wrong length.
    #[error("a dataset of {shards} shards has paths of {expected} hashes, got {got}")]
    PathLength {
        /// Shards there are.
        shards: u32,
        /// Depth of the tree.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
    /// The path leads elsewhere.
    #[error(
        "shard {index} leads to root {got}, expected {expected}: the shard is not in this dataset"
    )]
    Mismatch {
        /// The shard.
        index: u32,
        /// The agreed root.
        expected: Hash,
        /// The root the path leads to.
        got: Hash,
    },
}

/// The tree, all levels kept: `2 * MAX_SHARDS` hashes at most (4 MB).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetTree {
    leaves: Vec<ShardLeaf>,
    /// Bottom first; the last level is the root alone.
    levels: Vec<Vec<Hash>>,
    root: Hash,
}

impl DatasetTree {
    /// Builds the tree over all shards of a dataset, in index order.
    pub fn new(leaves: Vec<ShardLeaf>) -> Result<Self, RootError> {
        check_leaves(&leaves)?;
        let mut level: Vec<Hash> = leaves.iter().map(ShardLeaf::hash).collect();
        level.resize(level.len().next_power_of_two(), Hash::ZERO);
        let mut levels = Vec::new();
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .filter_map(|pair| match pair {
                    [left, right] => Some(node(*left, *right)),
                    _ => None,
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        let root = level.first().copied().ok_or(RootError::Empty)?;
        Ok(Self {
            leaves,
            levels,
            root,
        })
    }

    /// The word the agreement is opened with.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// The shards, in index order.
    pub fn leaves(&self) -> &[ShardLeaf] {
        &self.leaves
    }

    /// The siblings from shard `index` up to the root, bottom first.
    pub fn path(&self, index: u32) -> Result<Vec<Hash>, RootError> {
        if index as usize >= self.leaves.len() {
            let shards = self.leaves.len() as u32;
            return Err(RootError::Index { index, shards });
        }
        Ok(self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index as usize >> height) ^ 1).copied())
            .collect())
    }
}

/// Checks that `leaf` is in the dataset of `shards` shards under `root`. Total on any input.
pub fn verify_path(
    root: Hash,
    shards: u32,
    leaf: &ShardLeaf,
    path: &[Hash],
) -> Result<(), RootError> {
    let index = leaf.index;
    if index >= shards {
        return Err(RootError::Index { index, shards });
    }
    let expected = tree_depth(shards);
    if path.len() != expected {
        return Err(RootError::PathLength {
            shards,
            expected,
            got: path.len(),
        });
    }
    let got = path
        .iter()
        .enumerate()
        .fold(leaf.hash(), |below, (height, sibling)| {
            if (index >> height) & 1 == 0 {
                node(below, *sibling)
            } else {
                node(*sibling, below)
            }
        });
    if got == root {
        Ok(())
    } else {
        Err(RootError::Mismatch {
            index,
            expected: root,
            got,
        })
    }
}

/// Hashes on the way from a leaf to the root: `ceil(log2(shards))`.
pub fn tree_depth(shards: u32) -> usize {
    shards
        .max(1)
        .checked_next_power_of_two()
        .map_or(32, u32::trailing_zeros) as usize
}

fn node(left: Hash, right: Hash) -> Hash {
    hash_words(&[left.into(), right.into()])
}

fn check_leaves(leaves: &[ShardLeaf]) -> Result<(), RootError> {
    if leaves.is_empty() {
        return Err(RootError::Empty);
    }
    if leaves.len() > MAX_SHARDS {
        return Err(RootError::TooMany { got: leaves.len() });
    }
    let mut seen = std::collections::HashMap::new();
    for (expected, leaf) in (0u32..).zip(leaves) {
        if leaf.index != expected {
            return Err(RootError::Order {
                expected,
                got: leaf.index,
            });
        }
        if leaf.valid == 0 {
            return Err(RootError::NoSamples { index: leaf.index });
        }
        if let Some(first) = seen.insert(leaf.points, leaf.index) {
            return Err(RootError::Duplicate {
                first,
                second: leaf.index,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "dataset_root_tests.rs"]
mod tests;
