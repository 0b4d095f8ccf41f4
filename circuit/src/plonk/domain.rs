//! The verifier's view of the domain: special rows seen from x, opening points seen from u.

use super::shape::{ProofShape, RotationSet};
use super::verifier::VerifyError;
use halo2curves::bn256::Fr;
use halo2curves::ff::{BatchInvert, Field, PrimeField};

/// `x^n` for the domain of `n = 2^k` rows.
pub(super) fn power_of_domain_size(x: Fr, k: u32) -> Fr {
    (0..k).fold(x, |power, _| power.square())
}

/// Lagrange polynomials of special rows at x.
pub(super) struct Rows {
    pub first: Fr,
    pub last: Fr,
    /// One on the usable rows but the last.
    pub active: Fr,
    /// `1 / (x^n - 1)`.
    pub vanishing_inverse: Fr,
}

impl Rows {
    pub fn new(shape: &ProofShape, x: Fr) -> Result<Self, VerifyError> {
        let vanishing = power_of_domain_size(x, shape.k) - Fr::ONE;
        let vanishing_inverse =
            Option::<Fr>::from(vanishing.invert()).ok_or(VerifyError::ExcludedChallenge)?;
        // x is in no row, so no denominator is zero.
        let count = shape.blinding_factors + 2;
        let mut row = shape.rotation_factor(shape.last_rotation());
        let mut rows = Vec::with_capacity(count);
        for _ in 0..count {
            rows.push(row);
            row *= shape.omega;
        }
        let mut inverses: Vec<Fr> = rows.iter().map(|row| x - row).collect();
        inverses.iter_mut().batch_invert();
        let scale = vanishing * Fr::TWO_INV.pow_vartime([u64::from(shape.k)]);
        let values: Vec<Fr> = rows
            .iter()
            .zip(&inverses)
            .map(|(row, inverse)| *row * *inverse * scale)
            .collect();
        let first = values.last().copied().unwrap_or_default();
        let unusable: Fr = values.iter().take(count - 1).sum();
        Ok(Self {
            first,
            last: values.first().copied().unwrap_or_default(),
            active: Fr::ONE - unusable,
            vanishing_inverse,
        })
    }
}

/// A rotation set seen from u: its vanishing polynomial there, and its Lagrange basis.
pub(super) struct SetBasis {
    pub vanishing: Fr,
    pub vanishing_inverse: Fr,
    pub lagrange: Vec<Fr>,
}

impl SetBasis {
    pub fn new(shape: &ProofShape, set: &RotationSet, x: Fr, u: Fr) -> Result<Self, VerifyError> {
        let points: Vec<Fr> = set
            .rotations
            .iter()
            .map(|rotation| x * shape.rotation_factor(*rotation))
            .collect();
        let vanishing: Fr = points.iter().map(|point| u - point).product();
        let invert =
            |value: Fr| Option::<Fr>::from(value.invert()).ok_or(VerifyError::ExcludedChallenge);
        let mut lagrange = Vec::with_capacity(points.len());
        for (i, own) in points.iter().enumerate() {
            let (mut above, mut below) = (Fr::ONE, Fr::ONE);
            for (j, other) in points.iter().enumerate() {
                if i != j {
                    above *= u - other;
                    below *= *own - other;
                }
            }
            lagrange.push(above * invert(below)?);
        }
        Ok(Self {
            vanishing,
            vanishing_inverse: invert(vanishing)?,
            lagrange,
        })
    }
}
