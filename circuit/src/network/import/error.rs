//! Why a model is not imported.

use super::super::{ArchitectureError, NetworkError};
use thiserror::Error;

/// One variant per rule. Names and shapes appear here, weights never.
#[derive(Debug, Error)]
pub enum ImportError {
    /// Not an ONNX file, or a damaged one.
    #[error("this is not a whole ONNX file: {0}")]
    Decode(#[from] prost::DecodeError),
    /// A TensorFlow Lite file whose tables do not hang together.
    #[error("this is not a whole TensorFlow Lite file: at byte {at}: {reason}")]
    FlatBuffer {
        /// Where in the file.
        at: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A version of TensorFlow Lite's format whose rules are others.
    #[error("expected version 3 of TensorFlow Lite's format, found {found}")]
    TfliteVersion {
        /// Version of the file.
        found: u32,
    },
    /// A TensorFlow Lite file with control flow, or none at all.
    #[error("expected a model with one subgraph, found {found}")]
    Subgraphs {
        /// How many there are.
        found: usize,
    },
    /// More than is accepted of something.
    #[error("the model is too large: {what} is {found}, at most {max} are supported")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The count.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A file without a graph.
    #[error("the file holds no graph; is it an ONNX model?")]
    NoGraph,
    /// An operator set whose rules are others, or none named.
    #[error("expected ONNX operator set {min} or later, found {found}; convert the model with onnx.version_converter")]
    OperatorSet {
        /// The oldest version read.
        min: i64,
        /// Version of the file, 0 when it names none.
        found: i64,
    },
    /// Not exactly one input or output.
    #[error("expected a model with one {what}, found {found}: {names}")]
    Ports {
        /// `input` or `output`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// Their names.
        names: String,
    },
    /// An input that is not a batch of images or vectors.
    #[error("input {name}: expected float [batch, channels, height, width] (TensorFlow Lite: bytes too, channels last) or [batch, size], batch 1 or not fixed, the rest fixed; found {found}")]
    Input {
        /// Name of the input.
        name: String,
        /// What it is declared as.
        found: String,
    },
    /// The same name made twice.
    #[error("the value {name} is made twice")]
    MadeTwice {
        /// The name.
        name: String,
    },
    /// Weights in another file.
    #[error("tensor {tensor}: its data is in another file; save the model as one file (onnx.save_model with save_as_external_data=False)")]
    ExternalData {
        /// Name of the tensor.
        tensor: String,
    },
    /// An element type that is not read.
    #[error("tensor {tensor}: expected elements float, double, int8, uint8, int32, int64 or bool (ONNX types 1, 11, 3, 2, 6, 7, 9), found type {found}")]
    ElementType {
        /// Name of the tensor.
        tensor: String,
        /// ONNX's number of the type.
        found: i32,
    },
    /// An element type that has no meaning where it stands.
    #[error("tensor {tensor}: expected elements {expected}, found TensorFlow Lite's type {found}")]
    TensorType {
        /// Name of the tensor.
        tensor: String,
        /// What it may hold.
        expected: &'static str,
        /// TensorFlow Lite's number of the type.
        found: i8,
    },
    /// Scales or zero points that have no meaning.
    #[error("tensor {tensor}: {reason}")]
    Quantization {
        /// Name of the tensor.
        tensor: String,
        /// What is wrong and what is supported.
        reason: &'static str,
    },
    /// Data whose length is not what the shape says, or a shape that has no meaning.
    #[error("tensor {tensor}: shape {dims:?} does not go with {found} {unit} of data")]
    TensorData {
        /// Name of the tensor.
        tensor: String,
        /// Its shape.
        dims: Vec<i64>,
        /// How much data there is.
        found: usize,
        /// Elements or bytes.
        unit: &'static str,
    },
    /// A weight that is not a number, in the file or after folding, or an activation.
    #[error("{place}: a value is infinite or not a number")]
    NotFinite {
        /// The tensor or layer.
        place: String,
    },
    /// A node reads what no earlier node makes.
    #[error("node {node} ({op}): its input {input:?} is made by no earlier node")]
    UnknownValue {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
        /// Name of the value.
        input: String,
    },
    /// An operator that is not imported.
    #[error(
        "node {node}: operator {op} on inputs {shapes} is not supported; supported are {supported}"
    )]
    Operator {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
        /// Shapes of its inputs, without the batch.
        shapes: String,
        /// The operators that are.
        supported: String,
    },
    /// A form of a supported operator that is not imported.
    #[error("node {node} ({op}) on inputs {shapes}: {reason}")]
    Form {
        /// Name of the node.
        node: String,
        /// Its operator.
        op: String,
        /// Shapes of its inputs, without the batch.
        shapes: String,
        /// What is not supported and what is.
        reason: String,
    },
    /// A concatenation that its reader cannot take part by part.
    #[error("layer {layer} reads a concatenation of {shapes}: {reason}")]
    Concat {
        /// Name of the layer.
        layer: String,
        /// Shapes of the parts, channels first.
        shapes: String,
        /// What is not supported and what is.
        reason: &'static str,
    },
    /// The layers do not make a network this program knows.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Some image would have no proof: a layer's accumulators, in steps of the bytes it makes, reach too far.
    #[error("layer {layer}: accumulators reach {low}..={high}, allowed are {allowed_low}..={allowed_high}; {}", total_help(*.suffice))]
    NotTotal {
        /// Name of the layer.
        layer: String,
        /// Least accumulator of any image.
        low: i128,
        /// Greatest accumulator of any image.
        high: i128,
        /// Least that the tables hold.
        allowed_low: i128,
        /// Greatest that the tables hold.
        allowed_high: i128,
        /// Range bits at which all layers are total, if there are any.
        suffice: Option<u32>,
    },
    /// The integer network is refused.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// No images to measure the activations with.
    #[error("at least one calibration image is needed")]
    NoCalibration,
    /// An image of another size.
    #[error("image {index}: expected {expected} bytes, found {found}")]
    Pixels {
        /// Index of the image.
        index: usize,
        /// Cells of the model's input.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// An option out of range.
    #[error("{option} must be {expected}, found {found}")]
    Option {
        /// The option.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
}

/// What would help a network that is not total.
fn total_help(suffice: Option<u32>) -> String {
    match suffice {
        Some(bits) => format!("{bits} range bits suffice for all layers, at the price of a larger table"),
        None => "no range bits suffice; its weights are too large for the values it makes: calibrate with \
             images on which it makes larger ones, or without a percentile, or train with weight decay or a \
             cap on each neuron's norm"
            .into(),
    }
}
