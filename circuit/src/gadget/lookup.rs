//! Log-derivative lookups (eprint 2022/1530) over the challenge phase.
//!
//! Statement: on every active row, each remainder pair `(r_2i, r_2i+1)` lies in `[0, 2^s)^2`,
//! and on every lane row each `(q, y)` is a row of the clip table, so that
//! `q - offset` is in the range of the network and `y = clamp(q - offset, 0, 255)`.
//!
//! One universal table holds rows `(tag, first, second)`; a tuple is compressed to
//! `f = alpha + first + theta*second + theta^2*tag`. With `m` the multiplicities,
//!
//! ```text
//! sum over lookups of 1/f  =  sum over table rows of m/f_table
//! ```
//!
//! Layout, per row:
//!
//! ```text
//! q_j r_j y_j (phase 1) | m (phase 1) | fractions_g (phase 2) | sum (phase 2)
//! fractions_g = sum of 1/f over three lookups, times the selector of the group
//! sum_next    = sum + all fractions - m/f_table
//! ```
//!
//! Pinned by: `q, r, y` the tables; `m` the running sum; `fractions` their gate on every active
//! row (zero where the selector is zero); `sum` its gate, zero on row 0 and on row `last`.
//!
//! Preconditions: fewer than `p` lookups, so that no multiplicity wraps.
//!
//! Cost: one column per three lookups, `3/2` lookups per lane, degree 5.

use super::{active, at, constant, fixed, next, Columns};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{Advice, Column, ConstraintSystem, Expression, VirtualCells},
};

/// Lookups that share one column of fractions.
pub const GROUP: usize = 3;

/// A lookup: its selector and where its tuple comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tuple {
    /// `(q_j, y_j)` in the clip table, on lane rows.
    Clip(usize),
    /// `(r_2i, r_2i+1)` in the remainder table, on active rows.
    Remainders(usize),
    /// `(r_j, 0)` in the same table: the last of an odd number of lanes.
    Remainder(usize),
}

/// Lookups by column of fractions, and the one that the running sum takes in by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Groups {
    /// Up to three lookups with one selector each.
    pub columns: Vec<Vec<Tuple>>,
    /// A pair of remainders left over when the groups are full.
    pub rest: Option<Tuple>,
}

/// How `lanes` lanes are grouped.
pub fn groups(lanes: usize) -> Groups {
    let clips: Vec<_> = (0..lanes).map(Tuple::Clip).collect();
    let odd = (lanes % 2 == 1).then(|| Tuple::Remainder(lanes - 1));
    let pairs: Vec<_> = (0..lanes / 2).map(Tuple::Remainders).chain(odd).collect();
    let (pairs, rest) = match pairs.split_last() {
        Some((&last, full)) if pairs.len() % GROUP == 1 => (full.to_vec(), Some(last)),
        _ => (pairs, None),
    };
    let columns = clips
        .chunks(GROUP)
        .chain(pairs.chunks(GROUP))
        .map(<[_]>::to_vec)
        .collect();
    Groups { columns, rest }
}

/// Number of fraction columns for `lanes` lanes.
pub fn fraction_columns(lanes: usize) -> usize {
    groups(lanes).columns.len()
}

/// `alpha + first + theta*second + theta^2*tag`.
fn compress(
    cells: &mut VirtualCells<'_, Fr>,
    columns: &Columns,
    first: Expression<Fr>,
    second: Expression<Fr>,
    tag: Option<Expression<Fr>>,
) -> Expression<Fr> {
    let alpha = cells.query_challenge(columns.challenges.alpha);
    let theta = cells.query_challenge(columns.challenges.theta);
    let tail = match tag {
        Some(tag) => second + theta.clone() * tag,
        None => second,
    };
    alpha + first + theta * tail
}

fn denominator(
    cells: &mut VirtualCells<'_, Fr>,
    columns: &Columns,
    tuple: Tuple,
) -> Expression<Fr> {
    let pair = |cells: &mut VirtualCells<'_, Fr>, a: Column<Advice>, b: Column<Advice>| {
        (at(cells, a), at(cells, b))
    };
    match tuple {
        Tuple::Clip(j) => {
            let (q, y) = pair(cells, columns.q[j], columns.y[j]);
            compress(cells, columns, q, y, None)
        }
        Tuple::Remainders(i) => {
            let (low, high) = pair(cells, columns.r[2 * i], columns.r[2 * i + 1]);
            compress(cells, columns, low, high, Some(constant(1)))
        }
        Tuple::Remainder(j) => {
            let r = at(cells, columns.r[j]);
            compress(cells, columns, r, constant(0), Some(constant(1)))
        }
    }
}

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    let groups = groups(columns.shape.lanes);
    for (group, &column) in groups.columns.iter().zip(&columns.fractions) {
        cs.create_gate("fractions * f1 f2 f3 = f1 f2 + f1 f3 + f2 f3", |cells| {
            let active = active(cells, columns);
            let selector = match group.first() {
                Some(Tuple::Clip(_)) => fixed(cells, columns.fixed.lane),
                _ => constant(1),
            };
            let factors: Vec<_> = group
                .iter()
                .map(|&tuple| denominator(cells, columns, tuple))
                .collect();
            let product = |skip: Option<usize>| {
                factors
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| Some(*i) != skip)
                    .map(|(_, f)| f.clone())
                    .reduce(|a, b| a * b)
                    .unwrap_or(constant(1))
            };
            let numerator = (0..factors.len())
                .map(|i| product(Some(i)))
                .reduce(|a, b| a + b)
                .unwrap_or(constant(0));
            let fractions = at(cells, column);
            vec![(
                "group of fractions",
                active * (fractions * product(None) - selector * numerator),
            )]
        });
    }
    cs.create_gate("sum_next - sum = fractions - m / f_table", |cells| {
        let active = active(cells, columns);
        let load = fixed(cells, columns.fixed.load);
        let first = fixed(cells, columns.fixed.table_first);
        let second = fixed(cells, columns.fixed.table_second);
        let tag = fixed(cells, columns.fixed.table_tag);
        let table = compress(cells, columns, first, second, Some(tag));
        let m = at(cells, columns.multiplicity);
        let sum = at(cells, columns.sum);
        let step = columns
            .fractions
            .iter()
            .fold(next(cells, columns.sum) - sum.clone(), |acc, &column| {
                acc - at(cells, column)
            });
        let balance = match groups.rest {
            None => step * table + m,
            Some(tuple) => {
                let f = denominator(cells, columns, tuple);
                (step * table.clone() + m) * f - table
            }
        };
        vec![
            ("running sum", active * balance),
            ("running sum is zero at both ends", load * sum),
        ]
    });
}
