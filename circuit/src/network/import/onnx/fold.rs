//! What is folded into what.
//!
//! An operation per channel (bias, scale, batch normalization, clip) folds into the linear layer
//! before it when nothing else reads that, into the normalization when it works on the image, and
//! else becomes a depthwise 1x1 layer of its own. A sum folds both its operands in the same way, so
//! a residual block costs no extra tensor.

use super::lower::{pointwise, Lowered, Lowering};
use super::node::Node;
use super::value::{Tensor, Value};
use crate::network::import::float::{Clamp, FloatWeights};
use crate::network::import::ImportError;
use crate::network::{Layer, Linear, TensorId, Term};

impl<'a> Lowering<'a> {
    /// The linear layer that makes `tensor`, if it may still be changed: nothing else reads the
    /// tensor, and it does not end with a clamp.
    pub fn open(&mut self, tensor: &Tensor) -> Option<(&mut Linear, &mut FloatWeights)> {
        let (linear, weights) = self.last(tensor)?;
        (weights.clamp == Clamp::NONE).then_some((linear, weights))
    }

    /// The linear layer that makes `tensor`, if nothing else reads that.
    fn last(&mut self, tensor: &Tensor) -> Option<(&mut Linear, &mut FloatWeights)> {
        if tensor.shared {
            return None;
        }
        let lowered = self.layers.get_mut(tensor.id.0.checked_sub(1)?)?;
        match (&mut lowered.layer, &mut lowered.weights) {
            (Layer::Linear(linear), Some(weights)) => Some((linear, weights)),
            _ => None,
        }
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
            let channels = self.shapes[0].channels.min(scale.len());
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
        Ok(self.push_linear(
            &node.name,
            vec![pointwise(tensor.id, scale.len())],
            weights,
            tensor.dims.clone(),
        ))
    }

    /// Whether the tensor is the image, or the image flattened and treated alike everywhere, and
    /// nothing else reads it.
    fn is_image(&self, tensor: &Tensor, scale: &[f64], offset: &[f64]) -> bool {
        let alike = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        let below = tensor.id.0.checked_sub(1).and_then(|i| self.layers.get(i));
        let flat = match below.map(|lowered| &lowered.layer) {
            Some(Layer::Flatten { input }) => {
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
    pub fn sum(&mut self, node: &Node, operands: [&Tensor; 2]) -> Value {
        let channels = self.shape(operands[0]).channels;
        let mut terms = vec![];
        let mut weights = FloatWeights {
            terms: vec![],
            bias: vec![0.0; channels],
            clamp: Clamp::NONE,
        };
        for tensor in operands {
            match self.open(tensor) {
                // The operand's own layer is read by nothing any more and pruned at the end.
                Some((linear, parts)) => {
                    terms.extend(linear.terms.iter().cloned());
                    weights.terms.append(&mut parts.terms);
                    for (sum, bias) in weights.bias.iter_mut().zip(&parts.bias) {
                        *sum += bias;
                    }
                }
                None => {
                    terms.push(pointwise(tensor.id, channels));
                    weights.terms.push(vec![1.0; channels]);
                }
            }
        }
        self.push_linear(&node.name, terms, weights, operands[0].dims.clone())
    }

    /// The tensor clamped.
    pub fn clamp(&mut self, node: &Node, tensor: &Tensor, clamp: Clamp) -> Value {
        let bounds = self.bounds(tensor.id);
        if bounds.then(clamp) == bounds {
            return Value::Tensor(tensor.clone());
        }
        if let Some((_, weights)) = self.last(tensor) {
            weights.clamp = weights.clamp.then(clamp);
            return Value::Tensor(tensor.clone());
        }
        let channels = self.shape(tensor).channels;
        let weights = FloatWeights::identity(channels, clamp);
        let terms = vec![pointwise(tensor.id, channels)];
        self.push_linear(&node.name, terms, weights, tensor.dims.clone())
    }

    /// Whether a byte stands for zero in a tensor, so that it can have a border: the sums of a
    /// pooling have their zero at a multiple of the byte's, and an image may have several.
    pub fn has_zero_byte(&self, id: TensorId) -> bool {
        let Some(index) = id.0.checked_sub(1) else {
            return self.pixels().zero_byte().is_some();
        };
        match &self.layers[index].layer {
            Layer::SumPool(_) => self.bounds(id).low >= 0.0,
            _ => true,
        }
    }

    /// A layer that requantizes a tensor.
    pub fn copied(&mut self, node: &Node, tensor: &Tensor) -> TensorId {
        let shape = self.shape(tensor);
        let weights = FloatWeights::identity(shape.channels, Clamp::NONE);
        let terms = vec![pointwise(tensor.id, shape.channels)];
        let dims = vec![shape.channels, shape.height, shape.width];
        self.push_linear(&node.name, terms, weights, dims);
        TensorId(self.layers.len())
    }

    /// Values a tensor is known to lie between.
    fn bounds(&self, id: TensorId) -> Clamp {
        let Some(index) = id.0.checked_sub(1) else {
            return Clamp::NONE;
        };
        match &self.layers[index] {
            Lowered {
                weights: Some(weights),
                ..
            } => weights.clamp,
            Lowered { layer, .. } => match layer {
                Layer::SumPool(pool) => self.bounds(pool.input),
                Layer::Flatten { input } => self.bounds(*input),
                Layer::Linear(_) => Clamp::NONE,
            },
        }
    }
}

/// Multiplies the weights of every output channel.
fn scale_outputs(term: &Term, channels: usize, values: &mut [f32], scale: &[f64]) {
    let outputs = channels / term.groups;
    let per_group = values.len() / term.groups;
    for (group, scale) in values
        .chunks_mut(per_group.max(1))
        .zip(scale.chunks(outputs))
    {
        for run in group.chunks_mut(outputs) {
            for (value, scale) in run.iter_mut().zip(scale) {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    }
}
