//! One operator while it is lowered: its options, and errors that name it.

use super::graph::Graph;
use super::schema::{operator, options, Operator};
use crate::network::import::float::Clamp;
use crate::network::import::ImportError;

/// Operators that are lowered, by number and name.
pub const SUPPORTED: [(i32, &str); 13] = [
    (operator::ADD, "ADD"),
    (operator::AVERAGE_POOL_2D, "AVERAGE_POOL_2D"),
    (operator::CONCATENATION, "CONCATENATION"),
    (operator::CONV_2D, "CONV_2D"),
    (operator::DEPTHWISE_CONV_2D, "DEPTHWISE_CONV_2D"),
    (operator::DEQUANTIZE, "DEQUANTIZE"),
    (operator::FULLY_CONNECTED, "FULLY_CONNECTED"),
    (operator::MAX_POOL_2D, "MAX_POOL_2D"),
    (operator::MEAN, "MEAN"),
    (operator::PAD, "PAD"),
    (operator::QUANTIZE, "QUANTIZE"),
    (operator::RESHAPE, "RESHAPE"),
    (operator::SOFTMAX, "SOFTMAX"),
];

/// An operator and how it is called in messages.
pub struct Node<'a> {
    operator: &'a Operator<'a>,
    /// Its number, see [`operator`].
    pub code: i32,
    /// Name of what it makes.
    pub name: String,
    index: usize,
    /// Shapes of its inputs as the file has them, batch first.
    shapes: String,
}

impl<'a> Node<'a> {
    /// Operator `index` of a graph.
    pub fn new(graph: &Graph<'a>, index: usize) -> Self {
        let operator = &graph.model.operators[index];
        let tensor = |&index: &i32| graph.model.tensors.get(usize::try_from(index).ok()?);
        let shape = |index| tensor(index).map_or("none".into(), |t| format!("{:?}", t.shape));
        let shapes: Vec<String> = operator.inputs.iter().map(shape).collect();
        let made = operator.outputs.first().and_then(tensor);
        Self {
            code: graph
                .model
                .codes
                .get(operator.code)
                .map_or(-1, |&code| code),
            name: made.map_or_else(String::new, |tensor| tensor.name()),
            operator,
            index,
            shapes: shapes.join(", "),
        }
    }

    /// Name of the operator.
    pub fn op(&self) -> String {
        let known = SUPPORTED.iter().find(|(code, _)| *code == self.code);
        known.map_or_else(
            || format!("number {} of BuiltinOperator", self.code),
            |(_, name)| (*name).into(),
        )
    }

    /// Index and name, for messages.
    pub fn place(&self) -> String {
        format!("{} {}", self.index, self.name)
    }

    /// Input `index`, which must be there.
    pub fn input(&self, index: usize) -> Result<usize, ImportError> {
        self.optional(index)
            .ok_or_else(|| self.form(format!("input {index} is missing")))
    }

    /// Input `index`; `None` when it is left out.
    pub fn optional(&self, index: usize) -> Option<usize> {
        let index = self.operator.inputs.get(index)?;
        usize::try_from(*index).ok()
    }

    /// The one output.
    pub fn output(&self) -> Result<usize, ImportError> {
        match self.operator.outputs[..] {
            [output] => Ok(output as usize),
            _ => Err(self.form("expected one output")),
        }
    }

    /// Refuses a form of the operator.
    pub fn form(&self, reason: impl Into<String>) -> ImportError {
        ImportError::Form {
            node: self.place(),
            op: self.op(),
            shapes: self.shapes.clone(),
            reason: reason.into(),
        }
    }

    /// Refuses the operator.
    pub fn unsupported(&self) -> ImportError {
        ImportError::Operator {
            node: self.place(),
            op: self.op(),
            shapes: self.shapes.clone(),
            supported: SUPPORTED.map(|(_, name)| name).join(", "),
        }
    }

    /// The options' table; `None` where all options have their defaults.
    fn options(&self, kind: i8) -> Result<Option<super::flatbuffer::Table<'a>>, ImportError> {
        match self.operator.options {
            None => Ok(None),
            Some((found, table)) if found == kind => Ok(Some(table)),
            Some((found, _)) => {
                let reason = format!("expected options of type {kind}, found type {found}");
                Err(self.form(reason))
            }
        }
    }

    /// An option of one byte, 0 by default.
    pub fn byte(&self, kind: i8, field: usize) -> Result<i8, ImportError> {
        let table = self.options(kind)?;
        table.map_or(Ok(0), |table| table.i8(field, 0))
    }

    /// An option of four bytes, 0 by default.
    pub fn word(&self, kind: i8, field: usize) -> Result<i32, ImportError> {
        let table = self.options(kind)?;
        table.map_or(Ok(0), |table| table.i32(field, 0))
    }

    /// Number of inputs, those left out included.
    pub fn inputs(&self) -> usize {
        self.operator.inputs.len()
    }

    /// A float option, 0 by default.
    pub fn float(&self, kind: i8, field: usize) -> Result<f32, ImportError> {
        let table = self.options(kind)?;
        table.map_or(Ok(0.0), |table| table.f32(field, 0.0))
    }

    /// Two sides, both positive: `height` and `width` are their fields.
    pub fn sides(
        &self,
        kind: i8,
        [height, width]: [usize; 2],
        default: i32,
    ) -> Result<(usize, usize), ImportError> {
        let table = self.options(kind)?;
        let side = |field| {
            let side = table.map_or(Ok(default), |table| table.i32(field, default))?;
            let positive = usize::try_from(side).ok().filter(|&side| side > 0);
            positive.ok_or_else(|| self.form("strides, dilations and windows must be positive"))
        };
        Ok((side(height)?, side(width)?))
    }

    /// Whether the border is `SAME`; else it is `VALID`, none.
    pub fn is_same(&self, kind: i8) -> Result<bool, ImportError> {
        match self.byte(kind, options::PADDING)? {
            0 => Ok(true),
            1 => Ok(false),
            _ => Err(self.form("the padding must be SAME or VALID")),
        }
    }

    /// The fused activation function.
    pub fn activation(&self, kind: i8, field: usize) -> Result<Clamp, ImportError> {
        match self.byte(kind, field)? {
            0 => Ok(Clamp::NONE),
            1 => Ok(Clamp::RELU),
            3 => Ok(Clamp {
                low: 0.0,
                high: 6.0,
            }),
            other => Err(self.form(format!(
                "fused activation function {other} is not supported; supported are NONE (0), RELU (1) and RELU6 (3)"
            ))),
        }
    }
}
