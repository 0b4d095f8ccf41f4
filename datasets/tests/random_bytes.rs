//! Bytes from outside never panic a reader: pure noise, and right files with a few bytes changed.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;
use zknode_datasets::cifar::{self, Kind};
use zknode_datasets::{idx, open, Options};

const IMAGES: &[u8] = include_bytes!("../fixtures/mnist-256/mnist-256-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../fixtures/mnist-256/mnist-256-labels-idx1-ubyte.gz");

/// Changes of a file: positions (taken modulo its length) and new bytes.
fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    vec((any::<usize>(), any::<u8>()), 1..4)
}

fn changed(bytes: &[u8], changes: &[(usize, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, byte) in changes {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    bytes
}

/// Noise behind a start that leads deeper into a reader.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let starts = prop_oneof![
        Just(vec![]),
        Just(vec![0, 0, 8, 1]),
        Just(vec![0, 0, 8, 3, 0, 0, 0]),
        Just(vec![0, 0, 8, 4]),
        Just(vec![0x1f, 0x8b, 8, 0]),
        Just(b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec()),
        Just(vec![0xff, 0xd8, 0xff, 0xe0]),
        Just(b"a.png,1\n".to_vec()),
    ];
    (starts, vec(any::<u8>(), 0..300)).prop_map(|(start, rest)| [start, rest].concat())
}

proptest! {
    #[test]
    fn noise_never_panics(images in noise(), labels in noise(), classes in 0usize..20) {
        let path = Path::new("noise");
        for classes in [None, Some(classes)] {
            let read = idx::parse((path, &images), (path, &labels), classes);
            prop_assert!(read.is_err() || images.len() > 16);
        }
        for kind in [Kind::Cifar10, Kind::Cifar100] {
            prop_assert!(cifar::parse(path, &images, kind).is_err());
        }
    }

    #[test]
    fn changed_idx_files_never_panic(images in changes(), labels in changes()) {
        let path = Path::new("changed");
        let (images, labels) = (changed(IMAGES, &images), changed(LABELS, &labels));
        // Gzip's checksum finds every change of the content; the header's time and name are free.
        if let Ok(set) = idx::parse((path, &images), (path, &labels), Some(10)) {
            let whole = idx::parse((path, IMAGES), (path, LABELS), Some(10)).unwrap();
            prop_assert_eq!(set, whole);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn opened_noise_never_panics(bytes in noise(), png in changes()) {
        let folder = TempDir::new().unwrap();
        for name in ["a.bin", "a-images-idx3", "a.csv"] {
            let file = folder.path().join(name);
            fs::write(&file, &bytes).unwrap();
            let _ = open(&file, &Options::default());
        }
        let picture = folder.path().join("a.png");
        image::RgbImage::new(9, 5).save(&picture).unwrap();
        let whole = fs::read(&picture).unwrap();
        fs::write(folder.path().join("labels.csv"), "a.png,0\n").unwrap();
        for content in [changed(&whole, &png), bytes] {
            fs::write(&picture, content).unwrap();
            let _ = open(folder.path(), &Options::default());
        }
    }
}
