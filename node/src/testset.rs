//! The buyer's test set: cut into shards, each committed with fresh salt, all under one root.

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zknode_circuit::{
    commitment::{Commitment, ModelCommitment, Seed},
    layout::{Layout, LayoutOptions},
    srs::Srs,
};
use zknode_datasets::{fixtures, open, Dataset, Options};
use zknode_protocol::{
    dataset_root::{DatasetTree, ShardLeaf},
    message::{ManifestShard, PreviewShard},
    value::{Bytes, Hash, Point},
};

use crate::{
    delivery::{Sample, ShardOpening},
    progress::Progress,
};

/// The name of the bundled images, in place of a path.
pub const BUNDLED: &str = "mnist-256";

/// Which samples of which files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A dataset's path, or [`BUNDLED`].
    pub path: PathBuf,
    /// First sample.
    pub from: usize,
    /// One past the last; `None`: all.
    pub to: Option<usize>,
    /// Added to every label: 1 for networks whose class 0 is the background.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_offset: u16,
}

fn is_zero(offset: &u16) -> bool {
    *offset == 0
}

impl Source {
    /// Reads the samples, as images of `layout`'s network.
    pub fn read(&self, layout: &Layout) -> anyhow::Result<Vec<Sample>> {
        let input = layout.architecture().input;
        let classes = layout.architecture().classes();
        let shape = zknode_datasets::Shape::new(input.channels, input.height, input.width);
        let dataset = self.open(Some(shape), Some(classes))?;
        ensure!(
            dataset.shape() == shape,
            "{}: the model takes images of {shape}, these are {}",
            self.path.display(),
            dataset.shape()
        );
        let samples = dataset.into_samples().into_iter();
        Ok(samples
            .map(|sample| Sample {
                pixels: sample.image.pixels().to_vec(),
                label: sample.label.0,
            })
            .collect())
    }

    /// Reads the dataset and takes the samples asked for.
    pub fn open(
        &self,
        shape: Option<zknode_datasets::Shape>,
        classes: Option<usize>,
    ) -> anyhow::Result<Dataset> {
        let dataset = if self.path == Path::new(BUNDLED) {
            fixtures::mnist_256()?
        } else {
            // The files know nothing of the offset.
            let offset = usize::from(self.label_offset);
            let classes = classes.map(|classes| classes.saturating_sub(offset));
            open(&self.path, &Options { classes, shape })?
        };
        let (name, all) = (dataset.name().to_owned(), dataset.samples().len());
        let classes = dataset.classes() + usize::from(self.label_offset);
        let to = self.to.unwrap_or(all);
        ensure!(
            self.from < to && to <= all,
            "{}: samples {}..{to} were asked for, there are 0..{all}",
            self.path.display(),
            self.from
        );
        let mut samples = dataset.into_samples();
        samples.truncate(to);
        samples.drain(..self.from);
        for sample in &mut samples {
            let label = sample.label.0.checked_add(self.label_offset);
            sample.label.0 = label.with_context(|| {
                format!(
                    "{}: label {} plus {} is beyond all classes",
                    self.path.display(),
                    sample.label.0,
                    self.label_offset
                )
            })?;
        }
        Ok(Dataset::new(name, Some(classes), samples)?)
    }
}

/// A committed test set: what must be kept to open it. The samples stay where they are. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommittedSet {
    version: u16,
    /// Where the samples are.
    pub source: Source,
    /// The layout it was committed for.
    pub layout: LayoutOptions,
    /// In index order.
    pub shards: Vec<ShardRecord>,
    /// Over all shards.
    pub root: Hash,
}

/// One shard: how many samples, under which commitment, with which salt. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardRecord {
    /// Samples that count.
    pub valid: u32,
    /// The commitment.
    pub commitment: Commitment,
    /// Of its salt.
    pub seed: Seed,
}

/// Format of [`CommittedSet`].
const VERSION: u16 = 1;

/// The commitment as the protocol writes it.
pub fn point(commitment: &Commitment) -> Point {
    Bytes(*commitment.bytes())
}

/// A model's commitment, one point a column of weights.
pub fn model_points(model: &ModelCommitment) -> Vec<Point> {
    model.columns().iter().map(point).collect()
}

/// A shard's commitment.
pub fn shard_points(commitment: &Commitment) -> Vec<Point> {
    vec![point(commitment)]
}

/// Points of a shard's commitment, as the registry notes them.
pub const SHARD_POINTS: u16 = 1;

impl CommittedSet {
    /// Cuts the samples into shards and commits to each.
    pub fn new(
        source: Source,
        layout: &Layout,
        srs: &Srs,
        rng: &mut impl RngCore,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let samples = source.read(layout)?;
        let chunks: Vec<_> = samples.chunks(layout.options().samples).collect();
        let bar = progress.count("committing to the test set");
        let mut shards = vec![];
        for (index, chunk) in (0u64..).zip(&chunks) {
            bar.at(index, chunks.len() as u64);
            let opening = ShardOpening {
                seed: Seed::random(rng),
                samples: chunk.to_vec(),
            };
            let shard = opening.commit(layout, srs);
            let shard =
                shard.with_context(|| format!("shard {index} of {}", source.path.display()))?;
            shards.push(ShardRecord {
                valid: chunk.len() as u32,
                commitment: shard.column().commitment(),
                seed: opening.seed,
            });
        }
        bar.done();
        let root = tree(&shards)?.root();
        Ok(Self {
            version: VERSION,
            source,
            layout: layout.options().clone(),
            shards,
            root,
        })
    }

    /// The public half, shard by shard.
    pub fn manifest(&self) -> Vec<ManifestShard> {
        let shard = |shard: &ShardRecord| ManifestShard {
            valid: shard.valid,
            points: shard_points(&shard.commitment),
        };
        self.shards.iter().map(shard).collect()
    }

    /// The public half of the drawn shards, in drawn order.
    pub fn preview(&self, drawn: &[u32]) -> anyhow::Result<Vec<PreviewShard>> {
        let (tree, all) = (tree(&self.shards)?, self.manifest());
        let shard = |index: &u32| {
            let shard = all.get(*index as usize).cloned();
            Ok(PreviewShard {
                index: *index,
                shard: shard.with_context(|| format!("there is no shard {index}"))?,
                path: tree.path(*index)?,
            })
        };
        drawn.iter().map(shard).collect()
    }

    /// Samples in all shards.
    pub fn samples(&self) -> u32 {
        self.shards.iter().map(|shard| shard.valid).sum()
    }

    /// Reads the samples again and joins them with their salt. They must be the committed ones.
    pub fn openings(&self, layout: &Layout, srs: &Srs) -> anyhow::Result<Vec<ShardOpening>> {
        ensure!(
            self.version == VERSION,
            "the committed test set has version {}, this build reads {VERSION}",
            self.version
        );
        let samples = self.source.read(layout)?;
        let mut openings = vec![];
        let mut rest = &samples[..];
        for (index, record) in self.shards.iter().enumerate() {
            let (chunk, tail) =
                rest.split_at_checked(record.valid as usize)
                    .with_context(|| {
                        format!(
                            "{}: fewer samples than committed",
                            self.source.path.display()
                        )
                    })?;
            rest = tail;
            let opening = ShardOpening {
                seed: record.seed.clone(),
                samples: chunk.to_vec(),
            };
            let again = opening.commit(layout, srs)?;
            ensure!(
                again.column().commitment() == record.commitment,
                "{}: the samples of shard {index} are no longer the committed ones; restore the file",
                self.source.path.display()
            );
            openings.push(opening);
        }
        ensure!(
            rest.is_empty(),
            "{}: more samples than committed; restore the file",
            self.source.path.display()
        );
        Ok(openings)
    }
}

/// The tree over committed shards.
pub fn tree(shards: &[ShardRecord]) -> anyhow::Result<DatasetTree> {
    let leaves = (0u32..)
        .zip(shards)
        .map(|(index, shard)| ShardLeaf::new(index, shard.valid, &shard_points(&shard.commitment)))
        .collect();
    Ok(DatasetTree::new(leaves)?)
}
