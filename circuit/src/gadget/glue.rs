//! The machine that runs the glue program ([`crate::layout::Glue`]).
//!
//! Statement: every row of the program holds, its operands are copies of the cells the program
//! names, and both sides of every linear layer are equal.
//!
//! ```text
//! row                a           b           e
//! 0      load        0           t           eta
//! 1      -           -           -           zeta
//! i      horner      copy        copy        a + b * e_next
//! i      dot         copy        copy        a * b + e_next
//! last   load        1           t           eta
//! last+1 -           -           -           zeta
//! ```
//!
//! Pinned by: `a`, `b` copies (or the load gate), `e` its row's gate; free cells outside the
//! program are copied by nothing.
//!
//! Cost: three phase-2 columns, seven columns in the permutation, one row per claim read.

use super::{at, fixed, gated, next, Columns};
use halo2_proofs::{halo2curves::bn256::Fr, plonk::ConstraintSystem};

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    cs.create_gate("glue: e = a + b e_next, e = a b + e_next", |cells| {
        let horner = fixed(cells, columns.fixed.horner);
        let dot = fixed(cells, columns.fixed.dot);
        let (a, b) = (at(cells, columns.a), at(cells, columns.b));
        let (e, after) = (at(cells, columns.e), next(cells, columns.e));
        vec![
            (
                "horner step",
                horner * (e.clone() - a.clone() - b.clone() * after.clone()),
            ),
            ("dot step", dot * (e - a * b - after)),
        ]
    });
    cs.create_gate("glue: constants", |cells| {
        let load = fixed(cells, columns.fixed.load);
        let value = fixed(cells, columns.fixed.constant);
        let t = cells.query_challenge(columns.challenges.t);
        let eta = cells.query_challenge(columns.challenges.eta);
        let zeta = cells.query_challenge(columns.challenges.zeta);
        gated(
            load,
            [
                ("a is the constant", at(cells, columns.a) - value),
                ("b is t", at(cells, columns.b) - t),
                ("e is eta", at(cells, columns.e) - eta),
                ("e_next is zeta", next(cells, columns.e) - zeta),
            ],
        )
    });
}
