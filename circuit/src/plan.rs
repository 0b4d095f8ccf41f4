//! The search for a layout: given a network, memory and gas, the number of rows, lanes and tiles that prove a sample the
//! fastest by the cost model.
//!
//! Every candidate is laid out in full, so what it costs is known, not guessed; only the seconds are an estimate.

use crate::{
    cost::{Cost, Speed},
    layout::{Grid, Layout, LayoutError, LayoutOptions},
    network::{Architecture, Layer, Shape},
};
use std::{collections::BTreeSet, ops::RangeInclusive};
use thiserror::Error;

/// What a proof may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory, in bytes.
    pub memory: u64,
    /// Gas of a transaction that verifies one proof.
    pub gas: u64,
    /// log2 of the rows: what reference strings there are.
    pub k: RangeInclusive<u32>,
}

/// What is fixed beforehand; the rest is searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// log2 of the rows.
    pub k: Option<u32>,
    /// Lanes.
    pub lanes: Option<usize>,
    /// Samples of a proof.
    pub samples: Option<usize>,
    /// Tiles of an image.
    pub grid: Option<Grid>,
    /// The `k` of top-k.
    pub top_k: usize,
}

/// Why there is no layout.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// No candidate holds the network; the last refusal.
    #[error("no layout holds this network: {0}")]
    Layout(#[from] LayoutError),
    /// Layouts, but none within the limits; the least of each that was met.
    #[error(
        "every layout that holds this network needs more than {} MB of memory or {gas} gas; the least are {} MB and {least_gas} gas: raise the limits",
        .memory / 1_000_000,
        .least_memory / 1_000_000
    )]
    Limits {
        /// Memory allowed, in bytes.
        memory: u64,
        /// Gas allowed.
        gas: u64,
        /// Least memory of any candidate, in bytes.
        least_memory: u64,
        /// Least gas of any candidate.
        least_gas: u64,
    },
}

/// Lanes that are tried on images of one tile.
const LANES: [usize; 4] = [8, 12, 16, 20];
/// Most lanes that are tried on images that are cut.
const MOST_LANES: usize = 28;
/// A larger proof is preferred to a smaller one that is faster by less than this.
const WORTH: f64 = 0.05;

/// The layout that proves a sample the fastest within the limits.
pub fn search(
    architecture: &Architecture,
    wishes: &Wishes,
    limits: &Limits,
) -> Result<Layout, PlanError> {
    let shapes = architecture.shapes().map_err(LayoutError::from)?;
    let mut best: Option<(f64, Layout)> = None;
    let (mut least_memory, mut least_gas) = (u64::MAX, u64::MAX);
    let mut refused = LayoutError::RowsExponent(*limits.k.start());
    for (grid, lanes) in spreads(architecture, &shapes, wishes) {
        for k in wishes.k.map_or(limits.k.clone(), |k| k..=k) {
            let layout = match lay_out(architecture, wishes, (k, lanes, grid)) {
                Ok(layout) => layout,
                Err(error) => {
                    // Where a row count is all that is wrong, it says the most.
                    if !matches!(refused, LayoutError::Rows { .. }) {
                        refused = error;
                    }
                    continue;
                }
            };
            let cost = Cost::of(&layout);
            least_memory = least_memory.min(cost.peak_bytes);
            least_gas = least_gas.min(cost.gas);
            if cost.peak_bytes > limits.memory || cost.gas > limits.gas {
                continue;
            }
            let seconds = cost.floor(&Speed::two_cores(k)) / layout.options().samples as f64;
            let worth = 1.0 - WORTH;
            let better = best.as_ref().is_none_or(|(least, chosen)| {
                match layout.options().samples > chosen.options().samples {
                    true => seconds * worth < *least,
                    false => seconds < *least * worth,
                }
            });
            if better {
                best = Some((seconds, layout));
            }
            // More rows hold no more samples of a cut image, and a fixed number of samples is held already.
            if grid.rows > 1 || wishes.samples.is_some() {
                break;
            }
        }
    }
    match best {
        Some((_, layout)) => Ok(layout),
        None if least_gas < u64::MAX => Err(PlanError::Limits {
            memory: limits.memory,
            gas: limits.gas,
            least_memory,
            least_gas,
        }),
        None => Err(refused.into()),
    }
}

fn lay_out(
    architecture: &Architecture,
    wishes: &Wishes,
    (k, lanes, grid): (u32, usize, Grid),
) -> Result<Layout, LayoutError> {
    match wishes.samples {
        None => Layout::largest(architecture, k, lanes, grid, wishes.top_k),
        Some(samples) => Layout::new(
            architecture.clone(),
            LayoutOptions {
                k,
                lanes,
                samples,
                grid,
                top_k: wishes.top_k,
            },
        ),
    }
}

/// Grids and lanes that are tried.
fn spreads(architecture: &Architecture, shapes: &[Shape], wishes: &Wishes) -> Vec<(Grid, usize)> {
    let grids = match wishes.grid {
        Some(grid) => vec![grid],
        None => grids(architecture, shapes),
    };
    let lanes = |grid: Grid| match (wishes.lanes, grid.columns) {
        (Some(lanes), _) => vec![lanes],
        (None, 1) => LANES.to_vec(),
        (None, columns) => (1..=MOST_LANES / columns.min(MOST_LANES))
            .map(|groups| groups * columns)
            .filter(|lanes| *lanes >= 6)
            .collect(),
    };
    grids
        .into_iter()
        .flat_map(|grid| lanes(grid).into_iter().map(move |lanes| (grid, lanes)))
        .collect()
}

/// One tile, and the finest square-sided cuts that divide all tensors before a global pooling.
fn grids(architecture: &Architecture, shapes: &[Shape]) -> Vec<Grid> {
    let mut sides = (0, 0);
    for (tensor, shape) in shapes.iter().enumerate() {
        let layer = tensor.checked_sub(1).map(|l| &architecture.layers[l]);
        let global = match layer {
            Some(Layer::SumPool(_) | Layer::Flatten { .. }) => shape.positions() == 1,
            _ => false,
        };
        if global {
            break;
        }
        sides = (gcd(sides.0, shape.height), gcd(sides.1, shape.width));
    }
    let mut grids = BTreeSet::from([(1, 1)]);
    for divisor in 2..=sides.0.max(sides.1).min(16) {
        if sides.0.is_multiple_of(divisor) && sides.1.is_multiple_of(divisor) {
            grids.insert((divisor, divisor));
        }
    }
    grids
        .into_iter()
        .map(|(rows, columns)| Grid { rows, columns })
        .collect()
}

fn gcd(a: usize, b: usize) -> usize {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}
