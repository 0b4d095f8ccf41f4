//! Curve points as raw bytes: coordinates in Montgomery form, little-endian, x then y (and c0 then c1 in G2).
//! This is at once the layout of `.ptau` files and halo2's own, so both readers share it.

use halo2curves::bn256::{G1Affine, G2Affine};
use halo2curves::serde::SerdeObject;
use rayon::prelude::*;

use super::SrsError;

/// Bytes of a point in G1.
pub(super) const G1_BYTES: usize = 64;
/// Bytes of a point in G2.
pub(super) const G2_BYTES: usize = 128;

/// Appends the points that `bytes` holds: canonical coordinates, on the curve. The identity (all zero) is let through,
/// for the rules of the string to judge. `what` names the array in errors.
pub(super) fn append_g1(
    points: &mut Vec<G1Affine>,
    bytes: &[u8],
    what: &'static str,
) -> Result<(), SrsError> {
    let start = points.len();
    let parsed: Result<Vec<_>, _> = bytes
        .par_chunks_exact(G1_BYTES)
        .enumerate()
        .map(|(index, bytes)| {
            G1Affine::from_raw_bytes(bytes).ok_or(SrsError::NotOnCurve {
                what,
                index: start + index,
            })
        })
        .collect();
    points.extend(parsed?);
    Ok(())
}

/// One point of G2: canonical coordinates, on the curve; its order is for the rules of the string to judge.
pub(super) fn parse_g2(
    bytes: &[u8],
    what: &'static str,
    index: usize,
) -> Result<G2Affine, SrsError> {
    G2Affine::from_raw_bytes(bytes).ok_or(SrsError::NotOnCurve { what, index })
}
