//! Files that are quantized already, taken by their scales: QuantizeLinear and DequantizeLinear around
//! operators of floats. Those on integers are in [`super::qlinear`].
//!
//! Weights become the real numbers their integers stand for. A layer keeps the scale and zero point that
//! its output is quantized to, so that no images are needed to measure it. Signed bytes are counted
//! from -128, so that they are unsigned.

use super::constant::{Constant, Data, Reals};
use super::lower::Lowering;
use super::node::Node;
use super::proto::element;
use super::value::Value;
use crate::network::import::float::{Clamp, OutputScale};
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::{ImportError, Normalization};
use crate::network::TensorId;

impl<'a> Lowering<'a> {
    /// What bytes stand for whose scale is input `at` and whose zero point, if any, the next one.
    pub(super) fn output_scale(
        &mut self,
        node: &Node<'a>,
        at: usize,
    ) -> Result<OutputScale, ImportError> {
        let scale = self.scalar(node, at)?;
        if !(scale.is_finite() && scale > 0.0) {
            return Err(node.form("scales must be positive and finite"));
        }
        let zero_point = match node.input(at + 1) {
            None => Some(0),
            Some(_) => {
                let constant = self.constant(node, at + 1)?;
                let first = match constant.element {
                    element::INT8 => -128,
                    element::UINT8 => 0,
                    _ => return Err(node.form("activations must be int8 or uint8")),
                };
                match constant.data {
                    Data::Int(values) if values.len() == 1 => u8::try_from(values[0] - first).ok(),
                    _ => None,
                }
            }
        };
        let refused = || node.form("an activation must have one scale and one zero point");
        Ok(OutputScale {
            scale: f64::from(scale),
            zero_point: zero_point.ok_or_else(refused)?,
        })
    }

    /// The real numbers that a constant of integers stands for: `at` is its input, then its scales and
    /// zero points, one each or one for every side of `axis`.
    pub(super) fn reals(
        &mut self,
        node: &Node<'a>,
        at: usize,
        axis: usize,
    ) -> Result<Reals, ImportError> {
        let constant = self.constant(node, at)?;
        self.scaled(node, constant, at, axis)
    }

    /// The same of a constant that is read already.
    fn scaled(
        &mut self,
        node: &Node<'a>,
        constant: Constant,
        at: usize,
        axis: usize,
    ) -> Result<Reals, ImportError> {
        let Constant {
            dims,
            data: Data::Int(integers),
            ..
        } = constant
        else {
            return Err(node.form(format!("input {at} must hold integers")));
        };
        let (_, scales) = self.floats(node, at + 1)?;
        let zero_points = match node.input(at + 2) {
            None => vec![0; scales.len()],
            Some(_) => match self.constant(node, at + 2)?.data {
                Data::Int(values) => values,
                Data::Float(_) => return Err(node.form("a zero point must be an integer")),
            },
        };
        if !scales.iter().all(|s| s.is_finite() && *s > 0.0) {
            return Err(node.form("scales must be positive and finite"));
        }
        let run = match (scales.len(), dims.get(axis)) {
            (1, _) => integers.len().max(1),
            (count, Some(&side)) if count == side => dims[axis + 1..].iter().product(),
            _ => return Err(node.form("expected one scale, or one for each channel")),
        };
        if zero_points.len() != scales.len() {
            return Err(node.form("expected a zero point for each scale"));
        }
        let real = |(index, integer): (usize, i64)| {
            let channel = index / run.max(1) % scales.len();
            let distance = integer.saturating_sub(zero_points[channel]);
            (distance as f64 * f64::from(scales[channel])) as f32
        };
        Ok((dims, integers.into_iter().enumerate().map(real).collect()))
    }

    /// Input `index` as real numbers: a tensor of integers that stand for what the inputs from `at` on say.
    pub(super) fn meant(
        &mut self,
        node: &Node<'a>,
        index: usize,
        at: usize,
    ) -> Result<(Tensor, OutputScale), ImportError> {
        let tensor = self.marked(node, index)?;
        let scale = self.output_scale(node, at)?;
        match tensor.bytes {
            Some(bytes) if bytes == scale => Ok((
                Tensor {
                    bytes: None,
                    ..tensor
                },
                scale,
            )),
            Some(_) => Err(node.form(format!(
                "input {index} was quantized to another scale or zero point than it is read with"
            ))),
            None => Err(node.form(format!("input {index} must be quantized"))),
        }
    }

    /// Integers to floats.
    pub(super) fn dequantize(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        if let Value::Constant(constant) = self.value(node, 0)? {
            let rank = constant.dims.len() as i64;
            let axis = node.int("axis", 1)?;
            let axis = if axis < 0 {
                axis.saturating_add(rank)
            } else {
                axis
            };
            // One of a list, where the default would be beyond it.
            let axis = usize::try_from(axis.min(rank - 1)).unwrap_or(0);
            let (dims, values) = self.scaled(node, constant, 0, axis)?;
            return Ok(Value::Constant(Constant {
                dims,
                data: Data::Float(values),
                element: element::FLOAT,
            }));
        }
        Ok(Value::Tensor(self.meant(node, 0, 1)?.0))
    }

    /// Floats to integers: what the layer before it is rounded to.
    pub(super) fn quantize(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis", "saturate"])?;
        let tensor = self.marked(node, 0)?;
        super::value::real(node, &tensor)?;
        let bytes = self.output_scale(node, 1)?;
        self.quantized(node, tensor, bytes)
    }

    /// The tensor rounded to `bytes`.
    pub(super) fn quantized(
        &mut self,
        node: &Node<'a>,
        tensor: Tensor,
        bytes: OutputScale,
    ) -> Result<Value, ImportError> {
        let id = match tensor.mark {
            Mark::Softmax => tensor.id,
            Mark::Border(_) if self.stack.rounding(tensor.id) == Some(bytes) => tensor.id,
            _ => {
                tensor.plain().map_err(|reason| node.form(reason))?;
                self.rounded(node, &tensor, bytes)?
            }
        };
        Ok(Value::Tensor(Tensor {
            id,
            shared: tensor.shared && id == tensor.id,
            bytes: Some(bytes),
            ..tensor
        }))
    }

    /// The tensor that holds `tensor` rounded: itself where it may be changed or is rounded so.
    fn rounded(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        bytes: OutputScale,
    ) -> Result<TensorId, ImportError> {
        if tensor.id == TensorId::INPUT {
            // Of an image whose values nothing tells yet, the pixels are the bytes.
            if !tensor.shared && !self.given && self.normalization == Normalization::identity() {
                self.normalization =
                    Normalization::uniform(bytes.scale, -bytes.scale * f64::from(bytes.zero_point));
                self.given = true;
            }
            return Ok(tensor.id);
        }
        if self.stack.rounding(tensor.id) == Some(bytes) || self.stack.parts_are_rounded(tensor.id)
        {
            return Ok(tensor.id);
        }
        if !tensor.shared && self.stack.round(tensor.id, bytes) {
            return Ok(tensor.id);
        }
        let id = self
            .stack
            .push_identity(&node.name, tensor.id, Clamp::NONE)?;
        self.stack.round_last(Some(bytes));
        Ok(id)
    }

    /// The output of an operator on integers, quantized as the inputs from `at` on say.
    pub(super) fn made(
        &mut self,
        node: &Node<'a>,
        made: Value,
        at: usize,
    ) -> Result<Value, ImportError> {
        let bytes = self.output_scale(node, at)?;
        match made {
            Value::Tensor(tensor) => self.quantized(node, tensor, bytes),
            constant => Ok(constant),
        }
    }
}
