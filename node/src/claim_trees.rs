//! Trees of claims that are asked for again and again: whoever judges a claim asks for every shard's place in it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use zknode_circuit::verify::Attestation;
use zknode_protocol::{claim_tree::ClaimTree, message::Version};

use crate::{
    card::{shard_claim, ShardEvidence},
    lock::lock,
};

/// Trees that are kept. More than one: who asks for two claims in turn must not have both made anew each time.
const KEPT: usize = 8;

/// The trees asked for last. No proof changes once it is claimed.
pub struct ClaimTrees<K>(Mutex<VecDeque<(K, Arc<ClaimTree>)>>);

impl<K> Default for ClaimTrees<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: PartialEq> ClaimTrees<K> {
    /// The proof of a shard with its place in a claim about `shards` of them, from what `proof` finds stored; `None` when there
    /// is no such shard. The tree is kept, so that asking again reads one proof only.
    pub fn evidence(
        &self,
        claim: K,
        shards: u32,
        index: u32,
        proof: impl Fn(u32) -> anyhow::Result<Attestation>,
    ) -> anyhow::Result<Option<ShardEvidence>> {
        if index >= shards {
            return Ok(None);
        }
        let tree = self.tree(claim, || {
            let leaf = |shard| Ok(shard_claim(shard, &proof(shard)?));
            let leaves: anyhow::Result<_> = (0..shards).map(leaf).collect();
            Ok(ClaimTree::new(leaves?)?)
        })?;
        Ok(Some(ShardEvidence {
            version: Version,
            attestation: proof(index)?,
            path: tree.path(index)?,
        }))
    }

    /// The tree of a claim: a kept one, or a new one that is kept.
    fn tree(
        &self,
        claim: K,
        make: impl FnOnce() -> anyhow::Result<ClaimTree>,
    ) -> anyhow::Result<Arc<ClaimTree>> {
        if let Some(kept) = self.kept(&claim) {
            return Ok(kept);
        }
        let made = Arc::new(make()?);
        let mut trees = lock(&self.0);
        // Another may have made it meanwhile.
        trees.retain(|(of, _)| *of != claim);
        trees.push_front((claim, made.clone()));
        trees.truncate(KEPT);
        Ok(made)
    }

    fn kept(&self, claim: &K) -> Option<Arc<ClaimTree>> {
        let mut trees = lock(&self.0);
        let found = trees.iter().position(|(of, _)| of == claim)?;
        let kept = trees.remove(found)?;
        let tree = kept.1.clone();
        trees.push_front(kept);
        Some(tree)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use zknode_protocol::{agreement::ShardCount, claim_tree::ShardClaim, value::Bytes};

    use super::*;

    #[test]
    fn a_tree_is_made_once_while_it_is_asked_for() {
        let trees = ClaimTrees::default();
        let leaf = ShardClaim {
            count: ShardCount {
                index: 0,
                valid: 2,
                top1: 1,
                topk: 1,
            },
            proof: Bytes([0; 32]),
        };
        let make = || Ok(ClaimTree::new(vec![leaf])?);
        let fails = || anyhow::bail!("it is not kept");
        assert!(trees.tree(0, fails).is_err());
        for claim in 0..KEPT {
            trees.tree(claim, make).unwrap();
            // However many others are asked for.
            trees.tree(0, fails).unwrap();
        }
        trees.tree(KEPT, make).unwrap();
        trees.tree(0, fails).unwrap();
        assert!(
            trees.tree(1, fails).is_err(),
            "the one that nobody asked for"
        );
        assert_eq!(lock(&trees.0).len(), KEPT);
    }
}
