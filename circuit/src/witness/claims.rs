//! Phase 2: fractions, running sum, claims and the glue program's values, from phase 1 and the
//! challenges.

use super::{field, lanes::Lanes};
use crate::{
    gadget::lookup::{groups, Groups, Tuple},
    layout::{CellRef, ClaimColumn, Layout, Reach, Step, PROGRAM_START},
};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2curves::ff::BatchInvert;
use rayon::prelude::*;
use std::{ops::Range, sync::Arc};

/// Values of the challenges.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeValues {
    /// Shift of the denominators.
    pub alpha: Fr,
    /// Compression of tuples.
    pub theta: Fr,
    /// Folds samples.
    pub zeta: Fr,
    /// Folds output channels.
    pub eta: Fr,
    /// Folds positions.
    pub t: Fr,
}

/// Phase-2 columns, `usable` rows each. Secret: no `Debug`.
pub struct Claims {
    /// One column per group of lookups.
    pub fractions: Vec<Vec<Fr>>,
    /// Running sum of all fractions.
    pub sum: Vec<Fr>,
    /// Claims and glue cells, in the order of [`ClaimColumn::index`].
    pub columns: Vec<Vec<Fr>>,
    /// What that order depends on.
    reach: Reach,
}

/// The salted instance columns that are folded.
#[derive(Clone, Copy)]
pub struct Committed<'a> {
    /// Weights with salt, `usable` rows each.
    pub model: &'a [Arc<Vec<Fr>>],
    /// Pixels and labels with salt, `usable` rows.
    pub data: &'a [Fr],
}

impl Claims {
    /// Computes phase 2.
    pub fn compute(
        layout: &Layout,
        committed: Committed<'_>,
        lanes: &Lanes,
        challenges: &ChallengeValues,
    ) -> Self {
        let (fractions, sum) = lookups(layout, lanes, challenges);
        let data = fold_pixels(layout, committed.data, challenges.zeta);
        let (y, z) = fold_lanes(layout, lanes, challenges);
        let weights = fold_weights(layout, committed.model, challenges.eta);
        let zero = || vec![Fr::zero(); layout.usable()];
        let mut columns = vec![data, y, z, weights, zero(), zero(), zero()];
        let reach = layout.reach();
        let beside = reach.distances();
        columns.extend(beside.map(|distance| fold_beside(layout, lanes, distance, challenges)));
        let mut claims = Self {
            fractions,
            sum,
            columns,
            reach,
        };
        claims.run_glue(layout, challenges);
        claims
    }

    /// A column by name.
    pub fn column(&mut self, column: ClaimColumn) -> &mut Vec<Fr> {
        &mut self.columns[column.index(self.reach)]
    }

    fn cell(&self, cell: CellRef) -> Fr {
        self.columns[cell.column.index(self.reach)][cell.row as usize]
    }

    fn run_glue(&mut self, layout: &Layout, challenges: &ChallengeValues) {
        let [a, b, e] =
            [ClaimColumn::A, ClaimColumn::B, ClaimColumn::E].map(|c| c.index(self.reach));
        let loads = [
            (0, Fr::zero(), challenges.t),
            (layout.last(), Fr::one(), challenges.zeta),
        ];
        for (row, constant, challenge) in loads {
            self.columns[a][row] = constant;
            self.columns[b][row] = challenge;
            self.columns[e][row] = challenges.eta;
        }
        let mut start = 0;
        for &length in layout.glue().runs() {
            for index in (start..start + length).rev() {
                let row = PROGRAM_START + index;
                let after = self.columns[e][row + 1];
                let step = layout.glue().steps()[index];
                let (left, right) = step.operands();
                let (left, right) = (self.cell(left), self.cell(right));
                (self.columns[a][row], self.columns[b][row]) = (left, right);
                self.columns[e][row] = match step {
                    Step::Horner(..) => left + right * after,
                    Step::Dot(..) => left * right + after,
                    Step::Less(..) => after - left * right,
                };
            }
            start += length;
        }
    }
}

/// Whether a data row takes in the next one: all but the last slot of each pixel.
pub(crate) fn data_chain(layout: &Layout, row: usize) -> bool {
    let slots = layout.slots();
    row < layout.tiles()[0].shape.cells() * slots && !(row + 1).is_multiple_of(slots)
}

/// Whether a lane row takes in the next one: all but the last row of each cell.
pub(crate) fn lane_chain(layout: &Layout, row: usize) -> bool {
    row < layout.lane_rows() && !(row + 1).is_multiple_of(layout.rows_per_cell())
}

fn fold_pixels(layout: &Layout, cells: &[Fr], zeta: Fr) -> Vec<Fr> {
    let mut claims = vec![Fr::zero(); layout.usable()];
    for row in (0..layout.last()).rev() {
        claims[row] = cells[row];
        if data_chain(layout, row) {
            let after = claims[row + 1];
            claims[row] += zeta * after;
        }
    }
    claims
}

fn fold_weights(layout: &Layout, model: &[Arc<Vec<Fr>>], eta: Fr) -> Vec<Fr> {
    let powers = powers(eta, model.len());
    let mut claims: Vec<Fr> = (0..layout.usable())
        .into_par_iter()
        .map(|row| match row < layout.last() {
            true => (model.iter().zip(&powers))
                .fold(Fr::zero(), |sum, (column, power)| sum + column[row] * power),
            false => Fr::zero(),
        })
        .collect();
    for run in layout.weights().runs() {
        for row in (run.start..run.start + run.rows).rev() {
            let after = match row + 1 < run.start + run.rows {
                true => claims[row + 1],
                false => Fr::zero(),
            };
            match run.narrow && model.len() > 1 {
                true => claims[row] = model[0][row] + eta * after,
                false => claims[row] += powers[model.len()] * after,
            }
        }
    }
    claims
}

/// `1, base, ... base^exponent`.
fn powers(base: Fr, exponent: usize) -> Vec<Fr> {
    std::iter::successors(Some(Fr::one()), |p| Some(p * base))
        .take(exponent + 1)
        .collect()
}

/// Activations as the tiles so many columns aside see them.
fn fold_beside(
    layout: &Layout,
    lanes: &Lanes,
    distance: i8,
    challenges: &ChallengeValues,
) -> Vec<Fr> {
    let (count, side) = (layout.options().lanes, layout.options().grid.columns);
    let powers = powers(challenges.zeta, count);
    let seen: Vec<(usize, Fr)> = (0..count)
        .filter_map(|lane| {
            let tile = (lane % side).checked_add_signed(isize::from(distance))?;
            (tile < side).then_some((lane / side * side + tile, powers[lane]))
        })
        .collect();
    let mut claims: Vec<Fr> = (0..layout.usable())
        .into_par_iter()
        .map(|row| match row < layout.last() {
            true => (seen.iter()).fold(Fr::zero(), |sum, (lane, power)| {
                sum + field(lanes.y[*lane][row]) * power
            }),
            false => Fr::zero(),
        })
        .collect();
    for row in (0..layout.lane_rows()).rev() {
        if lane_chain(layout, row) {
            let after = claims[row + 1];
            claims[row] += powers[count] * after;
        }
    }
    claims
}

fn fold_lanes(layout: &Layout, lanes: &Lanes, challenges: &ChallengeValues) -> (Vec<Fr>, Vec<Fr>) {
    let scale = 1i64 << layout.architecture().fraction_bits;
    let powers = powers(challenges.zeta, layout.options().lanes);
    let jump = powers[layout.options().lanes];
    let rows: Vec<(Fr, Fr)> = (0..layout.usable())
        .into_par_iter()
        .map(|row| {
            let (mut y, mut z) = (Fr::zero(), Fr::zero());
            for (j, power) in powers[..layout.options().lanes].iter().enumerate() {
                y += power * field(lanes.y[j][row]);
                z += power * field(lanes.q[j][row] * scale + lanes.r[j][row]);
            }
            (y, z)
        })
        .collect();
    let (mut y, mut z): (Vec<Fr>, Vec<Fr>) = rows.into_iter().unzip();
    let score = layout.score();
    for row in (0..layout.last()).rev() {
        if score.rows().contains(&row) {
            continue;
        }
        if lane_chain(layout, row) {
            let after = (y[row + 1], z[row + 1]);
            y[row] += jump * after.0;
            z[row] += jump * after.1;
        }
    }
    for rows in layout.summed_rows() {
        sum_over_tiles(layout, lanes, &powers, rows, &mut y);
    }
    fold_logits(layout, lanes, challenges, &mut y, &mut z);
    y[layout.last()..].fill(Fr::zero());
    z[layout.last()..].fill(Fr::zero());
    (y, z)
}

/// Claims of activations that are folded over samples alone.
fn sum_over_tiles(layout: &Layout, lanes: &Lanes, powers: &[Fr], rows: Range<usize>, y: &mut [Fr]) {
    let grid = layout.options().grid;
    let jump = match grid.rows {
        1 => powers[layout.options().lanes / grid.columns],
        _ => Fr::one(),
    };
    for row in rows.rev() {
        let after = match lane_chain(layout, row) {
            true => jump * y[row + 1],
            false => Fr::zero(),
        };
        y[row] = lanes
            .y
            .iter()
            .enumerate()
            .fold(after, |sum, (lane, cells)| {
                sum + powers[lane / grid.columns] * field(cells[row])
            });
    }
}

/// The two lane claims on score rows: classes within a sample, then samples.
fn fold_logits(
    layout: &Layout,
    lanes: &Lanes,
    challenges: &ChallengeValues,
    y: &mut [Fr],
    z: &mut [Fr],
) {
    let score = layout.score();
    for row in score.expose()..score.expose() + 3 {
        (y[row], z[row]) = (Fr::zero(), Fr::zero());
    }
    for row in (score.start..score.expose()).rev() {
        let boundary = (row - score.start).is_multiple_of(score.classes + 1);
        (y[row], z[row]) = if boundary {
            (Fr::zero(), y[row + 1] + challenges.zeta * z[row + 1])
        } else {
            (
                field(lanes.q[0][row]) + challenges.eta * y[row + 1],
                z[row + 1],
            )
        };
    }
}

fn inverses(mut values: Vec<Fr>) -> Vec<Fr> {
    // Chunks keep both cores busy; a zero (of negligible chance) stays zero and fails to verify.
    values.par_chunks_mut(1 << 12).for_each(|chunk| {
        chunk.iter_mut().batch_invert();
    });
    values
}

fn lookups(
    layout: &Layout,
    lanes: &Lanes,
    challenges: &ChallengeValues,
) -> (Vec<Vec<Fr>>, Vec<Fr>) {
    let active = layout.last();
    let score = layout.score();
    let score_rows = score.rows();
    let Groups { columns, rest } = groups(layout.options().lanes);
    let tuple = |tuple: Tuple, row: usize| match tuple {
        Tuple::Clip(j) => {
            challenges.alpha + field(lanes.q[j][row]) + challenges.theta * field(lanes.y[j][row])
        }
        Tuple::Remainders(i) => {
            challenges.alpha
                + field(lanes.r[2 * i][row])
                + challenges.theta * (field(lanes.r[2 * i + 1][row]) + challenges.theta)
        }
        Tuple::Remainder(j) => {
            challenges.alpha + field(lanes.r[j][row]) + challenges.theta * challenges.theta
        }
    };
    let fractions_of = |lookup: Tuple| {
        let clip = matches!(lookup, Tuple::Clip(_));
        let values = (0..active)
            .into_par_iter()
            .map(|row| {
                if clip && score_rows.contains(&row) {
                    Fr::zero()
                } else {
                    tuple(lookup, row)
                }
            })
            .collect();
        inverses(values)
    };
    let mut totals = vec![Fr::zero(); active];
    let mut add = |column: &[Fr]| {
        totals.par_iter_mut().zip(column).for_each(|(t, c)| *t += c);
    };
    let mut fractions = Vec::with_capacity(columns.len());
    for group in columns {
        let mut column = vec![Fr::zero(); layout.usable()];
        for lookup in group {
            let inverted = fractions_of(lookup);
            column
                .par_iter_mut()
                .zip(&inverted)
                .for_each(|(sum, value)| *sum += value);
        }
        add(&column[..active]);
        fractions.push(column);
    }
    if let Some(lookup) = rest {
        add(&fractions_of(lookup));
    }
    let table = table(layout);
    let inverted = inverses(
        table[..active]
            .par_iter()
            .map(|&[tag, first, second]| {
                let tail = Fr::from(second) + challenges.theta * Fr::from(tag);
                challenges.alpha + Fr::from(first) + challenges.theta * tail
            })
            .collect(),
    );
    let mut sum = Vec::with_capacity(layout.usable());
    let mut running = Fr::zero();
    for row in 0..active {
        sum.push(running);
        running += totals[row] - Fr::from(lanes.multiplicity[row]) * inverted[row];
    }
    sum.push(running);
    sum.resize(layout.usable(), Fr::zero());
    (fractions, sum)
}

/// The universal table, `usable` rows of `(tag, first, second)`: clips, remainder pairs, then
/// copies of the first clip row.
pub(crate) fn table(layout: &Layout) -> Vec<[u64; 3]> {
    let side = 1u64 << layout.architecture().fraction_bits;
    let clips =
        (0..layout.clip_rows() as u64).map(|q| [0, q, super::lanes::clip(layout, q as i64) as u64]);
    let pairs = (0..side * side).map(|row| [1, row % side, row / side]);
    let mut rows: Vec<_> = clips.chain(pairs).collect();
    rows.resize(layout.usable(), [0, 0, 0]);
    rows
}
