//! Where weights stand in the weight columns.
//!
//! A *run* is the weights of one input channel and tap over the output channels of its group, or the biases of a layer:
//! what one claim, `U = sum_o w[o] eta^o`, folds. A run of a plain layer fills the columns of each of its rows, the
//! last row with zeros. Other values there would be weights of output channels that do not exist: they meet powers of eta
//! that no real channel has, so they change nothing, and the layer holds only where those channels' sums are zero.
//! A run of a layer with groups is narrow, one weight a row, so that no cell of it could reach into the next group.

use crate::network::Linear;

/// One run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First row; the run's claim stands here.
    pub start: usize,
    /// Rows it takes.
    pub rows: usize,
    /// Weights.
    pub length: usize,
    /// One weight a row, in the first column.
    pub narrow: bool,
}

impl Run {
    /// Row and column of weight `o` of the run.
    pub fn place(&self, columns: usize, o: usize) -> (usize, usize) {
        match self.narrow {
            true => (self.start + o, 0),
            false => (self.start + o / columns, o % columns),
        }
    }
}

/// Runs of one linear layer: indices into [`WeightRows::runs`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRuns {
    /// First run of each term; its runs follow each other by input channel and tap.
    pub terms: Vec<usize>,
    /// The run of the biases.
    pub bias: usize,
}

/// The weight columns of a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WeightRows {
    columns: usize,
    runs: Vec<Run>,
    end: usize,
}

impl WeightRows {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            columns,
            runs: vec![],
            end: 0,
        }
    }

    /// Number of weight columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
    /// All runs, in the order of the weights.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }
    /// Row after the last run.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Rows that `runs` runs of `length` weights take.
    pub(super) fn rows_of(columns: usize, runs: usize, length: usize, narrow: bool) -> usize {
        let rows = if narrow {
            length
        } else {
            length.div_ceil(columns)
        };
        runs.saturating_mul(rows)
    }

    /// Rows that a layer takes; `channels` are the channels of a term's input.
    pub(super) fn rows_of_layer(
        columns: usize,
        linear: &Linear,
        channels: impl Fn(usize) -> usize,
    ) -> usize {
        let terms = linear.terms.iter().map(|term| {
            let outputs = linear.shape.channels / term.groups;
            let runs = term.weights(channels(term.input.0), linear.shape.channels) / outputs;
            Self::rows_of(columns, runs, outputs, term.groups > 1)
        });
        let bias = Self::rows_of(columns, 1, linear.shape.channels, false);
        terms.fold(bias, usize::saturating_add)
    }

    pub(super) fn push(&mut self, linear: &Linear, channels: impl Fn(usize) -> usize) -> LayerRuns {
        let mut terms = vec![];
        for term in &linear.terms {
            terms.push(self.runs.len());
            let outputs = linear.shape.channels / term.groups;
            let runs = term.weights(channels(term.input.0), linear.shape.channels) / outputs;
            for _ in 0..runs {
                self.run(outputs, term.groups > 1);
            }
        }
        let bias = self.runs.len();
        self.run(linear.shape.channels, false);
        LayerRuns { terms, bias }
    }

    fn run(&mut self, length: usize, narrow: bool) {
        let rows = Self::rows_of(self.columns, 1, length, narrow);
        self.runs.push(Run {
            start: self.end,
            rows,
            length,
            narrow,
        });
        self.end += rows;
    }
}
