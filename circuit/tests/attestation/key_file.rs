//! Verifying-key files of strangers: none makes a verifier that says more, or less, than it should.

use crate::support::{Case, K};
use halo2curves::{
    bn256::{Fr, G2Affine},
    group::{prime::PrimeCurveAffine, Curve, GroupEncoding},
};
use proptest::prelude::*;
use sha3::{Digest, Keccak256};
use std::ops::Range;
use zknode_circuit::{key_file::KeyFileError, verify::Verifier};

/// Magic, version, digest.
const HEAD: usize = 8 + 4 + 32;

/// A file taken apart.
struct File(Vec<u8>);

impl File {
    fn honest() -> Self {
        let mut bytes = vec![];
        Case::get().prover.verifier().write(&mut bytes).unwrap();
        Self(bytes)
    }

    /// Where header, points and key lie, without their lengths.
    fn parts(&self) -> [Range<usize>; 3] {
        let mut at = HEAD;
        [(); 3].map(|()| {
            let length = u32::from_le_bytes(self.0[at..at + 4].try_into().unwrap()) as usize;
            let part = at + 4..at + 4 + length;
            at = part.end;
            part
        })
    }

    /// The file under a digest that fits it.
    fn sealed(mut self) -> Result<Verifier, KeyFileError> {
        let digest = Keccak256::digest(&self.0[HEAD..]);
        self.0[12..HEAD].copy_from_slice(&digest);
        Verifier::read(&self.0[..])
    }
}

#[test]
fn what_is_written_is_read() {
    let verifier = Case::get().prover.verifier();
    let again = File::honest().sealed().unwrap();
    assert_eq!(again.fingerprint(), verifier.fingerprint());
    assert_eq!(again.digest(), verifier.digest());
    assert!(again.is_insecure());
}

/// The honest file with another header, under a length and a digest that fit it.
fn with_header(change: impl FnOnce(&str) -> String) -> Result<Verifier, KeyFileError> {
    let mut file = File::honest();
    let range = file.parts()[0].clone();
    let header = String::from_utf8(file.0[range.clone()].to_vec()).unwrap();
    let header = change(&header).into_bytes();
    let length = (header.len() as u32).to_le_bytes();
    let part = [&length[..], &header].concat();
    file.0.splice(range.start - 4..range.end, part);
    file.sealed()
}

/// Names of layers are their owner's: a key is written without them, and with them not read, so that every key has one
/// file and one fingerprint.
#[test]
fn a_key_tells_no_names_of_layers() {
    let case = Case::get();
    let named = serde_json::to_string(case.network.architecture()).unwrap();
    let empty = r#""name":"","#;
    assert!(
        !named.contains(empty) && named.contains(r#""dw""#),
        "{named}"
    );
    let honest = case.prover.verifier().fingerprint();
    let again = with_header(|header| {
        assert!(header.contains(empty) && !header.contains(r#""dw""#));
        header.into()
    });
    assert_eq!(again.unwrap().fingerprint(), honest);
    let refused = with_header(|header| header.replacen(empty, r#""name":"churn","#, 1));
    let expected = hex::encode(honest);
    assert!(
        matches!(&refused, Err(KeyFileError::Canonical { expected: e, .. }) if *e == expected),
        "{refused:?}"
    );
}

/// With the identity for both points in G2, any pairing check holds.
#[test]
fn trivial_pairing_points_are_refused() {
    let secret = (G2Affine::generator() * Fr::from(7)).to_affine();
    let point = |g2: G2Affine| g2.to_bytes().as_ref().to_vec();
    let cases = [
        (G2Affine::identity(), G2Affine::identity()),
        (G2Affine::generator(), G2Affine::identity()),
        (G2Affine::generator(), G2Affine::generator()),
        (secret, secret),
    ];
    for (g2, s_g2) in cases {
        let mut file = File::honest();
        let end = file.parts()[1].end;
        file.0[end - 128..end - 64].copy_from_slice(&point(g2));
        file.0[end - 64..end].copy_from_slice(&point(s_g2));
        assert!(matches!(file.sealed(), Err(KeyFileError::Points(_))));
    }
}

/// The label follows from the point; and another point is another fingerprint, under the same digest.
#[test]
fn another_secret_is_another_fingerprint() {
    let mut file = File::honest();
    let end = file.parts()[1].end;
    let known = (G2Affine::generator() * Fr::from(7)).to_affine();
    file.0[end - 64..end].copy_from_slice(known.to_bytes().as_ref());
    let forged = file.sealed().unwrap();
    let verifier = Case::get().prover.verifier();
    assert!(!forged.is_insecure());
    assert_eq!(forged.digest(), verifier.digest());
    assert_ne!(forged.fingerprint(), verifier.fingerprint());
}

#[test]
fn a_key_of_another_shape_than_its_header_is_refused() {
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut file = File::honest();
        let key = file.parts()[2].clone();
        change(&mut file.0[key]);
        file.sealed()
    };
    for k in [0, K + 1, 27, u32::MAX] {
        let refused = with(&|key| key[1..5].copy_from_slice(&k.to_le_bytes()));
        assert!(matches!(refused, Err(KeyFileError::Key { .. })), "k = {k}");
    }
    // Selectors to be compressed; one fixed column fewer, one more.
    assert!(matches!(
        with(&|key| key[5] = 1),
        Err(KeyFileError::Key { .. })
    ));
    for change in [-1i8, 1] {
        let refused = with(&|key| key[6] = key[6].wrapping_add_signed(change));
        assert!(matches!(refused, Err(KeyFileError::Key { .. })));
    }
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let honest = File::honest().0;
    for length in (0..honest.len()).step_by(7).chain([honest.len() - 1]) {
        assert!(Verifier::read(&honest[..length]).is_err(), "{length}");
    }
    assert!(Verifier::read(&[&honest[..], &[0]].concat()[..]).is_err());
    // A byte more in each part, the lengths and the digest agreeing.
    for part in 0..3 {
        let mut file = File::honest();
        let range = file.parts()[part].clone();
        file.0.insert(range.end, 0);
        let length = (range.len() as u32 + 1).to_le_bytes();
        file.0[range.start - 4..range.start].copy_from_slice(&length);
        assert!(file.sealed().is_err(), "part {part}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_changed_byte_panics(at in any::<prop::sample::Index>(), to in any::<u8>()) {
        let mut file = File::honest();
        let at = HEAD + at.index(file.0.len() - HEAD);
        file.0[at] = to;
        // A point may become another point: that is what the fingerprint is for.
        let _ = file.sealed();
    }
}
