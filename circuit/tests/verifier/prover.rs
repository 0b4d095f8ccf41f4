//! The prover: the same proofs as halo2's own, whatever is kept between them, and nothing of one in another.

use crate::fixture::{proven, Fixture, Proven, LARGE, SMALL};
use halo2_proofs::{
    plonk,
    poly::{
        commitment::Prover,
        kzg::{
            commitment::{KZGCommitmentScheme, ParamsKZG},
            multiopen::ProverSHPLONK,
        },
        ProverQuery,
    },
    transcript::{EncodedChallenge, TranscriptWrite},
};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand::{rngs::StdRng, RngCore, SeedableRng};
use std::{collections::HashSet, io};
use zknode_circuit::{
    plonk::{create_proof, verify_proof, KeyCosets, ProofShape, ProveError},
    transcript::ProofWriter,
};

/// halo2's SHPLONK prover with one change: instance columns are committed and opened, not absorbed as values.
struct Committed<'params>(ProverSHPLONK<'params, Bn256>);

impl<'params> Prover<'params, KZGCommitmentScheme<Bn256>> for Committed<'params> {
    const QUERY_INSTANCE: bool = true;

    fn new(params: &'params ParamsKZG<Bn256>) -> Self {
        Self(ProverSHPLONK::new(params))
    }

    fn create_proof<'com, E, T, R, I>(
        &self,
        rng: R,
        transcript: &mut T,
        queries: I,
    ) -> io::Result<()>
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
        I: IntoIterator<Item = ProverQuery<'com, G1Affine>> + Clone,
        R: RngCore,
    {
        self.0.create_proof(rng, transcript, queries)
    }
}

fn instances<'a>(case: &'a Proven, scalars: &'a [Fr]) -> Vec<&'a [Fr]> {
    let columns = case.columns.iter().map(Vec::as_slice);
    columns.chain([scalars]).collect()
}

fn prove(case: &Proven, cosets: Option<&KeyCosets>, seed: u64) -> Vec<u8> {
    create_proof(
        &case.params,
        (&case.pk, cosets),
        case.fixture.clone(),
        &instances(case, &case.scalars),
        StdRng::seed_from_u64(seed),
        &|_| (),
    )
    .unwrap()
}

fn accepted(case: &Proven, proof: &[u8]) -> bool {
    let statement = case.statement(&case.scalars);
    verify_proof(&case.kzg(), case.pk.get_vk(), &statement, proof).is_ok()
}

/// The verifier is halo2's: what halo2's prover makes is accepted, and of the same length.
#[test]
fn halo2s_own_proofs_are_accepted_too() {
    for size in [SMALL, LARGE] {
        let case = proven(size);
        let mut transcript = ProofWriter::new();
        plonk::create_proof::<KZGCommitmentScheme<Bn256>, Committed<'_>, _, _, _, Fixture>(
            &case.params,
            &case.pk,
            std::slice::from_ref(&case.fixture),
            &[&instances(&case, &case.scalars)],
            StdRng::seed_from_u64(4),
            &mut transcript,
        )
        .unwrap();
        let theirs = transcript.finish();
        assert!(accepted(&case, &theirs));
        assert_eq!(theirs.len(), prove(&case, None, 4).len());
        // The columns are blinded by the same draws, so the first round is the same, byte by byte.
        let first = 64 * ProofShape::new(case.pk.get_vk()).unwrap().rounds[0].points;
        assert_eq!(theirs[..first], prove(&case, None, 4)[..first]);
    }
}

#[test]
fn a_proof_is_the_same_with_a_keys_cosets_kept() {
    for size in [SMALL, LARGE] {
        let case = proven(size);
        let cosets = KeyCosets::new(&case.pk);
        let proof = prove(&case, Some(&cosets), 4);
        assert_eq!(proof, prove(&case, None, 4));
        assert!(accepted(&case, &proof));
    }
}

#[test]
fn cosets_of_another_key_are_refused() {
    let (case, other) = (proven(SMALL), proven(LARGE));
    let proof = create_proof(
        &case.params,
        (&case.pk, Some(&KeyCosets::new(&other.pk))),
        case.fixture.clone(),
        &instances(&case, &case.scalars),
        StdRng::seed_from_u64(4),
        &|_| (),
    );
    assert!(matches!(proof, Err(ProveError::OtherCosets)));
}

/// Everything hidden is blinded anew: two proofs of one statement share no word, but for fixed columns that are zero.
#[test]
fn two_proofs_of_one_statement_share_nothing() {
    let case = proven(SMALL);
    let words = |seed| -> HashSet<Vec<u8>> {
        let proof = prove(&case, None, seed);
        let words = proof.chunks(32).map(<[u8]>::to_vec);
        words.filter(|word| *word != [0; 32]).collect()
    };
    let (one, other) = (words(4), words(5));
    assert!(one.len() > 60);
    assert!(one.is_disjoint(&other));
}

/// A false witness makes a proof that is refused: nothing is mended on the way.
#[test]
fn a_proof_of_something_false_is_refused() {
    let case = proven(SMALL);
    let mut scalars = case.scalars.clone();
    scalars[1] += Fr::one();
    let proof = create_proof(
        &case.params,
        (&case.pk, None),
        case.fixture.clone(),
        &instances(&case, &scalars),
        StdRng::seed_from_u64(4),
        &|_| (),
    )
    .unwrap();
    let statement = case.statement(&scalars);
    assert!(verify_proof(&case.kzg(), case.pk.get_vk(), &statement, &proof).is_err());
}
