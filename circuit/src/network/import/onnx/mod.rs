//! ONNX: from a file's bytes to a [`FloatModel`].

mod constant;
mod elementwise;
mod graph;
mod linear;
mod lower;
mod node;
pub mod proto;
mod view;
mod window;

use super::{FloatModel, ImportError, Normalization};
use prost::Message;

/// Operators that are imported.
pub use node::SUPPORTED;

/// Bytes of a file; a decoded message takes a small multiple of it.
pub const MAX_FILE: usize = 1 << 28;

/// Reads a model file. `normalization` maps pixel bytes to the graph's input; `None` means that
/// the file says it itself, or that the input is pixel / 255.
pub(super) fn read(
    bytes: &[u8],
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    if bytes.len() > MAX_FILE {
        return Err(ImportError::TooLarge {
            what: "the number of bytes",
            found: bytes.len(),
            max: MAX_FILE,
        });
    }
    let model = proto::ModelProto::decode(bytes)?;
    lower::lower(&graph::Graph::read(&model)?, normalization)
}
