//! Claims of the weights: every run folded over output channels, in place.
//!
//! Statement: with `W` weight columns and `eta` drawn after they are absorbed, on a row of a plain run
//!
//! ```text
//! weight_claim = sum_j w_j eta^j + chain * eta^W * weight_claim_next
//! ```
//!
//! and on a row of a narrow run, which holds one weight, `w_0 + chain * eta * weight_claim_next`. So on the first row of
//! a run stands `sum_o w[o] eta^o`.
//!
//! Pinned by: its gate on every active row. Salt rows fold like any other and are never copied; the cells beside a
//! narrow run's weights enter nothing.
//!
//! Preconditions: `chain` is 0 on the last row of every run and outside of runs.
//!
//! Cost: one column, degree 3, or 4 with several weight columns.

use super::{active, at, fixed, next, polynomial, power, Columns};
use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem, poly::Rotation};

/// Makes the gate.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    cs.create_gate(
        "claim = sum_j w_j eta^j + chain * eta^W * claim_next",
        |cells| {
            let active = active(cells, columns);
            let chain = fixed(cells, columns.fixed.weight_chain);
            let eta = cells.query_challenge(columns.challenges.eta);
            let weights: Vec<_> = (columns.model.iter())
                .map(|&column| cells.query_instance(column, Rotation::cur()))
                .collect();
            let claim = at(cells, columns.weight_claim);
            let after = chain * next(cells, columns.weight_claim);
            let wide = polynomial(&weights, &eta) + power(&eta, weights.len()) * after.clone();
            let folded = match columns.fixed.narrow {
                None => wide,
                Some(narrow) => {
                    let narrow = fixed(cells, narrow);
                    let one = weights[0].clone() + eta * after;
                    wide.clone() + narrow * (one - wide)
                }
            };
            vec![("claim of weights", active * (claim - folded))]
        },
    );
}
