//! Powers-of-tau files made here, byte by byte, with a known secret: the honest one is read, prepared or not, and
//! each rule refuses the file that breaks it alone. Files made by snarkjs itself are in `srs_snarkjs.rs`.

use std::io::Cursor;

use blake2b_simd::blake2b;
use halo2curves::bn256::{Fr, G1Affine, G2Affine};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::Curve;
use halo2curves::serde::SerdeObject;
use zknode_circuit::srs::{insecure_development_secret, FileDigest, Provenance, Srs, SrsError};

const POWER: u32 = 4;
const PRIME: &str = "47fd7cd8168c203c8dca7168916a81975d588181b64550b829a031e1724e6430";

type Section = (u32, Vec<u8>);

fn g1(scalar: Fr) -> Vec<u8> {
    (G1Affine::generator() * scalar).to_affine().to_raw_bytes()
}

fn g2(scalar: Fr) -> Vec<u8> {
    (G2Affine::generator() * scalar).to_affine().to_raw_bytes()
}

fn header(power: u32) -> Vec<u8> {
    let mut bytes = 32u32.to_le_bytes().to_vec();
    bytes.extend(hex::decode(PRIME).unwrap());
    bytes.extend(power.to_le_bytes());
    bytes.extend(power.to_le_bytes());
    bytes
}

/// The sections of a file of 2^[`POWER`] powers of `tau`, with a few sections of the kind we skip.
fn sections(tau: Fr) -> Vec<Section> {
    let powers: Vec<_> = std::iter::successors(Some(Fr::ONE), |power| Some(power * tau))
        .take((2 << POWER) - 1)
        .collect();
    vec![
        (1, header(POWER)),
        (2, powers.iter().copied().flat_map(g1).collect()),
        (
            3,
            powers
                .iter()
                .take(1 << POWER)
                .copied()
                .flat_map(g2)
                .collect(),
        ),
        (6, vec![0; 128]),
        (7, vec![0; 4]),
    ]
}

/// The Lagrange bases of 1, 2 ... 2^(POWER+1) rows in snarkjs' order: its domains are powers of 5.
fn lagrange(tau: Fr) -> Section {
    let mut bytes = Vec::new();
    for k in 0..=POWER + 1 {
        let n = Fr::from(1 << k);
        let order = (-n.invert().unwrap()).to_repr();
        let root = order.iter().rev().fold(Fr::ONE, |power, byte| {
            power.pow_vartime([256]) * Fr::from(5).pow_vartime([u64::from(*byte)])
        });
        let vanishing = (tau.pow_vartime([1u64 << k]) - Fr::ONE) * n.invert().unwrap();
        for row in 0..1u64 << k {
            let node = root.pow_vartime([row]);
            let value = vanishing * node * (tau - node).invert().unwrap_or(Fr::ZERO);
            bytes.extend(g1(value));
        }
    }
    (12, bytes)
}

fn file(sections: &[Section]) -> Vec<u8> {
    let mut bytes = b"ptau".to_vec();
    bytes.extend(1u32.to_le_bytes());
    bytes.extend((sections.len() as u32).to_le_bytes());
    for (number, content) in sections {
        bytes.extend(number.to_le_bytes());
        bytes.extend((content.len() as u64).to_le_bytes());
        bytes.extend(content);
    }
    bytes
}

fn tau() -> Fr {
    Fr::from(0x7a75_1234_5678_9abc).square()
}

fn prepared(tau: Fr) -> Vec<Section> {
    let mut sections = sections(tau);
    sections.push(lagrange(tau));
    sections
}

fn read(bytes: &[u8], k: u32) -> Result<Srs, SrsError> {
    Srs::from_ptau(Cursor::new(bytes), k, None, |_, _| ())
}

/// The error for the prepared file after `change`.
fn refusal(change: impl FnOnce(&mut Vec<Section>)) -> SrsError {
    let mut sections = prepared(tau());
    change(&mut sections);
    read(&file(&sections), POWER).unwrap_err()
}

fn put(section: &mut Section, at: usize, content: &[u8]) {
    section.1[at..at + content.len()].copy_from_slice(content);
}

fn points(srs: &Srs) -> Vec<u8> {
    let mut bytes = Vec::new();
    srs.write(&mut bytes).unwrap();
    // Without the header, whose ceremony digest differs from file to file, and the digest of everything.
    bytes[100..bytes.len() - 64].to_vec()
}

#[test]
fn prepared_and_unprepared_files_give_the_same_string() {
    for k in 1..=POWER {
        let with = read(&file(&prepared(tau())), k).unwrap();
        let without = read(&file(&sections(tau())), k).unwrap();
        assert!(points(&with) == points(&without), "k = {k}");
        assert!(!with.is_development());
        let larger = read(&file(&prepared(tau())), POWER).unwrap();
        assert!(points(&larger.downsize(k).unwrap()) == points(&with));
        assert_eq!(with.verifier_key().s_g2.to_raw_bytes(), g2(tau()));
    }
}

#[test]
fn the_digest_is_pinned_and_remembered() {
    let bytes = file(&prepared(tau()));
    let digest = FileDigest::new(*blake2b(&bytes).as_array());
    let srs = Srs::from_ptau(Cursor::new(&bytes), 3, Some(digest), |_, _| ()).unwrap();
    assert_eq!(srs.provenance(), Provenance::Ceremony { digest });
    assert_eq!(digest.to_string().parse::<FileDigest>().unwrap(), digest);

    let mut cached = Vec::new();
    srs.write(&mut cached).unwrap();
    let again = Srs::read(cached.as_slice(), |_, _| ()).unwrap();
    assert_eq!(again.provenance(), Provenance::Ceremony { digest });

    // A byte of a section that is not even used.
    let mut other = prepared(tau());
    other[4].1[0] ^= 1;
    let other = Srs::from_ptau(Cursor::new(file(&other)), 3, Some(digest), |_, _| ());
    assert!(matches!(other, Err(SrsError::WrongDigest { expected, .. }) if *expected == digest));
    for text in [
        "",
        "00",
        &"g".repeat(128),
        &"0".repeat(127),
        &"é".repeat(64),
    ] {
        assert!(matches!(
            text.parse::<FileDigest>(),
            Err(SrsError::DigestText { .. })
        ));
    }
}

#[test]
fn a_tampered_point_is_found_wherever_it_is() {
    let wrong = g1(Fr::from(9));
    for row in [1, 2, 7, 15] {
        let error = refusal(|sections| put(&mut sections[1], 64 * row, &wrong));
        assert!(
            matches!(error, SrsError::InconsistentPowers),
            "{row}: {error}"
        );
    }
    let lagrange = ((1 << POWER) - 1) * 64;
    for row in [0, 1, 8, 15] {
        let error = refusal(|sections| put(&mut sections[5], lagrange + 64 * row, &wrong));
        assert!(
            matches!(error, SrsError::InconsistentLagrange),
            "{row}: {error}"
        );
    }
    // Consistent powers of one secret with the G2 point of another.
    let error = refusal(|sections| put(&mut sections[2], 128, &g2(Fr::from(9))));
    assert!(matches!(error, SrsError::InconsistentPowers), "{error}");
}

#[test]
fn points_that_are_none_are_refused() {
    let modulus = hex::decode(PRIME).unwrap();
    for (section, size) in [(1, 64), (2, 128), (5, 64)] {
        let at = if section == 5 { 64 * 15 } else { size };
        for content in [vec![0xff; size], vec![1; size], modulus.clone()] {
            let error = refusal(|sections| put(&mut sections[section], at, &content));
            assert!(matches!(error, SrsError::NotOnCurve { .. }), "{error}");
        }
        let error = refusal(|sections| put(&mut sections[section], at, &vec![0; size]));
        let fits = match section {
            2 => matches!(error, SrsError::NotInSubgroup),
            _ => matches!(error, SrsError::IdentityPoint { .. }),
        };
        assert!(fits, "{error}");
    }
    let error = refusal(|sections| put(&mut sections[1], 0, &g1(Fr::from(2))));
    assert!(matches!(error, SrsError::WrongGenerator { group: "G1" }));
    let error = refusal(|sections| put(&mut sections[2], 0, &g2(Fr::from(2))));
    assert!(matches!(error, SrsError::WrongGenerator { group: "G2" }));
}

/// The twist of BN254 has points outside the subgroup: take x = 1, 2 ... until one is found.
#[test]
fn a_point_outside_the_subgroup_is_refused() {
    use halo2curves::bn256::{Fq, Fq2};
    use halo2curves::CurveAffine;
    let stray = (1u64..)
        .find_map(|x| {
            let x = Fq2::new(Fq::from(x), Fq::ZERO);
            let y = (x.square() * x + G2Affine::b()).sqrt();
            Option::<Fq2>::from(y).and_then(|y| Option::<G2Affine>::from(G2Affine::from_xy(x, y)))
        })
        .unwrap();
    let error = refusal(|sections| put(&mut sections[2], 128, &stray.to_raw_bytes()));
    assert!(matches!(error, SrsError::NotInSubgroup), "{error}");
}

/// Secrets a ceremony cannot have: 1 (no contribution), the public one, and nodes of the domain (a Lagrange point
/// vanishes), -1 among them.
#[test]
fn known_secrets_are_refused() {
    let error = |tau| read(&file(&sections(tau)), POWER).unwrap_err();
    assert!(matches!(error(Fr::ONE), SrsError::NoContribution));
    assert!(matches!(
        error(insecure_development_secret()),
        SrsError::DevelopmentSecret
    ));
    assert!(matches!(error(-Fr::ONE), SrsError::IdentityPoint { .. }));
}

#[test]
fn wrong_headers_are_refused() {
    let bytes = file(&prepared(tau()));
    let changed = |at: usize, content: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + content.len()].copy_from_slice(content);
        read(&bytes, POWER).unwrap_err()
    };
    assert!(matches!(changed(0, b"zkey"), SrsError::NotPtau { got } if &got == b"zkey"));
    assert!(matches!(
        changed(4, &[2]),
        SrsError::PtauVersion { got: 2, .. }
    ));
    assert!(matches!(
        changed(8, &[255; 4]),
        SrsError::PtauSections { .. }
    ));
    assert!(matches!(changed(8, &[5]), SrsError::TrailingBytes { .. }));
    assert!(matches!(changed(8, &[7]), SrsError::Truncated { .. }));
    assert!(matches!(changed(16, &[255; 8]), SrsError::Truncated { .. }));
    // Section 1 starts at byte 24: width, modulus, power.
    assert!(matches!(changed(24, &[48]), SrsError::WrongCurve { .. }));
    assert!(matches!(changed(28, &[0]), SrsError::WrongCurve { .. }));
    for power in [0, 29, u32::MAX] {
        let error = changed(60, &power.to_le_bytes());
        assert!(matches!(error, SrsError::PtauPower { got } if got == power));
    }
    assert!(matches!(
        changed(60, &[5]),
        SrsError::PtauSectionLength { section: 2, .. }
    ));
    assert!(matches!(
        read(&bytes, POWER + 1),
        Err(SrsError::TooSmall {
            wanted: 5,
            power: POWER
        })
    ));
    assert!(matches!(
        read(&bytes, 0),
        Err(SrsError::PowerOutOfRange { got: 0 })
    ));
}

#[test]
fn wrong_sections_are_refused() {
    for (index, number) in [(0, 1), (1, 2), (2, 3)] {
        let error = refusal(|sections| drop(sections.remove(index)));
        assert!(matches!(error, SrsError::PtauMissingSection { section, .. } if section == number));
    }
    for (index, number) in [(0, 1), (1, 2), (2, 3), (5, 12)] {
        let error = refusal(|sections| sections[index].1.truncate(7));
        assert!(matches!(error, SrsError::PtauSectionLength { section, .. } if section == number));
        let error = refusal(|sections| sections[index].1.push(0));
        assert!(matches!(error, SrsError::PtauSectionLength { section, .. } if section == number));
    }
    let error = refusal(|sections| sections[4].0 = 2);
    assert!(matches!(
        error,
        SrsError::PtauDuplicateSection { section: 2 }
    ));
    // The order of the sections is free.
    let mut shuffled = prepared(tau());
    shuffled.reverse();
    assert!(read(&file(&shuffled), POWER).is_ok());
}

#[test]
fn truncated_files_are_refused_everywhere() {
    let sections = prepared(tau());
    let bytes = file(&sections);
    let mut boundaries = vec![0, 4, 8, 12];
    let mut at = 12;
    for (_, content) in &sections {
        boundaries.extend([at + 4, at + 12]);
        at += 12 + content.len();
        boundaries.push(at);
    }
    assert_eq!(at, bytes.len());
    let near = boundaries
        .iter()
        .flat_map(|at| at.saturating_sub(1)..at + 2);
    let cuts: Vec<_> = near
        .chain((0..bytes.len()).step_by(41))
        .filter(|cut| *cut < bytes.len())
        .collect();
    for cut in cuts {
        let error = read(&bytes[..cut], POWER).unwrap_err();
        assert!(
            matches!(error, SrsError::Truncated { got, .. } if got == cut as u64),
            "{cut} bytes: {error}"
        );
    }
}

#[test]
fn flipped_bytes_never_panic_and_used_ones_are_refused() {
    let bytes = file(&prepared(tau()));
    let second = 12 + 12 + 44 + 12;
    for at in (0..bytes.len()).step_by(29).chain(0..second) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        let read = read(&flipped, POWER);
        // Up to the end of the first 2^POWER powers everything is used but the power of the ceremony (64..68).
        if at < second + (64 << POWER) && !(64..68).contains(&at) {
            assert!(read.is_err(), "byte {at} flipped and accepted");
        }
    }
}
