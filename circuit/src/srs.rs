//! The structured reference string: the powers of a secret `tau` that KZG commits with, where they come from, and
//! what was checked about them.
//!
//! Whoever knows `tau` opens any commitment to any value, so the origin of the string is part of its type:
//! [`Provenance::Development`] (`tau` is public, proofs are worthless as evidence) or [`Provenance::Ceremony`]
//! (a multi-party powers-of-tau file, pinned by its digest; safe if one participant forgot their share).
//!
//! Everything here works on readers and writers given by the caller: no file, no clock, no environment.

mod audit;
mod cache;
mod development;
mod digest;
mod error;
mod points;
mod ptau;

pub(crate) use audit::{is_development_secret, is_secret};
pub use development::insecure_development_secret;
pub use digest::FileDigest;
pub use error::SrsError;

use std::fmt;
use std::io::{Read, Seek, Write};
use std::sync::Arc;

use halo2_proofs::arithmetic::g_to_lagrange;
use halo2_proofs::poly::commitment::{Params, ParamsProver};
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, G1Affine, G2Affine};
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{rngs::StdRng, RngCore, SeedableRng};

/// The smallest `k` a string may have (two rows).
pub const MIN_K: u32 = 1;
/// The largest `k` a string may have: 2^24 rows, 2 GiB of points. It bounds what a hostile header can make us allocate.
pub const MAX_K: u32 = 24;

/// Where a string comes from, and so whether its proofs mean anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provenance {
    /// INSECURE: `tau` is derived from a published seed, anybody can forge. Only for a development chain.
    Development,
    /// Read from the powers-of-tau file with this digest.
    Ceremony {
        /// BLAKE2b-512 of the whole `.ptau` file.
        digest: FileDigest,
    },
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Development => f.write_str("INSECURE development SRS (its secret is public)"),
            Self::Ceremony { digest } => write!(f, "powers-of-tau ceremony, BLAKE2b-512 {digest}"),
        }
    }
}

/// What a verifier needs of a string, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The generator of G1.
    pub g1: G1Affine,
    /// The generator of G2.
    pub g2: G2Affine,
    /// `tau` times the generator of G2.
    pub s_g2: G2Affine,
}

/// A structured reference string for circuits of `2^k` rows: monomial and Lagrange basis in G1, two points in G2.
#[derive(Clone)]
pub struct Srs {
    params: ParamsKZG<Bn256>,
    /// The Lagrange basis once more: halo2 commits to whole columns with its own and does not show it.
    lagrange: Arc<Vec<G1Affine>>,
    provenance: Provenance,
}

impl Srs {
    /// Builds the INSECURE development string of `2^k` rows: the same for everybody, in seconds, because its secret
    /// is public ([`insecure_development_secret`]). `progress` is told `(points done, points in all)`.
    pub fn development(k: u32, progress: impl Fn(u64, u64) + Sync) -> Result<Self, SrsError> {
        development::build(k, &progress)
    }

    /// Reads the first `2^k` powers of a powers-of-tau file (`.ptau`, BN254) as snarkjs writes it.
    ///
    /// `expected` pins the file: without it, only the file's consistency is known, not who took part. Everything is
    /// checked, [`Srs::audit`] included. A file prepared for phase 2 brings its Lagrange basis along; for any other the
    /// basis is computed by a Fourier transform in the group (three minutes at `k` = 17 on two cores).
    /// `progress` is told `(bytes read, bytes in all)`; the checks come after the last byte.
    pub fn from_ptau(
        reader: impl Read + Seek,
        k: u32,
        expected: Option<FileDigest>,
        progress: impl Fn(u64, u64),
    ) -> Result<Self, SrsError> {
        ptau::read(reader, k, expected, &progress)
    }

    /// Reads what [`Srs::write`] wrote.
    ///
    /// The file is a local cache, trusted as much as the disk it lies on: the digest inside it catches accidents, not
    /// an attacker who can recompute it. Checked: format, version, digest, every point on the curve, the generators,
    /// the first pairing, and that the label fits the secret. Not checked: that the later powers and the Lagrange
    /// basis belong to the same secret; [`Srs::audit`] does that, for any string, in a few large multi-exponentiations.
    pub fn read(reader: impl Read, progress: impl Fn(u64, u64)) -> Result<Self, SrsError> {
        cache::read(reader, &progress)
    }

    /// Writes the string in the versioned cache format described in `srs/cache.rs`.
    pub fn write(&self, writer: impl Write) -> Result<(), SrsError> {
        cache::write(self, writer)
    }

    /// Checks the whole string against itself: consecutive powers, Lagrange basis and G2 point share one secret.
    /// A false string passes with probability at most 2^-127 over the coins of `rng`.
    pub fn audit(&self, rng: impl RngCore) -> Result<(), SrsError> {
        audit::whole(self, rng)
    }

    /// The same string for `2^k` rows, `k` not above the present one, with the Lagrange basis of the smaller domain.
    ///
    /// A development string is rebuilt (seconds). A ceremony string needs a Fourier transform in the group, slow
    /// above `k` = 14 (20 seconds on two cores); reading the prepared `.ptau` again at the smaller `k` is faster.
    pub fn downsize(&self, k: u32) -> Result<Self, SrsError> {
        check_k(k)?;
        if k > self.k() {
            return Err(SrsError::TooSmall {
                wanted: k,
                power: self.k(),
            });
        }
        match self.provenance {
            _ if k == self.k() => Ok(self.clone()),
            Provenance::Development => development::build(k, &|_, _| ()),
            Provenance::Ceremony { .. } => {
                let g: Vec<_> = self.params.get_g().iter().take(1 << k).copied().collect();
                let g_lagrange = lagrange_basis(&g, k);
                Self::from_bases(k, g, g_lagrange, self.s_g2(), self.provenance)
            }
        }
    }

    /// halo2's parameters: what `keygen`, `create_proof` and `verify_proof` take.
    pub fn params(&self) -> &ParamsKZG<Bn256> {
        &self.params
    }

    /// The points of the rows, `2^k` of them: a commitment to few rows is the sum of few of these.
    pub(crate) fn lagrange(&self) -> &[G1Affine] {
        &self.lagrange
    }

    /// log2 of the number of rows.
    pub fn k(&self) -> u32 {
        self.params.k()
    }

    /// Where the string comes from.
    pub fn provenance(&self) -> Provenance {
        self.provenance
    }

    /// True if anybody can forge proofs under this string.
    pub fn is_development(&self) -> bool {
        self.provenance == Provenance::Development
    }

    /// The points a verifier, on chain or off, checks openings with.
    pub fn verifier_key(&self) -> VerifierKey {
        VerifierKey {
            g1: G1Affine::generator(),
            g2: self.params.g2(),
            s_g2: self.params.s_g2(),
        }
    }

    fn s_g2(&self) -> G2Affine {
        self.params.s_g2()
    }

    /// Joins checked points to a string and applies the rules every source shares: right sizes, no identity (halo2's
    /// multi-exponentiation panics on one), generators, first pairing, and a label that fits the secret.
    fn from_bases(
        k: u32,
        g: Vec<G1Affine>,
        g_lagrange: Vec<G1Affine>,
        s_g2: G2Affine,
        provenance: Provenance,
    ) -> Result<Self, SrsError> {
        check_k(k)?;
        audit::secret(&s_g2, provenance)?;
        audit::bases(k, &g, &g_lagrange)?;
        audit::first_power(&g, &s_g2)?;
        Ok(Self {
            lagrange: Arc::new(g_lagrange.clone()),
            params: assemble(k, g, g_lagrange, s_g2),
            provenance,
        })
    }
}

/// The label and the size, never a quarter of a million points.
impl fmt::Debug for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Srs({self})")
    }
}

impl fmt::Display for Srs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, k = {}", self.provenance, self.k())
    }
}

/// `Ok` if a string of `2^k` rows may be built at all.
fn check_k(k: u32) -> Result<(), SrsError> {
    if (MIN_K..=MAX_K).contains(&k) {
        Ok(())
    } else {
        Err(SrsError::PowerOutOfRange { got: k })
    }
}

/// The Lagrange basis of the first `2^k` powers, by halo2's inverse Fourier transform in the group.
fn lagrange_basis(g: &[G1Affine], k: u32) -> Vec<G1Affine> {
    g_to_lagrange(g.iter().map(PrimeCurveAffine::to_curve).collect(), k)
}

/// halo2's parameters from their parts. Its `from_parts` is a method, so a throw-away string of one row is made first.
fn assemble(
    k: u32,
    g: Vec<G1Affine>,
    g_lagrange: Vec<G1Affine>,
    s_g2: G2Affine,
) -> ParamsKZG<Bn256> {
    let blank = ParamsKZG::<Bn256>::setup(0, StdRng::seed_from_u64(0));
    blank.from_parts(k, g, Some(g_lagrange), G2Affine::generator(), s_g2)
}
