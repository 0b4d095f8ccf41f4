//! The products of the copy argument (halo2 book, "Permutation argument").
//!
//! Row by row each product is multiplied by `(value + delta^column * beta * omega^row + gamma) / (value + beta * sigma +
//! gamma)` of its columns; every next product begins where the one before ends, and the last ends at 1 exactly if equal
//! cells hold equal values.

use crate::plonk::shape::{PermutationShape, ProofShape};
use halo2_proofs::{
    plonk::{Any, ProvingKey},
    poly::{LagrangeCoeff, Polynomial},
};
use halo2curves::{
    bn256::{Fr, G1Affine},
    ff::{BatchInvert, Field, PrimeField},
};
use rand_core::RngCore;
use rayon::prelude::*;

/// Rows that are worked on at a time.
const CHUNK: usize = 1 << 10;

/// The products' values, their last rows random.
pub(super) fn products(
    shape: &ProofShape,
    pk: &ProvingKey<G1Affine>,
    advice: &[Polynomial<Fr, LagrangeCoeff>],
    [beta, gamma]: [Fr; 2],
    mut rng: impl RngCore,
) -> Vec<Vec<Fr>> {
    let cs = pk.get_vk().cs();
    let columns: Vec<&[Fr]> = cs
        .permutation()
        .get_columns()
        .iter()
        .map(|column| match column.column_type() {
            Any::Advice(_) => advice[column.index()].values(),
            Any::Fixed => pk.fixed_values()[column.index()].values(),
            // `ProofShape` refuses them.
            Any::Instance => &[],
        })
        .collect();
    let rows = 1usize << shape.k;
    let last = rows - shape.blinding_factors - 1;
    let PermutationShape { chunk, .. } = shape.permutation;
    let mut first = Fr::ONE;
    let mut delta = Fr::ONE;
    let chunks = columns
        .chunks(chunk)
        .zip(pk.permutation().permutations().chunks(chunk));
    let products = chunks.map(|(columns, sigma)| {
        let mut factors = vec![Fr::ONE; rows];
        let deltas: Vec<Fr> = std::iter::successors(Some(delta), |delta| Some(*delta * Fr::DELTA))
            .take(columns.len() + 1)
            .collect();
        factors
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(index, factors)| {
                let start = index * CHUNK;
                for (column, sigma) in columns.iter().zip(sigma) {
                    let cells = column[start..].iter().zip(&sigma.values()[start..]);
                    for (factor, (value, sigma)) in factors.iter_mut().zip(cells) {
                        *factor *= beta * sigma + gamma + value;
                    }
                }
                // Zero with a chance of cells in 2^254; then that row's constraint fails and the proof is refused.
                factors.iter_mut().batch_invert();
                let begin = beta * shape.omega.pow_vartime([start as u64]);
                for (column, delta) in columns.iter().zip(&deltas) {
                    let mut position = begin * delta;
                    for (factor, value) in factors.iter_mut().zip(&column[start..]) {
                        *factor *= position + gamma + value;
                        position *= shape.omega;
                    }
                }
            });
        delta = deltas[columns.len()];
        let mut product = first;
        for factor in &mut factors {
            // What comes before the row, not with it.
            product *= std::mem::replace(factor, product);
        }
        for blind in &mut factors[last + 1..] {
            *blind = Fr::random(&mut rng);
        }
        first = factors[last];
        factors
    });
    products.collect()
}
