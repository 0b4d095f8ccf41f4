//! The INSECURE development string: `tau` is the hash of a published sentence, so the string costs nothing to agree
//! on and protects nothing.
//!
//! Knowing `tau` makes it fast. Both bases are multiples of one fixed point: `g[i] = tau^i G` and
//! `g_lagrange[i] = l_i(tau) G` with `l_i(tau) = (tau^n - 1)/n * w^i/(tau - w^i)`. A scalar is 32 base-256 digits, a
//! table holds every `digit * 256^window * G`, so a multiple is at most 31 affine additions, done for a whole chunk of
//! scalars at a time to share the field inversion (Montgomery's trick): about 6 multiplications an addition.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use halo2curves::bn256::{Fq, Fr, G1Affine, G2Affine, G1};
use halo2curves::ff::{BatchInverter, Field, FromUniformBytes, PrimeField};
use halo2curves::group::{prime::PrimeCurveAffine, Curve, Group};
use rayon::prelude::*;
use sha3::{Digest, Keccak512};

use super::{check_k, Provenance, Srs, SrsError};

/// What the development secret is the Keccak-512 of.
const PUBLIC_SEED: &[u8] = b"zknode INSECURE development SRS, version 1: this secret is public";

/// Scalars per task: enough to make the shared inversion free, few enough to stay in the cache.
const CHUNK: usize = 2048;

/// The `tau` of every development string. Public on purpose: tests forge with it.
pub fn insecure_development_secret() -> Fr {
    Fr::from_uniform_bytes(&secret_bytes())
}

/// The 512 bits `tau` is reduced from.
pub(super) fn secret_bytes() -> [u8; 64] {
    Keccak512::digest(PUBLIC_SEED).into()
}

/// `tau` times the generator of G2: the mark by which a development string is recognized, whatever its label says.
pub(super) fn s_g2() -> G2Affine {
    (G2Affine::generator() * insecure_development_secret()).to_affine()
}

/// Builds the string of `2^k` rows; see [`Srs::development`].
pub(super) fn build(k: u32, progress: &(impl Fn(u64, u64) + Sync)) -> Result<Srs, SrsError> {
    check_k(k)?;
    let n = 1usize << k;
    let secret = KnownSecret::new(insecure_development_secret(), k);
    let table = FixedBase::new(G1::generator());
    let done = AtomicU64::new(0);
    let report = |points: usize| {
        let before = done.fetch_add(points as u64, Ordering::Relaxed);
        progress(before.saturating_add(points as u64), 2 * n as u64);
    };
    let g = table.multiples(n, |rows| secret.powers(rows), &report);
    let g_lagrange = table.multiples(n, |rows| secret.lagrange(rows), &report);
    Srs::from_bases(k, g, g_lagrange, s_g2(), Provenance::Development)
}

/// A known `tau` over the domain of `2^k` rows.
struct KnownSecret {
    tau: Fr,
    /// The generator of the domain, halo2's.
    omega: Fr,
    /// `(tau^n - 1) / n`.
    vanishing_over_n: Fr,
}

impl KnownSecret {
    fn new(tau: Fr, k: u32) -> Self {
        let omega = (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square());
        let n_inv = Fr::TWO_INV.pow_vartime([u64::from(k)]);
        Self {
            tau,
            omega,
            vanishing_over_n: (tau.pow_vartime([1u64 << k]) - Fr::ONE) * n_inv,
        }
    }

    /// `tau^i` for the rows given.
    fn powers(&self, rows: Range<usize>) -> Vec<Fr> {
        geometric(Fr::ONE, self.tau, rows)
    }

    /// `l_i(tau)` for the rows given. `tau` is not in the domain (it is a hash), so no denominator is zero.
    fn lagrange(&self, rows: Range<usize>) -> Vec<Fr> {
        let nodes = geometric(Fr::ONE, self.omega, rows);
        let mut inverses: Vec<_> = nodes.iter().map(|node| self.tau - node).collect();
        let mut scratch = vec![Fr::ZERO; inverses.len()];
        BatchInverter::invert_with_external_scratch(&mut inverses, &mut scratch);
        nodes
            .iter()
            .zip(inverses)
            .map(|(node, inverse)| self.vanishing_over_n * node * inverse)
            .collect()
    }
}

/// `first * ratio^i` for the rows given.
fn geometric(first: Fr, ratio: Fr, rows: Range<usize>) -> Vec<Fr> {
    let start = first * ratio.pow_vartime([rows.start as u64]);
    std::iter::successors(Some(start), |term| Some(term * ratio))
        .take(rows.len())
        .collect()
}

/// Every `digit * 256^window * base`, digits 1 to 255, windows 0 to 31 (half a megabyte: it stays in the cache).
struct FixedBase(Vec<[G1Affine; 256]>);

impl FixedBase {
    fn new(base: G1) -> Self {
        let mut unit = base;
        let windows = (0..32).map(|_| {
            let mut multiples = [G1::identity(); 256];
            let mut sum = G1::identity();
            for multiple in &mut multiples {
                *multiple = sum;
                sum += unit;
            }
            unit = sum;
            let mut affine = [G1Affine::identity(); 256];
            G1::batch_normalize(&multiples, &mut affine);
            affine
        });
        Self(windows.collect())
    }

    /// The multiples of the base by `n` scalars, which `scalars` yields by the range of their rows.
    fn multiples(
        &self,
        n: usize,
        scalars: impl Fn(Range<usize>) -> Vec<Fr> + Sync,
        report: &(impl Fn(usize) + Sync),
    ) -> Vec<G1Affine> {
        let mut points = vec![G1Affine::identity(); n];
        points
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(chunk, points)| {
                let start = chunk * CHUNK;
                self.add_multiples(&scalars(start..start + points.len()), points);
                report(points.len());
            });
        points
    }

    /// Adds digit by digit, all scalars of a chunk abreast; `sums` enters as identities.
    ///
    /// The affine formula fails only for equal or opposite points, and those cannot meet: before window `i` a sum is
    /// `a G` with `0 < a < 256^i` (or still the identity, a case of its own), the entry is `b G` with
    /// `256^i <= b`, and `a + b` is at most the scalar, below the group order.
    fn add_multiples(&self, scalars: &[Fr], sums: &mut [G1Affine]) {
        let digits: Vec<_> = scalars.iter().map(Fr::to_repr).collect();
        let mut inverses = vec![Fq::ONE; scalars.len()];
        let mut scratch = inverses.clone();
        for (window, entries) in self.0.iter().enumerate() {
            let entry = |digits: &[u8; 32]| entries[usize::from(digits[window])];
            for ((inverse, sum), digits) in inverses.iter_mut().zip(&*sums).zip(&digits) {
                *inverse = entry(digits).x - sum.x;
            }
            BatchInverter::invert_with_external_scratch(&mut inverses, &mut scratch);
            for ((inverse, sum), digits) in inverses.iter().zip(&mut *sums).zip(&digits) {
                let entry = entry(digits);
                if is_identity(&entry) {
                    continue;
                }
                if is_identity(sum) {
                    *sum = entry;
                    continue;
                }
                let slope = (entry.y - sum.y) * inverse;
                let x = slope.square() - sum.x - entry.x;
                let y = slope * (sum.x - x) - sum.y;
                *sum = G1Affine { x, y };
            }
        }
    }
}

/// Faster than the constant-time test: no point of the curve has y = 0 but the stand-in for the identity.
fn is_identity(point: &G1Affine) -> bool {
    point.y == Fq::ZERO
}
