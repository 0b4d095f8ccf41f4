//! Claims: every committed cell folded over the batch, from the bottom of a cell's rows up.
//!
//! Statement: with `zeta`, `eta` drawn after every committed column is absorbed,
//!
//! ```text
//! data_claim   = pixel              + chain * zeta   * data_claim_next
//! weight_claim = weight             + chain * eta    * weight_claim_next
//! y_claim      = sum_j y_j zeta^j   + chain * zeta^m * y_claim_next
//! z_claim      = sum_j z_j zeta^j   + chain * zeta^m * z_claim_next,   z = 2^s q + r
//! ```
//!
//! so on the first row of a cell stands `sum_n cell[n] zeta^n`, on the first row of a run of
//! weights `sum_o w[o] eta^o`.
//!
//! Pinned by: each claim by its gate on every active row; score rows have gates of their own for
//! the two lane claims ([`super::score`]). Salt rows fold like any other and are never copied.
//!
//! Preconditions: `chain` is 0 on the last row of every cell and outside of cells.
//!
//! Cost: four columns, degree 3, whatever the network.

use super::{at, fixed, next, polynomial, power, Columns};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
    poly::Rotation,
};

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    let singles = [
        (
            columns.data,
            columns.data_claim,
            columns.fixed.data_chain,
            columns.challenges.zeta,
        ),
        (
            columns.model,
            columns.weight_claim,
            columns.fixed.weight_chain,
            columns.challenges.eta,
        ),
    ];
    for (instance, claim, chain, challenge) in singles {
        cs.create_gate("claim = cell + chain * challenge * claim_next", |cells| {
            let active = fixed(cells, columns.fixed.active);
            let chain = fixed(cells, chain);
            let challenge = cells.query_challenge(challenge);
            let cell = cells.query_instance(instance, Rotation::cur());
            let (claim, after) = (at(cells, claim), next(cells, claim));
            vec![(
                "claim of a committed cell",
                active * (claim - cell - chain * challenge * after),
            )]
        });
    }
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
