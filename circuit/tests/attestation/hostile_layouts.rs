//! Architectures of strangers: what does not fit is refused before memory is spent on it.

use zknode_circuit::{
    layout::{Grid, Layout, LayoutError, LayoutOptions},
    network::{
        Architecture, ArchitectureError, Layer, Linear, MaxPool, Output, Padding, Shape, SumPool,
        TensorId, Term,
    },
    plan::{search, Limits, Wishes},
};

fn dense(input: usize, shape: Shape, output: Output) -> Layer {
    Layer::Linear(Linear {
        name: "dense".into(),
        terms: vec![Term {
            input: TensorId(input),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        }],
        shape,
        output,
    })
}

fn architecture(input: Shape, layers: Vec<Layer>) -> Architecture {
    Architecture {
        input,
        fraction_bits: 4,
        range_bits: 11,
        layers,
    }
}

fn refusal(input: Shape, layers: Vec<Layer>) -> LayoutError {
    let architecture = architecture(input, layers);
    let options = LayoutOptions {
        k: 22,
        lanes: 8,
        samples: 8,
        grid: Grid::WHOLE,
        top_k: 1,
    };
    Layout::new(architecture, options).unwrap_err()
}

fn too_large(error: LayoutError, expected: &str) {
    let LayoutError::Architecture(ArchitectureError::TooLarge { what, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(what, expected);
}

/// 1.7e10 reads from half a million pixels: a third of a terabyte, if the program were built.
#[test]
fn a_pooling_with_a_giant_window() {
    let pool = Layer::SumPool(SumPool {
        name: "pool".into(),
        input: TensorId::INPUT,
        kernel: (360, 360),
        stride: (1, 1),
    });
    let flatten = Layer::Flatten { input: TensorId(1) };
    let logits = dense(2, Shape::new(2, 1, 1), Output::Logits);
    let error = refusal(Shape::new(1, 720, 720), vec![pool, flatten, logits]);
    assert!(matches!(error, LayoutError::Rows { .. }), "{error}");
}

/// 2^26 weights in each of many layers, none of which reads much.
#[test]
fn many_layers_of_the_largest_weights() {
    let side = 1 << 13;
    let input = Shape::new(side, 1, 1);
    let mut layers: Vec<_> = (0..500)
        .map(|index| dense(index, input, Output::Activation))
        .collect();
    layers.push(dense(500, Shape::new(2, 1, 1), Output::Logits));
    too_large(refusal(input, layers), "the number of weights and biases");
}

/// Weights of groups stand one a row.
#[test]
fn more_weights_of_groups_than_rows() {
    let input = Shape::new(1 << 13, 1, 1);
    let mut grouped = dense(0, input, Output::Activation);
    if let Layer::Linear(linear) = &mut grouped {
        linear.terms[0].groups = 2;
    }
    let logits = dense(1, Shape::new(2, 1, 1), Output::Logits);
    let error = refusal(input, vec![grouped, logits]);
    assert!(
        matches!(
            error,
            LayoutError::Rows {
                what: "the weights",
                ..
            }
        ),
        "{error}"
    );
}

/// Views are followed from layer to layer: as many as a card can name would overflow the stack.
#[test]
fn many_views_of_views() {
    let flat = |index: usize| Layer::Flatten {
        input: TensorId(index),
    };
    let sum = |index: usize| {
        Layer::SumPool(SumPool {
            name: String::new(),
            input: TensorId(index),
            kernel: (1, 1),
            stride: (1, 1),
        })
    };
    for view in [&flat as &dyn Fn(usize) -> Layer, &sum] {
        let chain = |views: usize| {
            let mut layers: Vec<_> = (0..views).map(view).collect();
            layers.push(dense(views, Shape::new(2, 1, 1), Output::Logits));
            layers
        };
        let error = refusal(Shape::new(1, 1, 1), chain(100_000));
        assert!(matches!(error, LayoutError::Architecture(_)), "{error}");
        let options = LayoutOptions {
            k: 13,
            lanes: 8,
            samples: 8,
            grid: Grid::WHOLE,
            top_k: 1,
        };
        let most = architecture(Shape::new(1, 1, 1), chain(1023));
        assert!(Layout::new(most, options).is_ok());
    }
}

#[test]
fn sums_of_sums_beyond_all_bounds() {
    let mut layers: Vec<_> = (0..120)
        .map(|index| {
            Layer::SumPool(SumPool {
                name: String::new(),
                input: TensorId(index),
                kernel: (1, 2),
                stride: (1, 1),
            })
        })
        .collect();
    layers.push(Layer::Flatten {
        input: TensorId(120),
    });
    layers.push(dense(121, Shape::new(2, 1, 1), Output::Logits));
    let error = refusal(Shape::new(1, 1, 200), layers);
    assert!(error.to_string().contains("pooling window"), "{error}");
}

#[test]
fn more_max_poolings_than_there_are_rows() {
    let error = max_poolings(3);
    assert!(matches!(error, LayoutError::Rows { .. }), "{error}");
    too_large(max_poolings(900), "the number of cells of all tensors");
}

fn max_poolings(pools: usize) -> LayoutError {
    let side = 68_107;
    let mut layers: Vec<_> = (0..pools)
        .map(|_| {
            Layer::MaxPool(MaxPool {
                name: String::new(),
                input: TensorId::INPUT,
                kernel: (1, 1000),
                stride: (1, 1),
                padding: Padding::default(),
            })
        })
        .collect();
    layers.push(Layer::SumPool(SumPool {
        name: String::new(),
        input: TensorId::INPUT,
        kernel: (1, side),
        stride: (1, 1),
    }));
    layers.push(dense(pools + 1, Shape::new(2, 1, 1), Output::Logits));
    refusal(Shape::new(1, 1, side), layers)
}

/// Every shift of so many tiles has weights of its own, one row a slot.
#[test]
fn a_window_over_very_many_tiles() {
    for (rows, kernel) in [(1000, 1000), (300_000, 100_000)] {
        let mut conv = dense(0, Shape::new(1, rows, 1), Output::Activation);
        if let Layer::Linear(linear) = &mut conv {
            linear.terms[0].kernel = (kernel, 1);
            linear.terms[0].padding = Padding {
                top: kernel - 1,
                value: 7,
                ..Padding::default()
            };
        }
        let pool = Layer::SumPool(SumPool {
            name: String::new(),
            input: TensorId(1),
            kernel: (rows, 1),
            stride: (1, 1),
        });
        let logits = dense(2, Shape::new(2, 1, 1), Output::Logits);
        let options = LayoutOptions {
            k: 22,
            lanes: 8,
            samples: 8,
            grid: Grid { rows, columns: 1 },
            top_k: 1,
        };
        let architecture = architecture(Shape::new(1, rows, 1), vec![conv, pool, logits]);
        let error = Layout::new(architecture, options).unwrap_err();
        assert!(matches!(error, LayoutError::Rows { .. }), "{error}");
    }
}

#[test]
fn the_fewest_rows_and_no_tiles() {
    let tiny = || {
        let logits = dense(0, Shape::new(2, 1, 1), Output::Logits);
        architecture(Shape::new(4, 1, 1), vec![logits])
    };
    let laid_out = |k, grid| {
        let options = LayoutOptions {
            k,
            lanes: 8,
            samples: 8,
            grid,
            top_k: 1,
        };
        Layout::new(tiny(), options).unwrap_err()
    };
    assert!(matches!(laid_out(8, Grid::WHOLE), LayoutError::Rows { .. }));
    for (rows, columns) in [(0, 1), (1, 0), (usize::MAX, 2)] {
        let grid = Grid { rows, columns };
        assert!(matches!(laid_out(12, grid), LayoutError::NoTiles(_)));
    }
    let wishes = Wishes {
        grid: Some(Grid {
            rows: 1,
            columns: 0,
        }),
        top_k: 1,
        ..Wishes::default()
    };
    let limits = Limits {
        memory: u64::MAX,
        gas: u64::MAX,
        k: 10..=12,
    };
    assert!(search(&tiny(), &wishes, &limits).is_err());
}

/// Strides that leave out most of a line: room for what is read, not for the line (13 GB here, or hours).
#[test]
fn strides_over_cells_that_nobody_reads() {
    for across in [true, false] {
        let turn = |(y, x): (usize, usize)| if across { (x, y) } else { (y, x) };
        let (height, width) = turn((1, 43_636));
        let padding = Padding {
            value: 0,
            top: if across { 18_582 } else { 0 },
            bottom: if across { 18_581 } else { 0 },
            left: if across { 0 } else { 18_582 },
            right: if across { 0 } else { 18_581 },
        };
        let to = if across { (2, 1) } else { (1, 2) };
        let conv = Layer::Linear(Linear {
            name: "conv".into(),
            terms: vec![Term {
                input: TensorId::INPUT,
                kernel: turn((1, 37_161)),
                stride: turn((1, 43_635)),
                padding,
                groups: 1,
            }],
            shape: Shape::new(1, to.0, to.1),
            output: Output::Activation,
        });
        let flatten = Layer::Flatten { input: TensorId(1) };
        let logits = dense(2, Shape::new(2, 1, 1), Output::Logits);
        let architecture = Architecture {
            fraction_bits: 8,
            range_bits: 16,
            ..architecture(Shape::new(1, height, width), vec![conv, flatten, logits])
        };
        let options = LayoutOptions {
            k: 18,
            lanes: 6,
            samples: 6,
            grid: Grid::WHOLE,
            top_k: 1,
        };
        let layout = Layout::new(architecture, options).unwrap();
        assert!(layout.glue().end() < 1 << 18);
    }
}
