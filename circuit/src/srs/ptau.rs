//! Reads a powers-of-tau file as snarkjs writes it.
//!
//! `ptau`, version and number of sections (4 bytes each), then sections: type (4 bytes), length (8 bytes), content;
//! integers little-endian, points as in `srs/points.rs`. Used here, for a file of power p:
//!
//! | section | content |
//! | --- | --- |
//! | 1 | bytes per coordinate (32), modulus, power, power of the ceremony |
//! | 2 | `tau^i G`, i < 2^(p+1) - 1 |
//! | 3 | `tau^i H`, i < 2^p |
//! | 12 | if prepared for phase 2: the Lagrange bases of 1, 2, 4 ... 2^p rows, one after the other |
//!
//! The file is scanned once for its sections (seeking, so a false length is noticed before anything is allocated) and
//! then read once from front to back: what is kept is exactly what was hashed, even if the file changes meanwhile.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

use blake2b_simd::State;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::prime::PrimeCurveAffine;
use rand::{rngs::StdRng, SeedableRng};

use super::points::{append_g1, parse_g2, G1_BYTES, G2_BYTES};
use super::{check_k, lagrange_basis, FileDigest, Provenance, Srs, SrsError};

const MAGIC: &[u8; 4] = b"ptau";
const VERSION: u32 = 1;
/// snarkjs writes 7 sections, 11 when prepared.
const MOST_SECTIONS: u32 = 32;
/// The 2-adicity of BN254's scalar field, and the size of the largest ceremony held over it.
const MAX_POWER: u32 = 28;
/// BN254's base field, little-endian, behind its width in bytes: how section 1 starts.
const CURVE: &str = "2000000047fd7cd8168c203c8dca7168916a81975d588181b64550b829a031e1724e6430";
/// snarkjs' domains are powers of this, the least quadratic non-residue; halo2's are powers of 7.
const SNARKJS_NON_RESIDUE: u64 = 5;
/// Bytes read and hashed at a time.
const BLOCK: usize = 1 << 20;

/// Reads the string of `2^k` rows; see [`Srs::from_ptau`].
pub(super) fn read(
    mut reader: impl Read + Seek,
    k: u32,
    expected: Option<FileDigest>,
    progress: &impl Fn(u64, u64),
) -> Result<Srs, SrsError> {
    check_k(k)?;
    let sections = Sections::scan(&mut reader)?;
    let wanted = sections.wanted(&mut reader, k)?;
    let (digest, captured) = capture(&mut reader, sections.end, &wanted, progress)?;
    if let Some(expected) = expected.filter(|expected| *expected != digest) {
        return Err(SrsError::WrongDigest {
            expected: Box::new(expected),
            got: Box::new(digest),
        });
    }
    let [powers, powers_g2, prepared] = captured;

    let mut g = Vec::new();
    append_g1(&mut g, &powers, TAU_G1.what)?;
    let (zeroth, first) = powers_g2.split_at(G2_BYTES.min(powers_g2.len()));
    if parse_g2(zeroth, TAU_G2.what, 0)? != G2Affine::generator() {
        return Err(SrsError::WrongGenerator { group: "G2" });
    }
    let s_g2 = parse_g2(first, TAU_G2.what, 1)?;
    let g_lagrange = if prepared.is_empty() {
        lagrange_basis(&g, k)
    } else {
        let mut points = Vec::new();
        append_g1(&mut points, &prepared, LAGRANGE_G1.what)?;
        reorder(&points, k)
    };
    let srs = Srs::from_bases(k, g, g_lagrange, s_g2, Provenance::Ceremony { digest })?;
    // The coins of the audit come from the digest, which binds every point they combine.
    let mut seed = [0; 32];
    seed.copy_from_slice(&digest.as_bytes()[..32]);
    srs.audit(StdRng::from_seed(seed))?;
    Ok(srs)
}

/// A section by its type number, with its name for errors.
struct Kind {
    number: u32,
    what: &'static str,
}

const HEADER: Kind = Kind {
    number: 1,
    what: "the header",
};
const TAU_G1: Kind = Kind {
    number: 2,
    what: "the powers of tau in G1",
};
const TAU_G2: Kind = Kind {
    number: 3,
    what: "the powers of tau in G2",
};
const LAGRANGE_G1: Kind = Kind {
    number: 12,
    what: "the prepared Lagrange basis in G1",
};

/// Where each section's content lies.
struct Sections {
    found: Vec<(u32, Range<u64>)>,
    /// Length of the file, bytes.
    end: u64,
}

impl Sections {
    /// Walks over the section headers; the sections fill the file exactly.
    fn scan(reader: &mut (impl Read + Seek)) -> Result<Self, SrsError> {
        let end = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        let truncated = |what, needed| SrsError::Truncated {
            what,
            needed,
            got: end,
        };
        if end < 12 {
            return Err(truncated("the file's header", 12));
        }
        let magic: [u8; 4] = array(reader)?;
        if &magic != MAGIC {
            return Err(SrsError::NotPtau { got: magic });
        }
        let version = u32::from_le_bytes(array(reader)?);
        if version != VERSION {
            return Err(SrsError::PtauVersion {
                expected: VERSION,
                got: version,
            });
        }
        let count = u32::from_le_bytes(array(reader)?);
        if count > MOST_SECTIONS {
            return Err(SrsError::PtauSections {
                most: MOST_SECTIONS,
                got: count,
            });
        }
        let mut found: Vec<(u32, Range<u64>)> = Vec::new();
        let mut position = 12;
        for _ in 0..count {
            if end - position < 12 {
                return Err(truncated("a section's header", position + 12));
            }
            let number = u32::from_le_bytes(array(reader)?);
            let length = u64::from_le_bytes(array(reader)?);
            let content = position + 12;
            let next = content.saturating_add(length);
            if next > end {
                return Err(truncated("a section", next));
            }
            if found.iter().any(|(other, _)| *other == number) {
                return Err(SrsError::PtauDuplicateSection { section: number });
            }
            found.push((number, content..next));
            position = reader.seek(SeekFrom::Start(next))?;
        }
        if position != end {
            return Err(SrsError::TrailingBytes { end: position });
        }
        Ok(Self { found, end })
    }

    fn find(&self, kind: &Kind) -> Option<Range<u64>> {
        let (_, content) = self
            .found
            .iter()
            .find(|(number, _)| *number == kind.number)?;
        Some(content.clone())
    }

    /// The section, which must be there and `expected` bytes long.
    fn find_exact(&self, kind: &Kind, expected: u64) -> Result<Range<u64>, SrsError> {
        let Kind {
            number: section,
            what,
        } = *kind;
        let content = self
            .find(kind)
            .ok_or(SrsError::PtauMissingSection { section, what })?;
        match content.end - content.start {
            length if length == expected => Ok(content),
            got => Err(SrsError::PtauSectionLength {
                section,
                what,
                expected,
                got,
            }),
        }
    }

    /// Checks header and lengths; the bytes to keep for `2^k` rows: powers in G1, two in G2, Lagrange basis (empty if
    /// the file is not prepared).
    fn wanted(&self, reader: &mut (impl Read + Seek), k: u32) -> Result<[Range<u64>; 3], SrsError> {
        let (g1, g2) = (G1_BYTES as u64, G2_BYTES as u64);
        // The curve first: its width decides how long the header is.
        let header = self.find(&HEADER).unwrap_or(0..0);
        reader.seek(SeekFrom::Start(header.start))?;
        let mut curve = Vec::new();
        let length = (header.end - header.start).min(36);
        reader.by_ref().take(length).read_to_end(&mut curve)?;
        let curve = hex::encode(curve);
        if !CURVE.starts_with(&curve) {
            return Err(SrsError::WrongCurve {
                expected: CURVE.into(),
                got: curve,
            });
        }
        self.find_exact(&HEADER, 44)?;
        let power = u32::from_le_bytes(array(reader)?);
        if !(1..=MAX_POWER).contains(&power) {
            return Err(SrsError::PtauPower { got: power });
        }
        let powers = self.find_exact(&TAU_G1, ((2 << power) - 1) * g1)?;
        let powers_g2 = self.find_exact(&TAU_G2, (1 << power) * g2)?;
        if k > power {
            return Err(SrsError::TooSmall { wanted: k, power });
        }
        let prepared = match self.find(&LAGRANGE_G1) {
            None => 0..0,
            Some(_) => {
                // One basis beyond the power as well, for the 2^(p+1) - 1 powers in G1.
                let start = self
                    .find_exact(&LAGRANGE_G1, ((4 << power) - 1) * g1)?
                    .start;
                start + ((1 << k) - 1) * g1..start + ((2 << k) - 1) * g1
            }
        };
        Ok([
            powers.start..powers.start + (g1 << k),
            powers_g2.start..powers_g2.start + 2 * g2,
            prepared,
        ])
    }
}

/// Reads the whole file: its digest, and the bytes of the ranges wanted.
fn capture<const N: usize>(
    reader: &mut (impl Read + Seek),
    end: u64,
    wanted: &[Range<u64>; N],
    progress: &impl Fn(u64, u64),
) -> Result<(FileDigest, [Vec<u8>; N]), SrsError> {
    reader.rewind()?;
    let mut state = State::new();
    let mut captured = [const { Vec::new() }; N];
    let mut block = vec![0; BLOCK];
    let mut position = 0;
    while position < end {
        let length = usize::try_from(end - position).map_or(BLOCK, |rest| rest.min(BLOCK));
        block.truncate(length);
        reader.read_exact(&mut block)?;
        state.update(&block);
        for (range, bytes) in wanted.iter().zip(&mut captured) {
            let within = |at: u64| at.saturating_sub(position).min(length as u64) as usize;
            bytes.extend_from_slice(&block[within(range.start)..within(range.end)]);
        }
        position += length as u64;
        progress(position, end);
    }
    Ok((FileDigest::new(*state.finalize().as_array()), captured))
}

/// A Lagrange basis in halo2's order from one in snarkjs' order. Both domains are the `2^k`-th roots of unity, walked
/// by another generator: snarkjs' is `w^e` for halo2's `w`, so its node `i` is halo2's node `e i`.
fn reorder(points: &[G1Affine], k: u32) -> Vec<G1Affine> {
    let step = snarkjs_step(k);
    let mut ordered = vec![G1Affine::identity(); points.len()];
    for (index, point) in points.iter().enumerate() {
        let node = step.wrapping_mul(index) & ((1 << k) - 1);
        if let Some(slot) = ordered.get_mut(node) {
            *slot = *point;
        }
    }
    ordered
}

/// The `e` of [`reorder`]: a discrete logarithm in a group of order `2^k`, found bit by bit.
fn snarkjs_step(k: u32) -> usize {
    // (r - 1) / 2^k, an integer because 2^k divides r - 1, is -1 / 2^k in the field.
    let cofactor = (-Fr::TWO_INV.pow_vartime([u64::from(k)])).to_repr();
    let snarkjs = power_le(Fr::from(SNARKJS_NON_RESIDUE), &cofactor);
    let halo2_inverse = (k..Fr::S).fold(Fr::ROOT_OF_UNITY_INV, |root, _| root.square());
    (0..k).fold(0, |step, bit| {
        let rest = snarkjs * halo2_inverse.pow_vartime([step as u64]);
        let sign = (bit + 1..k).fold(rest, |rest, _| rest.square());
        step | usize::from(sign != Fr::ONE) << bit
    })
}

/// `base` to a little-endian integer.
fn power_le(base: Fr, exponent: &[u8; 32]) -> Fr {
    exponent.iter().rev().fold(Fr::ONE, |power, byte| {
        power.pow_vartime([256]) * base.pow_vartime([u64::from(*byte)])
    })
}

fn array<const N: usize>(reader: &mut impl Read) -> Result<[u8; N], SrsError> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}
