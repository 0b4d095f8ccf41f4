//! The search for a layout: given a network, memory and gas, the number of rows, lanes and tiles that prove a sample the
//! fastest by the cost model.
//!
//! Every candidate is laid out but for its glue program, so what it costs is known, not guessed; only the seconds are an
//! estimate.

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
    /// Layouts, but none within the limits.
    #[error(
        "every layout that holds this network needs more than {} MB of memory or {gas} gas; the nearest needs {} MB and {nearest_gas} gas (k = {k}, {lanes} lanes): raise the limits",
        .memory / 1_000_000,
        .nearest_memory.div_ceil(1_000_000)
    )]
    Limits {
        /// Memory allowed, in bytes.
        memory: u64,
        /// Gas allowed.
        gas: u64,
        /// Memory of the layout nearest to the limits, in bytes.
        nearest_memory: u64,
        /// Its gas.
        nearest_gas: u64,
        /// Its rows, log2.
        k: u32,
        /// Its lanes.
        lanes: usize,
    },
}

/// Lanes that are tried on images of one tile.
const LANES: [usize; 4] = [8, 12, 16, 20];
/// Most lanes that are tried on images that are cut.
const MOST_LANES: usize = 28;
/// Times within this factor are about the same.
const NEAR: f64 = 1.1;

/// The layout that proves a sample the fastest within the limits.
pub fn search(
    architecture: &Architecture,
    wishes: &Wishes,
    limits: &Limits,
) -> Result<Layout, PlanError> {
    let shapes = architecture.shapes().map_err(LayoutError::from)?;
    let mut candidates = vec![];
    let mut nearest: Option<(f64, PlanError)> = None;
    let mut refused = None;
    for (grid, lanes) in spreads(architecture, &shapes, wishes) {
        for k in wishes.k.map_or(limits.k.clone(), |k| k..=k) {
            let sketch = match sketch(architecture, wishes, (k, lanes, grid)) {
                Ok(sketch) => sketch,
                Err(error) => {
                    // Where rows are all that is wrong, they say the most.
                    let rows = |error: &LayoutError| matches!(error, LayoutError::Rows { .. });
                    if refused.as_ref().is_none_or(|known| !rows(known)) || rows(&error) {
                        refused = Some(error);
                    }
                    continue;
                }
            };
            let cost = Cost::of(&sketch);
            let over = |needed: u64, limit: u64| needed as f64 / limit.max(1) as f64;
            let distance = over(cost.peak_bytes, limits.memory).max(over(cost.gas, limits.gas));
            let closer = |(known, _): &(f64, PlanError)| distance < *known;
            if distance > 1.0 && nearest.as_ref().is_none_or(closer) {
                let found = PlanError::Limits {
                    memory: limits.memory,
                    gas: limits.gas,
                    nearest_memory: cost.peak_bytes,
                    nearest_gas: cost.gas,
                    k,
                    lanes,
                };
                nearest = Some((distance, found));
            }
            if cost.peak_bytes <= limits.memory && cost.gas <= limits.gas {
                let samples = sketch.options().samples as f64;
                let seconds = cost.floor(&Speed::two_cores(k)) / samples;
                candidates.push((k, seconds, sketch.options().clone()));
            }
        }
    }
    // By time; of about the same time the one of fewer rows, which needs less memory.
    candidates.sort_by(|a, b| f64::total_cmp(&a.1, &b.1));
    while let Some(&(_, fastest, _)) = candidates.first() {
        let near = candidates.iter().enumerate();
        let near = near.filter(|(_, candidate)| candidate.1 <= fastest * NEAR);
        let Some((index, _)) = near.min_by_key(|(index, candidate)| (candidate.0, *index)) else {
            break;
        };
        let (k, _, options) = candidates.remove(index);
        let layout = match wishes.samples {
            Some(_) => Layout::new(architecture.clone(), options),
            None => Layout::largest(architecture, k, options.lanes, options.grid, options.top_k),
        };
        match layout {
            Ok(layout) => return Ok(layout),
            Err(error) => refused = Some(error),
        }
    }
    match (nearest, refused) {
        (Some((_, nearest)), _) => Err(nearest),
        (None, Some(refused)) => Err(refused.into()),
        // Nothing was tried: no such k.
        (None, None) => Err(LayoutError::RowsExponent(*limits.k.start()).into()),
    }
}

fn sketch(
    architecture: &Architecture,
    wishes: &Wishes,
    (k, lanes, grid): (u32, usize, Grid),
) -> Result<Layout, LayoutError> {
    match wishes.samples {
        None => Layout::largest_sketch(architecture, k, lanes, grid, wishes.top_k),
        Some(samples) => Layout::sketch(
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
        (None, columns) => (1..=MOST_LANES / columns.clamp(1, MOST_LANES))
            .map(|groups| groups * columns)
            .filter(|lanes| *lanes >= 6)
            .collect(),
    };
    grids
        .into_iter()
        .flat_map(|grid| lanes(grid).into_iter().map(move |lanes| (grid, lanes)))
        .collect()
}

/// One tile, and what divides the sides of all tensors before a global pooling: columns, and as many rows as columns.
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
        if sides.1.is_multiple_of(divisor) {
            grids.insert((1, divisor));
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
