//! The machine that runs the glue program ([`crate::layout::Glue`]).
//!
//! Statement: every step of the program holds, its operands are copies of the cells the program
//! names, and both sides of every linear layer are equal.
//!
//! ```text
//! row    step       a       b       e
//! 0      load       0       t       eta
//! i      horner     copy    copy    a + b * e_next
//! i      dot        copy    copy    a * b + e_next
//! i      less       copy    copy    e_next - a * b
//! last   load       1       zeta    eta
//! ```
//!
//! Pinned by: `a`, `b` copies (or the load gate), `e` its row's gate. All three are copied by nothing outside of the
//! program.
//!
//! Cost: three phase-2 columns, all claim columns in the permutation, one row per claim read, degree 5.

use super::{at, constant, fixed, gated, next, Columns};
use crate::layout::Step;
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{ConstraintSystem, Expression},
};

/// The value of the opcode column for a step; 0 is no step.
pub fn opcode(step: Step) -> u64 {
    match step {
        Step::Horner(..) => 1,
        Step::Dot(..) => 2,
        Step::Less(..) => 3,
    }
}

/// Nonzero exactly on rows with this opcode, among opcodes 0 to 3: a selector up to a factor.
fn selector(opcode: &Expression<Fr>, code: u64) -> Expression<Fr> {
    (0..4u64)
        .filter(|&other| other != code)
        .map(|other| opcode.clone() - constant(other))
        .reduce(|a, b| a * b)
        .unwrap_or(constant(0))
}

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    cs.create_gate("glue: one step of the program", |cells| {
        let opcode = fixed(cells, columns.fixed.opcode);
        let (a, b) = (at(cells, columns.a), at(cells, columns.b));
        let (e, after) = (at(cells, columns.e), next(cells, columns.e));
        let horner = e.clone() - a.clone() - b.clone() * after.clone();
        let product = a * b;
        let dot = e.clone() - product.clone() - after.clone();
        let less = e + product - after;
        vec![
            ("horner step", selector(&opcode, 1) * horner),
            ("dot step", selector(&opcode, 2) * dot),
            ("less step", selector(&opcode, 3) * less),
        ]
    });
    cs.create_gate("glue: constants", |cells| {
        let load = fixed(cells, columns.fixed.load);
        let value = fixed(cells, columns.fixed.constant);
        let t = cells.query_challenge(columns.challenges.t);
        let eta = cells.query_challenge(columns.challenges.eta);
        let zeta = cells.query_challenge(columns.challenges.zeta);
        let challenge = t.clone() + value.clone() * (zeta - t);
        gated(
            load,
            [
                ("a is the constant", at(cells, columns.a) - value),
                ("b is t or zeta", at(cells, columns.b) - challenge),
                ("e is eta", at(cells, columns.e) - eta),
            ],
        )
    });
}
