//! What makes a string consistent. With generators `G`, `H` and the claim `s_g2 = tau H`:
//! `e(g[1], H) = e(G, s_g2)` ties the first power to the G2 point; a random combination of
//! `e(g[i+1], H) = e(g[i], s_g2)` ties every power to the one before; and committing to one random polynomial by its
//! coefficients and by its values ties the Lagrange basis to the powers.

use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::poly::commitment::{Blind, Params, ParamsProver};
use halo2_proofs::poly::EvaluationDomain;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine, G1};
use halo2curves::ff::PrimeField;
use halo2curves::group::{cofactor::CofactorGroup, prime::PrimeCurveAffine, Curve};
use halo2curves::pairing::Engine;
use rand::RngCore;

use super::{development, Provenance, Srs, SrsError};

/// Both bases have `2^k` points, none the identity, and the first power is the generator.
pub(super) fn bases(k: u32, g: &[G1Affine], g_lagrange: &[G1Affine]) -> Result<(), SrsError> {
    for (basis, points) in [("monomial", g), ("Lagrange", g_lagrange)] {
        let expected = 1usize << k;
        if points.len() != expected {
            return Err(SrsError::BasisLength {
                basis,
                expected,
                got: points.len(),
            });
        }
        if let Some(index) = points.iter().position(|p| bool::from(p.is_identity())) {
            return Err(SrsError::IdentityPoint { basis, index });
        }
    }
    if g.first() != Some(&G1Affine::generator()) {
        return Err(SrsError::WrongGenerator { group: "G1" });
    }
    Ok(())
}

/// Whether the G2 point is that of a secret: of the right order, and somebody contributed.
pub(crate) fn is_secret(s_g2: &G2Affine) -> bool {
    !bool::from(s_g2.is_identity())
        && bool::from(s_g2.to_curve().is_torsion_free())
        && *s_g2 != G2Affine::generator()
}

/// Whether the G2 point is that of the public development secret.
pub(crate) fn is_development_secret(s_g2: &G2Affine) -> bool {
    *s_g2 == development::s_g2()
}

/// The G2 point is of the right order, somebody contributed, and the label tells the truth.
pub(super) fn secret(s_g2: &G2Affine, provenance: Provenance) -> Result<(), SrsError> {
    if bool::from(s_g2.is_identity()) || !bool::from(s_g2.to_curve().is_torsion_free()) {
        return Err(SrsError::NotInSubgroup);
    }
    if *s_g2 == G2Affine::generator() {
        return Err(SrsError::NoContribution);
    }
    let is_development = is_development_secret(s_g2);
    match provenance {
        Provenance::Development if !is_development => Err(SrsError::NotDevelopmentSecret),
        Provenance::Ceremony { .. } if is_development => Err(SrsError::DevelopmentSecret),
        _ => Ok(()),
    }
}

/// The first power in G1 belongs to the G2 point: two pairings.
pub(super) fn first_power(g: &[G1Affine], s_g2: &G2Affine) -> Result<(), SrsError> {
    let first = g.get(1).ok_or(SrsError::InconsistentPowers)?;
    same_ratio(first.to_curve(), G1::generator(), s_g2)
}

/// The whole string; see [`Srs::audit`].
pub(super) fn whole(srs: &Srs, mut rng: impl RngCore) -> Result<(), SrsError> {
    let params = srs.params();
    let g = params.get_g();
    let coins: Vec<_> = (0..g.len()).map(|_| coin(&mut rng)).collect();
    let (Some((_, coins_of_steps)), Some((_, heads)), Some((_, tails))) =
        (coins.split_last(), g.split_last(), g.split_first())
    else {
        return Err(SrsError::InconsistentPowers);
    };
    same_ratio(
        best_multiexp(coins_of_steps, tails),
        best_multiexp(coins_of_steps, heads),
        &srs.s_g2(),
    )?;
    let domain = EvaluationDomain::new(1, srs.k());
    let values = domain.lagrange_from_vec(coins);
    let coefficients = domain.lagrange_to_coeff(values.clone());
    if params.commit_lagrange(&values, Blind::default())
        == params.commit(&coefficients, Blind::default())
    {
        Ok(())
    } else {
        Err(SrsError::InconsistentLagrange)
    }
}

/// `Ok` if `stepped = tau * base` for the `tau` of `s_g2`.
fn same_ratio(stepped: G1, base: G1, s_g2: &G2Affine) -> Result<(), SrsError> {
    let left = Bn256::pairing(&stepped.to_affine(), &G2Affine::generator());
    let right = Bn256::pairing(&base.to_affine(), s_g2);
    if left == right {
        Ok(())
    } else {
        Err(SrsError::InconsistentPowers)
    }
}

/// A random scalar below 2^128: half the work of a full one, and as good against a lie that was fixed before.
fn coin(rng: &mut impl RngCore) -> Fr {
    Fr::from_u128(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()))
}
