//! Where every value of a proof lives: network and batch size to rows, lanes and columns.
//!
//! Pure arithmetic, no halo2 types. One proof covers a *shard* of `samples` samples, each cut into the tiles of the
//! grid ([`tiles`]): many small images of one tile, or a few large ones of many. The tiles of all samples are the
//! *slots*; a cell is one position of a tile, in all slots.
//!
//! ```text
//! row          lanes (q, r, y) x m            data column        weight columns  glue (a, b, e)
//! 0            activation cells, cell major,  pixel 0, all slots weights and     constants
//! 1            slots across the m lanes       pixel 1, all slots biases, by run  one program for all
//! ...          and R = slots/m rows           ...                ...             linear layers
//! score.start  score rows, one per sample     labels
//!              and class, a summary each
//! score.expose totals against the statement
//! usable - S   unused                         salt               salt
//! last         -                              salt               salt            constants
//! ```
//!
//! A cell of a tensor takes `R` consecutive rows; row `j` lane `i` holds slot `j*m + i`.

mod glue;
mod options;
pub mod tiles;
mod weights;

pub use glue::{CellRef, ClaimColumn, Glue, Reach, Step, PROGRAM_START};
pub(crate) use options::compare_limbs;
pub use options::{Grid, LayoutError, LayoutOptions, COMPARE_BITS, LANES};
pub use tiles::Tile;
pub use weights::{LayerRuns, Run, WeightRows};

use crate::network::{Architecture, Layer, Shape};
use std::ops::Range;

/// Rows at the end of every column that halo2 fills with blinding: its five blinding factors
/// (advice columns are opened at two points at most) and the row of the last Lagrange basis.
pub const BLINDING_ROWS: usize = 6;
/// Salt rows of a committed column: fewer hide nothing, more buy openings.
const SALT_ROWS: Range<usize> = 256..4096;
const BATCH: &str = "the batch of samples";
const GLUE: &str = "the glue program";
/// Most columns that weights are spread over: each costs a commitment of the model.
const WEIGHT_COLUMNS: std::ops::RangeInclusive<usize> = 1..=16;

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
    /// All of them.
    pub fn rows(&self) -> Range<usize> {
        self.start..self.expose() + 3
    }
}

/// A circuit's geometry.
#[derive(Clone, Debug)]
pub struct Layout {
    architecture: Architecture,
    options: LayoutOptions,
    shapes: Vec<Shape>,
    tiles: Vec<Tile>,
    activations: Vec<Option<usize>>,
    weights: WeightRows,
    runs: Vec<Option<LayerRuns>>,
    lane_rows: usize,
    score: ScoreRows,
    reach: Reach,
    glue: Glue,
}

impl Layout {
    /// Lays out `architecture` for proofs of `options.samples` samples.
    pub fn new(architecture: Architecture, options: LayoutOptions) -> Result<Self, LayoutError> {
        Self::sketch(architecture, options)?.finish()
    }

    /// Everything but the glue program, which takes the most time: enough to tell what a proof costs, if the program
    /// fits.
    pub(crate) fn sketch(
        architecture: Architecture,
        options: LayoutOptions,
    ) -> Result<Self, LayoutError> {
        let shapes = architecture.shapes()?;
        options::check(&architecture, &options)?;
        let tiles = tiles::cut(&architecture, &shapes, options.grid)?;
        let mut layout = Self {
            activations: vec![None; shapes.len()],
            runs: vec![None; shapes.len()],
            weights: WeightRows::default(),
            lane_rows: 0,
            score: ScoreRows {
                start: 0,
                classes: architecture.classes(),
                samples: options.samples,
            },
            reach: Reach::default(),
            glue: Glue::default(),
            architecture,
            options,
            shapes,
            tiles,
        };
        layout.place_activations();
        layout.place_weights()?;
        let pixels = layout.tiles[0].shape.cells().saturating_mul(layout.slots());
        // First: an architecture may be a stranger's, and what follows the samples is added to this.
        let start = layout.lane_rows.max(pixels);
        layout.fits(BATCH, start, layout.last())?;
        layout.score.start = start;
        layout.fits("the lookup table", layout.table_rows(), layout.last())?;
        layout.fits(
            BATCH,
            layout.score.expose() + 4 + SALT_ROWS.start,
            layout.last() - 1,
        )?;
        let needed = Glue::least_rows(&layout);
        layout.fits(GLUE, needed, layout.last())?;
        layout.reach = Reach::of(&layout);
        Ok(layout)
    }

    /// Writes the glue program of a sketch.
    pub(crate) fn finish(mut self) -> Result<Self, LayoutError> {
        match Glue::build(&self) {
            Some(glue) => self.glue = glue,
            None => self.fits(GLUE, self.last() + 1, self.last())?,
        }
        Ok(self)
    }

    fn place_activations(&mut self) {
        for (index, layer) in self.architecture.layers.iter().enumerate() {
            let committed = layer.committed();
            if committed > 0 {
                self.activations[index + 1] = Some(self.lane_rows);
                let cells = self.tiles[index + 1].shape.cells();
                let rows = cells
                    .saturating_mul(committed)
                    .saturating_mul(self.rows_per_cell());
                self.lane_rows = self.lane_rows.saturating_add(rows);
            }
        }
    }

    /// Spreads the weights over as few columns as hold them.
    fn place_weights(&mut self) -> Result<(), LayoutError> {
        let shapes = &self.shapes;
        let channels = |tensor: usize| shapes[tensor].channels;
        let linears = || {
            let layers = self.architecture.layers.iter().enumerate();
            layers.filter_map(|(index, layer)| match layer {
                Layer::Linear(linear) => Some((index, linear)),
                _ => None,
            })
        };
        let available = self.usable().saturating_sub(SALT_ROWS.start);
        let needed = |columns: usize| {
            let rows =
                linears().map(|(_, linear)| WeightRows::rows_of_layer(columns, linear, channels));
            rows.fold(0, usize::saturating_add)
        };
        let columns = WEIGHT_COLUMNS
            .into_iter()
            .find(|&columns| needed(columns) <= available)
            .unwrap_or(*WEIGHT_COLUMNS.end());
        // Before a run is noted: an architecture may be a stranger's.
        self.fits("the weights", needed(columns), available)?;
        let mut weights = WeightRows::new(columns);
        let mut runs = vec![None; self.runs.len()];
        for (index, linear) in linears() {
            runs[index + 1] = Some(weights.push(linear, channels));
        }
        (self.weights, self.runs) = (weights, runs);
        Ok(())
    }

    /// The largest batch that `2^k` rows hold.
    pub fn largest(
        architecture: &Architecture,
        k: u32,
        lanes: usize,
        grid: Grid,
        top_k: usize,
    ) -> Result<Self, LayoutError> {
        let mut sketch = Self::largest_sketch(architecture, k, lanes, grid, top_k)?;
        let unit = lanes / grid.columns.max(1);
        // Of the program, only the sum of the slots' weights grows with the batch: a few tries fit it.
        loop {
            let options = sketch.options.clone();
            match sketch.finish() {
                Err(LayoutError::Rows { .. }) if grid.rows == 1 && options.samples > unit => {
                    let samples = options.samples / unit * 7 / 8 * unit;
                    let options = LayoutOptions {
                        samples: samples.max(unit),
                        ..options
                    };
                    sketch = Self::sketch(architecture.clone(), options)?;
                }
                outcome => return outcome,
            }
        }
    }

    pub(crate) fn largest_sketch(
        architecture: &Architecture,
        k: u32,
        lanes: usize,
        grid: Grid,
        top_k: usize,
    ) -> Result<Self, LayoutError> {
        let unit = lanes / grid.columns.max(1);
        let try_groups = |groups: usize| {
            Self::sketch(
                architecture.clone(),
                LayoutOptions {
                    k,
                    lanes,
                    samples: groups * unit,
                    grid,
                    top_k,
                },
            )
        };
        let mut best = try_groups(1)?;
        if grid.rows > 1 {
            return Ok(best);
        }
        let (mut low, mut high) = (1, (1usize << k.min(22)) / lanes.max(1) + 1);
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
    /// How the grid cuts them.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
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
    /// Tiles of all samples.
    pub fn slots(&self) -> usize {
        self.options.samples * self.options.grid.tiles()
    }
    /// Rows a cell of a tensor takes in the lanes.
    pub fn rows_per_cell(&self) -> usize {
        self.slots() / self.options.lanes
    }
    /// Slot of tile `(tile_y, tile_x)` of sample `n`.
    pub fn slot(&self, n: usize, (tile_y, tile_x): (usize, usize)) -> usize {
        (tile_y * self.options.samples + n) * self.options.grid.columns + tile_x
    }
    /// Sample and tile of a slot.
    pub fn tile_of(&self, slot: usize) -> (usize, (usize, usize)) {
        let (samples, columns) = (self.options.samples, self.options.grid.columns);
        let row = slot / columns;
        (row % samples, (row / samples, slot % columns))
    }
    /// Where cell `index` of a tile's `tensor` stands in the whole tensor's `(c, y, x)` order, in tile `(tile_y, tile_x)`.
    pub fn whole_index(&self, tensor: usize, index: usize, tile: (usize, usize)) -> usize {
        let (part, full) = (self.tiles[tensor].shape, self.shapes[tensor]);
        let (channel, y, x) = part.place(index);
        let (y, x) = (tile.0 * part.height + y, tile.1 * part.width + x);
        (channel * full.height + y) * full.width + x
    }
    /// First lane row of a tensor, if it is committed there.
    pub fn activation_start(&self, tensor: usize) -> Option<usize> {
        self.activations.get(tensor).copied().flatten()
    }
    /// Rows of the lanes that hold activations.
    pub fn lane_rows(&self) -> usize {
        self.lane_rows
    }
    /// Lane rows of activations that only a global pooling reads.
    pub fn summed_rows(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.tiles.iter().enumerate().filter_map(|(tensor, tile)| {
            let start = self.activation_start(tensor)?;
            let rows = tile.shape.cells() * self.rows_per_cell();
            tile.summed.then_some(start..start + rows)
        })
    }
    /// The weight columns.
    pub fn weights(&self) -> &WeightRows {
        &self.weights
    }
    /// Runs of the linear layer that makes `tensor`.
    pub fn runs_of(&self, tensor: usize) -> Option<&LayerRuns> {
        self.runs.get(tensor).and_then(Option::as_ref)
    }
    /// Rows of the weight columns that the layer which makes `tensor` takes.
    pub fn weight_rows_of(&self, tensor: usize) -> usize {
        let runs = self.weights.runs();
        let Some(own) = self.runs_of(tensor) else {
            return 0;
        };
        let first = own.terms.first().copied().unwrap_or(own.bias);
        runs[own.bias].start + runs[own.bias].rows - runs[first].start
    }
    /// The score region.
    pub fn score(&self) -> &ScoreRows {
        &self.score
    }
    /// How far into the tiles at the sides layers read.
    pub fn reach(&self) -> Reach {
        self.reach
    }
    /// The glue program.
    pub fn glue(&self) -> &Glue {
        &self.glue
    }
    /// Row of pixel `cell` of a tile in the data column.
    pub fn data_row(&self, cell: usize, slot: usize) -> usize {
        cell * self.slots() + slot
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
    /// Salt rows of every weight column, at its end.
    pub fn weight_salt(&self) -> Range<usize> {
        self.salt(self.weights.end())
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
