//! Three shards, and what is claimed and proven of them; every proof is accepted.

use zknode_protocol::{
    claim_tree::{ClaimTree, ShardClaim, ShardCount, SumNode},
    dataset_root::{DatasetTree, ShardLeaf},
    shards::{ShardFacts, Verdict},
    value::{Bytes, Hash},
};

pub struct Shards([ShardCount; 3]);

impl Shards {
    /// Of so many valid samples, so many of them right at the first place; all are among the first k.
    pub fn new(counts: [(u32, u32); 3]) -> Self {
        let mut indices = 0..;
        Self(counts.map(|(valid, top1)| ShardCount {
            index: indices.next().unwrap(),
            valid,
            top1,
            topk: valid,
        }))
    }

    fn dataset(&self) -> DatasetTree {
        let leaf = |count: &ShardCount| {
            ShardLeaf::new(count.index, count.valid, &[Bytes([count.index as u8; 64])])
        };
        DatasetTree::new(self.0.iter().map(leaf).collect()).unwrap()
    }

    fn claim(&self) -> ClaimTree {
        let proof = Hash::ZERO;
        let leaf = |count: &ShardCount| ShardClaim {
            count: *count,
            proof,
        };
        ClaimTree::new(self.0.iter().map(leaf).collect()).unwrap()
    }

    pub fn root(&self) -> Hash {
        self.dataset().root()
    }

    /// The top of the claim.
    pub fn top(&self) -> SumNode {
        self.claim().top()
    }

    pub fn path(&self, index: u32) -> Vec<SumNode> {
        self.claim().path(index).unwrap()
    }

    pub fn facts(&self, index: u32) -> ShardFacts {
        let dataset = self.dataset();
        ShardFacts {
            shard: self.0[index as usize],
            registered_points: Hash::ZERO,
            model_points: Hash::ZERO,
            registered_length: 1,
            length: 1,
            shard_points: dataset.leaves()[index as usize].points,
            path: dataset.path(index).unwrap(),
            verdict: Verdict::Accepted,
        }
    }
}
