//! The model of the tests, as small as one can be: a dense layer over two pixels side by side, two classes.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use zknode_circuit::{
    layout::{Grid, Layout, LayoutOptions},
    network::{
        Architecture, Layer, Linear, LinearWeights, Network, Output, Padding, Shape, TensorId,
        Term, Weights,
    },
    srs::Srs,
};

/// log2 of the rows of a proof.
const K: u32 = 12;

/// The logits are the pixels.
pub(crate) fn network() -> Network {
    let term = Term {
        input: TensorId(0),
        kernel: (1, 2),
        stride: (1, 1),
        padding: Padding::default(),
        groups: 1,
    };
    let layer = Linear {
        name: "dense".into(),
        terms: vec![term],
        shape: Shape::new(2, 1, 1),
        output: Output::Logits,
    };
    let architecture = Architecture {
        input: Shape::new(1, 1, 2),
        fraction_bits: 4,
        range_bits: 11,
        layers: vec![Layer::Linear(layer)],
    };
    let weights = LinearWeights {
        terms: vec![vec![1, 0, 0, 1]],
        bias: vec![0, 0],
    };
    let layers = vec![weights];
    Network::new(architecture, Weights { layers }).unwrap()
}

/// Eight samples a proof.
pub(crate) fn layout() -> Arc<Layout> {
    let options = LayoutOptions {
        k: K,
        lanes: 8,
        samples: 8,
        grid: Grid::default(),
        top_k: 1,
    };
    Arc::new(Layout::new(network().architecture().clone(), options).unwrap())
}

/// The development reference string for it.
pub(crate) fn srs() -> Arc<Srs> {
    Arc::new(Srs::development(K, |_, _| ()).unwrap())
}
