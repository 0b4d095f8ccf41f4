//! The bundled files, and real datasets where they are present (`datasets/fetch.sh` for MNIST, a
//! folder `shared/data` beside the repository for the others); absent ones are skipped with a message.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::path::{Path, PathBuf};

use zknode_datasets::{fixtures, open, Dataset, Options, Shape};

fn present(relative: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(relative);
    if !path.exists() {
        eprintln!("skipped: {relative} is absent");
    }
    path.exists().then_some(path)
}

fn per_class(set: &Dataset) -> Vec<usize> {
    let mut counts = vec![0; set.classes()];
    for sample in set.samples() {
        counts[usize::from(sample.label.0)] += 1;
    }
    counts
}

#[test]
fn the_bundled_images_are_whole() {
    let set = fixtures::mnist_256().unwrap();
    assert_eq!(set.name(), "mnist-256");
    assert_eq!(set.shape(), Shape::new(1, 28, 28));
    assert_eq!(per_class(&set), [21, 33, 28, 24, 25, 21, 30, 31, 26, 17]);
}

#[test]
fn the_bundled_model_names_its_accuracy() {
    assert_eq!(fixtures::lenet5_onnx().unwrap().len(), 247_950);
    let manifest: serde_json::Value = serde_json::from_str(fixtures::lenet5_manifest()).unwrap();
    let full = &manifest["accuracy"][0];
    assert_eq!(full["of"], 10_000);
    assert!(full["correct"].as_u64().unwrap() >= 9_880);
    let bundled = &manifest["accuracy"][1];
    assert_eq!(bundled["of"], 256);
}

#[test]
fn the_bundled_images_are_every_39th_of_the_full_test_set() {
    let Some(folder) = present("../target/datasets/mnist") else {
        return;
    };
    let full = open(&folder, &Options::default()).unwrap();
    assert_eq!((full.samples().len(), full.classes()), (10_000, 10));
    let every_39th: Vec<_> = full
        .samples()
        .iter()
        .step_by(39)
        .take(256)
        .cloned()
        .collect();
    assert_eq!(fixtures::mnist_256().unwrap().samples(), every_39th);
}

#[test]
fn cifar_10_has_a_thousand_of_each_class() {
    let Some(file) = present("../../shared/data/cifar10_test.bin") else {
        return;
    };
    let set = open(&file, &Options::default()).unwrap();
    assert_eq!(set.shape(), Shape::new(3, 32, 32));
    assert_eq!(per_class(&set), [1_000; 10]);
}

#[test]
fn photos_are_read_with_their_list() {
    let Some(folder) = present("../../shared/data/imagenet_like_224") else {
        return;
    };
    let options = Options {
        classes: Some(1_000),
        shape: None,
    };
    let set = open(&folder, &options).unwrap();
    assert_eq!(set.samples().len(), 256);
    assert_eq!(set.shape(), Shape::new(3, 224, 224));
    assert_eq!(set.samples()[0].label.0, 305);
}
