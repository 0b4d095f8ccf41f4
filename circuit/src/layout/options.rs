//! The choices that, with an architecture, fix a circuit; and why some of them fix none.

use crate::network::{Architecture, ArchitectureError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Lanes a layout may have: a score row needs six cells of each kind.
pub const LANES: std::ops::RangeInclusive<usize> = 6..=32;
/// Bits every comparison of two logits covers at least.
pub const COMPARE_BITS: u32 = 32;
/// log2 of the rows a circuit may have; proving the largest takes some 36 GB.
const K: std::ops::RangeInclusive<u32> = 8..=22;

/// How images are cut into equal tiles, which share the rows of the circuit like samples do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grid {
    /// Tiles one above the other.
    pub rows: usize,
    /// Tiles side by side.
    pub columns: usize,
}

impl Grid {
    /// The whole image is one tile: many small images in one proof.
    pub const WHOLE: Self = Self {
        rows: 1,
        columns: 1,
    };

    fn tiles_checked(&self) -> Option<usize> {
        self.rows
            .checked_mul(self.columns)
            .filter(|tiles| *tiles > 0)
    }

    /// Tiles of an image.
    pub const fn tiles(&self) -> usize {
        self.rows * self.columns
    }
}

impl Default for Grid {
    fn default() -> Self {
        Self::WHOLE
    }
}

impl std::str::FromStr for Grid {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let sides = text.split_once('x');
        let sides =
            sides.and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)));
        match sides {
            Some((rows, columns)) if rows > 0 && columns > 0 => Ok(Self { rows, columns }),
            _ => Err(format!(
                "a grid is rows x columns, such as 7x7, found {text:?}"
            )),
        }
    }
}

impl std::fmt::Display for Grid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}", self.rows, self.columns)
    }
}

/// The choices that, with an architecture, fix the circuit and its verifying key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutOptions {
    /// log2 of the number of rows.
    pub k: u32,
    /// Number of `(q, r, y)` column triples; a multiple of the grid's columns.
    pub lanes: usize,
    /// Samples a proof covers, padded ones included. With the tiles of an image they fill the lanes: on one row where
    /// the grid has several rows of tiles, on any number of rows where it has one.
    pub samples: usize,
    /// Tiles of an image.
    #[serde(default)]
    pub grid: Grid,
    /// The `k` of top-k: a sample counts when its label ranks below this.
    pub top_k: usize,
}

/// Why no circuit can be laid out.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// The network itself is malformed.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Lanes outside what the score rows need and the chain can bear.
    #[error("lanes must be in {min}..={max} for this network, found {found}")]
    Lanes {
        /// Least number.
        min: usize,
        /// Greatest number.
        max: usize,
        /// What was asked for.
        found: usize,
    },
    /// No tile, or more than can be counted.
    #[error("a grid has at least one row and one column of tiles, found {0}")]
    NoTiles(Grid),
    /// Lanes that a row of tiles does not divide.
    #[error(
        "lanes must be a multiple of the {columns} tiles side by side, found {lanes}; try {columns} times a small number"
    )]
    GridLanes {
        /// Tiles side by side.
        columns: usize,
        /// Lanes asked for.
        lanes: usize,
    },
    /// Samples that do not fill the lanes.
    #[error("samples must be {}{unit}, found {samples}", if *.exact { "" } else { "a positive multiple of " })]
    Samples {
        /// Samples that fill one row of the lanes.
        unit: usize,
        /// Whether no more than that are possible.
        exact: bool,
        /// Samples asked for.
        samples: usize,
    },
    /// A network that the grid does not cut into equal tiles.
    #[error(
        "layer {layer}: a grid of {grid} tiles does not fit: {reason}; use another grid, or 1x1"
    )]
    Grid {
        /// Index of the layer.
        layer: usize,
        /// The grid asked for.
        grid: Grid,
        /// What does not fit.
        reason: &'static str,
    },
    /// `top_k` out of range.
    #[error("top_k must be in 1..={classes}, found {found}")]
    TopK {
        /// Classes of the network.
        classes: usize,
        /// What was asked for.
        found: usize,
    },
    /// `k` out of range.
    #[error("k must be in 8..=22, found {0}")]
    RowsExponent(u32),
    /// More classes than the rank check covers.
    #[error("{classes} classes need more than {bits} bits; use more fraction bits")]
    Classes {
        /// Classes of the network.
        classes: usize,
        /// Bits of the rank check.
        bits: u32,
    },
    /// Something does not fit into `2^k` rows.
    #[error("rows needed by {what}: {needed}, but k = {k} has {available}; raise k or lower the number of samples")]
    Rows {
        /// What does not fit.
        what: &'static str,
        /// Rows needed.
        needed: usize,
        /// Rows there are.
        available: usize,
        /// log2 of the rows.
        k: u32,
    },
}

/// Remainder cells that make up one comparison of logits.
pub(crate) fn compare_limbs(fraction_bits: u32) -> usize {
    COMPARE_BITS.div_ceil(fraction_bits) as usize
}

/// Checks what needs no layout to be judged.
pub(super) fn check(
    architecture: &Architecture,
    options: &LayoutOptions,
) -> Result<(), LayoutError> {
    let LayoutOptions {
        k,
        lanes,
        samples,
        grid,
        top_k,
    } = *options;
    let min = compare_limbs(architecture.fraction_bits).max(*LANES.start());
    if !(min..=*LANES.end()).contains(&lanes) {
        return Err(LayoutError::Lanes {
            min,
            max: *LANES.end(),
            found: lanes,
        });
    }
    if !K.contains(&k) {
        return Err(LayoutError::RowsExponent(k));
    }
    if grid.tiles_checked().is_none() {
        return Err(LayoutError::NoTiles(grid));
    }
    if !lanes.is_multiple_of(grid.columns) {
        return Err(LayoutError::GridLanes {
            columns: grid.columns,
            lanes,
        });
    }
    let unit = lanes / grid.columns;
    let exact = grid.rows > 1;
    let fits = if exact {
        samples == unit
    } else {
        samples > 0 && samples.is_multiple_of(unit) && samples <= 1 << 22
    };
    if !fits {
        return Err(LayoutError::Samples {
            unit,
            exact,
            samples,
        });
    }
    let classes = architecture.classes();
    if top_k == 0 || top_k > classes {
        return Err(LayoutError::TopK {
            classes,
            found: top_k,
        });
    }
    let bits = 2 * architecture.fraction_bits;
    if classes > 1 << bits {
        return Err(LayoutError::Classes { classes, bits });
    }
    Ok(())
}
