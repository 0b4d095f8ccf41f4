//! IDX, the format of MNIST and Fashion-MNIST: a file of images and a file of labels, plain or gzipped.
//!
//! A file is `00 00 08 D`, then D big-endian sizes of four bytes, then one unsigned byte per
//! element. Labels have D = 1 (sample); images have D = 3 (sample, row, column), or D = 4
//! (sample, channel, row, column) for more than one channel.

use std::path::Path;

use crate::error::DatasetError;
use crate::limits::MAX_FILE_BYTES;
use crate::open::{check_classes, name_of};
use crate::sample::{check_declared, Dataset, Image, Label, Sample, Shape};
use crate::source::{load, Source};

const LABELS: u32 = 0x0000_0801;
const GRAY_IMAGES: u32 = 0x0000_0803;
const IMAGES: u32 = 0x0000_0804;
const IMAGES_EXPECTED: &str = "0x00000803 or 0x00000804, IDX images of unsigned bytes";
const LABELS_EXPECTED: &str = "0x00000801, IDX labels of unsigned bytes";

/// Reads a pair of IDX files. `classes` is the number of classes; `None` means one more than the
/// largest label.
///
/// # Errors
/// Any unreadable, truncated, oversized or inconsistent file; see [`DatasetError`].
pub fn read(images: &Path, labels: &Path, classes: Option<usize>) -> Result<Dataset, DatasetError> {
    let image_bytes = load(images, MAX_FILE_BYTES)?;
    let label_bytes = load(labels, MAX_FILE_BYTES)?;
    parse((images, &image_bytes), (labels, &label_bytes), classes)
}

/// Reads a pair of IDX files that are in memory; the paths name them in errors.
///
/// # Errors
/// Any truncated, oversized or inconsistent content; see [`DatasetError`].
pub fn parse(
    (images_file, images): (&Path, &[u8]),
    (labels_file, labels): (&Path, &[u8]),
    classes: Option<usize>,
) -> Result<Dataset, DatasetError> {
    check_classes(classes)?;
    let images = parse_images(images_file, images)?;
    let labels = parse_labels(labels_file, labels, images_file, images.len(), classes)?;
    let samples = images
        .into_iter()
        .zip(labels)
        .map(|(image, label)| Sample { image, label })
        .collect();
    Dataset::new(name_of(images_file), classes, samples)
}

/// True for the first bytes of unpacked IDX images.
pub(crate) fn is_images(start: &[u8]) -> bool {
    [GRAY_IMAGES, IMAGES]
        .iter()
        .any(|magic| start.starts_with(&magic.to_be_bytes()))
}

fn parse_images(file: &Path, bytes: &[u8]) -> Result<Vec<Image>, DatasetError> {
    let mut source = Source::new(file, bytes, "IDX images")?;
    let magic = source.word("the magic number")?;
    if magic != GRAY_IMAGES && magic != IMAGES {
        return Err(DatasetError::Magic {
            file: file.into(),
            expected: IMAGES_EXPECTED,
            got: magic,
        });
    }
    let mut size = || Ok(source.word("the sizes")? as usize);
    let count = size()?;
    let channels = if magic == IMAGES { size()? } else { 1 };
    let shape = Shape::new(channels, size()?, size()?);
    check_declared(file, 4, count, shape)?;
    source.expect(count.saturating_mul(shape.bytes()), "the pixels")?;
    let images = (0..count)
        .map(|_| source.image(shape, "the pixels"))
        .collect::<Result<_, _>>()?;
    source.end()?;
    Ok(images)
}

fn parse_labels(
    file: &Path,
    bytes: &[u8],
    images_file: &Path,
    expected: usize,
    classes: Option<usize>,
) -> Result<Vec<Label>, DatasetError> {
    let mut source = Source::new(file, bytes, "IDX labels")?;
    let magic = source.word("the magic number")?;
    if magic != LABELS {
        return Err(DatasetError::Magic {
            file: file.into(),
            expected: LABELS_EXPECTED,
            got: magic,
        });
    }
    let got = source.word("the sizes")? as usize;
    if got != expected {
        return Err(DatasetError::CountMismatch {
            images: images_file.into(),
            labels: file.into(),
            expected,
            got,
        });
    }
    let start = source.offset();
    let labels = source.take(got, "the labels")?;
    source.end()?;
    for (offset, label) in (start..).zip(&labels) {
        if let Some(classes) = classes.filter(|classes| usize::from(*label) >= *classes) {
            return Err(DatasetError::LabelRange {
                file: file.into(),
                offset,
                label: u64::from(*label),
                classes,
            });
        }
    }
    Ok(labels.into_iter().map(|l| Label(l.into())).collect())
}
