//! Phase 2: fractions, running sum, claims and the glue program's values, from phase 1 and the
//! challenges.

use super::{field, lanes::Lanes};
use crate::{
    gadget::lookup::{groups, Groups, Tuple},
    layout::{CellRef, ClaimColumn, Layout, Step, PROGRAM_START},
};
use halo2_proofs::halo2curves::bn256::Fr;
use halo2curves::ff::BatchInvert;
use rayon::prelude::*;

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
    /// Claims and glue cells, in the order of [`ClaimColumn`].
    pub columns: [Vec<Fr>; 6],
}

/// The salted instance columns that are folded.
#[derive(Clone, Copy)]
pub struct Committed<'a> {
    /// Weights with salt, `usable` rows.
    pub model: &'a [Fr],
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
        let zero = || vec![Fr::zero(); layout.usable()];
        let mut claims = Self {
            fractions,
            sum,
            columns: [data, y, z, zero(), zero(), zero()],
        };
        claims.run_glue(layout, committed.model, challenges);
        claims
    }

    fn cell(&self, cell: CellRef) -> Fr {
        self.columns[cell.column as usize][cell.row as usize]
    }

    fn run_glue(&mut self, layout: &Layout, model: &[Fr], challenges: &ChallengeValues) {
        let [a, b, e] = [ClaimColumn::A, ClaimColumn::B, ClaimColumn::E].map(|c| c as usize);
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
                self.columns[e][row] = match layout.glue().steps()[index] {
                    Step::Weight => model[row] + challenges.eta * after,
                    Step::Horner(left, right) => {
                        let (left, right) = (self.cell(left), self.cell(right));
                        (self.columns[a][row], self.columns[b][row]) = (left, right);
                        left + right * after
                    }
                    Step::Dot(left, right) => {
                        let (left, right) = (self.cell(left), self.cell(right));
                        (self.columns[a][row], self.columns[b][row]) = (left, right);
                        left * right + after
                    }
                };
            }
            start += length;
        }
    }
}

/// Whether a data row takes in the next one: all but the last sample of each pixel.
pub(crate) fn data_chain(layout: &Layout, row: usize) -> bool {
    let samples = layout.options().samples;
    row < layout.architecture().input.cells() * samples && !(row + 1).is_multiple_of(samples)
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

fn fold_lanes(layout: &Layout, lanes: &Lanes, challenges: &ChallengeValues) -> (Vec<Fr>, Vec<Fr>) {
    let scale = 1i64 << layout.architecture().fraction_bits;
    let powers: Vec<Fr> = std::iter::successors(Some(Fr::one()), |p| Some(p * challenges.zeta))
        .take(layout.options().lanes + 1)
        .collect();
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
        if (score.start..score.expose() + 3).contains(&row) {
            continue;
        }
        if lane_chain(layout, row) {
            let after = (y[row + 1], z[row + 1]);
            y[row] += jump * after.0;
            z[row] += jump * after.1;
        }
    }
    fold_logits(layout, lanes, challenges, &mut y, &mut z);
    y[layout.last()..].fill(Fr::zero());
    z[layout.last()..].fill(Fr::zero());
    (y, z)
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
    let score_rows = score.start..score.expose() + 3;
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
