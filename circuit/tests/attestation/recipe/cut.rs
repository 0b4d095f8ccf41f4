//! Recipes of random networks over images that are cut into tiles.

use super::{plain, Builder, Recipe, Spread};
use proptest::{collection::vec, prelude::*};
use zknode_circuit::{layout::Grid, network::*};

/// A hidden layer that keeps the proportion of its tiles.
#[derive(Clone, Debug)]
enum Op {
    Conv {
        kernel: (usize, usize),
        /// Halves the sides where they are even.
        halve: (bool, bool),
        /// How much of the border is above and on the left, and its byte.
        border: (usize, usize, u8),
        outputs: usize,
        depthwise: bool,
        /// Adds the input itself where the shape is kept.
        residual: bool,
    },
    /// Sums over two by two positions where the tiles have them.
    Pool,
    /// The greatest of two by two positions.
    MaxPool,
}

fn op() -> impl Strategy<Value = Op> {
    let conv = (
        (1..=5usize, 1..=5usize),
        any::<(bool, bool)>(),
        (0..3usize, 0..3usize, any::<u8>()),
        1..=4usize,
        any::<(bool, bool)>(),
    );
    let conv = conv.prop_map(|(kernel, halve, border, outputs, rest)| Op::Conv {
        kernel,
        halve,
        border,
        outputs,
        depthwise: rest.0,
        residual: rest.1,
    });
    prop_oneof![5 => conv, 1 => Just(Op::Pool), 1 => Just(Op::MaxPool)]
}

/// Networks of convolutions, a global pooling and a dense layer.
pub fn recipe() -> impl Strategy<Value = Recipe> {
    let grid = (1..=3usize, 1..=4usize).prop_map(|(rows, columns)| Grid { rows, columns });
    let grid = grid.prop_filter("one tile is no cut", |grid| *grid != Grid::WHOLE);
    let sides = (
        1..=3usize,
        prop_oneof![Just((1, 1)), Just((2, 2)), Just((4, 2)), Just((2, 4))],
    );
    let options = (4..=5u32, 9..=10u32, 1..=2usize, 2..=6usize, any::<u64>());
    (grid, sides, vec(op(), 1..4), options).prop_map(|(grid, (channels, tile), ops, options)| {
        let input = Shape::new(channels, tile.0 * grid.rows, tile.1 * grid.columns);
        let (fraction_bits, range_bits, rows_per_cell, classes, seed) = options;
        // As few lanes as rows of tiles fill, eight at least.
        let lanes = 8usize.div_ceil(grid.columns) * grid.columns;
        Recipe {
            architecture: architecture(input, grid, &ops, classes, (fraction_bits, range_bits)),
            spread: Spread {
                lanes,
                samples: match grid.rows {
                    1 => lanes / grid.columns * rows_per_cell,
                    _ => lanes / grid.columns,
                },
                grid,
                top_k: 1 + classes / 2,
            },
            seed,
        }
    })
}

fn architecture(
    input: Shape,
    grid: Grid,
    ops: &[Op],
    classes: usize,
    (fraction_bits, range_bits): (u32, u32),
) -> Architecture {
    let mut builder = Builder {
        layers: vec![],
        shapes: vec![input],
    };
    ops.iter().for_each(|op| builder.cut_op(op, grid));
    // What is pooled over all must be activations that nothing else reads.
    let (tensor, shape) = builder.last();
    builder.linear(vec![plain(tensor, 1)], shape, Output::Activation);
    let pool = SumPool {
        name: "over all".into(),
        input: TensorId(builder.last().0),
        kernel: (shape.height, shape.width),
        stride: (1, 1),
    };
    builder.push(Layer::SumPool(pool), Shape::new(shape.channels, 1, 1));
    let (tensor, _) = builder.last();
    builder.linear(
        vec![plain(tensor, 1)],
        Shape::new(classes, 1, 1),
        Output::Logits,
    );
    Architecture {
        input,
        fraction_bits,
        range_bits,
        layers: builder.layers,
    }
}

impl Builder {
    fn cut_op(&mut self, op: &Op, grid: Grid) {
        let (tensor, from) = self.last();
        let even = (
            (from.height / grid.rows).is_multiple_of(2),
            (from.width / grid.columns).is_multiple_of(2),
        );
        match *op {
            Op::Pool if even == (true, true) => {
                let pool = SumPool {
                    name: format!("pool {tensor}"),
                    input: TensorId(tensor),
                    kernel: (2, 2),
                    stride: (2, 2),
                };
                let shape = Shape::new(from.channels, from.height / 2, from.width / 2);
                self.push(Layer::SumPool(pool), shape);
            }
            Op::MaxPool
                if even == (true, true)
                    && !matches!(self.layers.last(), Some(Layer::SumPool(_))) =>
            {
                let pool = MaxPool {
                    name: format!("max pool {tensor}"),
                    input: TensorId(tensor),
                    kernel: (2, 2),
                    stride: (2, 2),
                    padding: Padding::default(),
                };
                let shape = Shape::new(from.channels, from.height / 2, from.width / 2);
                self.push(Layer::MaxPool(pool), shape);
            }
            Op::Pool | Op::MaxPool => {}
            Op::Conv {
                kernel,
                halve,
                border,
                outputs,
                depthwise,
                residual,
            } => {
                let stride = (
                    1 + usize::from(halve.0 && even.0),
                    1 + usize::from(halve.1 && even.1),
                );
                let kernel = (
                    kernel.0.min(from.height).max(stride.0),
                    kernel.1.min(from.width).max(stride.1),
                );
                // What makes the output the input over the stride.
                let around = (kernel.0 - stride.0, kernel.1 - stride.1);
                let (top, left) = (border.0.min(around.0), border.1.min(around.1));
                let padding = Padding {
                    top,
                    left,
                    bottom: around.0 - top,
                    right: around.1 - left,
                    value: border.2,
                };
                let groups = if depthwise { from.channels } else { 1 };
                let channels = if depthwise || residual {
                    from.channels
                } else {
                    outputs
                };
                let shape = Shape::new(channels, from.height / stride.0, from.width / stride.1);
                let mut terms = vec![Term {
                    input: TensorId(tensor),
                    kernel,
                    stride,
                    padding,
                    groups,
                }];
                if residual && shape == from {
                    terms.push(plain(tensor, from.channels));
                }
                self.linear(terms, shape, Output::Activation);
            }
        }
    }
}
