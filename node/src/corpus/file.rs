//! What the owner of a corpus keeps: where the items are, and the seeds that open their commitments. Files of an earlier
//! release are given the proof they lack.

use std::path::Path;

use anyhow::{ensure, Context};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zknode_circuit::{
    commitment::Seed,
    corpus::{
        apart::{self, Opening},
        commit_item, Item,
    },
    layout::{Layout, LayoutOptions},
    srs::Srs,
};
use zknode_protocol::{
    retrieval::corpus::{Manifest, ManifestVersion},
    value::{Bytes, ModelId, Point},
};

use super::positions;
use crate::{
    delivery::Sample,
    home::{read_file, write_bytes},
    progress::Progress,
    testset::{point, Source},
};

/// Longest corpus file: a seed and a commitment for each item.
const MAX_FILE: u64 = 1 << 30;
/// Format of [`CorpusFile`]. Version 1 held a manifest without a proof.
const VERSION: u16 = 2;

/// What every version of a corpus file has.
#[derive(Deserialize)]
struct Head {
    version: u16,
}

/// What version 1 had. Secret: no `Debug`.
#[derive(Deserialize)]
struct OldFile {
    source: Source,
    layout: LayoutOptions,
    manifest: Old,
    seeds: Vec<Seed>,
}

/// A manifest without a proof.
#[derive(Deserialize)]
struct Old {
    model: ModelId,
    shard_size: u32,
    items: Vec<Point>,
}

/// What the owner keeps. Secret, for its seeds: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusFile {
    version: u16,
    /// Where the items are. Their labels are not looked at.
    pub source: Source,
    /// The layout they are committed for.
    pub layout: LayoutOptions,
    /// What is published.
    pub manifest: Manifest,
    pub(super) seeds: Vec<Seed>,
}

impl CorpusFile {
    /// Commits to every item with fresh salt, and proves that the items stand apart.
    pub fn commit(
        source: Source,
        model: ModelId,
        layout: &Layout,
        srs: &Srs,
        rng: &mut impl RngCore,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let samples = source.read(layout)?;
        let shard_size = layout.options().samples;
        let bar = progress.count("committing to the corpus");
        let (mut seeds, mut items) = (vec![], vec![]);
        for (index, sample) in samples.iter().enumerate() {
            bar.at(index as u64, samples.len() as u64);
            let seed = Seed::random(rng);
            let item = Item {
                place: index % shard_size,
                pixels: &sample.pixels,
                seed: &seed,
            };
            items.push(point(&commit_item(layout, srs, item)?));
            seeds.push(seed);
        }
        bar.done();
        let parts = (&samples[..], items, seeds);
        Self::proven(source, model, layout, srs, parts, rng, progress)
    }

    /// The corpus of an earlier release's file, which has no proof: items and seeds stay, and with them its root, which names
    /// it wherever it was asked about.
    pub fn prove_old(
        path: &Path,
        model: ModelId,
        layout: &Layout,
        srs: &Srs,
        rng: &mut impl RngCore,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let text = read_file(path, MAX_FILE)?;
        let old: OldFile = serde_json::from_slice(&text).map_err(|_| malformed(path))?;
        let Old {
            model: of,
            shard_size,
            items,
        } = old.manifest;
        ensure!(
            of == model,
            "{} is a corpus for model {of}, not for {model}: say which one with --model",
            path.display()
        );
        ensure!(
            old.layout == *layout.options() && shard_size as usize == layout.options().samples,
            "{} was committed for another layout than the model's: commit it anew",
            path.display()
        );
        let samples = old.source.read(layout)?;
        let (expected, found) = (items.len(), samples.len());
        ensure!(
            expected == found && old.seeds.len() == found,
            "{}: {expected} items were committed, there are {found}; restore the files",
            old.source.path.display()
        );
        let parts = (&samples[..], items, old.seeds);
        Self::proven(old.source, model, layout, srs, parts, rng, progress)
            .context("the items are no longer the committed ones; restore the files")
    }

    /// The file of committed items, with the proof that they stand apart.
    fn proven(
        source: Source,
        model: ModelId,
        layout: &Layout,
        srs: &Srs,
        (samples, items, seeds): (&[Sample], Vec<Point>, Vec<Seed>),
        rng: &mut impl RngCore,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        progress.say("proving that the items stand apart");
        let openings: Vec<_> = (positions(&items).zip(samples).zip(&seeds))
            .map(|(((position, commitment), sample), seed)| Opening {
                position,
                commitment,
                pixels: &sample.pixels,
                seed,
            })
            .collect();
        let proof = apart::prove(layout, srs, &openings, rng)?;
        let manifest = Manifest {
            version: ManifestVersion,
            model,
            shard_size: u32::try_from(layout.options().samples)?,
            apart: Bytes(*proof.bytes()),
            items,
        };
        manifest.check()?;
        Ok(Self {
            version: VERSION,
            source,
            layout: layout.options().clone(),
            manifest,
            seeds,
        })
    }

    /// Writes it, readable by its owner alone.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec(self)?;
        Ok(write_bytes(path, &text)?)
    }

    /// Reads it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_file(path, MAX_FILE)?;
        let version = version(&text, path)?;
        ensure!(
            version == VERSION,
            "{0} has version {version}, this build reads {VERSION}: `zknode corpus commit DATASET --out {0}` on it adds what it \
             lacks, its items and its root stay",
            path.display()
        );
        serde_json::from_slice(&text).map_err(|_| malformed(path))
    }

    /// Whether this is an earlier release's file, for [`Self::prove_old`].
    pub fn is_old(path: &Path) -> anyhow::Result<bool> {
        Ok(version(&read_file(path, MAX_FILE)?, path)? < VERSION)
    }
}

fn version(text: &[u8], path: &Path) -> anyhow::Result<u16> {
    let Head { version } = serde_json::from_slice(text).map_err(|_| malformed(path))?;
    Ok(version)
}

/// The parser's own message could quote a seed.
fn malformed(path: &Path) -> anyhow::Error {
    anyhow::anyhow!("{} is not a corpus file", path.display())
}
