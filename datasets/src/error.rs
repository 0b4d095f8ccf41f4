//! One variant for each rule a dataset can break: which file, where in it, what was expected, what was
//! found, and what to do. Offsets count bytes from 0; in a gzipped file they count the unpacked bytes.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::sample::Shape;

/// Why a dataset was not read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The operating system refused.
    #[error("{file}: cannot be read: {source}; check that the path exists and may be read")]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// An image that is no picture.
    #[error("an image of {shape} cannot be written as PNG: {reason}")]
    Encode {
        /// Its shape.
        shape: Shape,
        /// What the encoder said.
        reason: String,
    },
    /// A pipe, a device or a folder stands where a file should.
    #[error("{file}: expected a regular file, found something else; give the path of a file")]
    NotAFile {
        /// The path.
        file: PathBuf,
    },
    /// The file is larger than any that is read.
    #[error("{file}: the file has {bytes} bytes, the limit is {limit}; split it")]
    FileTooLarge {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: u64,
        /// The largest length read.
        limit: u64,
    },
    /// The file has no bytes.
    #[error("{file}: the file is empty, expected {expected}; fetch or export it again")]
    EmptyFile {
        /// The file.
        file: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// The dataset has no samples.
    #[error("{file}: the dataset has 0 samples, expected at least 1; choose another file")]
    NoSamples {
        /// The file, or the dataset's name.
        file: PathBuf,
    },
    /// The file starts with another magic number.
    #[error(
        "{file}: at byte 0: found {got:#010x}, expected {expected}; \
         check that images and labels are not swapped"
    )]
    Magic {
        /// The file.
        file: PathBuf,
        /// What it should start with.
        expected: &'static str,
        /// Its first four bytes, big-endian.
        got: u32,
    },
    /// The file ends before what it declares.
    #[error(
        "{file}: at byte {offset}: the file ends, expected {missing} more bytes ({part}); \
         fetch it again"
    )]
    Truncated {
        /// The file.
        file: PathBuf,
        /// Where the data end.
        offset: u64,
        /// Bytes still expected.
        missing: u64,
        /// What they belong to.
        part: &'static str,
    },
    /// The file goes on after what it declares.
    #[error("{file}: at byte {offset}: expected the end of the file, found more bytes{inside}; fetch it again")]
    TrailingBytes {
        /// The file.
        file: PathBuf,
        /// Where the end should be.
        offset: u64,
        /// Empty, or which layer of the file the offset counts in.
        inside: &'static str,
    },
    /// A gzipped file declares more than its length can unpack to.
    #[error(
        "{file}: at unpacked byte {offset}: {declared} more bytes are declared, but the file cannot \
         unpack to more than {ceiling}; fetch it again"
    )]
    Overdeclared {
        /// The file.
        file: PathBuf,
        /// Where the declared bytes start.
        offset: u64,
        /// How many are declared.
        declared: u64,
        /// Most bytes the whole file can unpack to.
        ceiling: u64,
    },
    /// The gzip stream is damaged.
    #[error(
        "{file}: at unpacked byte {offset}: the gzip stream is damaged: {source}; fetch it again"
    )]
    Gzip {
        /// The file.
        file: PathBuf,
        /// How many bytes were unpacked before.
        offset: u64,
        /// What the decoder said.
        source: io::Error,
    },
    /// A declared side of the images is zero or beyond its limit.
    #[error("{file}: at byte {offset}: the {dimension} of the images is {got}, expected 1 to {limit}; resize them")]
    Dimension {
        /// The file.
        file: PathBuf,
        /// Where the sizes are declared.
        offset: u64,
        /// Channels, height or width.
        dimension: &'static str,
        /// The declared value.
        got: usize,
        /// Its limit.
        limit: usize,
    },
    /// More samples, or more bytes of pixels, than are held in memory.
    #[error(
        "{file}: at byte {offset}: {count} images of {shape} are declared, the limits are \
         {samples_limit} images and {bytes_limit} bytes; split the dataset"
    )]
    DatasetTooLarge {
        /// The file.
        file: PathBuf,
        /// Where the sizes are declared.
        offset: u64,
        /// Declared images.
        count: usize,
        /// Declared shape.
        shape: Shape,
        /// Most images.
        samples_limit: usize,
        /// Most bytes of pixels.
        bytes_limit: u64,
    },
    /// The two IDX files hold different numbers of samples.
    #[error(
        "{labels}: at byte 4: {got} labels are declared, expected {expected}, as many as {images} \
         has images; pair the files of one split"
    )]
    CountMismatch {
        /// The file of images.
        images: PathBuf,
        /// The file of labels.
        labels: PathBuf,
        /// Number of images.
        expected: usize,
        /// Number of labels.
        got: usize,
    },
    /// A label is not below the number of classes.
    #[error(
        "{file}: at byte {offset}: the label is {label}, expected 0 to {}; correct it or raise the \
         number of classes", classes.saturating_sub(1)
    )]
    LabelRange {
        /// The file.
        file: PathBuf,
        /// Where the label stands.
        offset: u64,
        /// The label.
        label: u64,
        /// Number of classes.
        classes: usize,
    },
    /// The number of classes asked for is none that labels can have.
    #[error("the number of classes is {got}, expected 1 to 65536; pass the number of the model's classes")]
    Classes {
        /// The number asked for.
        got: usize,
    },
    /// The kind of CIFAR file has a fixed number of classes, and it is another.
    #[error("{file}: the file has {expected} classes, {got} were asked for; leave the number of classes out")]
    FixedClasses {
        /// The file.
        file: PathBuf,
        /// Classes of the kind.
        expected: usize,
        /// Classes asked for.
        got: usize,
    },
    /// A line of the label list is not `file,label`.
    #[error(
        "{file}: line {line}: {problem}, expected `image file,class number`; correct the line"
    )]
    ListLine {
        /// The list.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// A line of the label list has a label that is not below the number of classes.
    #[error(
        "{file}: line {line}: the label is {label}, expected 0 to {}; correct it or raise the \
         number of classes", classes.saturating_sub(1)
    )]
    ListLabel {
        /// The list.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The label.
        label: u64,
        /// Number of classes.
        classes: usize,
    },
    /// A file name of the label list leads out of the folder.
    #[error("{file}: line {line}: the file name is absolute or contains `..`; name files below the folder")]
    ListPath {
        /// The list.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A PNG or JPEG file cannot be decoded, or needs more memory than allowed.
    #[error("{file}: not a readable PNG or JPEG within the size limits: {reason}; convert or replace it")]
    Decode {
        /// The image.
        file: PathBuf,
        /// What the decoder said.
        reason: String,
    },
    /// An image differs in shape from the first one and no resizing was asked for.
    #[error("{file}: the image is {got}, expected {expected} like the first; resize it or pass a target shape")]
    ImageShape {
        /// The image.
        file: PathBuf,
        /// Shape of the first image.
        expected: Shape,
        /// Its shape.
        got: Shape,
    },
    /// The target shape has channels that no decoder makes.
    #[error(
        "the target shape is {got}, expected 1 or 3 channels and sides of 1 to {limit}; correct it"
    )]
    TargetShape {
        /// The shape asked for.
        got: Shape,
        /// Largest side.
        limit: usize,
    },
    /// Neither name nor content says how to read the path.
    #[error(
        "{file}: {found}; expected an IDX images file with its labels file beside it, a CIFAR \
         binary (*.bin), a label list (*.csv), or a folder with one of them"
    )]
    Unrecognized {
        /// The path.
        file: PathBuf,
        /// What was found.
        found: String,
    },
    /// Samples given in memory differ in shape.
    #[error("sample {index}: the image is {got}, expected {expected} like the first; resize it")]
    MixedShapes {
        /// Index of the sample.
        index: usize,
        /// Shape of the first.
        expected: Shape,
        /// Its shape.
        got: Shape,
    },
    /// A sample given in memory has a label that is not below the number of classes.
    #[error(
        "sample {index}: the label is {label}, expected 0 to {}; correct it or raise the number of \
         classes", classes.saturating_sub(1)
    )]
    SampleLabel {
        /// Index of the sample.
        index: usize,
        /// The label.
        label: u64,
        /// Number of classes.
        classes: usize,
    },
    /// A bundled file is not the one its manifest names.
    #[error("bundled {name}: SHA-256 is {got}, its manifest says {expected}; restore the file and build again")]
    Digest {
        /// The file.
        name: &'static str,
        /// Digest in the manifest, or that it names none.
        expected: String,
        /// Digest of the file.
        got: String,
    },
}
