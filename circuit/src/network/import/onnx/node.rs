//! One node while it is lowered: its attributes, and errors that name it.

use super::constant::Constant;
use super::proto::{kind, AttributeProto, NodeProto};
use crate::network::import::ImportError;

/// Operators that are lowered; [`super::lower`] knows each of them.
pub const SUPPORTED: [&str; 37] = [
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Flatten",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Identity",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Pad",
    "QLinearConv",
    "QLinearMatMul",
    "QuantizeLinear",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Shape",
    "Softmax",
    "Squeeze",
    "Sub",
    "Unsqueeze",
    "com.microsoft.QGemm",
    "com.microsoft.QLinearAdd",
    "com.microsoft.QLinearAveragePool",
    "com.microsoft.QLinearConcat",
    "com.microsoft.QLinearGlobalAveragePool",
];

/// Characters of a name that are kept: a layer of a concatenation's parts repeats it for each of them.
const MAX_NAME: usize = 256;

/// A node, how it is called in messages, and the shapes it reads.
pub struct Node<'a> {
    proto: &'a NodeProto,
    /// Its name, or that of its first output.
    pub name: String,
    /// Shapes of its inputs, without the batch, for messages.
    pub shapes: String,
}

impl<'a> Node<'a> {
    /// A node that reads `shapes`.
    pub fn new(proto: &'a NodeProto, shapes: String) -> Self {
        let first = proto.output.first().map_or("", String::as_str);
        let name = match proto.name.as_str() {
            "" => first,
            name => name,
        };
        Self {
            name: name.chars().take(MAX_NAME).collect(),
            shapes,
            proto,
        }
    }

    /// The operator, with its domain when that is not the standard one.
    pub fn op(&self) -> String {
        match self.proto.domain.as_str() {
            "" | "ai.onnx" => self.proto.op_type.clone(),
            domain => format!("{domain}.{}", self.proto.op_type),
        }
    }

    /// Name of input `index`; `None` when it is left out.
    pub fn input(&self, index: usize) -> Option<&'a str> {
        let name = self.proto.input.get(index)?;
        (!name.is_empty()).then_some(name)
    }

    /// Number of inputs, those left out between others included.
    pub fn inputs(&self) -> usize {
        self.proto.input.len()
    }

    /// Refuses a form of the operator.
    pub fn form(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Form {
            node: self.name.clone(),
            op: self.op(),
            shapes: self.shapes.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses the operator.
    pub fn unsupported(&self) -> ImportError {
        ImportError::Operator {
            node: self.name.clone(),
            op: self.op(),
            shapes: self.shapes.clone(),
            supported: SUPPORTED.join(", "),
        }
    }

    /// Refuses an input that nothing before it makes.
    pub fn unknown(&self, input: &str) -> ImportError {
        ImportError::UnknownValue {
            node: self.name.clone(),
            op: self.op(),
            input: input.into(),
        }
    }

    /// Refuses attributes that are not among `known`: what is not understood is not ignored.
    pub fn only(&self, known: &[&str]) -> Result<(), ImportError> {
        for attribute in &self.proto.attribute {
            if !known.contains(&attribute.name.as_str()) {
                let reason = format!("attribute {} is not known", attribute.name);
                return Err(self.form(reason));
            }
        }
        Ok(())
    }

    fn attribute(
        &self,
        name: &str,
        kind: i32,
        type_name: &str,
    ) -> Result<Option<&'a AttributeProto>, ImportError> {
        let attributes = &self.proto.attribute;
        match attributes.iter().find(|a| a.name == name) {
            Some(attribute) if attribute.r#type != kind => {
                Err(self.form(format!("attribute {name} is not {type_name}")))
            }
            found => Ok(found),
        }
    }

    /// An integer attribute.
    pub fn int(&self, name: &str, default: i64) -> Result<i64, ImportError> {
        let found = self.attribute(name, kind::INT, "an integer")?;
        Ok(found.map_or(default, |a| a.i))
    }

    /// A float attribute.
    pub fn float(&self, name: &str, default: f32) -> Result<f32, ImportError> {
        let found = self.attribute(name, kind::FLOAT, "a float")?;
        Ok(found.map_or(default, |a| a.f))
    }

    /// A string attribute.
    pub fn string(&self, name: &str) -> Result<Option<&'a [u8]>, ImportError> {
        let found = self.attribute(name, kind::STRING, "a string")?;
        Ok(found.map(|a| a.s.as_slice()))
    }

    /// A list of integers.
    pub fn ints(&self, name: &str) -> Result<Option<&'a [i64]>, ImportError> {
        let found = self.attribute(name, kind::INTS, "a list of integers")?;
        Ok(found.map(|a| a.ints.as_slice()))
    }

    /// A tensor.
    pub fn tensor(&self, name: &str) -> Result<Option<Constant>, ImportError> {
        let found = self.attribute(name, kind::TENSOR, "a tensor")?;
        let tensor = found.and_then(|a| a.t.as_ref());
        tensor.map(Constant::read).transpose()
    }

    /// A list of floats.
    pub fn floats(&self, name: &str) -> Result<Option<&'a [f32]>, ImportError> {
        let found = self.attribute(name, kind::FLOATS, "a list of floats")?;
        Ok(found.map(|a| a.floats.as_slice()))
    }

    /// Whether the node has the attribute.
    pub fn has(&self, name: &str) -> bool {
        self.proto.attribute.iter().any(|a| a.name == name)
    }

    /// Two sides, both positive: `kernel_shape`, `strides`, `dilations`.
    pub fn sides(
        &self,
        name: &str,
        default: Option<(usize, usize)>,
    ) -> Result<(usize, usize), ImportError> {
        let positive = |side: i64| usize::try_from(side).ok().filter(|&side| side > 0);
        match (self.ints(name)?, default) {
            (None, Some(default)) => Ok(default),
            (Some(&[height, width]), _) => positive(height)
                .zip(positive(width))
                .ok_or_else(|| self.form(format!("{name} must be positive"))),
            _ => Err(self.form(format!("{name} must have two sides"))),
        }
    }
}
