//! The quotient: every constraint of gates and copies on cosets, divided by what vanishes on all rows.
//!
//! The sum of all constraints, folded with powers of y, has degree below `d * n` (`n` rows, constraints of degree `d`). It
//! is evaluated on `d - 1` cosets of the rows, rounded up to a power of two, one after the other: so much of every column
//! is in memory at a time. The boundary rows' Lagrange polynomials are rotations of the first one's and cost no FFT.

use super::program::{Program, BLOCK};
use crate::plonk::{
    fft::{self, shifts, Coset},
    shape::{Poly, ProofShape, SystemChallenge},
};
use halo2_proofs::{
    arithmetic::lagrange_interpolate,
    plonk::ProvingKey,
    poly::{Coeff, EvaluationDomain, Polynomial},
};
use halo2curves::{
    bn256::{Fr, G1Affine},
    ff::{BatchInvert, Field, PrimeField},
};
use rayon::prelude::*;
use std::borrow::Cow;

/// What a key's fixed and permutation columns are on every coset: the same for all proofs of a key, and with it a third
/// of a proof's FFTs. 32 bytes a row, column and coset.
pub struct KeyCosets {
    /// The key's, as it enters the transcript.
    digest: Fr,
    cosets: Vec<KeyCoset>,
}

struct KeyCoset {
    fixed: Vec<Vec<Fr>>,
    sigma: Vec<Vec<Fr>>,
}

impl KeyCosets {
    /// Evaluates the key's columns.
    pub fn new(pk: &ProvingKey<G1Affine>) -> Self {
        let cosets = Coset::all(pk.get_vk().get_domain());
        Self {
            digest: pk.get_vk().transcript_repr(),
            cosets: cosets.map(|coset| KeyCoset::new(pk, &coset)).collect(),
        }
    }

    pub(super) fn belong_to(&self, pk: &ProvingKey<G1Affine>) -> bool {
        self.digest == pk.get_vk().transcript_repr()
    }
}

impl KeyCoset {
    fn new(pk: &ProvingKey<G1Affine>, coset: &Coset<'_>) -> Self {
        let on_coset =
            |polys: &[Polynomial<Fr, Coeff>]| coset.evaluate(&polys.iter().collect::<Vec<_>>());
        Self {
            fixed: on_coset(pk.fixed_polys()),
            sigma: on_coset(pk.permutation().polys()),
        }
    }
}

/// The proof's own columns as coefficients: instance columns, and advice and products by their points.
type OwnPolys<'a> = (&'a [Polynomial<Fr, Coeff>], &'a [&'a Polynomial<Fr, Coeff>]);

/// The pieces of `n` coefficients; `challenges` are all up to y.
pub(super) fn quotient(
    shape: &ProofShape,
    (pk, kept): (&ProvingKey<G1Affine>, Option<&KeyCosets>),
    (instance, proof): OwnPolys<'_>,
    challenges: &[Fr],
) -> Vec<Polynomial<Fr, Coeff>> {
    let domain = pk.get_vk().get_domain();
    let program = Program::new(&shape.gates, challenges);
    let weights = pieces_of_cosets(domain);
    let instance: Vec<_> = instance.iter().collect();
    let mut pieces = vec![vec![Fr::ZERO; 1 << shape.k]; shape.quotient_pieces];
    for (index, coset) in Coset::all(domain).enumerate() {
        let made;
        let key = match kept.and_then(|kept| kept.cosets.get(index)) {
            Some(kept) => kept,
            None => {
                made = KeyCoset::new(pk, &coset);
                &made
            }
        };
        let columns = Columns {
            shape,
            key,
            instance: coset.evaluate(&instance),
            proof: coset.evaluate(proof),
            first: first_row(domain, coset.shift),
            shift: coset.shift,
        };
        let mut values = columns.constraints(&program, challenges);
        drop(columns);
        fft::inverse(domain, &mut values);
        let back = fft::powers(coset.shift.invert().unwrap_or(Fr::ZERO), values.len());
        values
            .par_iter_mut()
            .zip(back)
            .for_each(|(value, power)| *value *= power);
        for (piece, weights) in pieces.iter_mut().zip(&weights) {
            let weight = weights[index];
            let both = piece.par_iter_mut().zip(&values);
            both.for_each(|(coefficient, value)| *coefficient += weight * value);
        }
    }
    pieces
        .into_iter()
        .map(|piece| domain.coeff_from_vec(piece))
        .collect()
}

/// How much of each coset's interpolation is in each piece.
///
/// On a coset `x^n` is one number `c`, so that what interpolates a polynomial's values there has for coefficients the sums
/// of its pieces' with the powers of `c`. As many different `c` as pieces determine them. The constraints' sum becomes the
/// quotient by the way, divided by `c - 1`.
fn pieces_of_cosets(domain: &EvaluationDomain<Fr>) -> Vec<Vec<Fr>> {
    let rows = 1u64 << domain.k();
    let numbers: Vec<Fr> = shifts(domain)
        .map(|shift| shift.pow_vartime([rows]))
        .collect();
    let mut weights = vec![vec![Fr::ZERO; numbers.len()]; numbers.len()];
    for coset in 0..numbers.len() {
        let mut one = vec![Fr::ZERO; numbers.len()];
        // No coset holds a row, so that no number is one.
        one[coset] = (numbers[coset] - Fr::ONE).invert().unwrap_or(Fr::ZERO);
        for (piece, weight) in lagrange_interpolate(&numbers, &one).into_iter().enumerate() {
            weights[piece][coset] = weight;
        }
    }
    weights
}

/// The Lagrange polynomial of row 0 on a coset: `(x^n - 1) / (n (x - 1))`, where `x^n` is the same all over.
fn first_row(domain: &EvaluationDomain<Fr>, shift: Fr) -> Vec<Fr> {
    let rows = 1usize << domain.k();
    let omega = domain.get_omega();
    let scale = (shift.pow_vartime([rows as u64]) - Fr::ONE)
        * Fr::TWO_INV.pow_vartime([u64::from(domain.k())]);
    let mut values = vec![Fr::ZERO; rows];
    values
        .par_chunks_mut(1 << 10)
        .enumerate()
        .for_each(|(chunk, values)| {
            let mut x = shift * omega.pow_vartime([(chunk << 10) as u64]);
            for value in values.iter_mut() {
                *value = x - Fr::ONE;
                x *= omega;
            }
            // No x is a row, so none of them is zero.
            values.iter_mut().batch_invert();
            values.iter_mut().for_each(|value| *value *= scale);
        });
    values
}

/// Everything the constraints read, on one coset.
struct Columns<'a> {
    shape: &'a ProofShape,
    key: &'a KeyCoset,
    instance: Vec<Vec<Fr>>,
    /// By their points in the proof.
    proof: Vec<Vec<Fr>>,
    first: Vec<Fr>,
    shift: Fr,
}

impl Columns<'_> {
    fn constraints(&self, program: &Program, challenges: &[Fr]) -> Vec<Fr> {
        let challenge = |which| {
            let position = self.shape.challenge(which);
            challenges.get(position).copied().unwrap_or_default()
        };
        let [beta, gamma, y] = [
            SystemChallenge::Beta,
            SystemChallenge::Gamma,
            SystemChallenge::Y,
        ]
        .map(challenge);
        let mut sums = vec![Fr::ZERO; self.first.len()];
        sums.par_chunks_mut(BLOCK).enumerate().for_each_init(
            || program.scratch(),
            |scratch, (block, sums)| {
                let (start, rows) = (block * BLOCK, sums.len());
                let cell = |position: usize| self.cell(position, start, rows);
                program.run(&cell, y, sums, scratch);
                self.copies(start, &cell, [beta, gamma, y], sums);
            },
        );
        sums
    }

    /// The rows of the evaluation at a position, in this block.
    fn cell(&self, position: usize, start: usize, rows: usize) -> Cow<'_, [Fr]> {
        let opening = self.shape.evaluations[position];
        let column = match opening.poly {
            Poly::Instance(column) => &self.instance[column],
            Poly::Fixed(column) => &self.key.fixed[column],
            Poly::Sigma(column) => &self.key.sigma[column],
            Poly::Proof(point) => &self.proof[point],
            // Not yet known, and in no constraint.
            Poly::Quotient => return Cow::Owned(vec![Fr::ZERO; rows]),
        };
        rotated(column, start, opening.rotation, rows)
    }

    /// The copy constraints, in the order of [`crate::plonk::verify_proof`].
    fn copies<'c>(
        &self,
        start: usize,
        cell: &impl Fn(usize) -> Cow<'c, [Fr]>,
        [beta, gamma, y]: [Fr; 3],
        sums: &mut [Fr],
    ) {
        let argument = &self.shape.permutation;
        let Some(final_product) = argument.products.checked_sub(1) else {
            return;
        };
        let z = |product: usize, part: usize| cell(argument.first_product + 3 * product + part);
        let products: Vec<_> = (0..argument.products).map(|p| [z(p, 0), z(p, 1)]).collect();
        let ends: Vec<_> = (0..final_product).map(|p| z(p, 2)).collect();
        let columns: Vec<_> = argument.columns.iter().map(|at| cell(*at)).collect();
        let sigma: Vec<_> = (0..columns.len())
            .map(|column| cell(argument.first_sigma + column))
            .collect();
        let boundary = Boundary::new(self, start, sums.len());
        let omega = self.shape.omega;
        let mut x = self.shift * omega.pow_vartime([start as u64]);
        for (row, sum) in sums.iter_mut().enumerate() {
            let (first, last, active) = (
                boundary.first[row],
                boundary.last[row],
                boundary.active[row],
            );
            let mut fold = |value: Fr| *sum = *sum * y + value;
            fold(first * (Fr::ONE - products[0][0][row]));
            let end = products[final_product][0][row];
            fold(last * (end.square() - end));
            for (product, end) in products[1..].iter().zip(&ends) {
                fold(first * (product[0][row] - end[row]));
            }
            let mut position = beta * x;
            let both = columns
                .chunks(argument.chunk)
                .zip(sigma.chunks(argument.chunk));
            for (product, (columns, sigma)) in products.iter().zip(both) {
                let (mut left, mut right) = (product[1][row], product[0][row]);
                for (column, sigma) in columns.iter().zip(sigma) {
                    let value = column[row] + gamma;
                    left *= value + beta * sigma[row];
                    right *= value + position;
                    position *= Fr::DELTA;
                }
                fold(active * (left - right));
            }
            x *= omega;
        }
    }
}

/// The boundary rows' Lagrange polynomials in a block.
struct Boundary<'a> {
    first: Cow<'a, [Fr]>,
    last: Cow<'a, [Fr]>,
    /// One less the unusable rows and the last.
    active: Vec<Fr>,
}

impl<'a> Boundary<'a> {
    fn new(columns: &'a Columns<'_>, start: usize, rows: usize) -> Self {
        // Row `n - r` seen from x is row 0 seen from `x * omega^r`.
        let before_first = |r: usize| rotated(&columns.first, start, r as i32, rows);
        let mut active = vec![Fr::ONE; rows];
        let unusable = columns.shape.blinding_factors + 1;
        for r in 1..=unusable {
            for (active, row) in active.iter_mut().zip(before_first(r).iter()) {
                *active -= row;
            }
        }
        Self {
            first: before_first(0),
            last: before_first(unusable),
            active,
        }
    }
}

/// `rows` values from `start` on of a column that is turned by `rotation`.
fn rotated(column: &[Fr], start: usize, rotation: i32, rows: usize) -> Cow<'_, [Fr]> {
    let all = column.len();
    let turned = start as i64 + i64::from(rotation);
    let from = turned.rem_euclid(all as i64) as usize;
    match from + rows <= all {
        true => Cow::Borrowed(&column[from..from + rows]),
        false => {
            let (end, beginning) = (&column[from..], &column[..from + rows - all]);
            Cow::Owned([end, beginning].concat())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_turned_around_the_end() {
        let column: Vec<Fr> = (0..8).map(Fr::from).collect();
        let numbers = |rows: &[u64]| rows.iter().map(|row| Fr::from(*row)).collect::<Vec<_>>();
        assert_eq!(*rotated(&column, 2, 0, 3), numbers(&[2, 3, 4]));
        assert_eq!(*rotated(&column, 0, -2, 4), numbers(&[6, 7, 0, 1]));
        assert_eq!(*rotated(&column, 6, 1, 2), numbers(&[7, 0]));
        assert_eq!(*rotated(&column, 4, 4, 4), numbers(&[0, 1, 2, 3]));
        assert_eq!(
            *rotated(&column, 0, 3, 8),
            numbers(&[3, 4, 5, 6, 7, 0, 1, 2])
        );
    }

    #[test]
    fn the_first_rows_polynomial_is_what_its_coefficients_are_on_each_coset() {
        let domain = EvaluationDomain::<Fr>::new(5, 6);
        let mut row = vec![Fr::ZERO; 64];
        row[0] = Fr::ONE;
        let coefficients = domain.lagrange_to_coeff(domain.lagrange_from_vec(row));
        for coset in Coset::all(&domain) {
            let expected = coset.evaluate(&[&coefficients]);
            assert_eq!(first_row(&domain, coset.shift), expected[0]);
        }
    }
}
