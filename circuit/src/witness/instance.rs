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

/// The weight columns of `network`, salt not included: run by run the weights in their documented order, layer by layer,
/// biases last. A requantizing layer's bias carries the clip offset, which makes every stored `q` non-negative.
pub fn weight_columns(layout: &Layout, network: &Network) -> Result<Vec<Vec<Fr>>, ShardError> {
    if network.architecture() != layout.architecture() {
        return Err(ShardError::OtherArchitecture);
    }
    let weights = layout.weights();
    let mut columns = vec![vec![Fr::zero(); weights.end()]; weights.columns()];
    let mut runs = weights.runs().iter();
    let mut fill = |values: &[i64], length: usize, offset: i64| {
        for (values, run) in values.chunks(length).zip(runs.by_ref()) {
            for (o, &weight) in values.iter().enumerate() {
                let (row, column) = run.place(weights.columns(), o);
                columns[column][row] = field(weight) + field(offset);
            }
        }
    };
    for (linear, weights) in linear_layers(layout).zip(&network.weights().layers) {
        for (term, values) in linear.terms.iter().zip(&weights.terms) {
            fill(values, linear.shape.channels / term.groups, 0);
        }
        let offset = bias_offset(layout, linear);
        fill(&weights.bias, linear.shape.channels, offset);
    }
    Ok(columns)
}

/// What is added to a committed bias.
fn bias_offset(layout: &Layout, linear: &Linear) -> i64 {
    match linear.output {
        Output::Activation => layout.clip_offset() << layout.architecture().fraction_bits,
        Output::Logits => 0,
    }
}

/// The linear layers of a layout's network, in order.
fn linear_layers(layout: &Layout) -> impl Iterator<Item = &Linear> {
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

/// The data column of a shard, salt not included: pixel by pixel of a tile over all slots, then each
/// label plus one on its summary row. A padded sample is all zero.
pub fn data_column(layout: &Layout, samples: &[Sample<'_>]) -> Result<Vec<Fr>, ShardError> {
    check_shard(layout, samples)?;
    let mut column = vec![Fr::zero(); layout.score().expose()];
    for (n, sample) in samples.iter().enumerate() {
        for (row, pixel) in pixel_rows(layout, n, sample.pixels) {
            column[row] = pixel;
        }
    }
    for (n, sample) in samples.iter().enumerate() {
        column[layout.score().summary(n)] = Fr::from(u64::from(sample.label) + 1);
    }
    Ok(column)
}

/// Where the pixels of sample `n` stand in the data column. The image is of the architecture's size.
pub(crate) fn pixel_rows<'a>(
    layout: &'a Layout,
    n: usize,
    pixels: &'a [u8],
) -> impl Iterator<Item = (usize, Fr)> + 'a {
    let columns = layout.options().grid.columns;
    let cells = layout.tiles()[0].shape.cells();
    (0..layout.options().grid.tiles()).flat_map(move |tile| {
        let tile = (tile / columns, tile % columns);
        let slot = layout.slot(n, tile);
        (0..cells).map(move |cell| {
            let pixel = pixels[layout.whole_index(0, cell, tile)];
            (layout.data_row(cell, slot), Fr::from(u64::from(pixel)))
        })
    })
}
