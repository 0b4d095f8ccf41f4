//! Our transcript beside snark-verifier's: the same challenges from the same messages.

use crate::oracle::Stream;
use halo2_proofs::transcript::{Transcript, TranscriptRead, TranscriptWrite};
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;
use proptest::prelude::*;
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::transcript::{ProofReader, ProofWriter};

/// One message of a conversation.
#[derive(Clone, Copy, Debug)]
enum Message {
    Point(u64),
    Scalar(u64),
    SharedPoint(u64),
    SharedScalar(u64),
    Challenge,
}

fn point(seed: u64) -> G1Affine {
    (G1Affine::generator() * scalar(seed)).into()
}

fn scalar(seed: u64) -> Fr {
    Fr::random(StdRng::seed_from_u64(seed))
}

fn message() -> impl Strategy<Value = Message> {
    (0..6u8, any::<u64>()).prop_map(|(kind, seed)| match kind {
        0 => Message::Point(seed),
        1 => Message::Scalar(seed),
        2 => Message::SharedPoint(seed),
        3 => Message::SharedScalar(seed),
        _ => Message::Challenge,
    })
}

fn converse<T, E>(transcript: &mut T, messages: &[Message]) -> Vec<Fr>
where
    T: TranscriptWrite<G1Affine, E>,
    E: halo2_proofs::transcript::EncodedChallenge<G1Affine>,
{
    let mut challenges = Vec::new();
    for message in messages {
        match *message {
            Message::Point(seed) => transcript.write_point(point(seed)).unwrap(),
            Message::Scalar(seed) => transcript.write_scalar(scalar(seed)).unwrap(),
            Message::SharedPoint(seed) => transcript.common_point(point(seed)).unwrap(),
            Message::SharedScalar(seed) => transcript.common_scalar(scalar(seed)).unwrap(),
            Message::Challenge => challenges.push(transcript.squeeze_challenge().get_scalar()),
        }
    }
    challenges
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_snark_verifiers_transcript(messages in prop::collection::vec(message(), 0..12)) {
        let (mut ours, mut theirs) = (ProofWriter::new(), Stream::new(Vec::new()));
        prop_assert_eq!(converse(&mut ours, &messages), converse(&mut theirs, &messages));
        prop_assert_eq!(ours.finish(), theirs.finalize());
    }

    #[test]
    fn a_reader_draws_what_the_writer_drew(messages in prop::collection::vec(message(), 0..12)) {
        let mut writer = ProofWriter::new();
        let drawn = converse(&mut writer, &messages);
        let proof = writer.finish();
        let mut reader = ProofReader::new(&proof);
        let mut challenges = Vec::new();
        for message in &messages {
            match *message {
                Message::Point(seed) => prop_assert_eq!(reader.read_point().unwrap(), point(seed)),
                Message::Scalar(seed) => prop_assert_eq!(reader.read_scalar().unwrap(), scalar(seed)),
                Message::SharedPoint(seed) => reader.common_point(point(seed)).unwrap(),
                Message::SharedScalar(seed) => reader.common_scalar(scalar(seed)).unwrap(),
                Message::Challenge => challenges.push(reader.challenge()),
            }
        }
        prop_assert_eq!(challenges, drawn);
        prop_assert_eq!(reader.remaining(), 0);
        prop_assert!(reader.next_scalar().is_err());
    }
}

#[test]
fn the_identity_is_absorbed_but_neither_written_nor_read() {
    let mut writer = ProofWriter::new();
    writer.common_point(G1Affine::default()).unwrap();
    assert!(writer.write_point(G1Affine::default()).is_err());
    assert!(ProofReader::new(&[0; 64]).next_point().is_err());
}
