//! ONNX: from a file's bytes to a [`FloatModel`].

mod constant;
mod elementwise;
mod fold;
mod graph;
mod known;
mod limits;
mod linear;
mod lower;
mod node;
mod pool;
pub mod proto;
mod qlinear;
mod quantized;
mod value;
mod view;
mod window;

use super::{FloatModel, ImportError, Normalization};
use prost::Message;

/// Operators that are imported.
pub use node::SUPPORTED;

/// Reads a model file. `normalization` maps pixel bytes to the graph's input; `None` means that
/// the file says it itself, or that the input is pixel / 255.
pub(super) fn read(
    bytes: &[u8],
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    limits::check(bytes)?;
    let model = proto::ModelProto::decode(bytes)?;
    lower::lower(&graph::Graph::read(&model)?, normalization)
}
