//! The CIFAR reader: records of both kinds, and every way a file can be wrong.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::Path;

use flate2::{write::GzEncoder, Compression};
use zknode_datasets::cifar::{self, Kind};
use zknode_datasets::{Dataset, DatasetError, Shape};

fn records(labels: &[&[u8]]) -> Vec<u8> {
    let pixels: Vec<u8> = (0..3072).map(|i| (i % 251) as u8).collect();
    labels
        .iter()
        .flat_map(|l| [l, &pixels[..]].concat())
        .collect()
}

fn parse(bytes: &[u8], kind: Kind) -> Result<Dataset, DatasetError> {
    cifar::parse(Path::new("file"), bytes, kind)
}

#[test]
fn both_kinds_are_read() {
    let ten = parse(&records(&[&[3], &[9]]), Kind::Cifar10).unwrap();
    assert_eq!((ten.classes(), ten.samples().len()), (10, 2));
    assert_eq!(ten.shape(), Shape::new(3, 32, 32));
    assert_eq!(ten.samples()[1].label.0, 9);
    assert_eq!(ten.samples()[1].image.pixels()[3071], (3071 % 251) as u8);
    let hundred = parse(&records(&[&[19, 99]]), Kind::Cifar100).unwrap();
    assert_eq!(hundred.classes(), 100);
    assert_eq!(hundred.samples()[0].label.0, 99);
}

#[test]
fn a_gzipped_file_is_the_same_dataset() {
    let plain = records(&[&[3], &[9]]);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&plain).unwrap();
    let mut packed = encoder.finish().unwrap();
    let expected = parse(&plain, Kind::Cifar10).unwrap();
    assert_eq!(parse(&packed, Kind::Cifar10).unwrap(), expected);
    packed.push(0);
    assert!(matches!(
        parse(&packed, Kind::Cifar10),
        Err(DatasetError::TrailingBytes { .. })
    ));
    assert!(matches!(
        parse(&packed[..packed.len() / 2], Kind::Cifar10),
        Err(DatasetError::Gzip { .. })
    ));
}

#[test]
fn an_empty_file_is_refused() {
    assert!(matches!(
        parse(&[], Kind::Cifar10),
        Err(DatasetError::EmptyFile { .. })
    ));
}

#[test]
fn a_partial_record_is_refused_where_the_file_ends() {
    let bytes = records(&[&[3], &[9]]);
    for end in [1, 3072, 3074, 6145] {
        let error = parse(&bytes[..end], Kind::Cifar10).unwrap_err();
        assert!(
            matches!(error, DatasetError::Truncated { offset, .. } if offset == end as u64),
            "{error}"
        );
    }
}

#[test]
fn labels_out_of_range_are_refused_at_their_byte() {
    let cases: [(&[&[u8]], Kind, u64); 3] = [
        (&[&[3], &[10]], Kind::Cifar10, 3073),
        (&[&[0, 100]], Kind::Cifar100, 1),
        (&[&[20, 0]], Kind::Cifar100, 0),
    ];
    for (labels, kind, at) in cases {
        let error = parse(&records(labels), kind).unwrap_err();
        assert!(
            matches!(error, DatasetError::LabelRange { offset, .. } if offset == at),
            "{error}"
        );
    }
}
