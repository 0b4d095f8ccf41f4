//! All openings in one: SHPLONK (eprint 2020/081), arranged as the verifiers check it.
//!
//! Polynomials that are opened at the same points are summed with powers of mu; of each sum what interpolates its values is
//! subtracted and the points are divided out; these quotients, summed with powers of nu, are the first commitment W. At u
//! everything but W becomes a number, and the second commitment shows that what is left vanishes there.

use super::{combine, Polys, ProveError, Turn};
use crate::plonk::{
    domain::SetBasis,
    shape::{ProofShape, RotationSet, SystemChallenge},
};
use halo2_proofs::arithmetic::{kate_division, lagrange_interpolate};
use halo2curves::{bn256::Fr, ff::Field};
use rayon::prelude::*;

/// The polynomials of one set, summed.
struct Sum {
    coefficients: Vec<Fr>,
    /// Its values at the set's points.
    values: Vec<Fr>,
}

/// Writes W and W'; `values` are the proof's evaluations, and the quotient's after them.
pub(super) fn open(
    shape: &ProofShape,
    polys: &Polys<'_>,
    values: &[Fr],
    turn: &mut Turn<'_>,
) -> Result<(), ProveError> {
    let mu = turn.challenge();
    let nu = turn.challenge();
    let sets = &shape.rotation_sets;
    let x = turn.known(shape, SystemChallenge::X);
    let sums: Vec<Sum> = sets
        .iter()
        .map(|set| sum(shape, polys, set, values, mu))
        .collect();

    let quotients: Vec<Vec<Fr>> = sets
        .par_iter()
        .zip(&sums)
        .map(|(set, sum)| divide(shape, set, sum, x))
        .collect();
    let mut weight = Fr::ONE;
    let mut terms = Vec::with_capacity(sets.len());
    for quotient in &quotients {
        terms.push((weight, &quotient[..]));
        weight *= nu;
    }
    let opening = combine(1 << shape.k, &terms);
    drop(terms);
    drop(quotients);
    turn.commit(&opening)?;

    let u = turn.challenge();
    let mut first_vanishing = Fr::ONE;
    let (mut weight, mut constant) = (Fr::ONE, Fr::ZERO);
    let mut terms = Vec::with_capacity(sets.len() + 1);
    for (index, (set, sum)) in sets.iter().zip(&sums).enumerate() {
        let basis = SetBasis::new(shape, set, x, u).map_err(|_| ProveError::ExcludedChallenge)?;
        if index == 0 {
            first_vanishing = basis.vanishing;
        }
        let scale = weight * first_vanishing * basis.vanishing_inverse;
        let at_u: Fr = sum
            .values
            .iter()
            .zip(&basis.lagrange)
            .map(|(v, l)| v * l)
            .sum();
        constant += scale * at_u;
        terms.push((scale, &sum.coefficients[..]));
        weight *= nu;
    }
    terms.push((-first_vanishing, &opening[..]));
    let mut rest = combine(1 << shape.k, &terms);
    if let Some(lowest) = rest.first_mut() {
        *lowest -= constant;
    }
    turn.commit(&kate_division(&rest, u))
}

fn sum(shape: &ProofShape, polys: &Polys<'_>, set: &RotationSet, values: &[Fr], mu: Fr) -> Sum {
    let mut power = Fr::ONE;
    let mut terms = Vec::with_capacity(set.members.len());
    let mut summed = vec![Fr::ZERO; set.rotations.len()];
    for (poly, positions) in &set.members {
        let poly = polys.get(*poly).values();
        terms.push((power, poly));
        for (summed, position) in summed.iter_mut().zip(positions) {
            *summed += power * values.get(*position).copied().unwrap_or_default();
        }
        power *= mu;
    }
    Sum {
        coefficients: combine(1 << shape.k, &terms),
        values: summed,
    }
}

/// `(sum - what interpolates its values) / (X - each point)`.
fn divide(shape: &ProofShape, set: &RotationSet, sum: &Sum, x: Fr) -> Vec<Fr> {
    let factors = set.rotations.iter().map(|r| shape.rotation_factor(*r));
    let points: Vec<Fr> = factors.map(|factor| x * factor).collect();
    let mut rest = sum.coefficients.clone();
    for (coefficient, known) in rest
        .iter_mut()
        .zip(lagrange_interpolate(&points, &sum.values))
    {
        *coefficient -= known;
    }
    for point in points {
        rest = kate_division(&rest, point);
    }
    rest
}
