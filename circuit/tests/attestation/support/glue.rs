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
    &mut claims.column(cell.column)[cell.row as usize]
}

/// Copies all operands and computes all results.
pub fn rerun(layout: &Layout, claims: &mut Claims) {
    rerun_bent(layout, claims, None);
}

/// The same with the result on one row off by so much.
fn rerun_bent(layout: &Layout, claims: &mut Claims, bent: Option<(usize, Fr)>) {
    let mut start = 0;
    for &length in layout.glue().runs() {
        for index in (start..start + length).rev() {
            let row = PROGRAM_START + index;
            let after = *value(claims, cell(ClaimColumn::E, row + 1));
            let step = layout.glue().steps()[index];
            let (a, b) = step.operands();
            let (a, b) = (*value(claims, a), *value(claims, b));
            *value(claims, cell(ClaimColumn::A, row)) = a;
            *value(claims, cell(ClaimColumn::B, row)) = b;
            *value(claims, cell(ClaimColumn::E, row)) = match step {
                Step::Horner(..) => a + b * after,
                Step::Dot(..) => a * b + after,
                Step::Less(..) => after - a * b,
            };
            if let Some((bent, by)) = bent {
                if bent == row {
                    *value(claims, cell(ClaimColumn::E, row)) += by;
                }
            }
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

/// Bends the result on one row of the program so that the sides of `layer`, which depend on it linearly, agree.
pub fn balance_result(layout: &Layout, claims: &mut Claims, layer: usize, row: usize) {
    rerun(layout, claims);
    let before = gap(layout, claims, layer);
    rerun_bent(layout, claims, Some((row, Fr::one())));
    let slope = gap(layout, claims, layer) - before;
    let by = -before * slope.invert().unwrap();
    rerun_bent(layout, claims, Some((row, by)));
    assert_eq!(gap(layout, claims, layer), Fr::zero());
}
