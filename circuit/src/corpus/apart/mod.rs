//! That the items of a corpus stand apart: no commitment holds anything but on the rows of its own item, and salt.
//!
//! Without it the sum of a shard's commitments could be any shard: the last commitment made to that shard less the others,
//! so that they cancel. With it, what stands in the sum on an item's rows is what that item's commitment holds there.
//!
//! **Statement.** `H` are the n rows, `D` those that are no salt of the data column, and `R_j` the pixels of place j. A corpus
//! is a list of commitments `C_i`, to polynomials `f_i`, by position: shard `s = i / N`, place `j = i % N`, where `N` is the
//! number of samples of the layout. Shown is: `f_i` is zero on all of `D` but `R_j`. So it is on labels, on padding, on the
//! rows of places where no item is, and on the last rows of the column.
//!
//! **Argument.** With a challenge r drawn after all commitments, put
//!
//! ```text
//! P(X)   = sum over i of r^i f_i(X)              T(X) = sum over i of r^(N s) f_i(X)
//! rho(X) = r^j on R_j, 0 on all other rows       Z(X) = the polynomial that is 0 on D = (X^n - 1) / salt(X)
//! ```
//!
//! and show `P = rho T` on D, that is, `P - rho T = Z q` for some polynomial q. On a row of `R_j` the claim reads
//! `sum over i of (r^i - r^(N s + j)) f_i(x) = 0`. As a polynomial in r it has the coefficient `f_i(x)` at `r^i` for every item
//! whose place is not j; at `r^(N s + j)` stands the sum of those of shard s, negated, which asks for nothing more. On all
//! other rows of D it has `f_i(x)` at `r^i` for every item. So where the statement is false, one of these polynomials, of degree below 2^32, is not
//! zero, and vanishes at a random r with a chance below 2^-221; over all rows of a layout below 2^-199. (A corpus as the node
//! makes it has at most 2^20 positions: 2^-211.) `rho` is one for all shards, full or not.
//!
//! q has degree at most `n - 2 + S`, with S salt rows, so it is committed in two parts, `q = low + X^(n-1) high`. At a challenge
//! z drawn after these, the polynomial
//!
//! ```text
//! L(X) = P(X) - rho(z) T(X) - Z(z) (low(X) + z^(n-1) high(X))
//! ```
//!
//! is zero at z. Its commitment is a sum of the commitments that are known, and the third point of the proof is that to
//! `W = L / (X - z)`: `e([L] + z [W], G2) = e([W], tau G2)`. As everywhere here, KZG is taken to be sound in the algebraic group
//! model. The degrees of the `f_i` need no bound: the identity is one of polynomials, whatever their degrees, and D is a set of
//! rows.
//!
//! **Zero knowledge.** No value of any polynomial is shown. `low` is masked: a random multiple b of `X^(n-1)` is added, and b is
//! taken from `high`, which changes neither q nor L's value at z. So `[low]` is uniform, whatever the items are. `[high]` is
//! then what `P(tau) - rho(tau) T(tau) = Z(tau) q(tau)` makes it, and `[W]` what the pairing equation makes it: both are
//! functions of the `C_i`, of `[low]` and of tau. So whoever knows tau makes the same proofs, equally distributed, from the
//! commitments alone. The proof says no more of an item than its commitment does, and takes nothing from what its salt hides
//! ([`openings`](super::openings)).
//!
//! **Cost.** 192 bytes, whatever the number of items. To make it: two commitments of all rows, three Fourier transforms of
//! as many and five of twice as many, and for every item two products a pixel and a salt row. To check it: one multi-exponentiation over all
//! commitments, five products a pixel of a shard, one pairing equation.

mod prove;
mod rows;
#[cfg(test)]
mod tests;
mod verify;

pub use prove::{prove, Opening};
pub use verify::verify;

use super::CorpusError;
use crate::{
    commitment::Commitment,
    layout::Layout,
    transcript::{KeccakChallenge, TranscriptError, POINT_BYTES},
};
use halo2_proofs::transcript::EncodedChallenge;
use halo2curves::{
    bn256::{Fr, G1Affine},
    group::prime::PrimeCurveAffine,
};
use sha3::{Digest, Keccak256};
use thiserror::Error;

/// Bytes of every proof: three points.
pub const PROOF_BYTES: usize = 3 * POINT_BYTES;
/// What the transcript starts with.
const DOMAIN: &[u8] = b"zknode items of a corpus stand apart, version 1";

/// Shows that the items of a corpus stand apart: `[low] || [high] || [W]`, each as it stands in calldata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proof([u8; PROOF_BYTES]);

impl Proof {
    /// From stored bytes. They may show nothing: [`verify`] tells.
    pub const fn new(bytes: [u8; PROOF_BYTES]) -> Self {
        Self(bytes)
    }
    /// The bytes, to store them.
    pub const fn bytes(&self) -> &[u8; PROOF_BYTES] {
        &self.0
    }
}

/// Why items are not taken to stand apart.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ApartError {
    /// Items, or a reference string, of another size; or none.
    #[error(transparent)]
    Corpus(#[from] CorpusError),
    /// Two items at one position, or not in order.
    #[error(
        "position {found} follows position {last}; expected every item once, by ascending position"
    )]
    Order {
        /// The position before.
        last: u32,
        /// The one that does not ascend.
        found: u32,
    },
    /// A commitment that is no point.
    #[error("the commitment at position {position} is not a point of BN254 G1")]
    NotAPoint {
        /// Its position.
        position: u32,
    },
    /// A commitment to nothing.
    #[error(
        "the commitment at position {position} is the identity; an item with salt has another"
    )]
    Identity {
        /// Its position.
        position: u32,
    },
    /// Bytes that are no proof.
    #[error(transparent)]
    Encoding(#[from] TranscriptError),
    /// The statement is false, or the proof is another corpus's.
    #[error("the proof does not show that every commitment holds its own item and nothing else; commit the corpus again")]
    NotShown,
}

/// The points of a corpus's commitments: in order, of the curve, none the identity (of which halo2's multi-exponentiation
/// panics).
fn points(items: &[(u32, Commitment)]) -> Result<Vec<G1Affine>, ApartError> {
    if items.is_empty() {
        return Err(CorpusError::Empty.into());
    }
    for (&(last, _), &(found, _)) in items.iter().zip(items.iter().skip(1)) {
        if found <= last {
            return Err(ApartError::Order { last, found });
        }
    }
    let point = |&(position, commitment): &(u32, Commitment)| {
        let point = commitment.point();
        let point = point.ok_or(ApartError::NotAPoint { position })?;
        if bool::from(point.is_identity()) {
            return Err(ApartError::Identity { position });
        }
        Ok(point)
    };
    items.iter().map(point).collect()
}

/// The statement as the transcript begins: what the rows depend on, and every commitment at its position.
fn statement(layout: &Layout, items: &[(u32, Commitment)]) -> Fr {
    let (options, salt) = (layout.options(), layout.data_salt());
    let shape = [
        options.k as usize,
        options.samples,
        options.grid.rows,
        options.grid.columns,
        rows::pixels(layout),
        salt.start,
        salt.end,
        items.len(),
    ];
    let mut hash = Keccak256::new();
    hash.update(DOMAIN);
    for number in shape {
        hash.update((number as u64).to_be_bytes());
    }
    for (position, commitment) in items {
        hash.update(position.to_be_bytes());
        hash.update(commitment.bytes());
    }
    KeccakChallenge::new(&hash.finalize().into()).get_scalar()
}
