//! Claims: every committed cell folded over the batch, from the bottom of a cell's rows up.
//!
//! Statement: with `zeta` drawn after every committed column is absorbed,
//!
//! ```text
//! data_claim   = pixel              + chain * zeta   * data_claim_next
//! y_claim      = sum_j y_j zeta^j   + chain * zeta^m * y_claim_next
//! z_claim      = sum_j z_j zeta^j   + chain * zeta^m * z_claim_next,   z = 2^s q + r
//! ```
//!
//! so on the first row of a cell stands `sum_n cell[n] zeta^n`. (Weights are folded by the glue.)
//!
//! Pinned by: each claim by its gate on every active row; score rows have gates of their own for
//! the two lane claims ([`super::score`]). Salt rows fold like any other and are never copied.
//!
//! Preconditions: `chain` is 0 on the last row of every cell and outside of cells.
//!
//! Cost: three columns, degree 3, whatever the network.

use super::{active, at, fixed, next, polynomial, power, Columns};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
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
            let jump = chain * power(&zeta, columns.shape.lanes);
            let y: Vec<_> = columns.y.iter().map(|&c| at(cells, c)).collect();
            let scale = Fr::from(1 << columns.shape.fraction_bits);
            let z: Vec<Expression<Fr>> = columns
                .q
                .iter()
                .zip(&columns.r)
                .map(|(&q, &r)| at(cells, q) * scale + at(cells, r))
                .collect();
            [
                ("claim of activations", columns.y_claim, y),
                ("claim of accumulators", columns.z_claim, z),
            ]
            .into_iter()
            .map(|(name, claim, lanes)| {
                let folded = polynomial(&lanes, &zeta) + jump.clone() * next(cells, claim);
                (name, lane.clone() * (at(cells, claim) - folded))
            })
            .collect::<Vec<_>>()
        },
    );
}
