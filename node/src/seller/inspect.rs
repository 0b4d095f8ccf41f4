//! Looks at a delivered test set before anything is at stake: does it open what was agreed, and would it pay?

use anyhow::Context;
use zknode_circuit::{commitment::CommittedShard, network::rank};
use zknode_protocol::{
    agreement::{Metric, Terms},
    chain::Chain,
    dataset_root::DatasetTree,
    digest::keccak,
    message::DeliveryManifest,
};

use super::Seller;
use crate::{
    delivery::{self, ShardOpening},
    home::read_file,
    output::explain,
    testset::point,
};

/// What a look at a delivery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It opens its commitments, and the threshold will be reached.
    Good,
    /// It does not, for this reason: nothing secret in it.
    Bad(String),
}

impl<C: Chain> Seller<C> {
    /// The stored ciphertext of a delivery and the tree over its shards.
    fn sealed(
        &self,
        terms: &Terms,
        manifest: &DeliveryManifest,
    ) -> anyhow::Result<(Vec<u8>, DatasetTree)> {
        let tree = manifest.tree(terms)?;
        let path = self.home.delivery(&manifest.ciphertext_hash.to_string());
        let sealed = read_file(&path, manifest.ciphertext_bytes)?;
        anyhow::ensure!(
            keccak(&sealed) == manifest.ciphertext_hash,
            "{} is not the ciphertext that came; restore it",
            path.display()
        );
        Ok((sealed, tree))
    }

    fn unsealed(
        &self,
        sealed: &[u8],
        manifest: &DeliveryManifest,
    ) -> Result<Vec<ShardOpening>, delivery::DeliveryError> {
        let layout = &self.model.layout;
        let samples = layout.options().samples;
        let pixels = layout.architecture().input.cells();
        let shards = manifest.shards.len();
        delivery::open(sealed, &self.reading_key, shards, samples, pixels)
    }

    /// The stored delivery, opened, and the tree over its shards.
    pub fn open_delivery(
        &self,
        terms: &Terms,
        manifest: &DeliveryManifest,
    ) -> anyhow::Result<(Vec<ShardOpening>, DatasetTree)> {
        let (sealed, tree) = self.sealed(terms, manifest)?;
        Ok((self.unsealed(&sealed, manifest)?, tree))
    }

    /// Looks at the stored delivery. An error is trouble of this node, and says nothing of the delivery.
    pub fn inspect(&self, terms: &Terms, manifest: &DeliveryManifest) -> anyhow::Result<Finding> {
        let bad = |reason: String| Ok(Finding::Bad(reason));
        let (sealed, _) = self.sealed(terms, manifest)?;
        let openings = match self.unsealed(&sealed, manifest) {
            Ok(openings) => openings,
            Err(error) => return bad(error.to_string()),
        };
        let mut correct = 0;
        for (index, (opening, agreed)) in openings.iter().zip(&manifest.shards).enumerate() {
            if opening.samples.len() != agreed.valid as usize {
                return bad(format!(
                    "shard {index} holds {} samples, its leaf says {}",
                    opening.samples.len(),
                    agreed.valid
                ));
            }
            let shard = match self.commit(opening) {
                Ok(shard) => shard,
                Err(error) => return bad(format!("shard {index}: {}", explain(&error))),
            };
            if agreed.points != [point(&shard.column().commitment())] {
                return bad(format!("shard {index} does not open its commitment"));
            }
            correct += self.count(opening, terms.metric)?;
        }
        if correct < u64::from(terms.threshold) {
            return bad("this model does not reach the threshold on it".into());
        }
        Ok(Finding::Good)
    }

    /// Samples that will be proven to be answered correctly.
    fn count(&self, opening: &ShardOpening, metric: Metric) -> anyhow::Result<u64> {
        let first = match metric {
            Metric::Top1 => 1,
            Metric::TopK => self.model.layout.options().top_k,
        };
        let mut correct = 0;
        for sample in &opening.samples {
            let trace = self.model.network.run(&sample.pixels)?;
            correct += u64::from(rank(&trace.logits, usize::from(sample.label)) < first);
        }
        Ok(correct)
    }

    /// Commits to a shard again.
    pub fn commit(&self, opening: &ShardOpening) -> anyhow::Result<CommittedShard> {
        let (layout, srs) = (&self.model.layout, self.prover.srs());
        CommittedShard::new(layout, &opening.samples(), &opening.seed, srs)
            .context("the samples do not fit the layout")
    }
}
