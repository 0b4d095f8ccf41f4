//! SHPLONK (eprint 2020/081, section 4): all openings folded into one pairing equation.

use super::memory::{Memory, Table};
use super::rows::{set_inverse, x_inverse};
use super::yul::{coordinate, load, product, scalar, Yul};
use crate::plonk::{KzgVerifierKey, ProofShape, RotationSet, SystemChallenge};
use halo2curves::bn256::{Fr, G2Affine};
use halo2curves::ff::Field;

/// Folds the openings, checks the pairing, and returns 1 or reverts.
pub(super) fn check(yul: &mut Yul, shape: &ProofShape, memory: &Memory, kzg: &KzgVerifierKey) {
    combine_quotient(yul, shape, memory);
    yul.open("fold each set by Horner's rule in mu, the sets by powers of nu");
    yul.line(format!(
        "let mu := {}",
        challenge(shape, memory, SystemChallenge::Mu)
    ));
    yul.line("let weight := 1");
    for (index, set) in shape.rotation_sets.iter().enumerate() {
        let Some(table) = memory.tables.get(index) else {
            continue;
        };
        yul.open(&format!("opened at {:?}", set.rotations));
        lagrange_basis(yul, shape, memory, set);
        fold_set(yul, memory, table, set);
        if index == 0 {
            yul.line(format!("mcopy({:#x}, 0, 64)", memory.sum_point));
            yul.line(format!("mstore({:#x}, value)", memory.sum_value));
        } else {
            add_set(yul, shape, memory, index);
        }
        yul.close();
    }
    yul.close();
    close_sum(yul, shape, memory, kzg);
    pairing(yul, memory, kzg);
}

fn challenge(shape: &ProofShape, memory: &Memory, which: SystemChallenge) -> String {
    load(memory.challenge(shape.challenge(which)))
}

/// The quotient's commitment: its pieces combined with powers of x^n.
fn combine_quotient(yul: &mut Yul, shape: &ProofShape, memory: &Memory) {
    let first = memory.points + 64 * shape.first_quotient_piece;
    let last = first + 64 * shape.quotient_pieces.saturating_sub(1);
    yul.comment("commitment to the quotient");
    yul.line(format!("mcopy(0, {last:#x}, 64)"));
    yul.line(format!(
        "for {{ let p := {last:#x} }} gt(p, {first:#x}) {{ }} {{"
    ));
    yul.line(format!(
        "  p := sub(p, 64) mstore(64, {}) scale() mcopy(64, p, 64) join()",
        load(memory.x_n)
    ));
    yul.line("}");
    yul.line(format!("mcopy({:#x}, 0, 64)", memory.quotient));
}

/// Lagrange coefficients at u of the set's points. With points `x omega^i` the denominators are constants times a
/// power of x, so they need no inversion here. A set of one point has the coefficient 1.
fn lagrange_basis(yul: &mut Yul, shape: &ProofShape, memory: &Memory, set: &RotationSet) {
    if set.rotations.len() == 1 {
        return;
    }
    let x_inverse = load(x_inverse(memory));
    for (position, own) in set.rotations.iter().enumerate() {
        let mut denominator = Fr::ONE;
        let mut factors = Vec::new();
        for other in set.rotations.iter().filter(|other| *other != own) {
            denominator *= shape.rotation_factor(*own) - shape.rotation_factor(*other);
            factors.push(load(memory.differences[other]));
            factors.push(x_inverse.clone());
        }
        // Distinct rotations are distinct roots of unity, so the denominator is not zero.
        factors.push(scalar(&denominator.invert().unwrap_or(Fr::ZERO)));
        yul.line(format!(
            "mstore({:#x}, {})",
            memory.basis + 32 * position,
            product(factors)
        ));
    }
}

/// Leaves the set's combined commitment at 0 and its combined claim in `value`.
fn fold_set(yul: &mut Yul, memory: &Memory, table: &Table, set: &RotationSet) {
    let claim = (0..set.rotations.len())
        .map(|position| {
            let shift = 224 - 16 * position;
            let evaluation = format!("mload(and(shr({shift}, entry), 0xffff))");
            if set.rotations.len() == 1 {
                evaluation
            } else {
                let coefficient = load(memory.basis + 32 * position);
                format!("mulmod({coefficient}, {evaluation}, r)")
            }
        })
        .reduce(|a, b| format!("addmod({a}, {b}, r)"))
        .unwrap_or_default();
    let start = table.address;
    let end = start + table.entry_bytes * table.entries;
    yul.line(format!("let entry := {}", load(start)));
    yul.line("mcopy(0, shr(240, entry), 64)");
    yul.line(format!("let value := {claim}"));
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {end:#x}) {{ p := add(p, {}) }} {{",
        start + table.entry_bytes,
        table.entry_bytes
    ));
    yul.line("  entry := mload(p)");
    yul.line("  mstore(64, mu) scale() mcopy(64, shr(240, entry), 64) join()");
    yul.line(format!(
        "  value := addmod(mulmod(value, mu, r), {claim}, r)"
    ));
    yul.line("}");
}

fn add_set(yul: &mut Yul, shape: &ProofShape, memory: &Memory, index: usize) {
    let Memory {
        sum_point,
        sum_value,
        ..
    } = *memory;
    yul.line(format!(
        "weight := mulmod(weight, {}, r)",
        challenge(shape, memory, SystemChallenge::Nu)
    ));
    yul.line(format!(
        "let factor := mulmod(weight, mulmod({}, {}, r), r)",
        load(memory.first_vanishing),
        load(set_inverse(memory, index))
    ));
    yul.line(format!(
        "mstore(64, factor) scale() mcopy(64, {sum_point:#x}, 64) join() mcopy({sum_point:#x}, 0, 64)"
    ));
    yul.line(format!(
        "mstore({sum_value:#x}, addmod({}, mulmod(factor, value, r), r))",
        load(sum_value)
    ));
}

/// Subtracts the claimed values and the opening quotient, adds the witness times u; the sum is left at 0.
fn close_sum(yul: &mut Yul, shape: &ProofShape, memory: &Memory, kzg: &KzgVerifierKey) {
    let sum_point = memory.sum_point;
    yul.comment("minus the claims, minus Z(u) W, plus u W'");
    yul.line(format!(
        "mstore(0, {}) mstore(32, {})",
        coordinate(&kzg.g1.x),
        coordinate(&kzg.g1.y)
    ));
    yul.line(format!("mstore(64, sub(r, {}))", load(memory.sum_value)));
    yul.line(format!(
        "scale() mcopy(64, {sum_point:#x}, 64) join() mcopy({sum_point:#x}, 0, 64)"
    ));
    yul.line(format!(
        "mcopy(0, {:#x}, 64) mstore(64, sub(r, {}))",
        memory.opening_quotient,
        load(memory.first_vanishing)
    ));
    yul.line(format!(
        "scale() mcopy(64, {sum_point:#x}, 64) join() mcopy({sum_point:#x}, 0, 64)"
    ));
    yul.line(format!(
        "mcopy(0, {:#x}, 64) mstore(64, {})",
        memory.opening_witness,
        challenge(shape, memory, SystemChallenge::U)
    ));
    yul.line(format!("scale() mcopy(64, {sum_point:#x}, 64) join()"));
}

/// `e(sum, g2) e(W', -s g2) = 1` (EIP-197: imaginary parts first).
fn pairing(yul: &mut Yul, memory: &Memory, kzg: &KzgVerifierKey) {
    yul.comment("the pairing equation");
    for (address, point) in [(64, kzg.g2), (256, -kzg.s_g2)] {
        store_g2(yul, address, &point);
    }
    yul.line(format!("mcopy(192, {:#x}, 64)", memory.opening_witness));
    yul.line("if iszero(staticcall(gas(), 8, 0, 384, 0, 32)) { revert(0, 0) }");
    yul.line("if iszero(eq(mload(0), 1)) { revert(0, 0) }");
    yul.line("return(0, 32)");
}

fn store_g2(yul: &mut Yul, address: usize, point: &G2Affine) {
    let parts = [point.x.c1, point.x.c0, point.y.c1, point.y.c0];
    for (position, part) in parts.iter().enumerate() {
        yul.line(format!(
            "mstore({}, {})",
            address + 32 * position,
            coordinate(part)
        ));
    }
}
