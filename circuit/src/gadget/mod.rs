//! The columns and gates of the circuit; each gadget owns its own.
//!
//! | gadget | proves |
//! | --- | --- |
//! | [`lookup`] | every `(q, y)` is a clip, every remainder in range, by one log-derivative sum |
//! | [`fold`] | the claim columns fold the committed pixels, activations and accumulators over the slots |
//! | [`weights`] | a claim column folds the committed weights over output channels |
//! | [`glue`] | every linear layer, as one identity between claims |
//! | [`score`] | exact ranks of the labels, and the totals of the statement |
//!
//! Every column that enters an evaluation at a challenge is committed before that challenge:
//! phase 1 holds the lanes and the multiplicities (and the instance columns, absorbed before
//! everything), phase 2 what depends on the challenges. [`Columns::configure`] is the only place
//! that makes columns, so the order can be read off (and is tested) there.

pub mod fold;
pub mod glue;
pub mod lookup;
pub mod score;
pub mod weights;

use crate::layout::{compare_limbs, ClaimColumn, Grid, Layout, Reach};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{
        Advice, Challenge, Column, ConstraintSystem, Expression, FirstPhase, Fixed, Instance,
        SecondPhase, VirtualCells,
    },
    poly::Rotation,
};

/// What the shape of the constraint system depends on; everything else is data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Number of `(q, r, y)` triples.
    pub lanes: usize,
    /// Bits of a remainder.
    pub fraction_bits: u32,
    /// Ranks below this count for `topk`.
    pub top_k: usize,
    /// Columns of weights.
    pub weight_columns: usize,
    /// Tiles of an image.
    pub grid: Grid,
    /// Tiles at the sides that are read.
    pub reach: Reach,
}

impl From<&Layout> for Shape {
    fn from(layout: &Layout) -> Self {
        Self {
            lanes: layout.options().lanes,
            fraction_bits: layout.architecture().fraction_bits,
            top_k: layout.options().top_k,
            weight_columns: layout.weights().columns(),
            grid: layout.options().grid,
            reach: layout.reach(),
        }
    }
}

impl Shape {
    /// Whether images are cut: then some activations may be folded over samples alone.
    pub fn is_cut(&self) -> bool {
        self.grid != Grid::WHOLE
    }
    /// Remainder cells of a logit comparison.
    pub fn compare_limbs(&self) -> usize {
        compare_limbs(self.fraction_bits)
    }
}

/// Challenges, all drawn after phase 1.
#[derive(Clone, Copy, Debug)]
pub struct Challenges {
    /// Shift of the log-derivative denominators.
    pub alpha: Challenge,
    /// Compression of lookup tuples.
    pub theta: Challenge,
    /// Folds samples.
    pub zeta: Challenge,
    /// Folds output channels.
    pub eta: Challenge,
    /// Folds positions.
    pub t: Challenge,
}

/// All columns of the circuit.
#[derive(Clone, Debug)]
pub struct Columns {
    /// What the columns were made for.
    pub shape: Shape,
    /// Committed weights.
    pub model: Vec<Column<Instance>>,
    /// Committed pixels and labels.
    pub data: Column<Instance>,
    /// The statement's scalars.
    pub statement: Column<Instance>,
    /// Requantized value plus the clip offset.
    pub q: Vec<Column<Advice>>,
    /// Remainder.
    pub r: Vec<Column<Advice>>,
    /// Activation.
    pub y: Vec<Column<Advice>>,
    /// How often each row of the table is looked up.
    pub multiplicity: Column<Advice>,
    /// One sum of fractions per group of three lookups.
    pub fractions: Vec<Column<Advice>>,
    /// Running sum of all fractions.
    pub sum: Column<Advice>,
    /// Claims of the data column.
    pub data_claim: Column<Advice>,
    /// Claims of the activations.
    pub y_claim: Column<Advice>,
    /// Claims of the accumulators.
    pub z_claim: Column<Advice>,
    /// Claims of the weights.
    pub weight_claim: Column<Advice>,
    /// Claims of the activations as the tiles at the sides see them, by [`Reach::distances`].
    pub beside: Vec<Column<Advice>>,
    /// Glue operands and result.
    pub a: Column<Advice>,
    /// Second operand.
    pub b: Column<Advice>,
    /// Result.
    pub e: Column<Advice>,
    /// Selectors and tables.
    pub fixed: FixedColumns,
    /// The challenges.
    pub challenges: Challenges,
}

/// Fixed columns. Plain 0/1 columns rather than halo2 selectors: nothing is compressed behind
/// the back of the verifier generator.
#[derive(Clone, Copy, Debug)]
pub struct FixedColumns {
    /// 1 on every row before [`Layout::last`] that is not a score row. Lane and score rows
    /// together are the *active* rows.
    pub lane: Column<Fixed>,
    /// 1 where a lane claim takes in the next row, 0 on the last row of a cell.
    pub lane_chain: Column<Fixed>,
    /// The same for the data column.
    pub data_chain: Column<Fixed>,
    /// The same for the weight columns: 0 on the last row of a run.
    pub weight_chain: Column<Fixed>,
    /// 1 on rows of one weight only; exists where there are several weight columns.
    pub narrow: Option<Column<Fixed>>,
    /// 1 on rows of activations that are folded over samples alone; exists where images are cut.
    pub summed: Option<Column<Fixed>>,
    /// Step of the glue program: see [`glue::opcode`].
    pub opcode: Column<Fixed>,
    /// The two rows that load constants and pin the ends of the running sum.
    pub load: Column<Fixed>,
    /// On load rows a constant; on class rows the class index plus one.
    pub constant: Column<Fixed>,
    /// Table: 0 for clips, 1 for remainder pairs.
    pub table_tag: Column<Fixed>,
    /// Table: first entry.
    pub table_first: Column<Fixed>,
    /// Table: second entry.
    pub table_second: Column<Fixed>,
    /// Row before the first sample.
    pub start: Column<Fixed>,
    /// A sample and a class.
    pub class: Column<Fixed>,
    /// A sample's result.
    pub summary: Column<Fixed>,
    /// Totals against the statement.
    pub expose: Column<Fixed>,
}

impl Columns {
    /// Makes all columns and gates.
    pub fn configure(cs: &mut ConstraintSystem<Fr>, shape: Shape) -> Self {
        let model = (0..shape.weight_columns)
            .map(|_| cs.instance_column())
            .collect();
        let data = cs.instance_column();
        let statement = cs.instance_column();
        let mut first =
            |n: usize| -> Vec<_> { (0..n).map(|_| cs.advice_column_in(FirstPhase)).collect() };
        let (q, r, y) = (first(shape.lanes), first(shape.lanes), first(shape.lanes));
        let multiplicity = cs.advice_column_in(FirstPhase);
        let challenges = Challenges {
            alpha: cs.challenge_usable_after(FirstPhase),
            theta: cs.challenge_usable_after(FirstPhase),
            zeta: cs.challenge_usable_after(FirstPhase),
            eta: cs.challenge_usable_after(FirstPhase),
            t: cs.challenge_usable_after(FirstPhase),
        };
        let fractions = (0..lookup::fraction_columns(shape.lanes))
            .map(|_| cs.advice_column_in(SecondPhase))
            .collect();
        let mut second = || cs.advice_column_in(SecondPhase);
        let sum = second();
        let [data_claim, y_claim, z_claim, weight_claim] = [(); 4].map(|()| second());
        let [a, b, e] = [(); 3].map(|()| second());
        let beside = shape.reach.distances().map(|_| second()).collect();
        let mut fixed = || cs.fixed_column();
        let fixed = FixedColumns {
            lane: fixed(),
            lane_chain: fixed(),
            data_chain: fixed(),
            weight_chain: fixed(),
            narrow: (shape.weight_columns > 1).then(&mut fixed),
            summed: shape.is_cut().then(&mut fixed),
            opcode: fixed(),
            load: fixed(),
            constant: fixed(),
            table_tag: fixed(),
            table_first: fixed(),
            table_second: fixed(),
            start: fixed(),
            class: fixed(),
            summary: fixed(),
            expose: fixed(),
        };
        let columns = Self {
            shape,
            model,
            data,
            statement,
            q,
            r,
            y,
            multiplicity,
            fractions,
            sum,
            data_claim,
            y_claim,
            z_claim,
            weight_claim,
            beside,
            a,
            b,
            e,
            fixed,
            challenges,
        };
        for column in columns.claims() {
            cs.enable_equality(column);
        }
        lookup::configure(cs, &columns);
        fold::configure(cs, &columns);
        weights::configure(cs, &columns);
        glue::configure(cs, &columns);
        score::configure(cs, &columns);
        columns
    }

    /// The columns that glue cells are copied from, in the order of
    /// [`ClaimColumn::index`].
    pub fn claims(&self) -> Vec<Column<Advice>> {
        let plain: [_; ClaimColumn::PLAIN] = [
            self.data_claim,
            self.y_claim,
            self.z_claim,
            self.weight_claim,
            self.a,
            self.b,
            self.e,
        ];
        plain.into_iter().chain(self.beside.clone()).collect()
    }
}

/// A column's cell on this row.
fn at(cells: &mut VirtualCells<'_, Fr>, column: Column<Advice>) -> Expression<Fr> {
    cells.query_advice(column, Rotation::cur())
}

/// A column's cell on the next row.
fn next(cells: &mut VirtualCells<'_, Fr>, column: Column<Advice>) -> Expression<Fr> {
    cells.query_advice(column, Rotation::next())
}

/// A fixed column's cell on this row.
fn fixed(cells: &mut VirtualCells<'_, Fr>, column: Column<Fixed>) -> Expression<Fr> {
    cells.query_fixed(column, Rotation::cur())
}

/// 1 on every active row.
fn active(cells: &mut VirtualCells<'_, Fr>, columns: &Columns) -> Expression<Fr> {
    let f = &columns.fixed;
    [f.start, f.class, f.summary, f.expose]
        .into_iter()
        .fold(fixed(cells, f.lane), |sum, kind| sum + fixed(cells, kind))
}

/// A constant.
fn constant(value: u64) -> Expression<Fr> {
    Expression::Constant(Fr::from(value))
}

/// `2x`, written as a sum: cheaper than a product, here and on chain.
fn double(x: &Expression<Fr>) -> Expression<Fr> {
    x.clone() + x.clone()
}

/// `sum_i cells[i] * step^i`, nested so that each power costs one product.
fn polynomial(cells: &[Expression<Fr>], step: &Expression<Fr>) -> Expression<Fr> {
    cells
        .iter()
        .rev()
        .cloned()
        .reduce(|acc, cell| acc * step.clone() + cell)
        .unwrap_or(Expression::Constant(Fr::zero()))
}

/// `base^exponent` for a small exponent.
fn power(base: &Expression<Fr>, exponent: usize) -> Expression<Fr> {
    (1..exponent).fold(base.clone(), |acc, _| acc * base.clone())
}

/// Multiplies every named constraint by a selector.
fn gated(
    selector: Expression<Fr>,
    constraints: impl IntoIterator<Item = (&'static str, Expression<Fr>)>,
) -> Vec<(&'static str, Expression<Fr>)> {
    constraints
        .into_iter()
        .map(|(name, constraint)| (name, selector.clone() * constraint))
        .collect()
}
