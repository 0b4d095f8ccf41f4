//! The Rust verifier: what it accepts, and one refusal per rule.

use crate::fixture::plain::{key, params, Plain, PlainCircuit, K};
use crate::fixture::{proven, Proven, LARGE, SMALL};
use halo2_proofs::plonk::{keygen_pk, keygen_vk};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::ff::Field;
use proptest::prelude::*;
use rand::{rngs::StdRng, SeedableRng};
use std::sync::OnceLock;
use std::time::Instant;
use zknode_circuit::plonk::{
    create_proof, proof_length, verify_proof, ProofShape, ProveError, ShapeError, VerifyError,
};
use zknode_circuit::transcript::TranscriptError;

fn case() -> &'static Proven {
    static CASE: OnceLock<Proven> = OnceLock::new();
    CASE.get_or_init(|| proven(SMALL))
}

fn verify(proof: &[u8]) -> Result<(), VerifyError> {
    let case = case();
    let statement = case.statement(&case.scalars);
    verify_proof(&case.kzg(), case.pk.get_vk(), &statement, proof)
}

/// The byte at which the evaluations start.
fn evaluations_at() -> usize {
    64 * ProofShape::new(case().pk.get_vk()).unwrap().points()
}

fn refused(at: usize, bytes: &[u8]) -> Result<(), VerifyError> {
    let mut proof = case().proof.clone();
    proof[at..at + bytes.len()].copy_from_slice(bytes);
    verify(&proof)
}

#[test]
fn honest_proofs_are_accepted_quickly() {
    for size in [SMALL, LARGE] {
        let case = proven(size);
        let statement = case.statement(&case.scalars);
        let vk = case.pk.get_vk();
        let start = Instant::now();
        assert_eq!(
            verify_proof(&case.kzg(), vk, &statement, &case.proof),
            Ok(())
        );
        println!("{size:?}: verified in {:?}", start.elapsed());
        assert_eq!(proof_length(vk), Ok(case.proof.len()));
    }
}

#[test]
fn a_proof_speaks_for_its_own_statement_only() {
    let case = case();
    let check = |statement: &[G1Affine]| {
        verify_proof(&case.kzg(), case.pk.get_vk(), statement, &case.proof)
    };
    let honest = case.statement(&case.scalars);
    assert_eq!(check(&honest), Ok(()));
    for column in 0..honest.len() {
        let mut other = honest.clone();
        other[column] = (other[column] + case.kzg().g1).into();
        assert_eq!(
            check(&other),
            Err(VerifyError::PairingFailed),
            "column {column}"
        );
    }
    assert_eq!(
        check(&honest[1..]),
        Err(VerifyError::CommitmentCount {
            expected: 3,
            got: 2
        })
    );
    let mut other = honest.clone();
    other[1] = G1Affine {
        x: Fq::ONE,
        y: Fq::ONE,
    };
    assert_eq!(
        check(&other),
        Err(VerifyError::CommitmentOffCurve { column: 1 })
    );
}

#[test]
fn another_key_or_reference_string_does_not_verify() {
    let (case, large) = (case(), proven(LARGE));
    let statement = case.statement(&case.scalars);
    let mut kzg = case.kzg();
    kzg.s_g2 = kzg.g2;
    assert_eq!(
        verify_proof(&kzg, case.pk.get_vk(), &statement, &case.proof),
        Err(VerifyError::PairingFailed)
    );
    let result = verify_proof(&case.kzg(), large.pk.get_vk(), &statement, &case.proof);
    assert!(matches!(result, Err(VerifyError::ProofLength { .. })));
}

#[test]
fn every_length_but_one_is_refused() {
    let proof = &case().proof;
    let expected = proof.len();
    for got in [0, 1, 32, expected - 32, expected - 1] {
        assert_eq!(
            verify(&proof[..got]),
            Err(VerifyError::ProofLength { expected, got })
        );
    }
    let mut longer = proof.clone();
    longer.push(0);
    let got = expected + 1;
    assert_eq!(
        verify(&longer),
        Err(VerifyError::ProofLength { expected, got })
    );
}

#[test]
fn each_encoding_rule_has_its_error() {
    let offset = evaluations_at();
    let ones = [0xff; 32];
    assert_eq!(
        refused(offset, &ones),
        Err(TranscriptError::ScalarNotCanonical { offset }.into())
    );
    assert_eq!(
        refused(64, &ones),
        Err(TranscriptError::CoordinateNotCanonical { offset: 64 }.into())
    );
    assert_eq!(
        refused(96, &ones),
        Err(TranscriptError::CoordinateNotCanonical { offset: 96 }.into())
    );
    let mut five = [0; 32];
    five[31] = 5;
    assert_eq!(
        refused(64, &five),
        Err(TranscriptError::PointOffCurve { offset: 64 }.into())
    );
    assert_eq!(
        refused(64, &[0; 64]),
        Err(TranscriptError::PointAtInfinity { offset: 64 }.into())
    );
    assert_eq!(refused(offset, &five), Err(VerifyError::PairingFailed));
}

#[test]
fn unsupported_keys_are_named() {
    let error = |plain| ProofShape::new(&key(plain).1).map(|_| ());
    assert_eq!(error(Plain::Supported), Ok(()));
    assert_eq!(
        error(Plain::WithLookup),
        Err(ShapeError::Lookups { count: 1 })
    );
    assert_eq!(
        error(Plain::InstanceCopied),
        Err(ShapeError::InstanceInPermutation { column: 0 })
    );
    assert_eq!(
        error(Plain::AdviceUnopened),
        Err(ShapeError::Unopened {
            kind: "advice",
            column: 1
        })
    );
    assert_eq!(
        error(Plain::InstanceUnopened),
        Err(ShapeError::Unopened {
            kind: "instance",
            column: 1
        })
    );
    assert_eq!(
        error(Plain::DegreeSix),
        Err(ShapeError::GateDegree {
            gate: "advice = instance".to_owned(),
            degree: 6,
            bound: 5
        })
    );
    assert_eq!(
        error(Plain::RotationsCollide),
        Err(ShapeError::RotationsCollide {
            first: 0,
            second: 16,
            k: K
        })
    );
}

#[test]
fn what_halo2_would_panic_on_is_an_error() {
    let case = case();
    let prove = |instances: &[&[Fr]]| {
        let rng = StdRng::seed_from_u64(4);
        create_proof(
            &case.params,
            (&case.pk, None),
            case.fixture.clone(),
            instances,
            rng,
            &|_| (),
        )
    };
    let long = vec![Fr::ONE; 32];
    assert!(matches!(
        prove(&[&[], &[]]),
        Err(ProveError::InstanceCount {
            expected: 3,
            got: 2
        })
    ));
    assert!(matches!(
        prove(&[&[], &long, &[]]),
        Err(ProveError::InstanceTooLong {
            column: 1,
            got: 32,
            ..
        })
    ));
    let small = params(Plain::Supported);
    let rng = StdRng::seed_from_u64(4);
    assert!(matches!(
        create_proof(
            &small,
            (&case.pk, None),
            case.fixture.clone(),
            &[],
            rng,
            &|_| ()
        ),
        Err(ProveError::ParameterSize {
            expected: 5,
            got: K
        })
    ));
    let circuit = PlainCircuit(Plain::ThreePhases);
    let vk = keygen_vk(&small, &circuit).unwrap();
    let pk = keygen_pk(&small, vk, &circuit).unwrap();
    let rng = StdRng::seed_from_u64(4);
    assert!(matches!(
        create_proof(&small, (&pk, None), circuit, &[&[]], rng, &|_| ()),
        Err(ProveError::TooManyPhases {
            expected: 2,
            got: 3
        })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Total: any bytes of the right length get a verdict, and it is no.
    #[test]
    fn arbitrary_bytes_are_refused(seed in any::<u64>(), keep in 0usize..66) {
        use rand::RngCore;
        let mut proof = case().proof.clone();
        let keep = (32 * keep).min(proof.len() - 32);
        StdRng::seed_from_u64(seed).fill_bytes(&mut proof[keep..]);
        prop_assert!(verify(&proof).is_err());
    }
}
