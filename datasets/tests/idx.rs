//! The IDX reader: right files read right, and every way a pair of files can be wrong.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use std::io::Write;
use std::path::Path;

use flate2::{write::GzEncoder, Compression};
use zknode_datasets::{idx, limits, Dataset, DatasetError, Shape};

const SIDE: u32 = 3;

fn images(count: u32) -> Vec<u8> {
    let mut bytes = header(0x803, &[count, SIDE, SIDE]);
    bytes.extend((0..count * SIDE * SIDE).map(|i| i as u8));
    bytes
}

fn labels(values: &[u8]) -> Vec<u8> {
    let mut bytes = header(0x801, &[values.len() as u32]);
    bytes.extend(values);
    bytes
}

fn header(magic: u32, sizes: &[u32]) -> Vec<u8> {
    let words = [magic].into_iter().chain(sizes.iter().copied());
    words.flat_map(u32::to_be_bytes).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn parse(images: &[u8], labels: &[u8], classes: usize) -> Result<Dataset, DatasetError> {
    idx::parse(
        (Path::new("images"), images),
        (Path::new("labels"), labels),
        Some(classes),
    )
}

fn refused(images: &[u8], labels: &[u8]) -> DatasetError {
    parse(images, labels, 10).unwrap_err()
}

#[test]
fn pixels_and_labels_keep_their_order() {
    for (images, labels) in [
        (images(2), labels(&[7, 0])),
        (gzip(&images(2)), gzip(&labels(&[7, 0]))),
    ] {
        let set = parse(&images, &labels, 10).unwrap();
        assert_eq!(set.shape(), Shape::new(1, 3, 3));
        assert_eq!(set.classes(), 10);
        assert_eq!(set.samples().len(), 2);
        assert_eq!(set.samples()[0].label.0, 7);
        assert_eq!(set.samples()[1].label.0, 0);
        assert_eq!(
            set.samples()[1].image.pixels(),
            [9, 10, 11, 12, 13, 14, 15, 16, 17]
        );
    }
}

#[test]
fn four_sizes_mean_channels() {
    let mut bytes = header(0x804, &[1, 3, 2, 1]);
    bytes.extend([1, 2, 3, 4, 5, 6]);
    let set = parse(&bytes, &labels(&[0]), 1).unwrap();
    assert_eq!(set.shape(), Shape::new(3, 2, 1));
    assert_eq!(set.samples()[0].image.pixels(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn classes_left_out_follow_the_labels() {
    let set = idx::parse(
        (Path::new("i"), &images(2)),
        (Path::new("l"), &labels(&[4, 2])),
        None,
    );
    assert_eq!(set.unwrap().classes(), 5);
}

#[test]
fn a_label_out_of_range_is_refused_at_its_byte() {
    let error = parse(&images(3), &labels(&[0, 9, 10]), 10).unwrap_err();
    assert!(
        matches!(
            error,
            DatasetError::LabelRange {
                offset: 10,
                label: 10,
                classes: 10,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("expected 0 to 9"), "{error}");
}

#[test]
fn impossible_numbers_of_classes_are_refused() {
    for classes in [0, limits::MAX_CLASSES + 1] {
        let error = parse(&images(1), &labels(&[0]), classes).unwrap_err();
        assert!(matches!(error, DatasetError::Classes { .. }), "{error}");
    }
}

#[test]
fn an_empty_file_is_refused() {
    assert!(matches!(
        refused(&[], &labels(&[0])),
        DatasetError::EmptyFile { .. }
    ));
    assert!(matches!(
        refused(&images(1), &[]),
        DatasetError::EmptyFile { .. }
    ));
}

#[test]
fn zero_samples_are_refused() {
    assert!(matches!(
        refused(&images(0), &labels(&[])),
        DatasetError::NoSamples { .. }
    ));
}

#[test]
fn swapped_files_are_refused() {
    let error = refused(&labels(&[0]), &images(1));
    assert!(
        matches!(error, DatasetError::Magic { got: 0x801, .. }),
        "{error}"
    );
    let error = refused(&images(1), &images(1));
    assert!(
        matches!(error, DatasetError::Magic { got: 0x803, .. }),
        "{error}"
    );
}

#[test]
fn every_truncation_is_refused_where_the_file_ends() {
    let (whole_images, whole_labels) = (images(2), labels(&[1, 2]));
    for end in 1..whole_images.len() {
        let error = refused(&whole_images[..end], &whole_labels);
        let DatasetError::Truncated {
            offset, missing, ..
        } = error
        else {
            panic!("{end}: {error}")
        };
        assert_eq!(offset, end as u64);
        assert!(missing > 0);
    }
    for end in 1..whole_labels.len() {
        let error = refused(&whole_images, &whole_labels[..end]);
        assert!(
            matches!(error, DatasetError::Truncated { .. }),
            "{end}: {error}"
        );
    }
}

#[test]
fn every_truncation_of_a_gzip_stream_is_refused() {
    let (packed, labels) = (gzip(&images(2)), labels(&[1, 2]));
    for end in 1..packed.len() {
        let error = refused(&packed[..end], &labels);
        assert!(
            matches!(
                error,
                DatasetError::Truncated { .. }
                    | DatasetError::Gzip { .. }
                    | DatasetError::Overdeclared { .. }
            ),
            "{end}: {error}"
        );
    }
}

#[test]
fn trailing_bytes_are_refused_where_they_start() {
    let mut long = images(1);
    let end = long.len() as u64;
    long.push(0);
    let packed_long = gzip(&long);
    let mut packed_then_more = gzip(&images(1));
    packed_then_more.push(0);
    for bytes in [long, packed_long, packed_then_more] {
        let error = refused(&bytes, &labels(&[0]));
        assert!(
            matches!(error, DatasetError::TrailingBytes { offset, .. } if offset == end),
            "{error}"
        );
    }
    let mut long = labels(&[0]);
    long.push(0);
    assert!(matches!(
        refused(&images(1), &long),
        DatasetError::TrailingBytes { offset: 9, .. }
    ));
}

#[test]
fn a_gzip_bomb_is_unpacked_no_further_than_declared() {
    let mut bomb = images(1);
    bomb.resize(64 << 20, 0);
    let error = refused(&gzip(&bomb), &labels(&[0]));
    assert!(
        matches!(error, DatasetError::TrailingBytes { .. }),
        "{error}"
    );
}

#[test]
fn a_damaged_gzip_stream_is_refused() {
    let mut packed = gzip(&images(2));
    let checksum = packed.len() - 6;
    packed[checksum] ^= 1;
    let error = refused(&packed, &labels(&[0, 1]));
    assert!(matches!(error, DatasetError::Gzip { .. }), "{error}");
}

#[test]
fn sizes_that_the_file_cannot_hold_are_refused_before_allocating() {
    // 2 GB of pixels, declared by 16 bytes.
    let huge = header(0x803, &[2047, 1024, 1024]);
    assert!(matches!(
        refused(&huge, &labels(&[0])),
        DatasetError::Truncated { .. }
    ));
    assert!(matches!(
        refused(&gzip(&huge), &labels(&[0])),
        DatasetError::Overdeclared { .. }
    ));
}

#[test]
fn sizes_beyond_the_limits_are_refused() {
    for sizes in [[1, 0, 3], [1, 3, 0], [1, 8193, 1], [1, 1, u32::MAX]] {
        let error = refused(&header(0x803, &sizes), &labels(&[0]));
        assert!(matches!(error, DatasetError::Dimension { .. }), "{error}");
    }
    let error = refused(&header(0x804, &[1, 17, 1, 1]), &labels(&[0]));
    assert!(
        matches!(
            error,
            DatasetError::Dimension {
                dimension: "channels",
                ..
            }
        ),
        "{error}"
    );
    for sizes in [[u32::MAX, 1, 1], [1 << 12, 1024, 1024]] {
        let error = refused(&header(0x803, &sizes), &labels(&[0]));
        assert!(
            matches!(error, DatasetError::DatasetTooLarge { .. }),
            "{error}"
        );
    }
}

#[test]
fn another_number_of_labels_is_refused() {
    let error = refused(&images(2), &labels(&[0, 1, 2]));
    assert!(
        matches!(
            error,
            DatasetError::CountMismatch {
                expected: 2,
                got: 3,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn errors_name_the_file() {
    let error = refused(&images(1)[..5], &labels(&[0])).to_string();
    assert!(error.starts_with("images: at byte 5: "), "{error}");
    assert!(error.contains("fetch it again"), "{error}");
}

#[test]
fn debug_output_shows_no_test_data() {
    let set = parse(&images(2), &labels(&[7, 7]), 10).unwrap();
    assert_eq!(
        format!("{:?}", set.samples()[0]),
        "Sample { image: Image(1x3x3), label: Label(_) }"
    );
    assert!(!format!("{set:?}").contains('7'));
}
