//! The layers of a model while its file is read: what every format is lowered to.

use super::float::{Clamp, FloatModel, FloatWeights, OutputScale};
use super::residual::pointwise;
use super::{ImportError, Normalization};
use crate::network::{Architecture, Layer, Linear, Output, Shape, TensorId, Term};

/// A layer and, if linear, its parameters.
pub(super) struct Lowered {
    /// The layer.
    pub layer: Layer,
    /// Parameters of a linear one.
    pub weights: Option<FloatWeights>,
    /// What a file that is quantized already rounds the output to.
    pub rounding: Option<OutputScale>,
}

/// Why a softmax at the end is left out.
pub(super) const KEEPS_ORDER: &str =
    "it keeps the order of the classes, and the logits are what is ranked";

/// Layers in evaluation order, and what they make.
pub(super) struct Stack {
    /// The layers.
    pub layers: Vec<Lowered>,
    /// Shapes of the tensors, the image first.
    pub shapes: Vec<Shape>,
    /// What was left out of the file, and why that is no loss; for the report.
    pub notes: Vec<String>,
}

impl Stack {
    /// No layers yet.
    pub fn new(input: Shape) -> Self {
        Self {
            layers: vec![],
            shapes: vec![input],
            notes: vec![],
        }
    }

    /// The layers of a model, to change them.
    pub fn of(model: &FloatModel) -> Self {
        let mut weights = model.weights.iter().cloned();
        let layers = model.architecture.layers.iter().zip(&model.roundings);
        let lowered = layers.map(|(layer, rounding)| Lowered {
            layer: layer.clone(),
            weights: match layer {
                Layer::Linear(_) => weights.next(),
                _ => None,
            },
            rounding: *rounding,
        });
        Self {
            layers: lowered.collect(),
            shapes: model.shapes.clone(),
            notes: model.notes.clone(),
        }
    }

    /// Notes that a node is left out.
    pub fn left_out(&mut self, node: &str, op: &str, reason: &str) {
        self.notes
            .push(format!("{node} ({op}) is left out: {reason}"));
    }

    /// The tensor the last layer makes.
    pub fn last(&self) -> TensorId {
        TensorId(self.layers.len())
    }

    /// Adds a view of a tensor: pooling, flatten.
    pub fn push_view(&mut self, layer: Layer, shape: Shape) -> TensorId {
        self.shapes.push(shape);
        self.layers.push(Lowered {
            layer,
            weights: None,
            rounding: None,
        });
        self.last()
    }

    /// Adds a linear layer.
    pub fn push_linear(
        &mut self,
        name: &str,
        terms: Vec<Term>,
        weights: FloatWeights,
        shape: Shape,
    ) -> TensorId {
        self.shapes.push(shape);
        self.layers.push(Lowered {
            layer: Layer::Linear(Linear {
                name: name.into(),
                terms,
                shape,
                output: Output::Activation,
            }),
            weights: Some(weights),
            rounding: None,
        });
        self.last()
    }

    /// Adds a layer that requantizes a tensor, clamped.
    pub fn push_identity(&mut self, name: &str, input: TensorId, clamp: Clamp) -> TensorId {
        let shape = self.shapes[input.0];
        let weights = FloatWeights::identity(shape.channels, clamp);
        let terms = vec![pointwise(input, shape.channels)];
        self.push_linear(name, terms, weights, shape)
    }

    /// Adds the sum of two tensors of one shape.
    pub fn push_sum(&mut self, name: &str, operands: [TensorId; 2], clamp: Clamp) -> TensorId {
        let shape = self.shapes[operands[0].0];
        let weights = FloatWeights {
            terms: vec![vec![1.0; shape.channels]; 2],
            ..FloatWeights::identity(shape.channels, clamp)
        };
        let terms = operands.map(|id| pointwise(id, shape.channels));
        self.push_linear(name, terms.to_vec(), weights, shape)
    }

    /// The linear layer that makes a tensor, if one does.
    pub fn linear(&mut self, id: TensorId) -> Option<(&mut Linear, &mut FloatWeights)> {
        let lowered = self.layers.get_mut(id.0.checked_sub(1)?)?;
        match (&mut lowered.layer, &mut lowered.weights) {
            (Layer::Linear(linear), Some(weights)) => Some((linear, weights)),
            _ => None,
        }
    }

    /// Values a tensor is known to lie between.
    pub fn bounds(&self, mut id: TensorId) -> Clamp {
        while let Some(lowered) = id.0.checked_sub(1).and_then(|i| self.layers.get(i)) {
            id = match (&lowered.layer, &lowered.weights) {
                (_, Some(weights)) => return weights.clamp,
                (Layer::SumPool(pool), _) => pool.input,
                (Layer::MaxPool(pool), _) => pool.input,
                (Layer::Flatten { input }, _) => *input,
                (Layer::Linear(_), None) => break,
            };
        }
        Clamp::NONE
    }

    /// Whether a byte stands for zero in a tensor, so that it can have a border: the sums of a
    /// pooling have their zero at a multiple of the byte's, and an image may have several.
    pub fn has_zero_byte(&self, id: TensorId, pixels: &Normalization) -> bool {
        let Some(index) = id.0.checked_sub(1) else {
            return pixels.zero_byte().is_some();
        };
        match &self.layers[index].layer {
            Layer::SumPool(_) => self.bounds(id).low >= 0.0,
            Layer::MaxPool(pool) => self.has_zero_byte(pool.input, pixels),
            _ => true,
        }
    }

    /// The model whose logits `last`, a linear layer, makes, without the layers it does not need.
    pub fn finish(
        self,
        last: TensorId,
        normalization: Normalization,
    ) -> Result<FloatModel, ImportError> {
        let input = self.shapes[0];
        normalization.check(input.channels)?;
        let notes = self.notes.clone();
        let (layers, weights, roundings) = self.prune(last);
        let architecture = Architecture {
            input,
            fraction_bits: 8,
            range_bits: 20,
            layers,
        };
        FloatModel::new(architecture, normalization, weights, roundings, notes)
    }

    /// The layers `last` needs, renumbered, their parameters and roundings.
    fn prune(self, last: TensorId) -> (Vec<Layer>, Vec<FloatWeights>, Vec<Option<OutputScale>>) {
        let mut needed = vec![false; self.layers.len() + 1];
        needed[last.0] = true;
        for (index, lowered) in self.layers.iter().enumerate().rev() {
            if needed[index + 1] {
                match &lowered.layer {
                    Layer::Linear(linear) => {
                        linear.terms.iter().for_each(|t| needed[t.input.0] = true)
                    }
                    Layer::SumPool(pool) => needed[pool.input.0] = true,
                    Layer::MaxPool(pool) => needed[pool.input.0] = true,
                    Layer::Flatten { input } => needed[input.0] = true,
                }
            }
        }
        let mut renumbered = vec![TensorId::INPUT; self.layers.len() + 1];
        let (mut layers, mut weights, mut roundings) = (vec![], vec![], vec![]);
        for (index, mut lowered) in self.layers.into_iter().enumerate() {
            if !needed[index + 1] {
                continue;
            }
            let moved = |id: &mut TensorId| *id = renumbered[id.0];
            match &mut lowered.layer {
                Layer::Linear(linear) => {
                    linear.terms.iter_mut().for_each(|t| moved(&mut t.input));
                    if index + 1 == last.0 {
                        linear.output = Output::Logits;
                    }
                }
                Layer::SumPool(pool) => moved(&mut pool.input),
                Layer::MaxPool(pool) => moved(&mut pool.input),
                Layer::Flatten { input } => moved(input),
            }
            layers.push(lowered.layer);
            weights.extend(lowered.weights);
            roundings.push(lowered.rounding);
            renumbered[index + 1] = TensorId(layers.len());
        }
        (layers, weights, roundings)
    }
}

/// Whether the border is narrower than the kernel, as the architecture demands.
pub(super) fn kernel_fits(term: &Term) -> bool {
    let p = &term.padding;
    p.top.max(p.bottom) < term.kernel.0 && p.left.max(p.right) < term.kernel.1
}

/// Cells before and after, so that a side of `size` has `ceil(size / stride)` outputs; an odd one
/// goes after.
pub(super) fn same(size: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let outputs = size.div_ceil(stride);
    let reach = outputs
        .saturating_sub(1)
        .saturating_mul(stride)
        .saturating_add(kernel);
    let total = reach.saturating_sub(size);
    (total / 2, total - total / 2)
}
