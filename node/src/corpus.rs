//! A corpus: committed item by item, published as its commitments, kept as the seeds that open them.

use std::{path::Path, sync::Arc};

use anyhow::{ensure, Context};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use zknode_circuit::{
    commitment::{Commitment, Seed},
    corpus::{
        apart::{self, Opening},
        commit_item, Item, LabelBasis, Selection,
    },
    layout::{Layout, LayoutOptions},
    srs::Srs,
};
use zknode_protocol::{
    dataset_root::DatasetTree,
    retrieval::corpus::{labelled_tree, Manifest, ManifestVersion},
    value::{Bytes, Hash, ModelId, Point},
};

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
    seeds: Vec<Seed>,
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

/// The commitments by position in the corpus: every shard but the last is full.
fn positions(items: &[Point]) -> impl Iterator<Item = (u32, Commitment)> + '_ {
    let items = items.iter().map(|point| Commitment::new(point.0));
    (0..).zip(items)
}

/// A published corpus with what labels it.
pub struct Published {
    /// A commitment for every item.
    pub manifest: Manifest,
    /// Over all of it.
    pub root: Hash,
    basis: LabelBasis,
}

/// The corpus as it is asked about: every item labelled with one class.
pub struct Labelled {
    /// Items and commitment of each shard.
    pub shards: Vec<(u32, Point)>,
    /// Over them.
    pub tree: DatasetTree,
}

impl Published {
    /// Checks a manifest against the layout it must be for, and that its items stand apart: else its owner could hide some.
    pub fn new(manifest: Manifest, layout: &Layout, srs: &Srs) -> anyhow::Result<Self> {
        let (expected, found) = (layout.options().samples, manifest.shard_size);
        ensure!(
            found as usize == expected,
            "the corpus has {found} items in a shard, the model's proofs hold {expected}"
        );
        let root = manifest.root()?;
        let items: Vec<_> = positions(&manifest.items).collect();
        let proof = apart::Proof::new(manifest.apart.0);
        apart::verify(layout, srs, &items, &proof).context(
            "the commitments of this corpus may hide items; nothing is to be asked of it",
        )?;
        Ok(Self {
            root,
            basis: LabelBasis::new(layout, srs)?,
            manifest,
        })
    }

    /// Items in all.
    pub fn items(&self) -> u32 {
        // At most 2^20.
        self.manifest.items.len() as u32
    }

    /// Every item labelled `class`, shard by shard.
    pub fn labelled(&self, class: u16) -> anyhow::Result<Labelled> {
        let mut shards = vec![];
        for (index, items) in (0..).zip(self.manifest.shards()) {
            let places: Vec<_> = (0..items.len()).collect();
            shards.push((items.len() as u32, self.selected(index, &places, class)?));
        }
        let tree = labelled_tree(&shards)?;
        Ok(Labelled { shards, tree })
    }

    /// Some items of a shard labelled `class`: what a proof over them is about.
    pub fn selected(&self, shard: u32, places: &[usize], class: u16) -> anyhow::Result<Point> {
        let items = self.shard(shard)?;
        let mut chosen = vec![];
        for &place in places {
            let found = items.get(place);
            let found = found.with_context(|| format!("shard {shard} has no item {place}"))?;
            chosen.push((place, Commitment::new(found.0)));
        }
        let labelled = self.basis.labelled(&chosen, class);
        let labelled = labelled.with_context(|| format!("shard {shard} of the corpus"))?;
        Ok(point(&labelled))
    }

    /// The items of a shard.
    pub fn shard(&self, shard: u32) -> anyhow::Result<&[Point]> {
        let found = self.manifest.shards().nth(shard as usize);
        found.with_context(|| format!("the corpus has no shard {shard}"))
    }
}

/// An owner's corpus, opened. Secret: no `Debug`.
pub struct OwnCorpus {
    /// What everybody knows.
    pub published: Published,
    images: Vec<Vec<u8>>,
    seeds: Vec<Seed>,
    layout: Arc<Layout>,
    srs: Arc<Srs>,
}

impl OwnCorpus {
    /// Reads the items again. That they are the committed ones is seen whenever something is proven of them.
    pub fn open(file: CorpusFile, layout: Arc<Layout>, srs: Arc<Srs>) -> anyhow::Result<Self> {
        ensure!(
            file.layout == *layout.options(),
            "the corpus was committed for another layout than the model's: commit it again"
        );
        let samples = file.source.read(&layout)?;
        let (expected, found) = (file.manifest.items.len(), samples.len());
        ensure!(
            expected == found && file.seeds.len() == found,
            "{}: {expected} items were committed, there are {found}; restore the files",
            file.source.path.display()
        );
        Ok(Self {
            published: Published::new(file.manifest, &layout, &srs)?,
            images: samples.into_iter().map(|sample| sample.pixels).collect(),
            seeds: file.seeds,
            layout,
            srs,
        })
    }

    /// Pixels and seed of an item.
    pub fn item(&self, shard: u32, place: usize) -> anyhow::Result<(&[u8], &Seed)> {
        let index = shard as usize * self.layout.options().samples + place;
        let found = self.images.get(index).zip(self.seeds.get(index));
        let (pixels, seed) = found.with_context(|| format!("the corpus has no item {index}"))?;
        Ok((pixels, seed))
    }

    /// Some items of a shard labelled `class`, for the prover.
    pub fn select(&self, shard: u32, places: &[usize], class: u16) -> anyhow::Result<Selection> {
        let mut items = vec![];
        for &place in places {
            let (pixels, seed) = self.item(shard, place)?;
            items.push(Item {
                place,
                pixels,
                seed,
            });
        }
        let selection = Selection::new(&self.layout, &self.srs, &items, class)?;
        ensure!(
            point(&selection.column().commitment())
                == self.published.selected(shard, places, class)?,
            "the items of shard {shard} are no longer the committed ones; restore the files"
        );
        Ok(selection)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{rngs::StdRng, SeedableRng};

    use super::*;
    use crate::tiny;

    /// Who has answered for a root goes on to: the proof is not under it.
    #[test]
    fn a_file_without_a_proof_is_given_one_and_keeps_its_root() {
        let folder = tempfile::tempdir().unwrap();
        let [images, labels, path] = ["x-images-idx3-ubyte", "x-labels-idx1-ubyte", "x.zkc"]
            .map(|name| folder.path().join(name));
        let items = 9u8;
        let write = |pixels: u8| {
            let head = [0, 0, 8, 3, 0, 0, 0, items, 0, 0, 0, 1, 0, 0, 0, 2];
            let data = (0..2 * items).map(|at| at + pixels);
            std::fs::write(&images, Vec::from_iter(head.into_iter().chain(data))).unwrap();
        };
        write(7);
        let head = [0, 0, 8, 1, 0, 0, 0, items];
        let data = [0; 9];
        std::fs::write(&labels, [&head[..], &data].concat()).unwrap();
        let source = Source {
            path: images.clone(),
            from: 0,
            to: None,
            label_offset: 0,
        };
        let (layout, srs) = (tiny::layout(), tiny::srs());
        let (model, progress) = (ModelId(Bytes([1; 32])), Progress::new());
        let mut rng = StdRng::seed_from_u64(1);
        let file = CorpusFile::commit(source, model, &layout, &srs, &mut rng, &progress).unwrap();
        file.write(&path).unwrap();
        assert!(!CorpusFile::is_old(&path).unwrap());

        let mut old = serde_json::to_value(&file).unwrap();
        (old["version"], old["manifest"]["version"]) = (1.into(), 1.into());
        old["manifest"]
            .as_object_mut()
            .unwrap()
            .remove("apart")
            .unwrap();
        std::fs::write(&path, old.to_string()).unwrap();
        assert!(CorpusFile::is_old(&path).unwrap());
        let refused = CorpusFile::read(&path).err().unwrap().to_string();
        assert!(refused.contains("its root stay"), "{refused}");

        let mut prove =
            |model| CorpusFile::prove_old(&path, model, &layout, &srs, &mut rng, &progress);
        let mended = prove(model).unwrap();
        assert!(mended.seeds == file.seeds);
        assert_eq!(mended.manifest.root(), file.manifest.root());
        Published::new(mended.manifest, &layout, &srs).unwrap();
        let other = prove(ModelId(Bytes([2; 32]))).err().unwrap().to_string();
        assert!(other.contains("is a corpus for model"), "{other}");
        write(8);
        let changed = prove(model).err().unwrap().to_string();
        assert!(changed.contains("restore the files"), "{changed}");
    }
}
