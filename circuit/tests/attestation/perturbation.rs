//! Every cell is pinned: changed alone it is refused, and changed with everything that follows from it as well. The
//! cells that are free are listed here, and the list is exact.

use crate::support::{context, grid::Grid, Case};
use halo2_proofs::{
    halo2curves::{bn256::Fr, ff::Field},
    plonk::{Advice, Column},
};
use rand::{rngs::StdRng, seq::SliceRandom, Rng, SeedableRng};
use rayon::prelude::*;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use zknode_circuit::{
    attestation::Statement,
    gadget::Columns,
    layout::{CellRef, ClaimColumn, Layout, Reach, PROGRAM_START},
    witness::{claims::Claims, lanes::Lanes},
};

/// Cells the mock prover is asked about: it takes a tenth of a second each.
const MOCKED: usize = 150;

/// An advice column by what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Q(usize),
    R(usize),
    Y(usize),
    Multiplicity,
    Fractions(usize),
    Sum,
    /// In the order of `ClaimColumn::index`.
    Claim(usize),
}

fn kinds(columns: &Columns) -> Vec<(Kind, usize)> {
    let mut kinds = vec![
        (Kind::Multiplicity, columns.multiplicity.index()),
        (Kind::Sum, columns.sum.index()),
    ];
    let mut push = |kind: fn(usize) -> Kind, columns: &[Column<Advice>]| {
        for (i, column) in columns.iter().enumerate() {
            kinds.push((kind(i), column.index()));
        }
    };
    push(Kind::Q, &columns.q);
    push(Kind::R, &columns.r);
    push(Kind::Y, &columns.y);
    push(Kind::Fractions, &columns.fractions);
    push(Kind::Claim, &columns.claims());
    kinds
}

/// Whether nothing reads a cell, and why.
fn is_free(layout: &Layout, kind: Kind, row: usize) -> bool {
    let (score, last) = (layout.score(), layout.last());
    // The gates and lookups are off on the last two rows, where the constants and the end of the sum are.
    let inactive = row >= last;
    let steps = PROGRAM_START..layout.glue().end();
    match kind {
        Kind::Q(_) | Kind::Y(_) if (score.start..score.expose() + 3).contains(&row) => {
            // No clip is looked up on score rows, and the score region has no use for all their cells.
            let place = (row - score.start) % (score.classes + 1);
            let (q, y): (&[usize], &[usize]) = if row == score.start {
                (&[], &[])
            } else if row == score.expose() {
                // Where the next sample would start at zero; the totals.
                (&[3, 4, 5], &[0, 1, 2])
            } else if row > score.expose() {
                // The totals that move up, and what moves up behind them.
                (&[], &[0, 1, 2])
            } else if place == 0 {
                // Label logit, valid, rank, label; totals, first, within.
                (&[1, 3, 4, 5], &[0, 1, 2, 4, 5])
            } else {
                // Logit, label logit, hot, seen, rank, label; totals, beats.
                (&[0, 1, 2, 3, 4, 5], &[0, 1, 2, 3])
            };
            match kind {
                Kind::Q(j) => !q.contains(&j),
                // Claims beside fold score rows like any other.
                Kind::Y(j) => !y.contains(&j) && layout.reach() == Reach::default(),
                _ => unreachable!("score rows are told apart in q and y only"),
            }
        }
        Kind::Q(_) | Kind::R(_) | Kind::Y(_) | Kind::Multiplicity | Kind::Fractions(_) => inactive,
        // The sum's end is pinned.
        Kind::Sum => row > last,
        // Claims of pixels, activations, accumulators, weights; of activations beside.
        Kind::Claim(0..=3 | ClaimColumn::PLAIN..) => inactive,
        // Operands and result, but for the constants: outside of the program.
        Kind::Claim(_) if row == 0 || row == last => false,
        Kind::Claim(_) => !steps.contains(&row),
    }
}

#[test]
fn every_cell_changed_alone_is_refused_unless_listed() {
    for case in [Case::get(), &Case::on_ten_lanes(), Case::cut()] {
        change_every_cell(case);
    }
}

fn change_every_cell(case: &Case) {
    let layout = case.layout();
    let (lanes, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let grid = Grid::new(case, &case.witness(lanes), &statement);
    assert!(grid.holds());
    let cells: Vec<_> = kinds(&grid.columns)
        .into_iter()
        .flat_map(|(kind, column)| (0..layout.usable()).map(move |row| (kind, column, row)))
        .collect();
    assert_eq!(cells.len(), grid.advice.len() * layout.usable());
    cells.par_iter().for_each(|&(kind, column, row)| {
        let mut rng = StdRng::seed_from_u64((column * layout.rows() + row) as u64);
        let honest = grid.advice[column][row];
        let changes = [honest + Fr::one(), honest - Fr::one(), Fr::random(&mut rng)];
        for value in changes {
            let refused = grid.refuses(column, row, value);
            let free = is_free(layout, kind, row);
            assert_eq!(refused, !free, "{kind:?} on row {row}: {value:?}");
        }
    });
}

/// An operand that is no copy would still be pinned by its step, to whatever makes the result right: so each copy is
/// looked up.
#[test]
fn every_operand_is_a_copy_of_the_cell_that_the_program_names() {
    for case in [Case::get(), Case::cut()] {
        look_up_every_copy(case);
    }
}

fn look_up_every_copy(case: &Case) {
    let (lanes, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let grid = Grid::new(case, &case.witness(lanes), &statement);
    let claims = grid.columns.claims();
    let reach = case.layout().reach();
    let place = |cell: CellRef| (claims[cell.column.index(reach)].index(), cell.row as usize);
    let mut cycles: HashMap<(usize, usize), usize> = HashMap::new();
    for column in claims.iter().map(Column::index) {
        for row in 0..case.layout().usable() {
            if !cycles.contains_key(&(column, row)) {
                let cycle = cycles.len();
                cycles.extend(grid.tied(column, row).into_iter().map(|cell| (cell, cycle)));
            }
        }
    }
    let glue = case.layout().glue();
    let mut pairs: Vec<_> = (glue.equal().iter())
        .map(|&(left, right)| (place(left), place(right)))
        .collect();
    for (index, &step) in glue.steps().iter().enumerate() {
        let row = PROGRAM_START + index;
        let (a, b) = step.operands();
        let [first, second] = [ClaimColumn::A, ClaimColumn::B].map(|c| claims[c.index(reach)]);
        pairs.push((place(a), (first.index(), row)));
        pairs.push((place(b), (second.index(), row)));
    }
    for (named, copy) in pairs {
        assert_eq!(cycles[&named], cycles[&copy], "{copy:?} copies {named:?}");
    }
}

/// The grid is not the mock prover: a sample of changes, judged by both.
#[test]
fn the_mock_prover_agrees() {
    let case = Case::get();
    let layout = case.layout();
    let (lanes, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let mut witness = case.witness(lanes);
    // Phase 2 of the honest witness, which stays while phase 1 changes.
    let honest: Arc<Mutex<Option<Vec<Vec<Fr>>>>> = Arc::default();
    let kept = honest.clone();
    witness.alter = Some(Arc::new(move |claims| {
        *kept.lock().unwrap() = Some(all(claims).into_iter().map(|c| c.clone()).collect());
    }));
    assert!(case.complaints(&witness, &statement).is_empty());
    let kept = honest.lock().unwrap().take().unwrap();
    let grid = Grid::new(case, &witness, &statement);
    let kinds = kinds(&grid.columns);
    let mut rng = StdRng::seed_from_u64(6);
    let (score, last) = (layout.score(), layout.last());
    let edges = [
        0,
        score.start,
        score.start + 1,
        score.expose(),
        last - 1,
        last,
        layout.usable() - 1,
    ];
    for _ in 0..MOCKED {
        let &(kind, _) = kinds.choose(&mut rng).unwrap();
        let row = match rng.gen() {
            true => *edges.choose(&mut rng).unwrap(),
            false => rng.gen_range(0..layout.usable()),
        };
        let mut changed = witness.clone();
        let cells = &mut changed.lanes;
        match kind {
            Kind::Q(j) => cells.q[j][row] += 1,
            Kind::R(j) => cells.r[j][row] += 1,
            Kind::Y(j) => cells.y[j][row] += 1,
            Kind::Multiplicity => cells.multiplicity[row] += 1,
            _ => {}
        }
        let kept = kept.clone();
        changed.alter = Some(Arc::new(move |claims| {
            for (column, kept) in all(claims).into_iter().zip(&kept) {
                column.clone_from(kept);
            }
            match kind {
                Kind::Fractions(i) => claims.fractions[i][row] += Fr::one(),
                Kind::Sum => claims.sum[row] += Fr::one(),
                Kind::Claim(i) => claims.columns[i][row] += Fr::one(),
                _ => {}
            }
        }));
        let free = case.complaints(&changed, &statement).is_empty();
        assert_eq!(free, is_free(layout, kind, row), "{kind:?} on row {row}");
    }
}

fn all(claims: &mut Claims) -> Vec<&mut Vec<Fr>> {
    let fractions = claims.fractions.iter_mut();
    let columns = claims.columns.iter_mut();
    fractions.chain([&mut claims.sum]).chain(columns).collect()
}

/// A change that everything that follows is made to fit: another row of the table, its multiplicity, all of phase 2.
#[test]
fn another_consistent_witness_is_refused_unless_no_cell_needs_it() {
    let case = Case::get();
    let layout = case.layout();
    let (honest, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let mut grid = Grid::new(case, &case.witness(honest.clone()), &statement);
    let mut judge = |mut lanes: Lanes| {
        lanes.count_lookups(layout);
        grid.assign(case, &case.witness(lanes));
        grid.holds()
    };
    let score = layout.score();
    let score_rows = score.start..score.expose() + 3;
    let mut rng = StdRng::seed_from_u64(8);
    let lanes = layout.options().lanes;
    let side = 1 << layout.architecture().fraction_bits;
    let clip = |q: i64| (q - layout.clip_offset()).clamp(0, 255);
    let mut tried = [[0; 2]; 2];
    let rows = [
        0..layout.lane_rows(),
        layout.lane_rows()..score.start,
        score_rows.clone(),
        score_rows.end..layout.last(),
    ];
    for rows in rows {
        for _ in 0..6 {
            let (row, j) = (rng.gen_range(rows.clone()), rng.gen_range(0..lanes));
            let used = row < layout.lane_rows();
            if !score_rows.contains(&row) {
                // Another row of the clip table, the remainder stays.
                let mut changed = honest.clone();
                let q = (changed.q[j][row] + rng.gen_range(1..layout.clip_rows() as i64))
                    % layout.clip_rows() as i64;
                (changed.q[j][row], changed.y[j][row]) = (q, clip(q));
                assert_eq!(judge(changed), !used, "clip in lane {j} on row {row}");
                tried[0][usize::from(used)] += 1;
            }
            // Another remainder in range.
            let limbs = match (row, row.wrapping_sub(score.start) % (score.classes + 1)) {
                _ if used => true,
                _ if row <= score.start || row >= score.expose() => false,
                // The summary has two pairs of limbs, a class as many as a comparison.
                (_, 0) => j < 4,
                _ => j < layout.compare_limbs(),
            };
            let mut changed = honest.clone();
            changed.r[j][row] = (changed.r[j][row] + rng.gen_range(1..side)) % side;
            assert_eq!(judge(changed), !limbs, "remainder in lane {j} on row {row}");
            tried[1][usize::from(limbs)] += 1;
        }
    }
    assert!(tried.as_flattened().iter().all(|&n| n > 0), "{tried:?}");
}
