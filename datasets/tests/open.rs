//! A path is recognized by name and content, or refused with what was found.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zknode_datasets::{limits, open, Dataset, DatasetError, Image, Label, Options, Sample, Shape};

fn write_idx(folder: &Path, images: &str, labels: &str, label: u8) {
    let image_bytes = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 42];
    fs::write(folder.join(images), image_bytes).unwrap();
    fs::write(folder.join(labels), [0, 0, 8, 1, 0, 0, 0, 1, label]).unwrap();
}

fn write_pictures(folder: &Path, list: &Path) {
    fs::create_dir_all(folder).unwrap();
    let picture = image::GrayImage::new(2, 2);
    picture.save(folder.join("a.png")).unwrap();
    fs::write(list, "a.png,1\n").unwrap();
}

fn cifar(record: usize, count: usize) -> Vec<u8> {
    vec![0; record * count]
}

fn plain(path: &Path) -> Result<Dataset, DatasetError> {
    open(path, &Options::default())
}

#[test]
fn idx_images_find_their_labels() {
    let folder = TempDir::new().unwrap();
    for (images, labels) in [
        ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        ("x-images.idx3-ubyte", "x-labels.idx1-ubyte"),
    ] {
        write_idx(folder.path(), images, labels, 3);
        let set = plain(&folder.path().join(images)).unwrap();
        assert_eq!(set.samples()[0].label.0, 3);
    }
}

#[test]
fn a_folder_of_both_splits_means_the_test_split() {
    let folder = TempDir::new().unwrap();
    write_idx(
        folder.path(),
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        1,
    );
    write_idx(
        folder.path(),
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
        2,
    );
    let set = plain(folder.path()).unwrap();
    assert_eq!(set.samples()[0].label.0, 2);
    assert_eq!(set.name(), "t10k");
}

#[test]
fn cifar_is_told_apart_by_its_length() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("test_batch.bin");
    fs::write(&file, cifar(3073, 2)).unwrap();
    assert_eq!(plain(&file).unwrap().classes(), 10);
    fs::write(&file, cifar(3074, 2)).unwrap();
    assert_eq!(plain(&file).unwrap().classes(), 100);
    let options = Options {
        classes: Some(10),
        shape: None,
    };
    assert!(matches!(
        open(&file, &options),
        Err(DatasetError::FixedClasses { .. })
    ));
    fs::write(&file, cifar(3073, 3074)).unwrap();
    assert!(matches!(
        plain(&file),
        Err(DatasetError::Unrecognized { .. })
    ));
    fs::write(&file, &cifar(3073, 2)[1..]).unwrap();
    assert!(matches!(plain(&file), Err(DatasetError::Truncated { .. })));
}

#[test]
fn a_list_finds_its_images_inside_and_beside() {
    let root = TempDir::new().unwrap();
    let inside = root.path().join("inside");
    write_pictures(&inside, &root.path().join("unused.csv"));
    fs::copy(root.path().join("unused.csv"), inside.join("labels.csv")).unwrap();
    let beside = root.path().join("beside");
    write_pictures(&beside, &root.path().join("beside.csv"));
    for path in [
        inside.clone(),
        inside.join("labels.csv"),
        beside.clone(),
        root.path().join("beside.csv"),
    ] {
        let set = plain(&path).unwrap();
        assert_eq!(set.shape(), Shape::new(1, 2, 2));
    }
    let options = Options {
        classes: Some(7),
        shape: Some(Shape::new(3, 5, 5)),
    };
    let set = open(&beside, &options).unwrap();
    assert_eq!((set.classes(), set.shape()), (7, Shape::new(3, 5, 5)));
}

#[test]
fn what_is_not_a_dataset_is_refused() {
    let folder = TempDir::new().unwrap();
    assert!(matches!(
        plain(folder.path()),
        Err(DatasetError::Unrecognized { .. })
    ));
    let file = folder.path().join("notes.txt");
    fs::write(&file, "nothing here").unwrap();
    assert!(matches!(
        plain(&file),
        Err(DatasetError::Unrecognized { .. })
    ));
    fs::write(&file, "").unwrap();
    assert!(matches!(plain(&file), Err(DatasetError::EmptyFile { .. })));
    assert!(matches!(
        plain(&folder.path().join("absent")),
        Err(DatasetError::Io { .. })
    ));
    write_idx(folder.path(), "a-images-idx3", "a-labels-idx1", 0);
    write_idx(folder.path(), "b-images-idx3", "b-labels-idx1", 0);
    assert!(matches!(
        plain(folder.path()),
        Err(DatasetError::Unrecognized { .. })
    ));
    fs::remove_file(folder.path().join("b-labels-idx1")).unwrap();
    let error = plain(&folder.path().join("b-images-idx3")).unwrap_err();
    assert!(error.to_string().contains("labels beside"), "{error}");
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let folder = TempDir::new().unwrap();
    for (name, length) in [
        ("huge.bin", limits::MAX_FILE_BYTES + 1),
        ("huge.csv", limits::MAX_LIST_BYTES + 1),
    ] {
        let path = folder.path().join(name);
        fs::File::create(&path).unwrap().set_len(length).unwrap();
        let error = plain(&path).unwrap_err();
        assert!(
            matches!(error, DatasetError::FileTooLarge { bytes, .. } if bytes == length),
            "{error}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_device_is_refused() {
    let error = plain(Path::new("/dev/zero")).unwrap_err();
    assert!(matches!(error, DatasetError::NotAFile { .. }), "{error}");
}

#[test]
fn samples_in_memory_obey_the_same_rules() {
    let sample = |side: usize, label| Sample {
        image: Image::new(Shape::new(1, side, side), vec![0; side * side]).unwrap(),
        label: Label(label),
    };
    assert!(Image::new(Shape::new(1, 2, 2), vec![0; 3]).is_none());
    assert!(matches!(
        Dataset::new("none", None, vec![]),
        Err(DatasetError::NoSamples { .. })
    ));
    assert!(matches!(
        Dataset::new("mixed", None, vec![sample(2, 0), sample(3, 0)]),
        Err(DatasetError::MixedShapes { index: 1, .. })
    ));
    assert!(matches!(
        Dataset::new("range", Some(2), vec![sample(2, 0), sample(2, 2)]),
        Err(DatasetError::SampleLabel { index: 1, .. })
    ));
    let two = Dataset::new("two", None, vec![sample(2, 0), sample(2, 4)]).unwrap();
    assert_eq!(two.classes(), 5);
    assert_eq!(two.clone().truncated(9).samples().len(), 2);
    assert_eq!(two.truncated(0).samples().len(), 1);
}
