//! The glue program: one straight-line arithmetic program that ties all linear layers together.
//!
//! After phase 1 the challenges `zeta` (samples), `t` (positions) and `eta` (output channels)
//! fold every committed cell over the batch: the *claims* `X[cell] = sum_n x[cell][n] zeta^n`
//! stand in the chain columns. A linear layer `z = sum_taps w*x + b` then holds for all
//! samples, positions and channels at once, up to a chance of (N + P + O) / |F|, when
//!
//! ```text
//! sum_o eta^o sum_p t^p Z[o,p]  =  sum_{c,tap} U[c,tap] * E[c,tap]  +  U_bias * E_1
//!    U[c,tap] = sum_o eta^o w[o,c,tap]           claims of the weight column
//!    E[c,tap] = sum_p t^p X[c, stride*p + tap]   a border cell reads the folded padding value
//!    E_1      = sum_p t^p sum_n zeta^n
//! ```
//!
//! Nothing here grows with the batch. Strides, paddings, windows and groups are only a matter
//! of which cell a row copies; no cell outside the output is ever computed.
//!
//! Steps, one a row: `Weight` is `e = weight + eta*e_next`, `Horner` is `e = a + b*e_next`, `Dot` is
//! `e = a*b + e_next`; `a` and `b` are copies. A run of steps is evaluated from its end.

use super::Layout;
use crate::network::{Layer, Linear, Output, SumPool, Term};
use std::collections::BTreeMap;

/// A column that glue cells are copied from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClaimColumn {
    /// Folded pixels.
    Data,
    /// Folded activations.
    Activation,
    /// Folded accumulators, and the folded logits.
    Accumulator,
    /// First glue operand.
    A,
    /// Second glue operand.
    B,
    /// Glue result; folded weights on the weight rows.
    E,
}

/// A cell of a claim column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellRef {
    /// The column.
    pub column: ClaimColumn,
    /// The row.
    pub row: u32,
}

/// One row of the program; operands are named by the cells they are copies of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// `e = weight + eta * e_next`.
    Weight,
    /// `e = a + b * e_next`.
    Horner(CellRef, CellRef),
    /// `e = a * b + e_next`.
    Dot(CellRef, CellRef),
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
    /// Pairs of cells that must be equal: one per linear layer.
    pub fn equal(&self) -> &[(CellRef, CellRef)] {
        &self.equal
    }

    pub(super) fn build(layout: &Layout) -> Self {
        let mut builder = Builder::new(layout);
        for (index, layer) in layout.architecture().layers.iter().enumerate() {
            let cells = match layer {
                Layer::Linear(linear) => builder.linear(index + 1, linear),
                Layer::SumPool(pool) => builder.sum_pool(index + 1, pool),
                Layer::Flatten { input } => builder.tensors[input.0].clone(),
                Layer::MaxPool(_) => vec![],
            };
            builder.tensors.push(cells);
        }
        builder.glue
    }

    /// Rows the program needs at least, one for every claim a layer reads: known before it is built, which takes memory
    /// in proportion to it.
    pub(super) fn least_rows(layout: &Layout) -> usize {
        let shapes = layout.shapes();
        let area = |kernel: (usize, usize)| kernel.0.saturating_mul(kernel.1);
        let layers = layout.architecture().layers.iter().enumerate();
        layers.fold(0usize, |rows, (index, layer)| {
            let reads = match layer {
                Layer::Flatten { .. } | Layer::MaxPool(_) => 0,
                Layer::SumPool(pool) => shapes[index + 1].cells().saturating_mul(area(pool.kernel)),
                Layer::Linear(linear) => linear.terms.iter().fold(0usize, |sum, term| {
                    let taps = shapes[term.input.0]
                        .channels
                        .saturating_mul(area(term.kernel));
                    sum.saturating_add(taps.saturating_mul(linear.shape.positions()))
                }),
            };
            rows.saturating_add(reads)
        })
    }
}

fn cell(column: ClaimColumn, row: usize) -> CellRef {
    CellRef {
        column,
        row: row as u32,
    }
}

struct Builder<'a> {
    layout: &'a Layout,
    glue: Glue,
    /// Claims of every tensor's cells, input first.
    tensors: Vec<Vec<CellRef>>,
    one: CellRef,
    /// `sum_n zeta^n`: a cell that is 1 in every sample.
    ones: CellRef,
    /// `E_1` by number of positions.
    ones_by_positions: BTreeMap<usize, CellRef>,
    borders: BTreeMap<u8, CellRef>,
}

const ZERO: CellRef = CellRef {
    column: ClaimColumn::A,
    row: 0,
};
const T: CellRef = CellRef {
    column: ClaimColumn::B,
    row: 0,
};
const ETA: CellRef = CellRef {
    column: ClaimColumn::E,
    row: 0,
};

impl<'a> Builder<'a> {
    fn new(layout: &'a Layout) -> Self {
        let one = cell(ClaimColumn::A, layout.last());
        let input = (0..layout.architecture().input.cells())
            .map(|c| cell(ClaimColumn::Data, layout.data_row(c, 0)))
            .collect();
        let mut builder = Self {
            layout,
            glue: Glue::default(),
            tensors: vec![input],
            one,
            ones: ZERO,
            ones_by_positions: BTreeMap::new(),
            borders: BTreeMap::from([(0, ZERO)]),
        };
        for &length in layout.weight_runs() {
            builder.glue.steps.extend(vec![Step::Weight; length]);
            builder.glue.steps.push(Step::Horner(ZERO, ZERO));
            builder.glue.runs.push(length + 1);
        }
        let zeta = cell(ClaimColumn::B, layout.last());
        builder.ones = builder.horner(zeta, &vec![one; layout.options().samples]);
        builder
    }

    /// `sum_i terms[i] * step^i`.
    fn horner(&mut self, step: CellRef, terms: &[CellRef]) -> CellRef {
        let start = self.glue.end();
        for (i, &a) in terms.iter().enumerate() {
            let b = if i + 1 < terms.len() { step } else { ZERO };
            self.glue.steps.push(Step::Horner(a, b));
        }
        self.glue.runs.push(terms.len());
        cell(ClaimColumn::E, start)
    }

    /// `sum_i left[i] * right[i]`.
    fn dot(&mut self, pairs: &[(CellRef, CellRef)]) -> CellRef {
        let start = self.glue.end();
        for &(a, b) in pairs {
            self.glue.steps.push(Step::Dot(a, b));
        }
        self.glue.steps.push(Step::Horner(ZERO, ZERO));
        self.glue.runs.push(pairs.len() + 1);
        cell(ClaimColumn::E, start)
    }

    /// Evaluation in `t` over positions; a single position is its own evaluation.
    fn over_positions(&mut self, cells: &[CellRef]) -> CellRef {
        match cells {
            [single] => *single,
            _ => self.horner(T, cells),
        }
    }

    /// `step^exponent`.
    fn power(&mut self, step: CellRef, exponent: usize) -> CellRef {
        if exponent == 1 {
            return step;
        }
        let mut terms = vec![ZERO; exponent];
        terms.push(self.one);
        self.horner(step, &terms)
    }

    /// The claim of a border cell that holds `value` in every sample.
    fn border(&mut self, value: u8) -> CellRef {
        if let Some(&known) = self.borders.get(&value) {
            return known;
        }
        let one = self.one;
        let two = self.horner(one, &[one, one]);
        let bits: Vec<_> = (0..8)
            .map(|bit| if value >> bit & 1 == 1 { one } else { ZERO })
            .collect();
        let constant = self.horner(two, &bits);
        let folded = self.dot(&[(constant, self.ones)]);
        self.borders.insert(value, folded);
        folded
    }

    fn ones_over(&mut self, positions: usize) -> CellRef {
        if let Some(&known) = self.ones_by_positions.get(&positions) {
            return known;
        }
        let claim = self.over_positions(&vec![self.ones; positions]);
        self.ones_by_positions.insert(positions, claim);
        claim
    }

    fn sum_pool(&mut self, tensor: usize, pool: &SumPool) -> Vec<CellRef> {
        let (from, to) = (
            self.layout.shapes()[pool.input.0],
            self.layout.shapes()[tensor],
        );
        let mut cells = Vec::with_capacity(to.cells());
        for c in 0..to.channels {
            for (y, x) in (0..to.height).flat_map(|y| (0..to.width).map(move |x| (y, x))) {
                let mut window = Vec::with_capacity(pool.kernel.0 * pool.kernel.1);
                for (dy, dx) in taps(pool.kernel) {
                    let (iy, ix) = (y * pool.stride.0 + dy, x * pool.stride.1 + dx);
                    window
                        .push(self.tensors[pool.input.0][(c * from.height + iy) * from.width + ix]);
                }
                cells.push(self.horner(self.one, &window));
            }
        }
        cells
    }

    fn linear(&mut self, tensor: usize, linear: &Linear) -> Vec<CellRef> {
        let layout = self.layout;
        let Some(rows) = layout.weight_rows_of(tensor) else {
            return vec![];
        };
        let positions = linear.shape.positions();
        let bias = (cell(ClaimColumn::E, rows.bias), self.ones_over(positions));
        let plain = linear.terms.iter().all(|term| term.groups == 1);
        let right = if plain {
            let mut pairs = vec![];
            for (term, &start) in linear.terms.iter().zip(&rows.terms) {
                pairs.extend(self.group(linear, term, start, 0));
            }
            pairs.push(bias);
            self.dot(&pairs)
        } else {
            let mut sums = vec![self.dot(&[bias])];
            for (term, &start) in linear.terms.iter().zip(&rows.terms) {
                let mut groups = vec![];
                for group in 0..term.groups {
                    let pairs = self.group(linear, term, start, group);
                    groups.push(self.dot(&pairs));
                }
                let step = self.power(ETA, linear.shape.channels / term.groups);
                sums.push(self.horner(step, &groups));
            }
            self.horner(self.one, &sums)
        };
        let (left, cells) = self.outputs(tensor, linear);
        self.glue.equal.push((left, right));
        cells
    }

    /// `(U, E)` for every channel and tap of one group.
    fn group(
        &mut self,
        linear: &Linear,
        term: &Term,
        start: usize,
        group: usize,
    ) -> Vec<(CellRef, CellRef)> {
        let from = self.layout.shapes()[term.input.0];
        let channels = from.channels / term.groups;
        let outputs = linear.shape.channels / term.groups;
        let border = if term.padding == Default::default() {
            ZERO
        } else {
            self.border(term.padding.value)
        };
        let mut row = start + group * channels * term.kernel.0 * term.kernel.1 * (outputs + 1);
        let mut pairs = vec![];
        for c in group * channels..(group + 1) * channels {
            for (ky, kx) in taps(term.kernel) {
                let mut reads = Vec::with_capacity(linear.shape.positions());
                for (y, x) in (0..linear.shape.height)
                    .flat_map(|y| (0..linear.shape.width).map(move |x| (y, x)))
                {
                    let iy = (y * term.stride.0 + ky).wrapping_sub(term.padding.top);
                    let ix = (x * term.stride.1 + kx).wrapping_sub(term.padding.left);
                    reads.push(if iy < from.height && ix < from.width {
                        self.tensors[term.input.0][(c * from.height + iy) * from.width + ix]
                    } else {
                        border
                    });
                }
                let evaluation = self.over_positions(&reads);
                pairs.push((cell(ClaimColumn::E, row), evaluation));
                row += outputs + 1;
            }
        }
        pairs
    }

    /// The left side of the identity, and the claims of the layer's activations.
    fn outputs(&mut self, tensor: usize, linear: &Linear) -> (CellRef, Vec<CellRef>) {
        let layout = self.layout;
        if linear.output == Output::Logits {
            // The score region folds its logits over classes and samples by itself.
            return (cell(ClaimColumn::Accumulator, layout.score().start), vec![]);
        }
        let start = layout.activation_start(tensor).unwrap_or_default();
        let at = |column, index: usize| cell(column, start + index * layout.rows_per_cell());
        let positions = linear.shape.positions();
        let mut channels = Vec::with_capacity(linear.shape.channels);
        for o in 0..linear.shape.channels {
            let cells: Vec<_> = (o * positions..(o + 1) * positions)
                .map(|index| at(ClaimColumn::Accumulator, index))
                .collect();
            channels.push(self.over_positions(&cells));
        }
        let left = self.horner(ETA, &channels);
        let cells = (0..linear.shape.cells())
            .map(|index| at(ClaimColumn::Activation, index))
            .collect();
        (left, cells)
    }
}

/// Kernel positions, row by row.
fn taps(kernel: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (0..kernel.0).flat_map(move |y| (0..kernel.1).map(move |x| (y, x)))
}
