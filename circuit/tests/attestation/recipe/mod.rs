//! Recipes of random networks that fit a small circuit.

use proptest::{collection::vec, prelude::*};
use rand::{rngs::StdRng, Rng};
use zknode_circuit::{
    layout::{Grid, Layout, LayoutOptions},
    network::*,
};

pub mod cut;

/// A hidden layer; what does not fit its input is made to fit, or left out.
#[derive(Clone, Debug)]
enum Op {
    Conv {
        kernel: (usize, usize),
        stride: (usize, usize),
        /// Top, left, bottom, right.
        padding: [usize; 4],
        border: u8,
        /// Output channels; none for a depthwise convolution.
        outputs: Option<usize>,
        /// Reads its input twice, with groups and without.
        twice: bool,
    },
    /// A convolution that keeps the shape, 1x1 or 3x3, and the earliest tensor of this shape.
    Residual { wide: bool, border: u8 },
    Pool {
        kernel: (usize, usize),
        stride: (usize, usize),
    },
    /// The greatest of windows of a committed tensor.
    MaxPool {
        kernel: (usize, usize),
        stride: (usize, usize),
        /// Top, left, bottom, right.
        padding: [usize; 4],
    },
}

/// How a network is spread over a circuit.
#[derive(Clone, Debug)]
struct Spread {
    lanes: usize,
    samples: usize,
    grid: Grid,
    top_k: usize,
}

/// Everything that a network and its layout follow from.
#[derive(Clone, Debug)]
pub struct Recipe {
    architecture: Architecture,
    spread: Spread,
    /// Of weights, images, labels and their number.
    pub seed: u64,
}

fn op() -> impl Strategy<Value = Op> {
    let pair = |most: usize| (1..=most, 1..=most);
    let conv = (
        pair(3),
        pair(2),
        proptest::array::uniform4(0..3usize),
        any::<u8>(),
        (proptest::option::of(1..=4usize), any::<bool>()),
    )
        .prop_map(|(kernel, stride, padding, border, rest)| Op::Conv {
            kernel,
            stride,
            padding,
            border,
            outputs: rest.0,
            twice: rest.1,
        });
    let residual =
        (any::<bool>(), any::<u8>()).prop_map(|(wide, border)| Op::Residual { wide, border });
    let pool = (pair(2), pair(2)).prop_map(|(kernel, stride)| Op::Pool { kernel, stride });
    let max_pool = (pair(3), pair(3), proptest::array::uniform4(0..3usize)).prop_map(
        |(kernel, stride, padding)| Op::MaxPool {
            kernel,
            stride,
            padding,
        },
    );
    prop_oneof![3 => conv, 2 => residual, 1 => pool, 2 => max_pool]
}

pub fn recipe() -> impl Strategy<Value = Recipe> {
    let shape = (1..=3usize, 1..=5usize, 1..=5usize);
    let options = (
        4..=5u32,
        9..=10u32,
        prop_oneof![
            Just(8usize),
            Just(9),
            Just(10),
            Just(11),
            Just(12),
            Just(13)
        ],
        1..=2usize,
    );
    let layers = (
        vec(op(), 0..4),
        proptest::option::of(1..=5usize),
        2..=5usize,
    );
    (shape, layers, options, 1..=5usize, any::<u64>()).prop_map(
        |(input, (ops, hidden, classes), options, top_k, seed)| {
            let (fraction_bits, range_bits, lanes, rows_per_cell) = options;
            let input = Shape::new(input.0, input.1, input.2);
            Recipe {
                architecture: architecture(
                    input,
                    &ops,
                    (hidden, classes),
                    (fraction_bits, range_bits),
                ),
                spread: Spread {
                    lanes,
                    samples: lanes * rows_per_cell,
                    grid: Grid::WHOLE,
                    top_k: top_k.min(classes),
                },
                seed,
            }
        },
    )
}

/// Layers so far and the shapes of all tensors, the input first.
struct Builder {
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
}

/// Padding, top, left, bottom and right, that leaves no window in the border.
fn within(padding: [usize; 4], kernel: (usize, usize), value: u8) -> Padding {
    Padding {
        top: padding[0].min(kernel.0 - 1),
        left: padding[1].min(kernel.1 - 1),
        bottom: padding[2].min(kernel.0 - 1),
        right: padding[3].min(kernel.1 - 1),
        value,
    }
}

fn plain(input: usize, groups: usize) -> Term {
    Term {
        input: TensorId(input),
        kernel: (1, 1),
        stride: (1, 1),
        padding: Padding::default(),
        groups,
    }
}

impl Builder {
    fn last(&self) -> (usize, Shape) {
        (self.shapes.len() - 1, *self.shapes.last().unwrap())
    }

    fn push(&mut self, layer: Layer, shape: Shape) {
        self.layers.push(layer);
        self.shapes.push(shape);
    }

    fn linear(&mut self, terms: Vec<Term>, shape: Shape, output: Output) {
        let name = format!("layer {}", self.layers.len());
        let linear = Linear {
            name,
            terms,
            shape,
            output,
        };
        self.push(Layer::Linear(linear), shape);
    }

    fn op(&mut self, op: &Op) {
        let (tensor, from) = self.last();
        let span = |size: usize, around: usize, kernel: usize, stride: usize| {
            Some((size + around).checked_sub(kernel)? / stride + 1)
        };
        match *op {
            Op::Pool { kernel, stride } => {
                let height = span(from.height, 0, kernel.0, stride.0);
                let width = span(from.width, 0, kernel.1, stride.1);
                if let (Some(height), Some(width)) = (height, width) {
                    let pool = SumPool {
                        name: format!("pool {tensor}"),
                        input: TensorId(tensor),
                        kernel,
                        stride,
                    };
                    let shape = Shape::new(from.channels, height, width);
                    self.push(Layer::SumPool(pool), shape);
                }
            }
            Op::MaxPool {
                kernel,
                stride,
                padding,
            } => {
                let padding = within(padding, kernel, 0);
                let (high, wide) = (padding.top + padding.bottom, padding.left + padding.right);
                let height = span(from.height, high, kernel.0, stride.0);
                let width = span(from.width, wide, kernel.1, stride.1);
                let committed = !matches!(self.layers.last(), Some(Layer::SumPool(_)));
                if let (Some(height), Some(width), true, true) =
                    (height, width, committed, kernel.0 * kernel.1 > 1)
                {
                    let pool = MaxPool {
                        name: format!("max pool {tensor}"),
                        input: TensorId(tensor),
                        kernel,
                        stride,
                        padding,
                    };
                    let shape = Shape::new(from.channels, height, width);
                    self.push(Layer::MaxPool(pool), shape);
                }
            }
            Op::Conv {
                kernel,
                stride,
                padding,
                border,
                outputs,
                twice,
            } => {
                let padding = within(padding, kernel, border);
                let (high, wide) = (padding.top + padding.bottom, padding.left + padding.right);
                let height = span(from.height, high, kernel.0, stride.0);
                let width = span(from.width, wide, kernel.1, stride.1);
                let (Some(height), Some(width)) = (height, width) else {
                    return;
                };
                let shape = Shape::new(outputs.unwrap_or(from.channels), height, width);
                // As many groups as there can be.
                let groups = (1..=from.channels).filter(|g| {
                    from.channels.is_multiple_of(*g) && shape.channels.is_multiple_of(*g)
                });
                let term = Term {
                    input: TensorId(tensor),
                    kernel,
                    stride,
                    padding,
                    groups: groups.max().unwrap(),
                };
                let again = twice.then(|| Term {
                    groups: 1,
                    ..term.clone()
                });
                let terms = [term].into_iter().chain(again).collect();
                self.linear(terms, shape, Output::Activation);
            }
            Op::Residual { wide, border } => {
                let margin = usize::from(wide);
                let term = Term {
                    kernel: (2 * margin + 1, 2 * margin + 1),
                    padding: Padding {
                        top: margin,
                        left: margin,
                        bottom: margin,
                        right: margin,
                        value: border,
                    },
                    ..plain(tensor, 1)
                };
                let earliest = self.shapes.iter().position(|&other| other == from);
                let skip = plain(earliest.unwrap(), from.channels);
                self.linear(vec![term, skip], from, Output::Activation);
            }
        }
    }
}

fn architecture(
    input: Shape,
    ops: &[Op],
    (hidden, classes): (Option<usize>, usize),
    (fraction_bits, range_bits): (u32, u32),
) -> Architecture {
    let mut builder = Builder {
        layers: vec![],
        shapes: vec![input],
    };
    ops.iter().for_each(|op| builder.op(op));
    let (tensor, shape) = builder.last();
    let flatten = Layer::Flatten {
        input: TensorId(tensor),
    };
    builder.push(flatten, Shape::new(shape.cells(), 1, 1));
    let dense = hidden.map(|neurons| (neurons, Output::Activation));
    for (neurons, output) in dense.into_iter().chain([(classes, Output::Logits)]) {
        let (tensor, _) = builder.last();
        builder.linear(vec![plain(tensor, 1)], Shape::new(neurons, 1, 1), output);
    }
    Architecture {
        input,
        fraction_bits,
        range_bits,
        layers: builder.layers,
    }
}

impl Recipe {
    /// Random weights, lessened here and there until the network is total.
    pub fn network(&self, rng: &mut StdRng) -> Network {
        let architecture = &self.architecture;
        let shapes = architecture.shapes().unwrap();
        let linears = architecture.layers.iter().filter_map(|layer| match layer {
            Layer::Linear(linear) => Some(linear),
            _ => None,
        });
        let mut random = |count: usize, most: i64| -> Vec<i64> {
            (0..count).map(|_| rng.gen_range(-most..=most)).collect()
        };
        let most_bias = 1 << (architecture.range_bits + architecture.fraction_bits - 2);
        let mut layers = vec![];
        let mut names = vec![];
        for linear in linears {
            let outputs = linear.shape.channels;
            let weights = |term: &Term| term.weights(shapes[term.input.0].channels, outputs);
            layers.push(LinearWeights {
                terms: linear.terms.iter().map(|t| random(weights(t), 6)).collect(),
                bias: random(outputs, most_bias),
            });
            names.push(linear.name.clone());
        }
        let mut weights = Weights { layers };
        loop {
            match Network::new(architecture.clone(), weights.clone()) {
                Ok(network) => return network,
                Err(NetworkError::NotTotal { layer, .. }) => {
                    let index = names.iter().position(|name| *name == layer).unwrap();
                    let layer = &mut weights.layers[index];
                    for weight in layer.terms.iter_mut().flatten() {
                        *weight -= weight.signum() * rng.gen_range(0..=1);
                    }
                    layer.bias.iter_mut().for_each(|bias| *bias -= *bias / 8);
                }
                Err(other) => unreachable!("{other}"),
            }
        }
    }

    /// The smallest layout.
    pub fn layout(&self, network: &Network) -> Layout {
        let fits = |k| {
            let options = LayoutOptions {
                k,
                lanes: self.spread.lanes,
                samples: self.spread.samples,
                grid: self.spread.grid,
                top_k: self.spread.top_k,
            };
            Layout::new(network.architecture().clone(), options).ok()
        };
        (9..=13).find_map(fits).unwrap()
    }
}
