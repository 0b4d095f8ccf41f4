//! The CIFAR binary format: records of labels and one 3x32x32 image, red plane first, no header.
//!
//! CIFAR-10 has one label byte in front of the pixels, CIFAR-100 two (coarse, then fine; the fine
//! one is used). The files may be gzipped.

use std::path::Path;

use crate::error::DatasetError;
use crate::limits::{MAX_DATASET_BYTES, MAX_FILE_BYTES};
use crate::open::name_of;
use crate::sample::{check_declared, Dataset, Label, Sample, Shape};
use crate::source::{load, Source};

const SHAPE: Shape = Shape::new(3, 32, 32);
const EXPECTED: &str = "CIFAR records";
const COARSE_CLASSES: usize = 20;

/// Which of the two datasets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 10 classes, records of 3,073 bytes.
    Cifar10,
    /// 100 classes (the fine labels), records of 3,074 bytes.
    Cifar100,
}

impl Kind {
    /// Number of classes.
    pub const fn classes(self) -> usize {
        match self {
            Self::Cifar10 => 10,
            Self::Cifar100 => 100,
        }
    }

    /// Bytes of one record.
    pub const fn record(self) -> usize {
        match self {
            Self::Cifar10 => 1 + SHAPE.bytes(),
            Self::Cifar100 => 2 + SHAPE.bytes(),
        }
    }
}

/// Reads a CIFAR binary file.
///
/// # Errors
/// Any unreadable, truncated or oversized file, or a label out of range; see [`DatasetError`].
pub fn read(file: &Path, kind: Kind) -> Result<Dataset, DatasetError> {
    parse(file, &load(file, MAX_FILE_BYTES)?, kind)
}

/// Reads a CIFAR binary file that is in memory; the path names it in errors.
///
/// # Errors
/// Any truncated or oversized content, or a label out of range; see [`DatasetError`].
pub fn parse(file: &Path, bytes: &[u8], kind: Kind) -> Result<Dataset, DatasetError> {
    let count = unpacked_length(file, bytes)?.div_ceil(kind.record() as u64) as usize;
    check_declared(file, 0, count, SHAPE)?;
    let mut source = Source::new(file, bytes, EXPECTED)?;
    let samples = (0..count)
        .map(|_| record(file, &mut source, kind))
        .collect::<Result<_, _>>()?;
    source.end()?;
    Dataset::new(name_of(file), Some(kind.classes()), samples)
}

/// Bytes of all records. There is no header to declare them, so a gzipped file is unpacked once only
/// to count.
pub(crate) fn unpacked_length(file: &Path, bytes: &[u8]) -> Result<u64, DatasetError> {
    Source::new(file, bytes, EXPECTED)?.length(MAX_DATASET_BYTES)
}

fn record(file: &Path, source: &mut Source<'_>, kind: Kind) -> Result<Sample, DatasetError> {
    let coarse = match kind {
        Kind::Cifar10 => None,
        Kind::Cifar100 => Some(COARSE_CLASSES),
    };
    let mut label = Label(0);
    for classes in coarse.into_iter().chain([kind.classes()]) {
        let offset = source.offset();
        label = Label(source.byte("the last record")?.into());
        if usize::from(label.0) >= classes {
            return Err(DatasetError::LabelRange {
                file: file.into(),
                offset,
                label: label.0.into(),
                classes,
            });
        }
    }
    let image = source.image(SHAPE, "the last record")?;
    Ok(Sample { image, label })
}
