//! Three judges of the same proofs: our Rust verifier, the generated contract on a real EVM, and snark-verifier.

use crate::chain::{compile, Chain};
use crate::fixture::{proven, salted, Proven, SMALL};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::ff::{Field, PrimeField};
use zknode_circuit::evm::{EvmError, VerifierSource};
use zknode_circuit::plonk::{scalar_commitment, verify_proof, ProofShape};
use zknode_circuit::transcript::{encode_point, encode_scalar};

/// The verdicts on one statement and one proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Verdicts {
    rust: bool,
    /// `None` without a compiler.
    contract: Option<bool>,
    oracle: bool,
}

struct Judges {
    case: Proven,
    source: VerifierSource,
    chain: Option<Chain>,
}

impl Judges {
    fn new() -> Self {
        let case = proven(SMALL);
        let source = VerifierSource::new(&case.kzg(), case.pk.get_vk(), &case.basis).unwrap();
        let chain = compile(&source).map(Chain::deploy);
        Self {
            case,
            source,
            chain,
        }
    }

    /// The same verdict from everyone.
    fn all(&self, accepted: bool) -> Verdicts {
        Verdicts {
            rust: accepted,
            contract: self.chain.as_ref().map(|_| accepted),
            oracle: accepted,
        }
    }

    fn judge(&mut self, commitments: &[G1Affine], scalars: &[Fr], proof: &[u8]) -> Verdicts {
        let case = &self.case;
        let mut statement = commitments.to_vec();
        statement.push(scalar_commitment(&case.basis, scalars));
        let rust = verify_proof(&case.kzg(), case.pk.get_vk(), &statement, proof).is_ok();
        let oracle = crate::oracle::accepts(case, &statement, proof);
        // Not by `calldata`: it would refuse a wrong length before the contract can.
        let mut calldata: Vec<u8> = commitments.iter().flat_map(encode_point).collect();
        calldata.extend(scalars.iter().flat_map(encode_scalar));
        calldata.extend(proof);
        Verdicts {
            rust,
            contract: self.contract(calldata),
            oracle,
        }
    }

    fn contract(&mut self, calldata: Vec<u8>) -> Option<bool> {
        let chain = self.chain.as_mut()?;
        Some(chain.call(calldata).accepted)
    }

    fn judge_proof(&mut self, proof: &[u8]) -> Verdicts {
        let (commitments, scalars) = (self.case.commitments.clone(), self.case.scalars.clone());
        self.judge(&commitments, &scalars, proof)
    }
}

/// A big-endian word plus another, modulo 2^256.
fn plus(word: [u8; 32], other: [u8; 32]) -> [u8; 32] {
    let mut sum = [0u8; 32];
    let mut carry = 0u16;
    for i in (0..32).rev() {
        let digit = u16::from(word[i]) + u16::from(other[i]) + carry;
        sum[i] = digit as u8;
        carry = digit >> 8;
    }
    sum
}

fn small(value: u8) -> [u8; 32] {
    let mut word = [0u8; 32];
    word[31] = value;
    word
}

/// A modulus, from the digits that ff gives, as a big-endian word.
fn modulus<F: PrimeField>() -> [u8; 32] {
    let digits = hex::decode(F::MODULUS.trim_start_matches("0x")).unwrap();
    digits.try_into().unwrap()
}

/// The ways a word is changed; each keeps the length.
fn mutations(word: [u8; 32], next: [u8; 32]) -> Vec<(&'static str, [u8; 32])> {
    let mut top = word;
    top[0] ^= 0x80;
    let mut changed = vec![
        ("plus one", plus(word, small(1))),
        ("minus one", plus(word, [0xff; 32])),
        ("top bit flipped", top),
        ("zero", [0; 32]),
        ("all ones", [0xff; 32]),
        ("plus r", plus(word, modulus::<Fr>())),
        ("plus q", plus(word, modulus::<Fq>())),
        ("the next word", next),
    ];
    changed.retain(|(_, other)| *other != word);
    changed
}

fn words(bytes: &[u8]) -> Vec<[u8; 32]> {
    let words = bytes.chunks_exact(32);
    words.map(|word| word.try_into().unwrap()).collect()
}

fn with_word(bytes: &[u8], position: usize, word: [u8; 32]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[32 * position..32 * (position + 1)].copy_from_slice(&word);
    changed
}

#[test]
fn honest_and_false_statements_are_told_apart() {
    let mut judges = Judges::new();
    let case = &judges.case;
    let (commitments, scalars, proof) = (
        case.commitments.clone(),
        case.scalars.clone(),
        case.proof.clone(),
    );
    let resalted = case.commit(&salted(&case.fixture.weights, 50));
    assert_eq!(
        judges.judge(&commitments, &scalars, &proof),
        judges.all(true)
    );
    let others = [
        [resalted, commitments[1]],
        [commitments[1], commitments[0]],
        [commitments[0], G1Affine::default()],
    ];
    for other in others {
        assert_eq!(judges.judge(&other, &scalars, &proof), judges.all(false));
    }
    for row in 0..scalars.len() {
        let mut other = scalars.clone();
        other[row] += Fr::ONE;
        let verdicts = judges.judge(&commitments, &other, &proof);
        assert_eq!(verdicts, judges.all(false), "scalar {row}");
    }
}

#[test]
fn nobody_accepts_a_changed_word() {
    let mut judges = Judges::new();
    let proof = judges.case.proof.clone();
    let honest = words(&proof);
    for (position, word) in honest.iter().enumerate() {
        let next = honest[(position + 1) % honest.len()];
        for (name, changed) in mutations(*word, next) {
            let verdicts = judges.judge_proof(&with_word(&proof, position, changed));
            let mut expected = judges.all(false);
            if name == "plus r" {
                expected.oracle = verdicts.oracle;
            }
            assert_eq!(verdicts, expected, "word {position}, {name}");
        }
    }
}

#[test]
fn nobody_accepts_the_identity_or_a_negated_point() {
    let mut judges = Judges::new();
    let proof = judges.case.proof.clone();
    let shape = ProofShape::new(judges.case.pk.get_vk()).unwrap();
    let before = (0..64 * shape.points()).step_by(64);
    for at in before.chain([proof.len() - 128, proof.len() - 64]) {
        let mut zeroed = proof.clone();
        zeroed[at..at + 64].fill(0);
        let verdicts = judges.judge_proof(&zeroed);
        assert_eq!(verdicts, judges.all(false), "identity at byte {at}");

        let y = words(&proof)[at / 32 + 1];
        let negative = plus(plus(y.map(|byte| !byte), small(1)), modulus::<Fq>());
        let verdicts = judges.judge_proof(&with_word(&proof, at / 32 + 1, negative));
        assert_eq!(verdicts, judges.all(false), "negative at byte {at}");
    }
}

#[test]
fn only_the_exact_length_is_accepted() {
    let mut judges = Judges::new();
    let proof = judges.case.proof.clone();
    for extra in [1, 31, 32, 64] {
        let mut longer = proof.clone();
        longer.resize(proof.len() + extra, 0);
        let verdicts = judges.judge_proof(&longer);
        let expected = Verdicts {
            oracle: verdicts.oracle,
            ..judges.all(false)
        };
        assert_eq!(verdicts, expected, "{extra} bytes more");
    }
    for missing in [1, 32, 64, proof.len()] {
        let verdicts = judges.judge_proof(&proof[..proof.len() - missing]);
        assert_eq!(verdicts, judges.all(false), "{missing} bytes missing");
    }
}

#[test]
fn the_contract_refuses_a_changed_statement() {
    let mut judges = Judges::new();
    let case = &judges.case;
    let calldata = judges
        .source
        .calldata(&case.commitments, &case.scalars, &case.proof)
        .unwrap();
    let statement_words = (calldata.len() - case.proof.len()) / 32;
    assert_eq!(calldata.len(), judges.source.calldata_length());
    let honest = words(&calldata);
    let accepted = judges.contract(calldata.clone());
    assert_ne!(accepted, Some(false), "the honest calldata is refused");
    for position in 0..statement_words {
        for (name, changed) in mutations(honest[position], honest[position + 1]) {
            let verdict = judges.contract(with_word(&calldata, position, changed));
            assert_ne!(verdict, Some(true), "word {position}, {name}");
        }
    }
    assert_ne!(judges.contract(vec![]), Some(true));
}

#[test]
fn calldata_is_encoded_only_for_its_contract() {
    let case = proven(SMALL);
    let source = VerifierSource::new(&case.kzg(), case.pk.get_vk(), &case.basis).unwrap();
    let encode = |points: usize, scalars: usize, bytes: usize| {
        source
            .calldata(
                &case.commitments[..points],
                &case.scalars[..scalars],
                &case.proof[..bytes],
            )
            .map(|calldata| calldata.len())
    };
    let expected = case.proof.len();
    assert_eq!(encode(2, 4, expected), Ok(source.calldata_length()));
    assert_eq!(
        encode(1, 4, expected),
        Err(EvmError::CommitmentCount {
            expected: 2,
            got: 1
        })
    );
    assert_eq!(
        encode(2, 3, expected),
        Err(EvmError::ScalarCount {
            expected: 4,
            got: 3
        })
    );
    let got = expected - 1;
    assert_eq!(
        encode(2, 4, got),
        Err(EvmError::ProofLength { expected, got })
    );
}
