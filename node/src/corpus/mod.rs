//! A corpus: committed item by item, published as its commitments, kept as the seeds that open them ([`CorpusFile`]).

mod file;

use std::sync::Arc;

use anyhow::{ensure, Context};
use zknode_circuit::{
    commitment::{Commitment, Seed},
    corpus::{apart, Item, LabelBasis, Selection},
    layout::Layout,
    srs::Srs,
};
use zknode_protocol::{
    dataset_root::DatasetTree,
    retrieval::corpus::{labelled_tree, Manifest},
    value::{Hash, Point},
};

pub use self::file::CorpusFile;
use crate::testset::point;

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

/// The commitments by position in the corpus: every shard but the last is full.
fn positions(items: &[Point]) -> impl Iterator<Item = (u32, Commitment)> + '_ {
    let items = items.iter().map(|point| Commitment::new(point.0));
    (0..).zip(items)
}

#[cfg(test)]
mod tests;
