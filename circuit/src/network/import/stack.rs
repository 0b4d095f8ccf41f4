//! The layers of a model while its file is read: what every format is lowered to.

use super::float::{Clamp, FloatModel, FloatWeights, OutputScale};
use super::residual::pointwise;
use super::{ImportError, Normalization};
use crate::network::shapes::MAX_WEIGHTS;
use crate::network::{Architecture, Layer, Linear, Output, Shape, TensorId, Term};

/// What makes a tensor.
pub(super) enum Step {
    /// A layer of the network.
    Layer(Layer),
    /// Channels of several tensors, one after the other; see [`super::concat`].
    Concat(Vec<TensorId>),
}

/// A layer and, if linear, its parameters.
pub(super) struct Lowered {
    /// The layer.
    pub step: Step,
    /// Parameters of a linear one.
    pub weights: Option<FloatWeights>,
    /// What a file that is quantized already rounds the output to.
    pub rounding: Option<OutputScale>,
    /// Whether it is known that nothing else reads what it reads.
    pub alone: bool,
}

impl Lowered {
    fn new(step: Step) -> Self {
        Self {
            step,
            weights: None,
            rounding: None,
            alone: false,
        }
    }

    /// The tensors it reads, once for every term.
    pub fn inputs(&self) -> Vec<TensorId> {
        match &self.step {
            Step::Concat(inputs) => inputs.clone(),
            Step::Layer(Layer::Linear(linear)) => linear.terms.iter().map(|t| t.input).collect(),
            Step::Layer(Layer::SumPool(pool)) => vec![pool.input],
            Step::Layer(Layer::MaxPool(pool)) => vec![pool.input],
            Step::Layer(Layer::Flatten { input }) => vec![*input],
        }
    }

    /// The same, to renumber them.
    fn inputs_mut(&mut self) -> Vec<&mut TensorId> {
        match &mut self.step {
            Step::Concat(inputs) => inputs.iter_mut().collect(),
            Step::Layer(Layer::Linear(linear)) => {
                linear.terms.iter_mut().map(|t| &mut t.input).collect()
            }
            Step::Layer(Layer::SumPool(pool)) => vec![&mut pool.input],
            Step::Layer(Layer::MaxPool(pool)) => vec![&mut pool.input],
            Step::Layer(Layer::Flatten { input }) => vec![input],
        }
    }
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
    /// Weights and biases of all layers.
    weights: usize,
}

impl Stack {
    /// No layers yet.
    pub fn new(input: Shape) -> Self {
        Self {
            layers: vec![],
            shapes: vec![input],
            notes: vec![],
            weights: 0,
        }
    }

    /// The layers of a model, to change them.
    pub fn of(model: &FloatModel) -> Self {
        let mut weights = model.weights.iter().cloned();
        let layers = model.architecture.layers.iter().zip(&model.roundings);
        let lowered = layers.map(|(layer, rounding)| Lowered {
            weights: match layer {
                Layer::Linear(_) => weights.next(),
                _ => None,
            },
            rounding: *rounding,
            ..Lowered::new(Step::Layer(layer.clone()))
        });
        Self {
            layers: lowered.collect(),
            shapes: model.shapes.clone(),
            notes: model.notes.clone(),
            weights: model.weights.iter().map(FloatWeights::count).sum(),
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
        self.layers.push(Lowered::new(Step::Layer(layer)));
        self.last()
    }

    /// Adds the channels of several tensors of one height and width, one after the other.
    pub fn push_concat(&mut self, inputs: Vec<TensorId>) -> TensorId {
        let shapes = inputs.iter().map(|id| self.shapes[id.0]);
        let channels = shapes.clone().map(|shape| shape.channels).sum();
        let first = shapes.clone().next().unwrap_or(self.shapes[0]);
        self.shapes.push(Shape { channels, ..first });
        self.layers.push(Lowered::new(Step::Concat(inputs)));
        self.last()
    }

    /// Whether it is known that nothing else reads what the layer just added reads.
    pub fn alone_last(&mut self, alone: bool) {
        if let Some(lowered) = self.layers.last_mut() {
            lowered.alone = alone;
        }
    }

    /// What a file that is quantized already rounds the tensor to that was just added.
    pub fn round_last(&mut self, rounding: Option<OutputScale>) {
        if let Some(lowered) = self.layers.last_mut() {
            lowered.rounding = rounding;
        }
    }

    /// Counts the weights and biases of a layer before they are made: an operator without constants, such as a
    /// sum, takes some bytes of a file and as many weights as a tensor has channels.
    pub fn reserve(&mut self, weights: usize) -> Result<(), ImportError> {
        let found = self.weights.saturating_add(weights);
        if found > MAX_WEIGHTS {
            return Err(ImportError::TooLarge {
                what: "the number of weights and biases",
                found,
                max: MAX_WEIGHTS,
            });
        }
        self.weights = found;
        Ok(())
    }

    /// Adds a linear layer.
    pub fn push_linear(
        &mut self,
        name: &str,
        terms: Vec<Term>,
        weights: FloatWeights,
        shape: Shape,
    ) -> Result<TensorId, ImportError> {
        self.reserve(weights.count())?;
        Ok(self.push_reserved(name, terms, weights, shape))
    }

    /// Adds a linear layer whose weights are counted already.
    fn push_reserved(
        &mut self,
        name: &str,
        terms: Vec<Term>,
        weights: FloatWeights,
        shape: Shape,
    ) -> TensorId {
        self.shapes.push(shape);
        let linear = Linear {
            name: name.into(),
            terms,
            shape,
            output: Output::Activation,
        };
        self.layers.push(Lowered {
            weights: Some(weights),
            ..Lowered::new(Step::Layer(Layer::Linear(linear)))
        });
        self.last()
    }

    /// Adds a layer that requantizes a tensor, clamped.
    pub fn push_identity(
        &mut self,
        name: &str,
        input: TensorId,
        clamp: Clamp,
    ) -> Result<TensorId, ImportError> {
        let shape = self.shapes[input.0];
        self.reserve(shape.channels.saturating_mul(2))?;
        let weights = FloatWeights::identity(shape.channels, clamp);
        let terms = vec![pointwise(input, shape.channels)];
        Ok(self.push_reserved(name, terms, weights, shape))
    }

    /// Adds the sum of two tensors of one shape.
    pub fn push_sum(
        &mut self,
        name: &str,
        operands: [TensorId; 2],
        clamp: Clamp,
    ) -> Result<TensorId, ImportError> {
        let shape = self.shapes[operands[0].0];
        self.reserve(shape.channels.saturating_mul(3))?;
        let weights = FloatWeights {
            terms: vec![vec![1.0; shape.channels]; 2],
            ..FloatWeights::identity(shape.channels, clamp)
        };
        let terms = operands.map(|id| pointwise(id, shape.channels));
        Ok(self.push_reserved(name, terms.to_vec(), weights, shape))
    }

    /// The linear layer that makes a tensor, if one does.
    pub fn linear(&mut self, id: TensorId) -> Option<(&mut Linear, &mut FloatWeights)> {
        let lowered = self.layers.get_mut(id.0.checked_sub(1)?)?;
        match (&mut lowered.step, &mut lowered.weights) {
            (Step::Layer(Layer::Linear(linear)), Some(weights)) => Some((linear, weights)),
            _ => None,
        }
    }

    /// The model whose logits `last`, a linear layer, makes, without the layers it does not need.
    pub fn finish(
        self,
        last: TensorId,
        normalization: Normalization,
    ) -> Result<FloatModel, ImportError> {
        normalization.check(self.shapes[0].channels)?;
        let (stack, last) = self.without_concats(last, &normalization)?;
        let input = stack.shapes[0];
        let notes = stack.notes.clone();
        let (layers, weights, roundings) = stack.prune(last);
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
                lowered.inputs().iter().for_each(|id| needed[id.0] = true);
            }
        }
        let mut renumbered = vec![TensorId::INPUT; self.layers.len() + 1];
        let (mut layers, mut weights, mut roundings) = (vec![], vec![], vec![]);
        for (index, mut lowered) in self.layers.into_iter().enumerate() {
            for id in lowered.inputs_mut() {
                *id = renumbered[id.0];
            }
            let Step::Layer(mut layer) = lowered.step else {
                continue;
            };
            if !needed[index + 1] {
                continue;
            }
            if let Layer::Linear(linear) = &mut layer {
                if index + 1 == last.0 {
                    linear.output = Output::Logits;
                }
            }
            layers.push(layer);
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
