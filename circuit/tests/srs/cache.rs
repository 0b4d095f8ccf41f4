//! The cache format: what is written is read back, and every other sequence of bytes is refused without a panic.

use blake2b_simd::blake2b;
use halo2_proofs::SerdeFormat;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::srs::{Srs, SrsError};

const K: u32 = 4;
const N: usize = 1 << K;
/// Where magic, version, label, ceremony digest, k, g, g_lagrange, g2, s_g2 and the content digest start.
const BOUNDARIES: [usize; 10] = [
    0,
    8,
    12,
    36,
    100,
    104,
    104 + 64 * N,
    104 + 128 * N,
    232 + 128 * N,
    360 + 128 * N,
];

fn read(bytes: &[u8]) -> Result<Srs, SrsError> {
    Srs::read(bytes, |_, _| ())
}

fn file() -> Vec<u8> {
    let mut bytes = Vec::new();
    let srs = Srs::development(K, |_, _| ()).unwrap();
    srs.write(&mut bytes).unwrap();
    bytes
}

/// The bytes with a digest that fits: what an attacker, or a bug in the writer, would produce.
fn resealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let content = bytes.len() - 64;
    let digest = blake2b(&bytes[..content]);
    bytes[content..].copy_from_slice(digest.as_bytes());
    bytes
}

#[test]
fn reads_back_what_was_written() {
    let bytes = file();
    assert_eq!(bytes.len(), BOUNDARIES[9] + 64);
    let srs = read(&bytes).unwrap();
    assert!(srs.is_development());
    srs.audit(StdRng::seed_from_u64(2)).unwrap();
    let params = |srs: &Srs| {
        let mut bytes = Vec::new();
        let written = srs.params().write_custom(&mut bytes, SerdeFormat::RawBytes);
        written.unwrap();
        bytes
    };
    let fresh = Srs::development(K, |_, _| ()).unwrap();
    assert!(params(&srs) == params(&fresh));
    assert!(
        bytes.windows(8).any(|word| word == b"INSECURE"),
        "the file itself must say that it is insecure"
    );
}

#[test]
fn every_truncation_is_refused() {
    let bytes = file();
    let near = BOUNDARIES
        .iter()
        .flat_map(|at| at.saturating_sub(1)..at + 2);
    for length in near.chain((0..bytes.len()).step_by(37)) {
        let error = read(&bytes[..length]).unwrap_err();
        assert!(
            matches!(error, SrsError::Truncated { got, .. } if got == length as u64),
            "{length} bytes: {error}"
        );
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert!(matches!(read(&longer), Err(SrsError::TrailingBytes { .. })));
}

#[test]
fn every_flipped_byte_is_refused() {
    let bytes = file();
    for at in 0..bytes.len() {
        for bit in [0, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let error = read(&flipped).unwrap_err();
            let fits = match at {
                0..8 => matches!(error, SrsError::NotCache { .. }),
                8..12 => matches!(error, SrsError::CacheVersion { .. }),
                12..100 => matches!(error, SrsError::CacheProvenance),
                _ => true,
            };
            assert!(fits, "byte {at}: {error}");
            let _ = read(&resealed(flipped));
        }
    }
}

#[test]
fn a_huge_announced_size_allocates_nothing() {
    let mut bytes = file();
    bytes[100..104].copy_from_slice(&24u32.to_le_bytes());
    assert!(matches!(read(&bytes), Err(SrsError::Truncated { .. })));
    bytes[100..104].copy_from_slice(&25u32.to_le_bytes());
    assert!(matches!(
        read(&bytes),
        Err(SrsError::PowerOutOfRange { got: 25 })
    ));
    bytes[100..104].copy_from_slice(&0u32.to_le_bytes());
    assert!(matches!(
        read(&bytes),
        Err(SrsError::PowerOutOfRange { got: 0 })
    ));
}

/// Each rule, broken alone under a digest that fits.
#[test]
fn resealed_lies_are_refused() {
    let point = |scalar: u64| (G1Affine::generator() * Fr::from(scalar)).to_affine();
    let lie = |at: usize, content: &[u8]| {
        let mut bytes = file();
        bytes[at..at + content.len()].copy_from_slice(content);
        read(&resealed(bytes)).unwrap_err()
    };
    let [g, g_lagrange, g2, s_g2] = [5, 6, 7, 8].map(|part| BOUNDARIES[part]);
    let twice = (G2Affine::generator() * Fr::from(2)).to_affine();

    assert!(matches!(
        lie(g, &point(2).to_raw_bytes()),
        SrsError::WrongGenerator { group: "G1" }
    ));
    assert!(matches!(
        lie(g + 64, &point(3).to_raw_bytes()),
        SrsError::InconsistentPowers
    ));
    for (at, content) in [(g + 128, [1; 64]), (g_lagrange, [0xff; 64])] {
        assert!(matches!(lie(at, &content), SrsError::NotOnCurve { .. }));
    }
    for at in [g + 192, g_lagrange + 64] {
        assert!(matches!(lie(at, &[0; 64]), SrsError::IdentityPoint { .. }));
    }
    assert!(matches!(
        lie(g2, &twice.to_raw_bytes()),
        SrsError::WrongGenerator { group: "G2" }
    ));
    assert!(matches!(
        lie(s_g2, &twice.to_raw_bytes()),
        SrsError::NotDevelopmentSecret
    ));
    assert!(matches!(
        lie(s_g2, &G2Affine::generator().to_raw_bytes()),
        SrsError::NoContribution
    ));
    assert!(matches!(lie(s_g2, &[0; 128]), SrsError::NotInSubgroup));
    assert!(matches!(
        lie(12, b"powers-of-tau ceremony.."),
        SrsError::DevelopmentSecret
    ));
    assert!(matches!(lie(36, &[1]), SrsError::CacheProvenance));
}

/// What the light check on reading lets through, the audit does not.
#[test]
fn the_audit_finds_what_reading_does_not_look_for() {
    let wrong = (G1Affine::generator() * Fr::from(5)).to_affine();
    for row in [2, N / 2, N - 1] {
        let mut bytes = file();
        let at = BOUNDARIES[5] + 64 * row;
        bytes[at..at + 64].copy_from_slice(&wrong.to_raw_bytes());
        let srs = read(&resealed(bytes)).unwrap();
        let audit = srs.audit(StdRng::seed_from_u64(3));
        assert!(matches!(audit, Err(SrsError::InconsistentPowers)));
    }
    for row in [0, N / 2, N - 1] {
        let mut bytes = file();
        let at = BOUNDARIES[6] + 64 * row;
        bytes[at..at + 64].copy_from_slice(&wrong.to_raw_bytes());
        let srs = read(&resealed(bytes)).unwrap();
        let audit = srs.audit(StdRng::seed_from_u64(4));
        assert!(matches!(audit, Err(SrsError::InconsistentLagrange)));
    }
}
