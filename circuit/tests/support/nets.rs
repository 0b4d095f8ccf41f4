//! Small networks: one with every shape the glue knows, and dense ones.

use rand::{rngs::StdRng, Rng};
use zknode_circuit::network::*;

/// Padding with a nonzero border, stride 2, groups, a layer with two inputs, a pool, a dense layer. Classes 0 and 1
/// always tie.
pub fn net(rng: &mut StdRng) -> Network {
    let term = |input: usize, k: usize, s: usize, p: usize, v: u8, g: usize| Term {
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
    };
    let lin = |name: &str, terms: Vec<Term>, shape: Shape, output| {
        Layer::Linear(Linear {
            name: name.into(),
            terms,
            shape,
            output,
        })
    };
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
