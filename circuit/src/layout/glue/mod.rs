//! The glue program: one straight-line arithmetic program that ties all linear layers together.
//!
//! After phase 1 the challenges `zeta` (slots), `t` (positions of a tile) and `eta` (output channels) fold every
//! committed cell over the slots: the *claims* `X[cell] = sum_i x[cell][i] zeta^i` stand in the chain columns. A linear
//! layer `z = sum_taps w*x + b` then holds for all samples, positions and channels at once, up to a chance of
//! (slots + P + O) / |F|, when
//!
//! ```text
//! sum_o eta^o sum_p t^p Z[o,p]  =  sum_{c,tap} U[c,tap] * E[c,tap]  +  U_bias * E_1
//!    U[c,tap] = sum_o eta^o w[o,c,tap]           claims of the weight columns
//!    E[c,tap] = sum_p t^p X[c, stride*p + tap]   a border cell reads the folded padding value
//!    E_1      = sum_p t^p sum_i zeta^i
//! ```
//!
//! Max pooling has an identity of its own, and a bound ([`max_pool`]).
//!
//! Nothing here grows with the batch, and with images cut into tiles only with the positions of one tile. Strides,
//! paddings, windows and groups are a matter of which cell a row copies; no cell outside the output is ever computed.
//! A tap that leaves the tile reads the neighbouring tile's cell ([`claims`]).
//!
//! Steps, one a row: `Horner` is `e = a + b*e_next`, `Dot` is `e = a*b + e_next`, `Less` is `e = e_next - a*b`; `a` and `b`
//! are copies. A run of steps is evaluated from its end.

mod build;
mod claims;
mod max_pool;
mod windows;

use super::{Layout, Tile};
use crate::network::Layer;
use build::Builder;

/// A column that glue cells are copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClaimColumn {
    /// Folded pixels.
    Data,
    /// Folded activations.
    Activation,
    /// Folded accumulators, and the folded logits.
    Accumulator,
    /// Folded weights.
    Weight,
    /// First glue operand.
    A,
    /// Second glue operand.
    B,
    /// Glue result.
    E,
    /// Activations folded as the tiles so many columns to the left see them.
    Beside(i8),
}

/// How far taps reach into the tiles at the sides: columns of tiles to the left and to the right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// To the left.
    pub left: usize,
    /// To the right.
    pub right: usize,
}

impl Reach {
    /// Distances there are columns for, but 0.
    pub fn distances(&self) -> impl Iterator<Item = i8> {
        (-(self.left as i8)..=self.right as i8).filter(|&d| d != 0)
    }
}

impl Reach {
    /// Of all convolutions of activations.
    pub(super) fn of(layout: &Layout) -> Self {
        let tiles = layout.tiles();
        let layers = layout.architecture().layers.iter().enumerate();
        let linears = layers.filter_map(|(index, layer)| match layer {
            Layer::Linear(linear) => Some((tiles[index + 1], linear)),
            _ => None,
        });
        let mut reach = Self::default();
        for (to, linear) in linears.filter(|(to, _)| !to.whole) {
            for term in linear.terms.iter().filter(|term| term.input.0 > 0) {
                let width = tiles[term.input.0].shape.width;
                let last = (to.shape.width - 1) * term.stride.1 + term.kernel.1 - 1;
                let left = term.padding.left.div_ceil(width);
                let right = last.saturating_sub(term.padding.left) / width;
                reach.left = reach.left.max(left);
                reach.right = reach.right.max(right);
            }
        }
        let most = layout.options().grid.columns - 1;
        Self {
            left: reach.left.min(most),
            right: reach.right.min(most),
        }
    }
}

impl ClaimColumn {
    /// Claim columns of every circuit.
    pub const PLAIN: usize = 7;

    /// Position among all claim columns.
    pub fn index(self, reach: Reach) -> usize {
        match self {
            Self::Data => 0,
            Self::Activation => 1,
            Self::Accumulator => 2,
            Self::Weight => 3,
            Self::A => 4,
            Self::B => 5,
            Self::E => 6,
            Self::Beside(distance) => {
                let before = reach.distances().take_while(|&d| d != distance);
                Self::PLAIN + before.count()
            }
        }
    }
}

/// A cell of a claim column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellRef {
    /// The column.
    pub column: ClaimColumn,
    /// The row.
    pub row: u32,
}

/// One row of the program; operands are named by the cells they are copies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `e = a + b * e_next`.
    Horner(CellRef, CellRef),
    /// `e = a * b + e_next`.
    Dot(CellRef, CellRef),
    /// `e = e_next - a * b`.
    Less(CellRef, CellRef),
}

impl Step {
    /// The cells that `a` and `b` are copies of.
    pub fn operands(&self) -> (CellRef, CellRef) {
        match *self {
            Self::Horner(a, b) | Self::Dot(a, b) | Self::Less(a, b) => (a, b),
        }
    }
}

/// First row of the program: row 0 holds constants.
pub const PROGRAM_START: usize = 1;

/// The program.
#[derive(Clone, Debug, Default)]
pub struct Glue {
    steps: Vec<Step>,
    /// Lengths of the runs, in order; each run is evaluated from its end.
    runs: Vec<usize>,
    /// Left and right side of every linear layer.
    equal: Vec<(CellRef, CellRef)>,
    /// Row after each layer's last step.
    ends: Vec<usize>,
}

impl Glue {
    /// Steps, the first one on row [`PROGRAM_START`].
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
    /// Row after the last one.
    pub fn end(&self) -> usize {
        PROGRAM_START + self.steps.len()
    }
    /// Lengths of the runs in order.
    pub fn runs(&self) -> &[usize] {
        &self.runs
    }
    /// Rows that were written for a layer.
    pub fn rows_of(&self, layer: usize) -> usize {
        let start = match layer {
            0 => PROGRAM_START,
            _ => self.ends.get(layer - 1).copied().unwrap_or_default(),
        };
        let end = self.ends.get(layer).copied().unwrap_or_default();
        end.saturating_sub(start)
    }
    /// Pairs of cells that must be equal: one per linear layer.
    pub fn equal(&self) -> &[(CellRef, CellRef)] {
        &self.equal
    }

    /// `None` where it does not fit the rows.
    pub(super) fn build(layout: &Layout) -> Option<Self> {
        let mut builder = Builder::new(layout);
        for (index, layer) in layout.architecture().layers.iter().enumerate() {
            builder.layer(index + 1, layer);
            builder.glue.ends.push(builder.glue.end());
        }
        builder.finish()
    }

    /// Rows the program needs at least, to fold what every layer reads: known before it is built. What claims of other
    /// tiles take besides is cut off at the rows there are.
    pub(super) fn least_rows(layout: &Layout) -> usize {
        let tiles = layout.tiles();
        let area = |kernel: (usize, usize)| kernel.0.saturating_mul(kernel.1);
        let layers = layout.architecture().layers.iter().enumerate();
        layers.fold(0usize, |rows, (index, layer)| {
            let Tile { shape, whole, .. } = tiles[index + 1];
            let reads = match layer {
                Layer::Flatten { .. } => 0,
                Layer::SumPool(pool) if whole => tiles[pool.input.0].shape.cells(),
                Layer::SumPool(pool) => shape.cells().saturating_mul(area(pool.kernel)),
                // Both sides of each step, and the greatest cell after it.
                Layer::MaxPool(pool) => {
                    shape.cells().saturating_mul(pool.steps()).saturating_mul(5)
                }
                Layer::Linear(linear) => linear.terms.iter().fold(0usize, |sum, term| {
                    let channels = tiles[term.input.0].shape.channels;
                    let rows = windows::rows(term, shape).saturating_add(area(term.kernel));
                    sum.saturating_add(channels.saturating_mul(rows))
                }),
            };
            rows.saturating_add(reads)
        })
    }
}
