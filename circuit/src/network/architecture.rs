//! The public half of a model: layer kinds, shapes and number formats. It fixes the circuit: models whose
//! architectures are equal but for names share one verifying key. The weights stay private, but two things in here
//! follow from them: [`Architecture::range_bits`] and [`Padding::value`]. So models of one topology may have
//! different keys, and the key tells these numbers.

use super::MaxPool;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Shape of one sample's tensor, channels first as in ONNX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Number of channels.
    pub channels: usize,
    /// Rows of a channel.
    pub height: usize,
    /// Columns of a channel.
    pub width: usize,
}

impl Shape {
    /// A shape of `channels x height x width`.
    pub const fn new(channels: usize, height: usize, width: usize) -> Self {
        Self {
            channels,
            height,
            width,
        }
    }
    /// Positions in one channel.
    pub const fn positions(&self) -> usize {
        self.height * self.width
    }
    /// Channel, row and column of a cell.
    pub const fn place(&self, index: usize) -> (usize, usize, usize) {
        let (line, x) = (index / self.width, index % self.width);
        (line / self.height, line % self.height, x)
    }
    /// Cells of one sample.
    pub const fn cells(&self) -> usize {
        self.channels * self.positions()
    }
}

/// Index of a tensor: 0 is the input image, `i + 1` is the output of layer `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TensorId(pub usize);

impl TensorId {
    /// The input image.
    pub const INPUT: Self = Self(0);
}

/// Border of a convolution's input, in positions, and the byte it is filled with (the zero
/// point of the input tensor).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Padding {
    /// Rows added above.
    pub top: usize,
    /// Columns added on the left.
    pub left: usize,
    /// Rows added below.
    pub bottom: usize,
    /// Columns added on the right.
    pub right: usize,
    /// The byte the border holds. Public, and follows from the values the model makes.
    pub value: u8,
}

/// One linear read of an input tensor: a convolution (dense is 1x1 over a flattened tensor,
/// a residual addition is 1x1 with as many groups as channels).
///
/// Weights of a term are ordered `[group][input channel of the group][ky][kx][output channel of
/// the group]`: output channel fastest, the order of the committed column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    /// The tensor that is read.
    pub input: TensorId,
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
    /// Border of the input.
    pub padding: Padding,
    /// Channel groups: 1 for a plain convolution, the number of channels for a depthwise one.
    pub groups: usize,
}

/// What becomes of the accumulators of a linear layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// `clamp(acc >> fraction_bits, 0, 255)`.
    Activation,
    /// The accumulators themselves, one per class; only the last layer, with 1x1 positions.
    Logits,
}

/// A sum of convolutions of earlier tensors plus a bias per output channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Linear {
    /// Name in the source model, for the owner's messages; empty in what is public.
    pub name: String,
    /// The tensors read, added up.
    pub terms: Vec<Term>,
    /// Output shape, equal for every term.
    pub shape: Shape,
    /// What becomes of the accumulators.
    pub output: Output,
}

/// Sum over windows without padding, not requantized: average pooling, whose division the
/// reader's weights absorb.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SumPool {
    /// Name in the source model, for the owner's messages; empty in what is public.
    pub name: String,
    /// The tensor that is read.
    pub input: TensorId,
    /// Window height and width.
    pub kernel: (usize, usize),
    /// Vertical and horizontal stride.
    pub stride: (usize, usize),
}

/// One layer. [`Layer::Linear`] and [`Layer::MaxPool`] commit cells; the others are views of
/// committed cells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layer {
    /// Convolution, dense, residual addition.
    Linear(Linear),
    /// Average or global pooling.
    SumPool(SumPool),
    /// Max pooling.
    MaxPool(MaxPool),
    /// `(c, h, w)` read as `(c*h*w, 1, 1)`.
    Flatten {
        /// The tensor that is read.
        input: TensorId,
    },
}

/// Layers, shapes and number formats of an integer network: everything but the weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Architecture {
    /// Shape of an input image, a byte a cell.
    pub input: Shape,
    /// Fraction bits `s` of every weight, 4 to 8.
    pub fraction_bits: u32,
    /// Requantized values before the clip lie in `[-2^(range_bits-1), 2^(range_bits-1))`. Public, and unless it
    /// was chosen the least that the weights allow.
    pub range_bits: u32,
    /// Layers in evaluation order; the last one gives the logits.
    pub layers: Vec<Layer>,
}

/// Why an architecture is refused.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArchitectureError {
    /// A layer reads a tensor that does not exist before it.
    #[error("layer {layer} reads tensor {tensor}, but only tensors 0..={layer} exist before it")]
    UnknownTensor {
        /// Index of the layer.
        layer: usize,
        /// The tensor it names.
        tensor: usize,
    },
    /// A shape does not follow from the layer's inputs.
    #[error("layer {layer}: expected output {expected:?}, found {found:?}")]
    ShapeMismatch {
        /// Index of the layer.
        layer: usize,
        /// What its inputs give.
        expected: Shape,
        /// What it declares.
        found: Shape,
    },
    /// A kernel, stride or group count that no tensor fits.
    #[error("layer {layer}: {reason}")]
    BadLayer {
        /// Index of the layer.
        layer: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The logits are missing, not last, or not one position.
    #[error("the last layer, and only it, must give logits of shape classes x 1 x 1")]
    BadLogits,
    /// A number format outside what the tables hold.
    #[error("{what} must be in {min}..={max}, found {found}")]
    BadFormat {
        /// The field.
        what: &'static str,
        /// Least value.
        min: u32,
        /// Greatest value.
        max: u32,
        /// What was found.
        found: u32,
    },
    /// A tensor of nothing.
    #[error("every tensor needs at least one cell, found one of shape {found:?}; check the declared sides")]
    NoCells {
        /// Its shape.
        found: Shape,
    },
    /// Larger than any circuit this program lays out.
    #[error("the network is too large: {what} is {found}, at most {max} are supported; use a smaller network or smaller images")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// The count.
        found: usize,
        /// The limit.
        max: usize,
    },
}

/// Logits and their differences stay below this; the circuit compares 32 bits.
pub(super) const LOGIT_BOUND: i128 = 1 << 30;

impl Term {
    /// Output positions of this term for an input of `shape`, or `None` where the kernel does
    /// not fit.
    pub(super) fn positions(&self, shape: Shape) -> Option<(usize, usize)> {
        let span = |size: usize, before: usize, after: usize, kernel: usize, stride: usize| {
            let room = size.checked_add(before)?.checked_add(after)?;
            Some(room.checked_sub(kernel)? / stride + 1)
        };
        let p = &self.padding;
        Some((
            span(shape.height, p.top, p.bottom, self.kernel.0, self.stride.0)?,
            span(shape.width, p.left, p.right, self.kernel.1, self.stride.1)?,
        ))
    }

    /// Number of weights between `input` and `output` channels.
    pub fn weights(&self, input: usize, output: usize) -> usize {
        input / self.groups * output * self.kernel.0 * self.kernel.1
    }
}

impl Layer {
    /// Activations committed for each cell of the output: none where the layer is a view, or gives logits.
    pub fn committed(&self) -> usize {
        match self {
            Self::Linear(linear) if linear.output == Output::Activation => 1,
            Self::MaxPool(pool) => pool.steps(),
            Self::Linear(_) | Self::SumPool(_) | Self::Flatten { .. } => 0,
        }
    }
}

impl Architecture {
    /// The same without the names that its layers have in the source model: what may be shown to others. Names fix
    /// nothing.
    pub fn without_names(&self) -> Self {
        let mut architecture = self.clone();
        for layer in &mut architecture.layers {
            match layer {
                Layer::Linear(linear) => linear.name.clear(),
                Layer::SumPool(pool) => pool.name.clear(),
                Layer::MaxPool(pool) => pool.name.clear(),
                Layer::Flatten { .. } => {}
            }
        }
        architecture
    }

    /// By tensor, the last layer that reads it; the next layer where none does.
    pub(super) fn last_readers(&self) -> Vec<usize> {
        let mut last: Vec<usize> = (0..=self.layers.len()).collect();
        for (index, layer) in self.layers.iter().enumerate() {
            let mut read = |id: TensorId| {
                if let Some(last) = last.get_mut(id.0) {
                    *last = index;
                }
            };
            match layer {
                Layer::Linear(linear) => linear.terms.iter().for_each(|term| read(term.input)),
                Layer::SumPool(pool) => read(pool.input),
                Layer::MaxPool(pool) => read(pool.input),
                Layer::Flatten { input } => read(*input),
            }
        }
        last
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        match self.layers.last() {
            Some(Layer::Linear(linear)) => linear.shape.channels,
            _ => 0,
        }
    }

    /// Least and greatest accumulator the tables hold for a layer with this output.
    pub fn allowed(&self, output: Output) -> (i128, i128) {
        match output {
            Output::Logits => (-LOGIT_BOUND, LOGIT_BOUND),
            Output::Activation => {
                let half = 1i128 << (self.range_bits - 1) << self.fraction_bits;
                (-half, half - 1)
            }
        }
    }
}
