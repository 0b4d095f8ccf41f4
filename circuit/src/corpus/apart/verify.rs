//! The verifier's side: commitments, and nothing else.

use super::{
    points,
    rows::{View, Weights},
    statement, ApartError, Proof,
};
use crate::{
    commitment::Commitment, corpus::check_srs, layout::Layout, srs::Srs, transcript::ProofReader,
};
use halo2_proofs::arithmetic::best_multiexp;
use halo2curves::{
    bn256::{Bn256, G2Prepared},
    group::{Curve, Group},
    pairing::{MillerLoopResult, MultiMillerLoop},
};

/// Whether the items at these positions, ascending, stand apart. Total on any input.
pub fn verify(
    layout: &Layout,
    srs: &Srs,
    items: &[(u32, Commitment)],
    proof: &Proof,
) -> Result<(), ApartError> {
    check_srs(layout, srs)?;
    let mut points = points(items)?;
    let mut transcript = ProofReader::new(proof.bytes());
    transcript.absorb_scalar(&statement(layout, items));
    let weights = Weights::new(layout, transcript.challenge());
    let (low, high) = (transcript.next_point()?, transcript.next_point()?);
    let view = View::from_challenge(layout, &weights, || transcript.challenge());
    let opening = transcript.next_point()?;

    // [L] + z [W]
    let scalar = |&(position, _): &(u32, Commitment)| {
        let (shard, place) = weights.at(position);
        shard * (place - view.rho)
    };
    let mut scalars: Vec<_> = items.iter().map(scalar).collect();
    scalars.extend([-view.empty, -view.empty * view.high, view.z]);
    points.extend([low, high, opening]);
    let left = best_multiexp(&scalars, &points).to_affine();

    let key = srs.verifier_key();
    let product = Bn256::multi_miller_loop(&[
        (&opening, &G2Prepared::from(-key.s_g2)),
        (&left, &G2Prepared::from(key.g2)),
    ]);
    if bool::from(product.final_exponentiation().is_identity()) {
        Ok(())
    } else {
        Err(ApartError::NotShown)
    }
}
