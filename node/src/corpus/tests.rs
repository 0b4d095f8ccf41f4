//! A file of an earlier release.
#![allow(clippy::unwrap_used)]

use rand::{rngs::StdRng, SeedableRng};
use zknode_protocol::value::{Bytes, ModelId};

use super::*;
use crate::{progress::Progress, testset::Source, tiny};

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

    let mut prove = |model| CorpusFile::prove_old(&path, model, &layout, &srs, &mut rng, &progress);
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
