//! Claims: every committed cell folded over the slots, from the bottom of a cell's rows up.
//!
//! Statement: with `zeta` drawn after every committed column is absorbed,
//!
//! ```text
//! data_claim   = pixel              + chain * zeta   * data_claim_next
//! y_claim      = sum_j y_j zeta^j   + chain * zeta^m * y_claim_next
//! z_claim      = sum_j z_j zeta^j   + chain * zeta^m * z_claim_next,   z = 2^s q + r
//! ```
//!
//! so on the first row of a cell stands `sum_i cell[i] zeta^i`. Where images are cut into tiles, lane `j` is in tile column
//! `X(j) = j mod C`, and
//!
//! ```text
//! beside_d     = sum_j y_(j+d) zeta^j, over the j with 0 <= X(j) + d < C, + chain * zeta^m * beside_d_next
//! y_claim      = sum_j y_j zeta^(j div C) + chain * step * y_claim_next     on summed rows
//! ```
//!
//! The first is the claim as the tile `d` columns to the left sees it; the second folds over samples alone, for global
//! pooling: `step` is 1 where the rows of a cell are rows of tiles, `zeta^(m/C)` where they are further samples.
//!
//! Pinned by: each claim by its gate on every active row; score rows have gates of their own for `y_claim` and `z_claim`
//! ([`super::score`]). Salt rows fold like any other and are never copied.
//!
//! Preconditions: `chain` is 0 on the last row of every cell and outside of cells.
//!
//! Cost: three columns of degree 3 whatever the network, or 4 with tiles; one more for every tile distance read.

use super::{active, at, constant, fixed, next, polynomial, power, Columns};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression, VirtualCells},
    poly::Rotation,
};

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    cs.create_gate("claim = cell + chain * zeta * claim_next", |cells| {
        let active = active(cells, columns);
        let chain = fixed(cells, columns.fixed.data_chain);
        let zeta = cells.query_challenge(columns.challenges.zeta);
        let cell = cells.query_instance(columns.data, Rotation::cur());
        let claim = at(cells, columns.data_claim);
        let after = next(cells, columns.data_claim);
        vec![(
            "claim of pixels",
            active * (claim - cell - chain * zeta * after),
        )]
    });
    cs.create_gate(
        "claim = sum_j cell_j zeta^j + chain * zeta^m * claim_next",
        |cells| {
            let lane = fixed(cells, columns.fixed.lane);
            let chain = fixed(cells, columns.fixed.lane_chain);
            let zeta = cells.query_challenge(columns.challenges.zeta);
            let jump = chain.clone() * power(&zeta, columns.shape.lanes);
            let y: Vec<_> = columns.y.iter().map(|&c| at(cells, c)).collect();
            let scale = Fr::from(1 << columns.shape.fraction_bits);
            let z: Vec<Expression<Fr>> = columns
                .q
                .iter()
                .zip(&columns.r)
                .map(|(&q, &r)| at(cells, q) * scale + at(cells, r))
                .collect();
            let (y_claim, z_claim) = (at(cells, columns.y_claim), at(cells, columns.z_claim));
            let (y_next, z_next) = (next(cells, columns.y_claim), next(cells, columns.z_claim));
            let z_folded = polynomial(&z, &zeta) + jump.clone() * z_next;
            let y_folded = polynomial(&y, &zeta) + jump * y_next.clone();
            let y_folded = match columns.fixed.summed {
                None => y_folded,
                Some(summed) => {
                    let summed = fixed(cells, summed);
                    let over_samples = over_samples(columns, &y, &zeta, chain * y_next);
                    y_folded.clone() + summed * (over_samples - y_folded)
                }
            };
            vec![
                ("claim of activations", lane.clone() * (y_claim - y_folded)),
                ("claim of accumulators", lane * (z_claim - z_folded)),
            ]
        },
    );
    if columns.beside.is_empty() {
        return;
    }
    cs.create_gate(
        "claim = sum_j cell_(j+d) zeta^j + chain * zeta^m * claim_next",
        |cells| {
            let active = active(cells, columns);
            let chain = fixed(cells, columns.fixed.lane_chain);
            let zeta = cells.query_challenge(columns.challenges.zeta);
            let jump = chain * power(&zeta, columns.shape.lanes);
            let distances = columns.shape.reach.distances().zip(&columns.beside);
            distances
                .map(|(distance, &column)| {
                    let seen = seen(cells, columns, distance);
                    let folded = polynomial(&seen, &zeta) + jump.clone() * next(cells, column);
                    let claim = at(cells, column);
                    (
                        "claim of activations beside",
                        active.clone() * (claim - folded),
                    )
                })
                .collect::<Vec<_>>()
        },
    );
}

/// `sum_j y_j zeta^(j div C)`, and what follows at the weight of the next row.
fn over_samples(
    columns: &Columns,
    y: &[Expression<Fr>],
    zeta: &Expression<Fr>,
    after: Expression<Fr>,
) -> Expression<Fr> {
    let samples: Vec<_> = y
        .chunks(columns.shape.grid.columns)
        .filter_map(|tiles| tiles.iter().cloned().reduce(|sum, tile| sum + tile))
        .collect();
    let step = match columns.shape.grid.rows {
        1 => power(zeta, samples.len()),
        _ => constant(1),
    };
    polynomial(&samples, zeta) + step * after
}

/// The lanes' cells as the tiles `-distance` columns away see them: nothing where there is no such tile.
fn seen(cells: &mut VirtualCells<'_, Fr>, columns: &Columns, distance: i8) -> Vec<Expression<Fr>> {
    let side = columns.shape.grid.columns;
    (0..columns.y.len())
        .map(|lane| {
            let (tile, by) = (lane % side, isize::from(distance));
            match tile.checked_add_signed(by).filter(|&tile| tile < side) {
                Some(tile) => at(cells, columns.y[lane / side * side + tile]),
                None => constant(0),
            }
        })
        .collect()
}
