//! Everything that can be wrong with a structured reference string or with a file that claims to hold one.

use std::io;

use super::{FileDigest, MAX_K, MIN_K};

/// Why a string was refused; one variant per rule.
#[derive(Debug, thiserror::Error)]
pub enum SrsError {
    /// The reader or writer failed.
    #[error("reading or writing the SRS failed")]
    Io(#[from] io::Error),
    /// `k` is outside what a string may have.
    #[error("an SRS has k between {MIN_K} and {MAX_K}, got {got}")]
    PowerOutOfRange {
        /// The `k` asked for, or found in a file.
        got: u32,
    },
    /// The string or file is for fewer rows than wanted.
    #[error(
        "k = {wanted} wanted, but the SRS goes up to {power} only: use a larger powers-of-tau file"
    )]
    TooSmall {
        /// The `k` wanted.
        wanted: u32,
        /// The largest `k` there is.
        power: u32,
    },
    /// The text of a digest is not 128 hexadecimal digits.
    #[error("a BLAKE2b-512 digest is 128 hexadecimal digits as printed by b2sum, got {got} characters or other ones")]
    DigestText {
        /// Characters found.
        got: usize,
    },

    /// A basis has the wrong number of points.
    #[error("the {basis} basis must have {expected} points, got {got}")]
    BasisLength {
        /// "monomial" or "Lagrange".
        basis: &'static str,
        /// `2^k`.
        expected: usize,
        /// Points found.
        got: usize,
    },
    /// Bytes that are no point: a coordinate not below the field's modulus, or the pair off the curve.
    #[error(
        "point {index} of {what} is not on the BN254 curve in canonical form: the file is damaged"
    )]
    NotOnCurve {
        /// Which array.
        what: &'static str,
        /// Position in the array as used, from 0.
        index: usize,
    },
    /// A point is the identity: `tau` would be 0 or a node of the domain.
    #[error("point {index} of the {basis} basis is the identity: no honest secret gives that")]
    IdentityPoint {
        /// "monomial" or "Lagrange".
        basis: &'static str,
        /// Position from 0.
        index: usize,
    },
    /// The zeroth power is not the generator.
    #[error("the zeroth power in {group} is not the generator of {group}")]
    WrongGenerator {
        /// "G1" or "G2".
        group: &'static str,
    },
    /// `tau H` is the identity or outside the subgroup of prime order.
    #[error("the first power in G2 is not a generator of the prime-order subgroup")]
    NotInSubgroup,
    /// `tau` = 1: a ceremony nobody has contributed to.
    #[error("the secret is 1: nobody contributed to this ceremony; contribute first or use a finished one")]
    NoContribution,
    /// Labelled as a ceremony, made with the public development secret.
    #[error("labelled as a ceremony, but its secret is the public development secret: refuse it")]
    DevelopmentSecret,
    /// Labelled as development, made with another secret.
    #[error("labelled as a development SRS, but its secret is another one: build it anew")]
    NotDevelopmentSecret,
    /// Some power is not `tau` times the one before, with the `tau` of the G2 point.
    #[error("pairing check failed: the powers of tau do not belong together")]
    InconsistentPowers,
    /// The Lagrange basis belongs to other powers or to another domain.
    #[error("the Lagrange basis does not belong to the powers of tau")]
    InconsistentLagrange,

    /// The magic of a powers-of-tau file is missing.
    #[error("not a powers-of-tau file: expected it to start with \"ptau\", got bytes {got:02x?}")]
    NotPtau {
        /// The first bytes.
        got: [u8; 4],
    },
    /// A powers-of-tau file of another version.
    #[error("powers-of-tau file version {expected} expected, got {got}")]
    PtauVersion {
        /// The version read here.
        expected: u32,
        /// The version found.
        got: u32,
    },
    /// More sections than any powers-of-tau file has.
    #[error("a powers-of-tau file has at most {most} sections, got {got}")]
    PtauSections {
        /// The bound.
        most: u32,
        /// The number found.
        got: u32,
    },
    /// The file ends before something its sizes announce.
    #[error("the file is truncated: {what} ends at byte {needed}, the file at byte {got}")]
    Truncated {
        /// What is cut.
        what: &'static str,
        /// Length the file would need, bytes.
        needed: u64,
        /// Length of the file, bytes.
        got: u64,
    },
    /// Bytes after the end.
    #[error("the file goes on after its end at byte {end}: it is not what it claims to be")]
    TrailingBytes {
        /// Where the file should end.
        end: u64,
    },
    /// A section appears twice.
    #[error("section {section} appears twice in the powers-of-tau file")]
    PtauDuplicateSection {
        /// Its type number.
        section: u32,
    },
    /// A section is missing.
    #[error("section {section} ({what}) is missing from the powers-of-tau file")]
    PtauMissingSection {
        /// Its type number.
        section: u32,
        /// What it holds.
        what: &'static str,
    },
    /// A section's length does not fit the power in the header.
    #[error("section {section} ({what}) of the powers-of-tau file must be {expected} bytes long, got {got}")]
    PtauSectionLength {
        /// Its type number.
        section: u32,
        /// What it holds.
        what: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        got: u64,
    },
    /// The file is for another curve.
    #[error("the file is for another curve: the header of BN254 (width, modulus) begins {expected}, got {got}")]
    WrongCurve {
        /// Width and modulus of BN254's base field, little-endian, hexadecimal.
        expected: String,
        /// The same bytes of the file, as many as it has.
        got: String,
    },
    /// The power in the header is not one a powers-of-tau file over BN254 can have.
    #[error(
        "a powers-of-tau file over BN254 has a power between {MIN_K} and 28, its header says {got}"
    )]
    PtauPower {
        /// The power found.
        got: u32,
    },
    /// The file is not the one that was asked for.
    #[error("another file than the pinned one: expected BLAKE2b-512 {expected}, got {got}")]
    WrongDigest {
        /// The digest pinned by the caller.
        expected: Box<FileDigest>,
        /// The digest of the file.
        got: Box<FileDigest>,
    },

    /// The magic of a cached string is missing.
    #[error(
        "not a cached zknode SRS (a .ptau file must be imported first): it starts with {got:02x?}"
    )]
    NotCache {
        /// The first bytes.
        got: [u8; 8],
    },
    /// A cached string of another version.
    #[error(
        "cached SRS version {expected} expected, got {got}: delete the cache and build it anew"
    )]
    CacheVersion {
        /// The version read here.
        expected: u32,
        /// The version found.
        got: u32,
    },
    /// The provenance label is neither of the two.
    #[error("the cached SRS has no known provenance label: delete the cache and build it anew")]
    CacheProvenance,
    /// The content of a cached string is not what was written.
    #[error(
        "the cached SRS is damaged (its digest does not fit): delete the cache and build it anew"
    )]
    CacheDamaged,
}
