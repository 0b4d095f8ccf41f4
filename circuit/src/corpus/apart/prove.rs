//! The owner's side. Of the items' columns only two sums over all of them are held, row by row.

use super::{
    points,
    rows::{generator, nodes, pixels, split, vanishing, View, Weights},
    statement, verify, ApartError, Proof, PROOF_BYTES,
};
use crate::{
    commitment::{Commitment, Seed},
    corpus::{
        check_srs,
        items::{check_item, rows},
        Item,
    },
    layout::Layout,
    srs::Srs,
    transcript::ProofWriter,
};
use halo2_proofs::{
    arithmetic::{best_multiexp, kate_division, Field},
    poly::{commitment::ParamsProver, EvaluationDomain},
};
use halo2curves::{
    bn256::{Fr, G1Affine},
    group::Curve,
};
use rand_core::RngCore;
use rayon::prelude::*;

/// An item at its position in a corpus, with what opens its commitment. Secret: no `Debug`.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Shard times samples of the layout, plus place.
    pub position: u32,
    /// Made by [`commit_item`](super::super::commit_item).
    pub commitment: Commitment,
    /// Pixels, channels first, a byte a cell.
    pub pixels: &'a [u8],
    /// Of its salt.
    pub seed: &'a Seed,
}

impl<'a> Opening<'a> {
    fn item(&self, layout: &Layout) -> Item<'a> {
        Item {
            place: split(layout.options().samples, self.position).1,
            pixels: self.pixels,
            seed: self.seed,
        }
    }
}

/// Shows that the items, by ascending position, stand apart. That the commitments are theirs is seen here too.
pub fn prove(
    layout: &Layout,
    srs: &Srs,
    items: &[Opening<'_>],
    rng: &mut impl RngCore,
) -> Result<Proof, ApartError> {
    check_srs(layout, srs)?;
    for opening in items {
        check_item(layout, &opening.item(layout))?;
    }
    let published: Vec<_> = (items.iter())
        .map(|item| (item.position, item.commitment))
        .collect();
    points(&published)?;
    let sums = |weights: &Weights| {
        let mut sums = Sums::new(layout);
        for opening in items {
            let rows = rows(layout, &opening.item(layout));
            sums.add(weights, opening.position, rows);
        }
        sums
    };
    let proof = argue(layout, srs, &published, sums, rng)?;
    verify(layout, srs, &published, &proof)?;
    Ok(proof)
}

/// P and T, a value a row.
pub(super) struct Sums {
    by_position: Vec<Fr>,
    by_shard: Vec<Fr>,
}

impl Sums {
    pub(super) fn new(layout: &Layout) -> Self {
        let zeros = vec![Fr::ZERO; layout.rows()];
        Self {
            by_position: zeros.clone(),
            by_shard: zeros,
        }
    }

    /// Adds the column of an item: its rows that are not zero.
    pub(super) fn add(
        &mut self,
        weights: &Weights,
        position: u32,
        rows: impl IntoIterator<Item = (usize, Fr)>,
    ) {
        let (shard, place) = weights.at(position);
        for (row, value) in rows {
            let value = shard * value;
            self.by_shard[row] += value;
            self.by_position[row] += place * value;
        }
    }
}

/// The argument over these sums. What is false is argued too, in vain.
pub(super) fn argue(
    layout: &Layout,
    srs: &Srs,
    items: &[(u32, Commitment)],
    sums: impl FnOnce(&Weights) -> Sums,
    rng: &mut impl RngCore,
) -> Result<Proof, ApartError> {
    let mut transcript = ProofWriter::new();
    transcript.absorb_scalar(&statement(layout, items));
    let weights = Weights::new(layout, transcript.challenge());
    let sums = sums(&weights);

    // Twice the rows hold the quotient.
    let domain = EvaluationDomain::<Fr>::new(3, layout.options().k);
    let interpolate = |rows| domain.lagrange_to_coeff(domain.lagrange_from_vec(rows));
    let by_position = interpolate(sums.by_position);
    let by_shard = interpolate(sums.by_shard);
    let mut quotient = domain.coeff_to_extended(&by_position);
    {
        let mut rho: Vec<_> = (0..pixels(layout)).map(|row| weights.on(row)).collect();
        rho.resize(layout.rows(), Fr::ZERO);
        let rho = domain.coeff_to_extended(&interpolate(rho));
        let by_shard = domain.coeff_to_extended(&by_shard);
        let salt = nodes(generator(layout.options().k), layout.data_salt());
        let mut salt = vanishing(salt);
        salt.resize(layout.rows(), Fr::ZERO);
        let salt = domain.coeff_to_extended(&domain.coeff_from_vec(salt));
        (quotient.values_mut().par_iter_mut())
            .zip(rho.values())
            .zip(by_shard.values())
            .zip(salt.values())
            .for_each(|(((value, rho), sum), salt)| *value = (*value - *rho * sum) * salt);
    }
    let quotient = domain.extended_to_coeff(domain.divide_by_vanishing_poly(quotient));

    let cut = layout.rows() - 1;
    let mask = Fr::random(rng);
    let (low, high) = quotient.split_at(cut);
    let mut low = low.to_vec();
    low.push(mask);
    let mut high = high[..layout.data_salt().len()].to_vec();
    high[0] -= mask;
    let basis = srs.params().get_g();
    let commit = |coefficients: &[Fr]| -> G1Affine {
        best_multiexp(coefficients, &basis[..coefficients.len()]).to_affine()
    };
    transcript.append_point(&commit(&low))?;
    transcript.append_point(&commit(&high))?;
    let view = View::from_challenge(layout, &weights, || transcript.challenge());

    high.resize(low.len(), Fr::ZERO);
    let left: Vec<_> = (by_position.values().par_iter())
        .zip(by_shard.values())
        .zip(low)
        .zip(high)
        .map(|(((position, shard), low), high)| {
            *position - view.rho * shard - view.empty * (low + view.high * high)
        })
        .collect();
    transcript.append_point(&commit(&kate_division(&left, view.z)))?;
    let mut proof = [0; PROOF_BYTES];
    proof.copy_from_slice(&transcript.finish());
    Ok(Proof::new(proof))
}
