//! The instance columns: what a commitment commits to, in the order the circuit reads it.

use super::field;
use crate::{
    layout::Layout,
    network::{Layer, Linear, Network, Output},
};
use halo2_proofs::halo2curves::bn256::Fr;
use thiserror::Error;

/// A labelled image as the circuit takes it.
#[derive(Clone, Copy)]
pub struct Sample<'a> {
    /// Pixels, channels first, a byte a cell.
    pub pixels: &'a [u8],
    /// Class index.
    pub label: u16,
}

/// Why samples cannot make up a shard.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ShardError {
    /// No sample at all.
    #[error("a shard needs at least one sample")]
    Empty,
    /// More samples than a proof covers.
    #[error("a shard holds at most {max} samples, found {found}; split the test set into shards")]
    TooMany {
        /// Samples given.
        found: usize,
        /// Samples of the layout.
        max: usize,
    },
    /// An image of another size.
    #[error("sample {index}: expected {expected} pixels, found {found}")]
    Pixels {
        /// Index within the shard.
        index: usize,
        /// Pixels of the architecture's input.
        expected: usize,
        /// Pixels given.
        found: usize,
    },
    /// A label the network has no class for.
    #[error("sample {index}: label {label} is not one of the {classes} classes")]
    Label {
        /// Index within the shard.
        index: usize,
        /// The label.
        label: u16,
        /// Classes of the architecture.
        classes: usize,
    },
    /// The network is of another architecture than the layout.
    #[error("the model's architecture is not the one this circuit was laid out for")]
    OtherArchitecture,
}

/// The weight column of `network`, salt not included: weights in their documented order, then
/// the biases, layer by layer. A requantizing layer's bias carries the clip offset, which makes
/// every stored `q` non-negative.
pub fn weight_column(layout: &Layout, network: &Network) -> Result<Vec<Fr>, ShardError> {
    if network.architecture() != layout.architecture() {
        return Err(ShardError::OtherArchitecture);
    }
    let mut column = Vec::with_capacity(layout.weight_rows());
    let linears = linear_layers(layout);
    for (linear, weights) in linears.zip(&network.weights().layers) {
        for term in &weights.terms {
            column.extend(term.iter().map(|&w| field(w)));
        }
        let offset = bias_offset(layout, linear);
        column.extend(weights.bias.iter().map(|&b| field(b) + field(offset)));
    }
    Ok(column)
}

/// What is added to a committed bias.
pub(crate) fn bias_offset(layout: &Layout, linear: &Linear) -> i64 {
    match linear.output {
        Output::Activation => layout.clip_offset() << layout.architecture().fraction_bits,
        Output::Logits => 0,
    }
}

/// The linear layers of a layout's network, in order.
pub(crate) fn linear_layers(layout: &Layout) -> impl Iterator<Item = &Linear> {
    layout.architecture().layers.iter().filter_map(|l| match l {
        Layer::Linear(linear) => Some(linear),
        _ => None,
    })
}

/// Checks that `samples` make up a shard of this layout.
pub fn check_shard(layout: &Layout, samples: &[Sample<'_>]) -> Result<(), ShardError> {
    let max = layout.options().samples;
    if samples.is_empty() {
        return Err(ShardError::Empty);
    }
    if samples.len() > max {
        return Err(ShardError::TooMany {
            found: samples.len(),
            max,
        });
    }
    let expected = layout.architecture().input.cells();
    let classes = layout.architecture().classes();
    for (index, sample) in samples.iter().enumerate() {
        if sample.pixels.len() != expected {
            return Err(ShardError::Pixels {
                index,
                expected,
                found: sample.pixels.len(),
            });
        }
        if usize::from(sample.label) >= classes {
            return Err(ShardError::Label {
                index,
                label: sample.label,
                classes,
            });
        }
    }
    Ok(())
}

/// The data column of a shard, salt not included: pixel by pixel over all samples, then each
/// label plus one on its summary row. A padded sample is all zero.
pub fn data_column(layout: &Layout, samples: &[Sample<'_>]) -> Result<Vec<Fr>, ShardError> {
    check_shard(layout, samples)?;
    let mut column = vec![Fr::zero(); layout.score().expose()];
    for (n, sample) in samples.iter().enumerate() {
        for (cell, &pixel) in sample.pixels.iter().enumerate() {
            column[layout.data_row(cell, n)] = Fr::from(u64::from(pixel));
        }
        column[layout.score().summary(n)] = Fr::from(u64::from(sample.label) + 1);
    }
    Ok(column)
}
