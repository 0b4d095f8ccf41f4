//! What every reader produces: images of one shape, each with a label below the number of classes.
//!
//! Pixels and labels are test data, which the buyer keeps secret until they are drawn: nothing here
//! shows them through `Debug`.

use std::fmt;
use std::path::Path;

use crate::error::DatasetError;
use crate::limits;

/// Shape of an image: channels first, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// 1 for gray, 3 for red, green, blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl Shape {
    /// A shape of `channels x height x width`.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
        }
    }

    /// Bytes of one image; saturates, so that a limit catches what does not fit.
    pub const fn bytes(&self) -> usize {
        self.channels
            .saturating_mul(self.height)
            .saturating_mul(self.width)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

/// One image, 8 bits a pixel, in the order channel, row, column.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    shape: Shape,
    pixels: Vec<u8>,
}

impl Image {
    /// An image of `shape`; `None` when `pixels` has not exactly that many bytes.
    pub fn new(shape: Shape, pixels: Vec<u8>) -> Option<Self> {
        (pixels.len() == shape.bytes()).then_some(Self { shape, pixels })
    }

    /// Channels, rows, columns.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The bytes, `channels * height * width` of them: channel, then row, then column.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Image({})", self.shape)
    }
}

/// The class an image truly belongs to, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(pub u16);

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Label(_)")
    }
}

/// An image and its label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What the network sees.
    pub image: Image,
    /// What it should answer.
    pub label: Label,
}

/// A labelled test set: at least one sample, all images of one shape, all labels below `classes`.
#[derive(Clone, PartialEq, Eq)]
pub struct Dataset {
    name: String,
    classes: usize,
    shape: Shape,
    samples: Vec<Sample>,
}

impl Dataset {
    /// A test set called `name`. `classes` is the number of classes; `None` means one more than the
    /// largest label.
    ///
    /// # Errors
    /// [`DatasetError::NoSamples`], [`DatasetError::MixedShapes`] and
    /// [`DatasetError::SampleLabel`], each naming the sample by its index.
    pub fn new(
        name: impl Into<String>,
        classes: Option<usize>,
        samples: Vec<Sample>,
    ) -> Result<Self, DatasetError> {
        let name = name.into();
        let Some(first) = samples.first() else {
            return Err(DatasetError::NoSamples { file: name.into() });
        };
        let shape = first.image.shape();
        let needed = samples.iter().map(|s| usize::from(s.label.0) + 1).max();
        let classes = classes.or(needed).unwrap_or(0);
        for (index, sample) in samples.iter().enumerate() {
            if sample.image.shape() != shape {
                return Err(DatasetError::MixedShapes {
                    index,
                    expected: shape,
                    got: sample.image.shape(),
                });
            }
            if usize::from(sample.label.0) >= classes {
                return Err(DatasetError::SampleLabel {
                    index,
                    label: sample.label.0.into(),
                    classes,
                });
            }
        }
        Ok(Self {
            name,
            classes,
            shape,
            samples,
        })
    }

    /// Name of the file or folder it was read from.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of classes; every label is below it.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Shape of every image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The samples in file order; never empty.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The samples in file order, given away.
    pub fn into_samples(self) -> Vec<Sample> {
        self.samples
    }

    /// The first `count` samples under the same name; all of them when there are fewer. At least
    /// one is kept.
    pub fn truncated(mut self, count: usize) -> Self {
        self.samples.truncate(count.max(1));
        self
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("name", &self.name)
            .field("classes", &self.classes)
            .field("shape", &self.shape)
            .field("samples", &self.samples.len())
            .finish()
    }
}

/// Refuses a set of `count` images of `shape` that a header or list declares, before a byte of it
/// is allocated: zero or huge sides, no images, too many, or too large together.
pub(crate) fn check_declared(
    file: &Path,
    offset: u64,
    count: usize,
    shape: Shape,
) -> Result<(), DatasetError> {
    let dimensions = [
        ("channels", shape.channels, limits::MAX_CHANNELS),
        ("height", shape.height, limits::MAX_SIDE),
        ("width", shape.width, limits::MAX_SIDE),
    ];
    for (dimension, got, limit) in dimensions {
        if got == 0 || got > limit {
            return Err(DatasetError::Dimension {
                file: file.into(),
                offset,
                dimension,
                got,
                limit,
            });
        }
    }
    if count == 0 {
        return Err(DatasetError::NoSamples { file: file.into() });
    }
    let bytes = (count as u64).saturating_mul(shape.bytes() as u64);
    if count > limits::MAX_SAMPLES || bytes > limits::MAX_DATASET_BYTES {
        return Err(DatasetError::DatasetTooLarge {
            file: file.into(),
            offset,
            count,
            shape,
            samples_limit: limits::MAX_SAMPLES,
            bytes_limit: limits::MAX_DATASET_BYTES,
        });
    }
    Ok(())
}
