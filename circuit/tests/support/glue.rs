//! The glue program run again over claims that a cheating prover has changed.

use halo2_proofs::halo2curves::bn256::Fr;
use zknode_circuit::{
    layout::{CellRef, ClaimColumn, Layout, Step, PROGRAM_START},
    witness::claims::Claims,
};

pub fn cell(column: ClaimColumn, row: usize) -> CellRef {
    let row = row as u32;
    CellRef { column, row }
}

pub fn value(claims: &mut Claims, cell: CellRef) -> &mut Fr {
    &mut claims.columns[cell.column as usize][cell.row as usize]
}

/// Copies all operands and computes all results but those of the weight steps.
pub fn rerun(layout: &Layout, claims: &mut Claims) {
    let mut start = 0;
    for &length in layout.glue().runs() {
        for index in (start..start + length).rev() {
            let row = PROGRAM_START + index;
            let after = *value(claims, cell(ClaimColumn::E, row + 1));
            let (a, b, horner) = match layout.glue().steps()[index] {
                Step::Weight => continue,
                Step::Horner(a, b) => (a, b, true),
                Step::Dot(a, b) => (a, b, false),
            };
            let (a, b) = (*value(claims, a), *value(claims, b));
            *value(claims, cell(ClaimColumn::A, row)) = a;
            *value(claims, cell(ClaimColumn::B, row)) = b;
            let result = if horner { a + b * after } else { a * b + after };
            *value(claims, cell(ClaimColumn::E, row)) = result;
        }
        start += length;
    }
}

/// Right side less left side of a linear layer.
pub fn gap(layout: &Layout, claims: &mut Claims, layer: usize) -> Fr {
    let (left, right) = layout.glue().equal()[layer];
    *value(claims, right) - *value(claims, left)
}

/// Changes `by`, on which both sides of `layer` depend linearly, so that they agree.
pub fn balance(layout: &Layout, claims: &mut Claims, layer: usize, by: CellRef) {
    rerun(layout, claims);
    let before = gap(layout, claims, layer);
    *value(claims, by) += Fr::one();
    rerun(layout, claims);
    let slope = gap(layout, claims, layer) - before;
    *value(claims, by) -= Fr::one() + before * slope.invert().unwrap();
    rerun(layout, claims);
    assert_eq!(gap(layout, claims, layer), Fr::zero());
}
