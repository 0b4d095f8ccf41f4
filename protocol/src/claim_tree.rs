//! The seller's claim: a Keccak Merkle tree over per-shard counts in which every node carries the sums below it, so
//! that whoever opens a leaf shows that all counts on its way add up to the claimed totals.
//!
//! A leaf is `keccak256(keccak256(abi.encode(index, valid, top1, topk, keccak256(proof))))`; a node is
//! `keccak256(abi.encode(left.hash, left.sums, right.hash, right.sums))` with the sums of both; what lies beyond the
//! last leaf is zero at every height. Sums are one word, `valid | top1 << 64 | topk << 128`. The root is the hash of top
//! node and totals. A tree whose totals are not the sum of its leaves has a leaf that does not open: a buyer who has an
//! opening of every leaf knows the totals, and otherwise knows which shard to contest.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    dataset_root::{tree_depth, MAX_SHARDS},
    digest::{hash_words, keccak, Word},
    value::Hash,
};

/// What one proof says about one shard. `valid` is bound by the dataset root, the counts by the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCount {
    /// Position in the dataset.
    pub index: u32,
    /// Samples that count.
    pub valid: u32,
    /// Correct at the first place.
    pub top1: u32,
    /// Correct among the first k places.
    pub topk: u32,
}

/// What is counted, summed over a subtree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Samples that count.
    pub valid: u64,
    /// Correct at the first place.
    pub top1: u64,
    /// Correct among the first k places.
    pub topk: u64,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            valid: self.valid.saturating_add(other.valid),
            top1: self.top1.saturating_add(other.top1),
            topk: self.topk.saturating_add(other.topk),
        }
    }

    /// Whether each is below 2^32, as the escrow asks of every sibling.
    fn fits(self) -> bool {
        [self.valid, self.top1, self.topk]
            .iter()
            .all(|sum| *sum <= u32::MAX.into())
    }

    /// The word the contract packs them in.
    fn word(self) -> Word {
        let mut word = [0; 32];
        for (place, sum) in [(24, self.valid), (16, self.top1), (8, self.topk)] {
            word.iter_mut()
                .skip(place)
                .zip(sum.to_be_bytes())
                .for_each(|(to, from)| *to = from);
        }
        Word(word)
    }
}

/// A node of the tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SumNode {
    /// Over both children.
    pub hash: Hash,
    /// Of both children.
    pub sums: Sums,
}

impl SumNode {
    /// What the escrow stores of a claim whose top node this is.
    pub fn root(&self) -> Hash {
        hash_words(&[self.hash.into(), self.sums.word()])
    }

    /// The sums as the contract takes them.
    pub fn sums_word(&self) -> [u8; 32] {
        self.sums.word().0
    }

    fn over(left: Self, right: Self) -> Self {
        let words = [
            left.hash.into(),
            left.sums.word(),
            right.hash.into(),
            right.sums.word(),
        ];
        Self {
            hash: hash_words(&words),
            sums: left.sums.plus(right.sums),
        }
    }
}

/// What the claim says about one shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardClaim {
    /// The counts.
    pub count: ShardCount,
    /// Keccak-256 of the proof.
    pub proof: Hash,
}

impl ShardClaim {
    /// The node at the bottom of the tree.
    pub fn leaf(&self) -> SumNode {
        let ShardCount {
            index,
            valid,
            top1,
            topk,
        } = self.count;
        let inner = hash_words(&[
            index.into(),
            valid.into(),
            top1.into(),
            topk.into(),
            self.proof.into(),
        ]);
        let (valid, top1, topk) = (valid.into(), top1.into(), topk.into());
        SumNode {
            hash: keccak(inner.as_slice()),
            sums: Sums { valid, top1, topk },
        }
    }
}

/// A list that is no claim, or an opening that opens nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClaimError {
    /// No shards, or too many.
    #[error("a claim is about 1 to {MAX_SHARDS} shards, got {got}")]
    Shards {
        /// Shards given.
        got: usize,
    },
    /// Leaves out of order.
    #[error("expected shard {expected} at this position, got shard {got}")]
    Order {
        /// Index that belongs here.
        expected: u32,
        /// Index found.
        got: u32,
    },
    /// No such shard.
    #[error("shard {index} is outside a claim of {shards} shards")]
    Index {
        /// Index asked for.
        index: u32,
        /// Shards there are.
        shards: u32,
    },
    /// A path of the wrong length.
    #[error("a claim of {shards} shards has paths of {expected} nodes, got {got}")]
    PathLength {
        /// Shards there are.
        shards: u32,
        /// Depth of the tree.
        expected: usize,
        /// Nodes given.
        got: usize,
    },
    /// A sibling that counts more than a subtree can, or something beyond the last shard.
    #[error("the sibling at height {height} of shard {index} counts what is not there")]
    Sibling {
        /// The shard.
        index: u32,
        /// Where.
        height: usize,
    },
    /// The path leads elsewhere.
    #[error("shard {index} leads to the claim {got}, expected {expected}")]
    Mismatch {
        /// The shard.
        index: u32,
        /// The claim on the chain.
        expected: Hash,
        /// The one the path leads to.
        got: Hash,
    },
}

/// The tree, all levels kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimTree {
    leaves: Vec<ShardClaim>,
    /// Bottom first; the last level is the top node alone.
    levels: Vec<Vec<SumNode>>,
    top: SumNode,
}

impl ClaimTree {
    /// Builds the tree over all shards, in index order.
    pub fn new(leaves: Vec<ShardClaim>) -> Result<Self, ClaimError> {
        if leaves.is_empty() || leaves.len() > MAX_SHARDS {
            return Err(ClaimError::Shards { got: leaves.len() });
        }
        for (expected, leaf) in (0u32..).zip(&leaves) {
            let got = leaf.count.index;
            if got != expected {
                return Err(ClaimError::Order { expected, got });
            }
        }
        let mut level: Vec<SumNode> = leaves.iter().map(ShardClaim::leaf).collect();
        level.resize(level.len().next_power_of_two(), SumNode::default());
        let mut levels = vec![];
        while level.len() > 1 {
            let above = level
                .chunks(2)
                .filter_map(|pair| match pair {
                    // Beyond the last leaf.
                    [left, _] if *left == SumNode::default() => Some(*left),
                    [left, right] => Some(SumNode::over(*left, *right)),
                    _ => None,
                })
                .collect();
            levels.push(std::mem::replace(&mut level, above));
        }
        let top = level.first().copied().unwrap_or_default();
        Ok(Self {
            leaves,
            levels,
            top,
        })
    }

    /// The node over everything, with the totals.
    pub fn top(&self) -> SumNode {
        self.top
    }

    /// What the escrow stores.
    pub fn root(&self) -> Hash {
        self.top.root()
    }

    /// The shards, in index order.
    pub fn leaves(&self) -> &[ShardClaim] {
        &self.leaves
    }

    /// The siblings from shard `index` up to the top, bottom first.
    pub fn path(&self, index: u32) -> Result<Vec<SumNode>, ClaimError> {
        if index as usize >= self.leaves.len() {
            let shards = self.leaves.len() as u32;
            return Err(ClaimError::Index { index, shards });
        }
        Ok(self
            .levels
            .iter()
            .enumerate()
            .filter_map(|(height, level)| level.get((index as usize >> height) ^ 1).copied())
            .collect())
    }
}

/// The root that `leaf` leads to in a claim of `shards` shards. Total on any input.
pub fn climb(shards: u32, leaf: &ShardClaim, path: &[SumNode]) -> Result<Hash, ClaimError> {
    let index = leaf.count.index;
    if index >= shards {
        return Err(ClaimError::Index { index, shards });
    }
    let expected = tree_depth(shards);
    if path.len() != expected {
        return Err(ClaimError::PathLength {
            shards,
            expected,
            got: path.len(),
        });
    }
    let mut node = leaf.leaf();
    for (height, sibling) in path.iter().enumerate() {
        let place = (u64::from(index) >> height) ^ 1;
        let padding = place << height >= u64::from(shards);
        let stands = if padding {
            *sibling == SumNode::default()
        } else {
            sibling.sums.fits()
        };
        if !stands {
            return Err(ClaimError::Sibling { index, height });
        }
        node = if place & 1 == 1 {
            SumNode::over(node, *sibling)
        } else {
            SumNode::over(*sibling, node)
        };
    }
    Ok(node.root())
}

/// Checks that `leaf` is in the claim `root` over `shards` shards and that its way adds up to the totals.
pub fn verify_opening(
    root: Hash,
    shards: u32,
    leaf: &ShardClaim,
    path: &[SumNode],
) -> Result<(), ClaimError> {
    let got = climb(shards, leaf, path)?;
    if got == root {
        Ok(())
    } else {
        Err(ClaimError::Mismatch {
            index: leaf.count.index,
            expected: root,
            got,
        })
    }
}

#[cfg(test)]
#[path = "claim_tree_tests.rs"]
mod tests;
