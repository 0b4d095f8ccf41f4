//! Looks at a delivered test set before anything is at stake: does it open what was agreed, and would it pay?

use std::time::{Duration, Instant};

use anyhow::Context;
use zknode_circuit::{
    commitment::{CommittedShard, Seed},
    network::rank,
};
use zknode_protocol::{
    agreement::{Metric, Terms},
    chain::Chain,
    dataset_root::DatasetTree,
    digest::keccak,
    message::{DeliveryManifest, ManifestShard, PreviewManifest},
    value::{AgreementId, Hash},
};

use super::Seller;
use crate::{
    delivery::{self, Part, Sample, ShardOpening},
    home::read_file,
    output::explain,
    testset::shard_points,
};

/// What a look at a delivery came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It opens its commitments, and the threshold can be reached.
    Good,
    /// It opens its commitments, but going on would cost more than going away.
    Unwanted(String),
    /// It is not what was agreed, for this reason: nothing secret in it.
    Bad(String),
}

impl<C: Chain> Seller<C> {
    /// The ciphertext that came for an agreement: hash and length are its manifest's.
    fn sealed(
        &self,
        (id, part): (AgreementId, Part),
        (hash, bytes): (Hash, u64),
    ) -> anyhow::Result<Vec<u8>> {
        let path = self.home.received(id, part);
        let sealed = read_file(&path, bytes)?;
        anyhow::ensure!(
            keccak(&sealed) == hash,
            "{} is not the ciphertext that came; restore it",
            path.display()
        );
        Ok(sealed)
    }

    fn sealed_rest(&self, manifest: &DeliveryManifest) -> anyhow::Result<Vec<u8>> {
        let bytes = (manifest.ciphertext_hash, manifest.ciphertext_bytes);
        self.sealed((manifest.agreement, Part::Rest), bytes)
    }

    fn unsealed(
        &self,
        sealed: &[u8],
        shards: usize,
    ) -> Result<Vec<ShardOpening>, delivery::DeliveryError> {
        let layout = &self.model.layout;
        let samples = layout.options().samples;
        let pixels = layout.architecture().input.cells();
        delivery::open(sealed, &self.reading_key, shards, samples, pixels)
    }

    /// The stored delivery, opened, and the tree over its shards.
    pub fn open_delivery(
        &self,
        terms: &Terms,
        manifest: &DeliveryManifest,
    ) -> anyhow::Result<(Vec<ShardOpening>, DatasetTree)> {
        let tree = manifest.tree(terms)?;
        let sealed = self.sealed_rest(manifest)?;
        Ok((self.unsealed(&sealed, manifest.shards.len())?, tree))
    }

    /// Looks at the stored test set. An error is trouble of this node, and says nothing of the delivery.
    pub fn inspect(&self, terms: &Terms, manifest: &DeliveryManifest) -> anyhow::Result<Finding> {
        manifest.tree(terms)?;
        let sealed = self.sealed_rest(manifest)?;
        let shards = (0..).zip(&manifest.shards).collect::<Vec<_>>();
        self.judge(terms, &sealed, &shards)
    }

    /// Looks at the stored preview.
    pub fn inspect_preview(
        &self,
        terms: &Terms,
        manifest: &PreviewManifest,
    ) -> anyhow::Result<Finding> {
        let bytes = (manifest.ciphertext_hash, manifest.ciphertext_bytes);
        let sealed = self.sealed((manifest.agreement, Part::Preview), bytes)?;
        let shards = manifest.shards.iter();
        let shards: Vec<_> = shards.map(|shard| (shard.index, &shard.shard)).collect();
        self.judge(terms, &sealed, &shards)
    }

    /// Whether these shards are what was agreed, and whether the threshold is still within reach with everything that
    /// is not shown answered rightly. Where it is not, the seller goes away if that is not dearer than the penalty: it
    /// declines, or denies what can only be the labels' fault, at the same price.
    fn judge(
        &self,
        terms: &Terms,
        sealed: &[u8],
        shards: &[(u32, &ManifestShard)],
    ) -> anyhow::Result<Finding> {
        let bad = |reason: String| Ok(Finding::Bad(reason));
        let openings = match self.unsealed(sealed, shards.len()) {
            Ok(openings) => openings,
            Err(error) => return bad(error.to_string()),
        };
        let (mut wrong, mut shown) = (0, 0);
        for (opening, (index, agreed)) in openings.iter().zip(shards) {
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
            if agreed.points != shard_points(&shard.column().commitment()) {
                return bad(format!("shard {index} does not open its commitment"));
            }
            let correct = self.count(opening, terms.metric)?;
            wrong += (opening.samples.len() as u64).saturating_sub(correct);
            shown += opening.samples.len() as u64;
        }
        let best = u64::from(terms.samples).saturating_sub(wrong);
        if best < u64::from(terms.threshold) && terms.preview_fee <= terms.penalty {
            let correct = shown.saturating_sub(wrong);
            if self.policy.is_incredible(correct, shown) {
                return bad(format!(
                    "{correct} of {shown} labels are this model's answers, fewer than its accuracy allows"
                ));
            }
            return Ok(Finding::Unwanted(
                "this model does not reach the threshold on it".into(),
            ));
        }
        Ok(Finding::Good)
    }

    /// What a look at a full shard takes here and now: to commit to it, and to run the network on each of its samples.
    pub fn measure_look(&self) -> anyhow::Result<Duration> {
        let layout = &self.model.layout;
        let pixels = layout.architecture().input.cells();
        let sample = Sample {
            pixels: (0..=u8::MAX).cycle().take(pixels).collect(),
            label: 0,
        };
        let opening = ShardOpening {
            seed: Seed::new([0; 32]),
            samples: vec![sample; layout.options().samples],
        };
        let start = Instant::now();
        self.commit(&opening)?;
        self.count(&opening, Metric::Top1)?;
        Ok(start.elapsed())
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
        let shard = opening.commit(layout, srs);
        shard.context("the samples do not fit the layout")
    }
}
