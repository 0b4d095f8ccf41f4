//! What is folded into what.
//!
//! An operation per channel (bias, scale, batch normalization, clip) folds into the linear layer
//! before it when nothing else reads that, into the normalization when it works on the image, and
//! else becomes a depthwise 1x1 layer of its own. What a sum takes in is decided later, for all formats
//! alike (`residual`).

use super::lower::{fresh, Lowering};
use super::node::Node;
use super::value::Value;
use crate::network::import::float::{Clamp, FloatWeights};
use crate::network::import::residual::{pointwise, scale_outputs};
use crate::network::import::stack::Step;
use crate::network::import::tensor::Tensor;
use crate::network::import::ImportError;
use crate::network::{Layer, Linear, TensorId};

impl<'a> Lowering<'a> {
    /// The linear layer that makes `tensor`, if it may still be changed: nothing else reads the
    /// tensor, and it does not end with a clamp.
    pub fn open(&mut self, tensor: &Tensor) -> Option<(&mut Linear, &mut FloatWeights)> {
        if tensor.shared {
            return None;
        }
        let (linear, weights) = self.stack.linear(tensor.id)?;
        (weights.clamp == Clamp::NONE).then_some((linear, weights))
    }

    /// `scale[c] * x + offset[c]` for every channel `c` of the tensor.
    pub fn affine(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        scale: &[f64],
        offset: &[f64],
    ) -> Result<Value, ImportError> {
        if self.is_image(tensor, scale, offset) {
            if scale.contains(&0.0) {
                return Err(node.form("the image is multiplied by zero"));
            }
            // A flattened image has a pair for every cell, all alike.
            let channels = self.stack.shapes[0].channels.min(scale.len());
            self.normalization = self
                .normalization
                .then(&scale[..channels], &offset[..channels]);
            return Ok(Value::Tensor(tensor.clone()));
        }
        if let Some((linear, weights)) = self.open(tensor) {
            for (term, values) in linear.terms.iter().zip(&mut weights.terms) {
                scale_outputs(term, linear.shape.channels, values, scale);
            }
            for ((bias, scale), offset) in weights.bias.iter_mut().zip(scale).zip(offset) {
                *bias = (f64::from(*bias) * scale + offset) as f32;
            }
            return Ok(Value::Tensor(tensor.clone()));
        }
        let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        let weights = FloatWeights {
            terms: vec![narrow(scale)],
            bias: narrow(offset),
            clamp: Clamp::NONE,
        };
        self.push_linear(
            &node.name,
            vec![pointwise(tensor.id, scale.len())],
            weights,
            tensor.dims.clone(),
        )
    }

    /// Whether the tensor is the image, or the image flattened and treated alike everywhere, and
    /// nothing else reads it.
    fn is_image(&self, tensor: &Tensor, scale: &[f64], offset: &[f64]) -> bool {
        let alike = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        let below = tensor
            .id
            .0
            .checked_sub(1)
            .and_then(|i| self.stack.layers.get(i));
        let flat = match below.map(|lowered| &lowered.step) {
            Some(Step::Layer(Layer::Flatten { input })) => {
                *input == TensorId::INPUT && self.image_read_once() && alike(scale) && alike(offset)
            }
            _ => false,
        };
        !tensor.shared && (tensor.id == TensorId::INPUT || flat)
    }

    fn image_read_once(&self) -> bool {
        self.graph.readers.get(self.graph.input) == Some(&1)
    }

    /// The sum of two tensors of the same dimensions.
    pub fn sum(&mut self, node: &Node, operands: [&Tensor; 2]) -> Result<Value, ImportError> {
        let parts = operands.map(|tensor| tensor.id);
        let id = self.stack.push_sum(&node.name, parts, Clamp::NONE)?;
        Ok(fresh(id, operands[0].dims.clone()))
    }

    /// The tensor clamped.
    pub fn clamp(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        clamp: Clamp,
    ) -> Result<Value, ImportError> {
        let bounds = self.stack.bounds(tensor.id);
        if bounds.then(clamp) == bounds {
            return Ok(Value::Tensor(tensor.clone()));
        }
        if !tensor.shared && self.stack.clamp_in_place(tensor.id, clamp) {
            return Ok(Value::Tensor(tensor.clone()));
        }
        let id = self.stack.push_identity(&node.name, tensor.id, clamp)?;
        Ok(fresh(id, tensor.dims.clone()))
    }
}
