//! From a committed model and a committed shard to the values of every column.
//!
//! Phase 1 ([`lanes`]) needs no challenge: network runs, requantization, ranks, multiplicities.
//! Phase 2 ([`claims`]) follows from phase 1 and the challenges alone, so whoever holds phase 1
//! holds the witness.

pub mod claims;
pub mod instance;
pub mod lanes;

use halo2_proofs::halo2curves::bn256::Fr;

/// A signed integer as a field element.
pub(crate) fn field(value: i64) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 {
        -magnitude
    } else {
        magnitude
    }
}
