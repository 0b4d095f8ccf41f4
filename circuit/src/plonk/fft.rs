//! FFTs of columns, side by side.
//!
//! halo2's recursive FFT on every architecture: on x86-64 halo2 itself takes another one, which needs less memory bandwidth
//! and twice the time where that is not what lacks (`zknode bench` times the one used here).

use halo2_proofs::{
    fft::recursive,
    poly::{Coeff, EvaluationDomain, LagrangeCoeff, Polynomial},
};
use halo2curves::{bn256::Fr, ff::Field};
use rayon::prelude::*;

/// Values on the rows to coefficients.
pub(crate) fn to_coefficients(
    domain: &EvaluationDomain<Fr>,
    columns: Vec<Polynomial<Fr, LagrangeCoeff>>,
) -> Vec<Polynomial<Fr, Coeff>> {
    let one = |column: Polynomial<Fr, LagrangeCoeff>| {
        let mut values = column.into_values();
        inverse(domain, &mut values);
        domain.coeff_from_vec(values)
    };
    columns.into_par_iter().map(one).collect()
}

/// Values on the rows to coefficients, in place.
pub(crate) fn inverse(domain: &EvaluationDomain<Fr>, values: &mut [Fr]) {
    run(domain, values, true);
    let divisor = domain.ifft_divisor;
    values.iter_mut().for_each(|value| *value *= divisor);
}

fn run(domain: &EvaluationDomain<Fr>, values: &mut [Fr], inverse: bool) {
    let data = domain.get_fft_data(values.len());
    recursive::fft(values, domain.get_omega(), domain.k(), data, inverse);
}

/// A coset of the rows: everything that is `shift` times a power of omega.
pub(crate) struct Coset<'a> {
    domain: &'a EvaluationDomain<Fr>,
    pub shift: Fr,
    powers: Vec<Fr>,
}

impl<'a> Coset<'a> {
    /// The cosets on which a quotient is determined.
    pub fn all(domain: &'a EvaluationDomain<Fr>) -> impl Iterator<Item = Self> {
        shifts(domain).map(|shift| Self::new(domain, shift))
    }

    fn new(domain: &'a EvaluationDomain<Fr>, shift: Fr) -> Self {
        Self {
            domain,
            shift,
            powers: powers(shift, 1 << domain.k()),
        }
    }

    /// What polynomials are on the coset.
    pub fn evaluate(&self, polys: &[&Polynomial<Fr, Coeff>]) -> Vec<Vec<Fr>> {
        let one = |poly: &&Polynomial<Fr, Coeff>| {
            let scaled = poly.iter().zip(&self.powers).map(|(c, power)| c * power);
            let mut values: Vec<Fr> = scaled.collect();
            run(self.domain, &mut values, false);
            values
        };
        polys.par_iter().map(one).collect()
    }
}

/// What the cosets of a quotient are shifted by.
pub(crate) fn shifts(domain: &EvaluationDomain<Fr>) -> impl Iterator<Item = Fr> {
    let step = domain.get_extended_omega();
    let cosets = domain.extended_len() >> domain.k();
    std::iter::successors(Some(domain.g_coset), move |shift| Some(shift * step)).take(cosets)
}

/// `1, base, base^2, ...`.
pub(crate) fn powers(base: Fr, count: usize) -> Vec<Fr> {
    const CHUNK: usize = 1 << 12;
    let mut powers = vec![Fr::ONE; count];
    powers
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, powers)| {
            let mut power = base.pow_vartime([(chunk * CHUNK) as u64]);
            for value in powers {
                *value = power;
                power *= base;
            }
        });
    powers
}
