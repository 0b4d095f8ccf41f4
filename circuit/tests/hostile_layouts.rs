//! Architectures of strangers: what does not fit is refused before memory is spent on it.
#![allow(clippy::unwrap_used)]

use zknode_circuit::{
    layout::{Grid, Layout, LayoutError, LayoutOptions},
    network::{Architecture, Layer, Linear, Output, Padding, Shape, SumPool, TensorId, Term},
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

fn refusal(input: Shape, layers: Vec<Layer>) -> LayoutError {
    let architecture = Architecture {
        input,
        fraction_bits: 4,
        range_bits: 11,
        layers,
    };
    let options = LayoutOptions {
        k: 22,
        lanes: 8,
        samples: 8,
        grid: Grid::WHOLE,
        top_k: 1,
    };
    Layout::new(architecture, options).unwrap_err()
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
    let error = refusal(input, layers);
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
