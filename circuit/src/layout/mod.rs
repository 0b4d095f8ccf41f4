//! Where every value of a proof lives: network and batch size to rows, lanes and columns.
//!
//! Pure arithmetic, no halo2 types. One proof covers a *shard* of `samples` samples.
//!
//! ```text
//! row          lanes (q, r, y) x m            data column        weight column   glue (a, b, e)
//! 0            activation cells, cell major,  pixel 0, all n     -               constants
//! 1            samples across the m lanes     pixel 1, all n     weights and     claims of the weights
//! ...          and R = N/m rows               ...                biases, by run  (e only), then one
//! ...                                                                            program for all
//! score.start  score rows, one per sample     labels                             linear layers
//!              and class, a summary each
//! score.expose totals against the statement
//! usable - S   unused                         salt               salt
//! last         -                              salt               salt            constants
//! ```
//!
//! A cell of a tensor takes `R` consecutive rows; row `j` lane `i` holds sample `j*m + i`.

mod glue;

pub use glue::{CellRef, ClaimColumn, Glue, Step, PROGRAM_START};

use crate::network::{Architecture, ArchitectureError, Layer, Output, Shape};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use thiserror::Error;

/// Rows at the end of every column that halo2 fills with blinding: its five blinding factors
/// (advice columns are opened at two points at most) and the row of the last Lagrange basis.
pub const BLINDING_ROWS: usize = 6;
/// Lanes a layout may have: a score row needs eight cells of each kind.
pub const LANES: std::ops::RangeInclusive<usize> = 8..=32;
/// Bits every comparison of two logits covers at least.
pub const COMPARE_BITS: u32 = 32;
/// Salt rows of a committed column: fewer hide nothing, more buy openings.
const SALT_ROWS: Range<usize> = 256..4096;
/// log2 of the rows a circuit may have; proving the largest takes some 36 GB.
const K: std::ops::RangeInclusive<u32> = 8..=22;

/// The choices that, with an architecture, fix the circuit and its verifying key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayoutOptions {
    /// log2 of the number of rows.
    pub k: u32,
    /// Number of `(q, r, y)` column triples.
    pub lanes: usize,
    /// Samples a proof covers, padded ones included; a multiple of `lanes`.
    pub samples: usize,
    /// The `k` of top-k: a sample counts when its label ranks below this.
    pub top_k: usize,
}

/// Why no circuit can be laid out.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum LayoutError {
    /// The network itself is malformed.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// A layer that has no rows yet.
    #[error("layer {layer}: max pooling is not laid out yet")]
    MaxPool {
        /// Index of the layer.
        layer: usize,
    },
    /// Lanes outside what the score rows need and the chain can bear.
    #[error("lanes must be an even number in 8..=32, found {0}")]
    Lanes(usize),
    /// Samples that do not fill the lanes.
    #[error("samples must be a positive multiple of the {lanes} lanes, found {samples}")]
    Samples {
        /// Samples asked for.
        samples: usize,
        /// Lanes of the layout.
        lanes: usize,
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
    #[error("{what} needs {needed} rows, but k = {k} has {available}; raise k or lower the number of samples")]
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

/// Rows of the score region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScoreRows {
    /// The row before the first sample.
    pub start: usize,
    /// Classes: rows per sample less one.
    pub classes: usize,
    /// Samples.
    pub samples: usize,
}

impl ScoreRows {
    /// Row of sample `n`, class `j`.
    pub fn class(&self, n: usize, j: usize) -> usize {
        self.start + 1 + n * (self.classes + 1) + j
    }
    /// Summary row of sample `n`; the data column holds its label here.
    pub fn summary(&self, n: usize) -> usize {
        self.class(n, self.classes)
    }
    /// First of the three rows that show the totals to the statement; the context is in the
    /// statement column on the fourth.
    pub fn expose(&self) -> usize {
        self.class(self.samples, 0)
    }
}

/// Weight rows of one linear layer: first rows of its terms, then of its biases. A *run* is the
/// weights of one input channel and tap, over the output channels of its group, or the biases; a
/// run is followed by one row of zero, where its claim ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightRows {
    /// First row of each term's weights.
    pub terms: Vec<usize>,
    /// First row of the biases.
    pub bias: usize,
}

/// A circuit's geometry.
#[derive(Clone, Debug)]
pub struct Layout {
    architecture: Architecture,
    options: LayoutOptions,
    shapes: Vec<Shape>,
    activations: Vec<Option<usize>>,
    weights: Vec<Option<WeightRows>>,
    weight_runs: Vec<usize>,
    weight_end: usize,
    lane_rows: usize,
    score: ScoreRows,
    glue: Glue,
}

impl Layout {
    /// Lays out `architecture` for proofs of `options.samples` samples.
    pub fn new(architecture: Architecture, options: LayoutOptions) -> Result<Self, LayoutError> {
        let shapes = architecture.shapes()?;
        check_options(&architecture, &options)?;
        let mut layers = architecture.layers.iter();
        if let Some(layer) = layers.position(|layer| matches!(layer, Layer::MaxPool(_))) {
            return Err(LayoutError::MaxPool { layer });
        }
        let rows_per_cell = options.samples / options.lanes;
        let mut layout = Self {
            activations: vec![None; shapes.len()],
            weights: vec![None; shapes.len()],
            weight_runs: vec![],
            weight_end: PROGRAM_START,
            lane_rows: 0,
            score: ScoreRows {
                start: 0,
                classes: architecture.classes(),
                samples: options.samples,
            },
            glue: Glue::default(),
            architecture,
            options,
            shapes,
        };
        for (index, layer) in layout.architecture.layers.iter().enumerate() {
            let Layer::Linear(linear) = layer else {
                continue;
            };
            let cells = layout.shapes[index + 1].cells();
            if linear.output == Output::Activation {
                layout.activations[index + 1] = Some(layout.lane_rows);
                layout.lane_rows += cells * rows_per_cell;
            }
            let mut rows = WeightRows {
                terms: vec![],
                bias: 0,
            };
            for term in &linear.terms {
                rows.terms.push(layout.weight_end);
                let outputs = linear.shape.channels / term.groups;
                let weights =
                    term.weights(layout.shapes[term.input.0].channels, linear.shape.channels);
                // Before a run is noted: an architecture may be a stranger's.
                let needed = layout.weight_end + weights;
                layout.fits("the weight column", needed, layout.usable())?;
                for _ in 0..weights / outputs {
                    layout.weight_runs.push(outputs);
                    layout.weight_end += outputs + 1;
                }
            }
            rows.bias = layout.weight_end;
            layout.weight_runs.push(linear.shape.channels);
            layout.weight_end += linear.shape.channels + 1;
            layout.weights[index + 1] = Some(rows);
        }
        layout.score.start = layout
            .lane_rows
            .max(layout.architecture.input.cells() * layout.options.samples);
        layout.check_rows()?;
        let needed = Glue::least_rows(&layout);
        layout.fits("the glue program", needed, layout.last())?;
        layout.glue = Glue::build(&layout);
        layout.fits("the glue program", layout.glue.end(), layout.last())?;
        Ok(layout)
    }

    /// The largest batch, a multiple of `lanes`, that `2^k` rows hold.
    pub fn largest(
        architecture: &Architecture,
        k: u32,
        lanes: usize,
        top_k: usize,
    ) -> Result<Self, LayoutError> {
        let try_groups = |groups: usize| {
            Self::new(
                architecture.clone(),
                LayoutOptions {
                    k,
                    lanes,
                    samples: groups * lanes,
                    top_k,
                },
            )
        };
        let mut best = try_groups(1)?;
        let (mut low, mut high) = (1, (1 << k) / lanes + 1);
        while low + 1 < high {
            let middle = (low + high) / 2;
            match try_groups(middle) {
                Ok(layout) => (low, best) = (middle, layout),
                Err(LayoutError::Rows { .. }) => high = middle,
                Err(other) => return Err(other),
            }
        }
        Ok(best)
    }

    fn fits(&self, what: &'static str, needed: usize, available: usize) -> Result<(), LayoutError> {
        if needed > available {
            return Err(LayoutError::Rows {
                what,
                needed,
                available,
                k: self.options.k,
            });
        }
        Ok(())
    }

    fn check_rows(&self) -> Result<(), LayoutError> {
        let least_salt = SALT_ROWS.start;
        self.fits("the lookup table", self.table_rows(), self.last())?;
        self.fits(
            "the weight column with its salt",
            self.weight_end + least_salt,
            self.usable(),
        )?;
        self.fits(
            "the batch of samples",
            self.score.expose() + 4 + least_salt,
            self.last() - 1,
        )
    }

    /// The network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }
    /// The choices it was made with.
    pub fn options(&self) -> &LayoutOptions {
        &self.options
    }
    /// Shapes of all tensors, the input first.
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }
    /// Number of rows, `2^k`.
    pub fn rows(&self) -> usize {
        1 << self.options.k
    }
    /// Rows that may be assigned.
    pub fn usable(&self) -> usize {
        self.rows() - BLINDING_ROWS
    }
    /// Row on which the running sums must have ended; the rows before it are *active*.
    pub fn last(&self) -> usize {
        self.usable() - 2
    }
    /// Rows a cell of a tensor takes in the lanes.
    pub fn rows_per_cell(&self) -> usize {
        self.options.samples / self.options.lanes
    }
    /// First lane row of a tensor, if it is committed there.
    pub fn activation_start(&self, tensor: usize) -> Option<usize> {
        self.activations.get(tensor).copied().flatten()
    }
    /// Rows of the lanes that hold activations.
    pub fn lane_rows(&self) -> usize {
        self.lane_rows
    }
    /// Weight rows of the linear layer that makes `tensor`.
    pub fn weight_rows_of(&self, tensor: usize) -> Option<&WeightRows> {
        self.weights.get(tensor).and_then(Option::as_ref)
    }
    /// Lengths of the runs of weights, in order; the first starts at [`PROGRAM_START`].
    pub fn weight_runs(&self) -> &[usize] {
        &self.weight_runs
    }
    /// Row after the last weight of the weight column.
    pub fn weight_end(&self) -> usize {
        self.weight_end
    }
    /// The score region.
    pub fn score(&self) -> &ScoreRows {
        &self.score
    }
    /// The glue program.
    pub fn glue(&self) -> &Glue {
        &self.glue
    }
    /// Row of pixel `cell` of sample `n` in the data column.
    pub fn data_row(&self, cell: usize, n: usize) -> usize {
        cell * self.options.samples + n
    }
    /// Rows of the lookup table: the clip range, then pairs of remainders.
    pub fn table_rows(&self) -> usize {
        self.clip_rows() + (1 << (2 * self.architecture.fraction_bits))
    }
    /// Rows of the table's clip part; the offset that makes `q` non-negative is half of it.
    pub fn clip_rows(&self) -> usize {
        1 << self.architecture.range_bits
    }
    /// What is added to `q` where it is stored.
    pub fn clip_offset(&self) -> i64 {
        1 << (self.architecture.range_bits - 1)
    }
    /// Salt rows of the data column, at its end.
    pub fn data_salt(&self) -> Range<usize> {
        self.salt(self.score.expose() + 4)
    }
    /// Salt rows of the weight column, at its end.
    pub fn weight_salt(&self) -> Range<usize> {
        self.salt(self.weight_end)
    }
    fn salt(&self, used: usize) -> Range<usize> {
        let rows = (self.usable() - used).min(SALT_ROWS.end);
        self.usable() - rows..self.usable()
    }
    /// Limbs of a logit comparison.
    pub fn compare_limbs(&self) -> usize {
        compare_limbs(self.architecture.fraction_bits)
    }
}

/// Remainder cells that make up one comparison of logits.
pub(crate) fn compare_limbs(fraction_bits: u32) -> usize {
    COMPARE_BITS.div_ceil(fraction_bits) as usize
}

fn check_options(architecture: &Architecture, options: &LayoutOptions) -> Result<(), LayoutError> {
    if !LANES.contains(&options.lanes) || !options.lanes.is_multiple_of(2) {
        return Err(LayoutError::Lanes(options.lanes));
    }
    if !K.contains(&options.k) {
        return Err(LayoutError::RowsExponent(options.k));
    }
    if options.samples == 0
        || !options.samples.is_multiple_of(options.lanes)
        || options.samples > 1 << 24
    {
        return Err(LayoutError::Samples {
            samples: options.samples,
            lanes: options.lanes,
        });
    }
    let classes = architecture.classes();
    if options.top_k == 0 || options.top_k > classes {
        return Err(LayoutError::TopK {
            classes,
            found: options.top_k,
        });
    }
    let bits = 2 * architecture.fraction_bits;
    if classes > 1 << bits {
        return Err(LayoutError::Classes { classes, bits });
    }
    Ok(())
}
