//! TensorFlow Lite: from a file's bytes to a [`FloatModel`].
//!
//! A file that is quantized already is taken by its own integers and scales: weights become the real
//! numbers its integers stand for, and every layer keeps the scale and zero point of its output, so
//! that no images are needed to measure it. Classes are the file's: some models of ImageNet have 1,001
//! of them, the first one being the background, and their labels are one higher than usual.

mod constant;
mod flatbuffer;
mod graph;
mod linear;
mod lower;
mod node;
mod pool;
mod schema;
mod view;

use super::{FloatModel, ImportError, Normalization};

/// Operators that are imported.
pub const SUPPORTED: [&str; node::SUPPORTED.len()] = {
    let mut names = [""; node::SUPPORTED.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = node::SUPPORTED[index].1;
        index += 1;
    }
    names
};

/// Whether a file says that it is one.
pub fn is_tflite(file: &[u8]) -> bool {
    file.get(4..8) == Some(&schema::IDENTIFIER[..])
}

/// Reads a model file. `normalization` maps pixel bytes to the graph's input; `None` means that the
/// pixels are the file's own bytes or, if it takes floats, pixel / 255.
pub(super) fn read(
    file: &[u8],
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    let model = schema::Model::read(file)?;
    lower::lower(&graph::Graph::read(&model)?, normalization)
}
