//! What a responder publishes of its corpus: a commitment for every item, in order, one root over them all, and the proof
//! that the items stand apart.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    dataset_root::{DatasetTree, RootError, ShardLeaf, MAX_SHARDS},
    value::{Bytes, Hash, ModelId, Point},
};

/// The one version of manifests this build speaks. Version 1 had no proof.
pub const MANIFEST_VERSION: u16 = 2;

/// Most items of a corpus: their commitments are 128 MB of hex.
pub const MAX_ITEMS: usize = 1 << 20;

/// A manifest that is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CorpusError {
    /// No items, or too many.
    #[error("a corpus has 1 to {MAX_ITEMS} items, found {found}")]
    Items {
        /// Items found.
        found: usize,
    },
    /// Shards of no size, or too many of them.
    #[error("shards of {shard_size} items: expected at least 1, and at most {MAX_SHARDS} shards")]
    ShardSize {
        /// Items in a shard.
        shard_size: u32,
    },
    /// One commitment for two items: they would be paid for twice.
    #[error("item {index} has the commitment of an earlier one")]
    Doubled {
        /// The later item.
        index: usize,
    },
    /// No tree over the shards.
    #[error(transparent)]
    Root(#[from] RootError),
}

/// A manifest's version: reading any other than [`MANIFEST_VERSION`] fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub struct ManifestVersion;

/// Another release's manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "expected a corpus manifest of version {MANIFEST_VERSION}, found {found}: {}",
    if *.found < MANIFEST_VERSION {
        "its owner commits the corpus again with `zknode corpus commit`"
    } else {
        "run the release of the other side"
    }
)]
pub struct OtherManifest {
    /// The version found.
    pub found: u16,
}

impl From<ManifestVersion> for u16 {
    fn from(_: ManifestVersion) -> u16 {
        MANIFEST_VERSION
    }
}

impl TryFrom<u16> for ManifestVersion {
    type Error = OtherManifest;

    fn try_from(found: u16) -> Result<Self, OtherManifest> {
        if found == MANIFEST_VERSION {
            Ok(Self)
        } else {
            Err(OtherManifest { found })
        }
    }
}

/// A published corpus. Item `j` has place `j % shard_size` in shard `j / shard_size`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this message.
    pub version: ManifestVersion,
    /// The model it was committed for; another one with the same circuit would do.
    pub model: ModelId,
    /// Items in a shard.
    pub shard_size: u32,
    /// Shows that every commitment holds its own item and nothing else, so that the items of a shard cannot cancel; opaque
    /// here, checked by the circuit. Not under the root: one corpus has many such proofs.
    pub apart: Bytes<192>,
    /// A commitment each.
    pub items: Vec<Point>,
}

impl Manifest {
    /// Checks sizes, and that no commitment stands twice. Whether they are points that stand apart is the circuit's to say.
    pub fn check(&self) -> Result<(), CorpusError> {
        let found = self.items.len();
        if found == 0 || found > MAX_ITEMS {
            return Err(CorpusError::Items { found });
        }
        let shard_size = self.shard_size;
        if shard_size == 0 || found.div_ceil(shard_size as usize) > MAX_SHARDS {
            return Err(CorpusError::ShardSize { shard_size });
        }
        let mut seen = HashSet::new();
        for (index, point) in self.items.iter().enumerate() {
            if !seen.insert(point) {
                return Err(CorpusError::Doubled { index });
            }
        }
        Ok(())
    }

    /// The items shard by shard; of a manifest that was checked.
    pub fn shards(&self) -> impl ExactSizeIterator<Item = &[Point]> {
        self.items.chunks(self.shard_size.max(1) as usize)
    }

    /// The root over all of it: a dataset root whose leaves hold the commitments of all items of a shard.
    pub fn root(&self) -> Result<Hash, CorpusError> {
        self.check()?;
        let leaves = (0..).zip(self.shards());
        let leaf =
            |(index, items): (u32, &[Point])| ShardLeaf::new(index, items.len() as u32, items);
        Ok(DatasetTree::new(leaves.map(leaf).collect())?.root())
    }
}

/// The tree over a corpus's labelled shards: (items, commitment) each, in order.
pub fn labelled_tree(shards: &[(u32, Point)]) -> Result<DatasetTree, RootError> {
    let leaves = (0..).zip(shards);
    let leaf = |(index, (items, point)): (u32, &(u32, Point))| {
        ShardLeaf::new(index, *items, std::slice::from_ref(point))
    };
    DatasetTree::new(leaves.map(leaf).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn manifest(items: u8, shard_size: u32) -> Manifest {
        Manifest {
            version: ManifestVersion,
            model: ModelId(Hash::ZERO),
            shard_size,
            apart: Bytes([3; 192]),
            items: (0..items).map(|n| Bytes([n + 1; 64])).collect(),
        }
    }

    #[test]
    fn the_root_binds_every_item_and_its_place() {
        let corpus = manifest(13, 8);
        let root = corpus.root().unwrap();
        for index in 0..13 {
            let mut other = corpus.clone();
            other.items[index] = Bytes([99; 64]);
            assert_ne!(other.root().unwrap(), root, "{index}");
        }
        let mut swapped = corpus.clone();
        swapped.items.swap(0, 12);
        assert_ne!(swapped.root().unwrap(), root);
        let mut resized = corpus;
        resized.shard_size = 7;
        assert_ne!(resized.root().unwrap(), root);
    }

    #[test]
    fn a_manifest_of_another_release_says_so() {
        let text = serde_json::to_string(&manifest(2, 8)).unwrap();
        let read: Manifest = serde_json::from_str(&text).unwrap();
        assert_eq!(read, manifest(2, 8));
        let says = |text: &str| {
            serde_json::from_str::<Manifest>(text)
                .unwrap_err()
                .to_string()
        };
        let old = r#"{"version":1,"model":"0x00","shard_size":8,"items":[]}"#;
        let error = says(old);
        assert!(
            error.contains("version 2, found 1") && error.contains("corpus commit"),
            "{error}"
        );
        let error = says(&text.replace("\"version\":2", "\"version\":3"));
        assert!(error.contains("found 3: run the release"), "{error}");
        // A proof of another length.
        assert!(says(&text.replace("0303", "03")).contains("384 hex digits"));
    }

    #[test]
    fn what_is_no_corpus_is_refused() {
        assert_eq!(manifest(0, 8).root(), Err(CorpusError::Items { found: 0 }));
        assert_eq!(
            manifest(1, 0).root(),
            Err(CorpusError::ShardSize { shard_size: 0 })
        );
        let mut doubled = manifest(5, 2);
        doubled.items[4] = doubled.items[1];
        assert_eq!(doubled.root(), Err(CorpusError::Doubled { index: 4 }));
    }
}
