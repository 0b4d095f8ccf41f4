//! Small networks: one with every shape the glue knows, and dense ones.

use rand::{rngs::StdRng, Rng};
use zknode_circuit::{layout::Grid, network::*};

fn term(input: usize, k: usize, s: usize, p: usize, v: u8, g: usize) -> Term {
    Term {
        input: TensorId(input),
        kernel: (k, k),
        stride: (s, s),
        padding: Padding {
            top: p,
            left: p,
            bottom: p,
            right: p,
            value: v,
        },
        groups: g,
    }
}

fn lin(name: &str, terms: Vec<Term>, shape: Shape, output: Output) -> Layer {
    Layer::Linear(Linear {
        name: name.into(),
        terms,
        shape,
        output,
    })
}

fn random_weights(architecture: &Architecture, rng: &mut StdRng) -> Vec<LinearWeights> {
    let shapes = architecture.shapes().unwrap();
    let mut layers = vec![];
    for (i, l) in architecture.layers.iter().enumerate() {
        if let Layer::Linear(l) = l {
            layers.push(LinearWeights {
                terms: l
                    .terms
                    .iter()
                    .map(|t| {
                        (0..t.weights(shapes[t.input.0].channels, l.shape.channels))
                            .map(|_| rng.gen_range(-2..3))
                            .collect()
                    })
                    .collect(),
                bias: (0..shapes[i + 1].channels)
                    .map(|_| rng.gen_range(-50..50))
                    .collect(),
            });
        }
    }
    layers
}

/// The tiles of [`cut_net`].
pub const CUT: Grid = Grid {
    rows: 2,
    columns: 3,
};

/// Cut into two by three tiles: windows that reach into all neighbours and beyond the image, at stride 1 and 2, from the
/// image and from activations of one position a tile; a residual layer, pooling within tiles and over all, and more
/// classes than one column of weights holds.
pub fn cut_net(rng: &mut StdRng) -> Network {
    let bordered = term;
    let uneven = |mut term: Term| {
        (term.padding.top, term.padding.left) = (0, 0);
        term
    };
    let architecture = Architecture {
        input: Shape::new(2, 8, 12),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            lin(
                "stem",
                vec![uneven(bordered(0, 3, 2, 1, 9, 1))],
                Shape::new(4, 4, 6),
                Output::Activation,
            ),
            lin(
                "depthwise",
                vec![bordered(1, 3, 1, 1, 7, 4), term(1, 1, 1, 0, 0, 4)],
                Shape::new(4, 4, 6),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "pool".into(),
                input: TensorId(2),
                kernel: (2, 2),
                stride: (2, 2),
            }),
            lin(
                "far",
                vec![bordered(3, 3, 1, 1, 5, 2), bordered(2, 5, 2, 2, 0, 1)],
                Shape::new(4, 2, 3),
                Output::Activation,
            ),
            lin(
                "near",
                vec![
                    bordered(4, 5, 1, 2, 3, 1),
                    uneven(bordered(2, 3, 2, 1, 0, 1)),
                ],
                Shape::new(17, 2, 3),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "over all".into(),
                input: TensorId(5),
                kernel: (2, 3),
                stride: (1, 1),
            }),
            Layer::Flatten { input: TensorId(6) },
            lin(
                "logits",
                vec![term(7, 1, 1, 0, 0, 1)],
                Shape::new(120, 1, 1),
                Output::Logits,
            ),
        ],
    };
    let mut layers = random_weights(&architecture, rng);
    for weight in layers[1].terms.iter_mut().flatten() {
        *weight += i64::from(*weight == 0);
    }
    // Few of them, and small, so that the network is total.
    let wide = layers[2..4].iter_mut();
    for weight in wide.flat_map(|layer| layer.terms.iter_mut().flatten()) {
        *weight = match rng.gen_range(0..4) {
            0 => weight.signum(),
            _ => 0,
        };
    }
    Network::new(architecture, Weights { layers }).unwrap()
}

/// The tiles of [`pooled_net`].
pub const POOLED: Grid = Grid {
    rows: 2,
    columns: 2,
};

/// Cut into two by two tiles: max poolings of the image and of activations, read by a window that leaves the tile.
pub fn pooled_net(rng: &mut StdRng) -> Network {
    let pool = |input: usize| {
        Layer::MaxPool(MaxPool {
            name: format!("pool {input}"),
            input: TensorId(input),
            kernel: (2, 2),
            stride: (2, 2),
            padding: Padding::default(),
        })
    };
    let architecture = Architecture {
        input: Shape::new(1, 16, 16),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            pool(0),
            lin(
                "first",
                vec![term(1, 3, 1, 1, 6, 1)],
                Shape::new(2, 8, 8),
                Output::Activation,
            ),
            pool(2),
            lin(
                "second",
                vec![term(3, 3, 1, 1, 4, 1)],
                Shape::new(3, 4, 4),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "over all".into(),
                input: TensorId(4),
                kernel: (4, 4),
                stride: (1, 1),
            }),
            Layer::Flatten { input: TensorId(5) },
            lin(
                "logits",
                vec![term(6, 1, 1, 0, 0, 1)],
                Shape::new(5, 1, 1),
                Output::Logits,
            ),
        ],
    };
    let layers = random_weights(&architecture, rng);
    Network::new(architecture, Weights { layers }).unwrap()
}

/// Padding with a nonzero border, stride 2, groups, a layer with two inputs, a pool, a dense layer. Classes 0 and 1
/// always tie.
pub fn net(rng: &mut StdRng) -> Network {
    let architecture = Architecture {
        input: Shape::new(2, 5, 5),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![
            lin(
                "c1",
                vec![term(0, 3, 1, 1, 7, 1)],
                Shape::new(4, 5, 5),
                Output::Activation,
            ),
            lin(
                "dw",
                vec![term(1, 3, 2, 1, 0, 4), term(0, 1, 2, 0, 0, 2)],
                Shape::new(4, 3, 3),
                Output::Activation,
            ),
            Layer::SumPool(SumPool {
                name: "p".into(),
                input: TensorId(2),
                kernel: (2, 2),
                stride: (1, 1),
            }),
            Layer::Flatten { input: TensorId(3) },
            lin(
                "fc",
                vec![term(4, 1, 1, 0, 0, 1)],
                Shape::new(5, 1, 1),
                Output::Logits,
            ),
        ],
    };
    let mut layers = random_weights(&architecture, rng);
    // Twin columns of the dense layer: classes 0 and 1 tie for every image.
    if let Some(dense) = layers.last_mut() {
        let run = dense.bias.len();
        for inputs in dense.terms.iter_mut().flat_map(|term| term.chunks_mut(run)) {
            inputs[1] = inputs[0];
        }
        dense.bias[1] = dense.bias[0];
    }
    Network::new(architecture, Weights { layers }).unwrap()
}

/// Dense layers only: from four pixels to three classes, over this many hidden neurons if any.
pub fn dense_net(rng: &mut StdRng, hidden: Option<usize>) -> Network {
    let layer = |input: usize, outputs: usize, output| {
        let term = Term {
            input: TensorId(input),
            kernel: (1, 1),
            stride: (1, 1),
            padding: Padding::default(),
            groups: 1,
        };
        Layer::Linear(Linear {
            name: format!("dense {input}"),
            terms: vec![term],
            shape: Shape::new(outputs, 1, 1),
            output,
        })
    };
    let sizes: Vec<usize> = [4].into_iter().chain(hidden).chain([3]).collect();
    let mut layers = vec![];
    let mut weights = vec![];
    for (index, pair) in sizes.windows(2).enumerate() {
        let last = index + 2 == sizes.len();
        let output = if last {
            Output::Logits
        } else {
            Output::Activation
        };
        layers.push(layer(index, pair[1], output));
        weights.push(LinearWeights {
            terms: vec![(0..pair[0] * pair[1])
                .map(|_| rng.gen_range(-9..10))
                .collect()],
            bias: (0..pair[1]).map(|_| rng.gen_range(-50..50)).collect(),
        });
    }
    let architecture = Architecture {
        input: Shape::new(4, 1, 1),
        fraction_bits: 4,
        range_bits: 11,
        layers,
    };
    Network::new(architecture, Weights { layers: weights }).unwrap()
}
