//! Lagrange values at x, the one inversion behind them, the permutation argument, the quotient's evaluation.

use super::memory::Memory;
use super::yul::{load, product, scalar, Yul};
use crate::plonk::{ProofShape, SystemChallenge};
use halo2curves::bn256::Fr;
use halo2curves::ff::{Field, PrimeField};

/// Computes x^n, the Lagrange values of row 0, the last usable row and the usable rows, `1/x`, `1/(x^n - 1)` and the
/// inverse vanishing values of the opening sets, with a single modular exponentiation.
pub(super) fn lagrange_values(yul: &mut Yul, shape: &ProofShape, memory: &Memory) {
    let challenge = |which| load(memory.challenge(shape.challenge(which)));
    let first_row = scalar(&shape.rotation_factor(shape.last_rotation()));
    let omega = scalar(&shape.omega);
    let rows_end = memory.inverses + 32 * memory.rows;
    yul.open("denominators");
    yul.line(format!("let x := {}", challenge(SystemChallenge::X)));
    yul.line("let power := x");
    yul.line(format!(
        "for {{ let i := 0 }} lt(i, {}) {{ i := add(i, 1) }} {{ power := mulmod(power, power, r) }}",
        shape.k
    ));
    yul.line(format!("mstore({:#x}, power)", memory.x_n));
    yul.line(format!("let row := {first_row}"));
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {rows_end:#x}) {{ p := add(p, 32) }} {{ mstore(p, addmod(x, sub(r, row), r)) row := mulmod(row, {omega}, r) }}",
        memory.inverses
    ));
    yul.line(format!(
        "mstore({:#x}, addmod(power, sub(r, 1), r)) mstore({:#x}, x)",
        vanishing_inverse(memory),
        x_inverse(memory)
    ));
    for (rotation, address) in &memory.differences {
        let point = match rotation {
            0 => "x".to_owned(),
            _ => format!(
                "mulmod(x, {}, r)",
                scalar(&shape.rotation_factor(*rotation))
            ),
        };
        yul.line(format!(
            "mstore({address:#x}, addmod({}, sub(r, {point}), r))",
            challenge(SystemChallenge::U)
        ));
    }
    for (index, set) in shape.rotation_sets.iter().enumerate() {
        let differences = set.rotations.iter().map(|r| load(memory.differences[r]));
        let address = match index {
            0 => memory.first_vanishing,
            _ => set_inverse(memory, index),
        };
        yul.line(format!("mstore({address:#x}, {})", product(differences)));
    }
    yul.close();
    invert(yul, memory);
    yul.open("Lagrange value of row i: omega^i (x^n - 1) / n / (x - omega^i)");
    let n_inverse = Fr::TWO_INV.pow_vartime([u64::from(shape.k)]);
    yul.line(format!(
        "let value := mulmod(addmod({}, sub(r, 1), r), {}, r)",
        load(memory.x_n),
        scalar(&(n_inverse * shape.rotation_factor(shape.last_rotation())))
    ));
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {rows_end:#x}) {{ p := add(p, 32) }} {{ mstore(p, mulmod(mload(p), value, r)) value := mulmod(value, {omega}, r) }}",
        memory.inverses
    ));
    let row_zero = rows_end - 32;
    yul.line(format!("mstore({:#x}, {})", memory.first, load(row_zero)));
    yul.line(format!(
        "mstore({:#x}, {})",
        memory.last,
        load(memory.inverses)
    ));
    yul.line("let unusable := 0");
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {row_zero:#x}) {{ p := add(p, 32) }} {{ unusable := addmod(unusable, mload(p), r) }}",
        memory.inverses
    ));
    yul.line(format!(
        "mstore({:#x}, addmod(1, sub(r, unusable), r))",
        memory.active
    ));
    yul.close();
}

/// Replaces every value of the inversion area by its inverse (Montgomery's trick); reverts if one is zero.
fn invert(yul: &mut Yul, memory: &Memory) {
    let Memory {
        inverses, prefixes, ..
    } = *memory;
    yul.open("invert all of them at once; a zero means that a challenge fell on an excluded point");
    yul.line("let all := 1");
    yul.line(format!("let prefix := {prefixes:#x}"));
    yul.line(format!(
        "for {{ let p := {inverses:#x} }} lt(p, {prefixes:#x}) {{ p := add(p, 32) }} {{ mstore(prefix, all) prefix := add(prefix, 32) all := mulmod(all, mload(p), r) }}"
    ));
    yul.line("if iszero(all) { revert(0, 0) }");
    yul.line("mstore(0, 32) mstore(32, 32) mstore(64, 32) mstore(96, all) mstore(128, sub(r, 2)) mstore(160, r)");
    yul.line("if iszero(staticcall(gas(), 5, 0, 192, 0, 32)) { revert(0, 0) }");
    yul.line("all := mload(0)");
    yul.line(format!(
        "for {{ let p := {prefixes:#x} }} gt(p, {inverses:#x}) {{ }} {{"
    ));
    yul.line("  p := sub(p, 32) prefix := sub(prefix, 32)");
    yul.line("  let value := mload(p)");
    yul.line("  mstore(p, mulmod(all, mload(prefix), r))");
    yul.line("  all := mulmod(all, value, r)");
    yul.line("}");
    yul.close();
}

/// Address of `1/(x^n - 1)`.
fn vanishing_inverse(memory: &Memory) -> usize {
    memory.inverses + 32 * memory.rows
}

/// Address of `1/x`.
pub(super) fn x_inverse(memory: &Memory) -> usize {
    vanishing_inverse(memory) + 32
}

/// Address of the inverse vanishing value of set `index`, counted from 1.
pub(super) fn set_inverse(memory: &Memory, index: usize) -> usize {
    x_inverse(memory) + 32 * index
}

/// Adds the permutation argument's constraints to `sum`.
pub(super) fn permutation_constraints(yul: &mut Yul, shape: &ProofShape, memory: &Memory) {
    let argument = &shape.permutation;
    let Some(last) = argument.products.checked_sub(1) else {
        return;
    };
    let challenge = |which| load(memory.challenge(shape.challenge(which)));
    let (beta, gamma) = (
        challenge(SystemChallenge::Beta),
        challenge(SystemChallenge::Gamma),
    );
    let y = challenge(SystemChallenge::Y);
    let next = |value: String| format!("sum := addmod(mulmod(sum, {y}, r), {value}, r)");
    let first_z = memory.evaluation(argument.first_product);
    let last_z = first_z + 96 * last;
    let [first, last_row, active] = [memory.first, memory.last, memory.active].map(load);
    yul.comment("permutation: starts at 1, ends at 0 or 1, carries over, multiplies up");
    yul.line(next(format!(
        "mulmod({first}, addmod(1, sub(r, {}), r), r)",
        load(first_z)
    )));
    let z = load(last_z);
    yul.line(next(format!(
        "mulmod({last_row}, addmod(mulmod({z}, {z}, r), sub(r, {z}), r), r)"
    )));
    if last > 0 {
        yul.line(format!(
            "for {{ let z := {:#x} }} lt(z, {:#x}) {{ z := add(z, 96) }} {{ {} }}",
            first_z + 96,
            last_z + 32,
            next(format!(
                "mulmod({first}, addmod(mload(z), sub(r, mload(sub(z, 32))), r), r)"
            ))
        ));
    }
    let columns_end = memory.permutation + 2 * argument.columns.len();
    yul.open("column by column: pointer to its evaluation, its sigma, its position beta delta^i x");
    yul.line(format!(
        "let place := mulmod({beta}, {}, r)",
        challenge(SystemChallenge::X)
    ));
    yul.line(format!("let column := {:#x}", memory.permutation));
    yul.line(format!(
        "let sigma := {:#x}",
        memory.evaluation(argument.first_sigma)
    ));
    yul.line(format!(
        "for {{ let z := {first_z:#x} }} lt(z, {:#x}) {{ z := add(z, 96) }} {{",
        last_z + 32
    ));
    yul.line("  let left := mload(add(z, 32))");
    yul.line("  let right := mload(z)");
    yul.line(format!("  let end := add(column, {})", 2 * argument.chunk));
    yul.line(format!(
        "  if gt(end, {columns_end:#x}) {{ end := {columns_end:#x} }}"
    ));
    yul.line("  for { } lt(column, end) { column := add(column, 2) } {");
    yul.line(format!(
        "    let value := addmod(mload(shr(240, mload(column))), {gamma}, r)"
    ));
    yul.line(format!(
        "    left := mulmod(left, addmod(value, mulmod({beta}, mload(sigma), r), r), r)"
    ));
    yul.line("    right := mulmod(right, addmod(value, place, r), r)");
    yul.line(format!(
        "    place := mulmod(place, {}, r)",
        scalar(&Fr::DELTA)
    ));
    yul.line("    sigma := add(sigma, 32)");
    yul.line("  }");
    yul.line(format!(
        "  {}",
        next(format!(
            "mulmod({active}, addmod(left, sub(r, right), r), r)"
        ))
    ));
    yul.line("}");
    yul.close();
}

/// What the quotient must be at x: the combined constraints over `x^n - 1`.
pub(super) fn quotient_evaluation(yul: &mut Yul, memory: &Memory) {
    yul.line(format!(
        "mstore({:#x}, mulmod(sum, {}, r))",
        memory.quotient_evaluation,
        load(vanishing_inverse(memory))
    ));
}
