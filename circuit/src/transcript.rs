//! The Fiat-Shamir transcript: Keccak-256, laid out so that a contract can replay it cheaply.
//!
//! Encoding: a scalar is 32 bytes big-endian, a point 64 bytes `x || y` big-endian, the identity 64 zero bytes.
//! A challenge is `keccak256(buffer) mod r`, where the buffer holds the previous digest followed by everything
//! absorbed since; when nothing was absorbed since, one byte `0x01` is appended to it. Byte for byte this is the
//! layout of snark-verifier's `EvmTranscript`.
//!
//! Rules, the same here and in the generated contract: every scalar is below r, every coordinate below q, every
//! point lies on the curve, and no point *of a proof* is the identity. Honest proofs never need it: each committed
//! polynomial is blinded or generic. The identity may be *absorbed*, as the commitment to an all-zero instance column.

use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptRead, TranscriptWrite};
use halo2curves::bn256::{Fq, Fr, G1Affine};
use halo2curves::ff::{FromUniformBytes, PrimeField};
use halo2curves::group::prime::PrimeCurveAffine;
use halo2curves::CurveAffine;
use sha3::{Digest, Keccak256};
use std::io;
use thiserror::Error;

/// Bytes of an encoded scalar.
pub const SCALAR_BYTES: usize = 32;
/// Bytes of an encoded point.
pub const POINT_BYTES: usize = 64;

/// Why the bytes of a proof do not decode; offsets are bytes from the start of the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TranscriptError {
    /// Fewer bytes than the next element needs.
    #[error("the proof ends at byte {length}, but an element of {needed} bytes starts at byte {offset}: it was cut")]
    Ended {
        /// Where the element starts.
        offset: usize,
        /// How many bytes it has.
        needed: usize,
        /// How long the proof is.
        length: usize,
    },
    /// A scalar not below the group order r.
    #[error("the scalar at byte {offset} is not below the group order r: reduce it")]
    ScalarNotCanonical {
        /// Where the scalar starts.
        offset: usize,
    },
    /// A coordinate not below the base field's modulus q.
    #[error("the coordinate at byte {offset} is not below the base field modulus q: reduce it")]
    CoordinateNotCanonical {
        /// Where the coordinate starts.
        offset: usize,
    },
    /// Coordinates that satisfy no curve equation.
    #[error("the point at byte {offset} is not on the curve y^2 = x^3 + 3")]
    PointOffCurve {
        /// Where the point starts.
        offset: usize,
    },
    /// The identity inside a proof.
    #[error("the point at byte {offset} is the identity, which no honest proof contains")]
    PointAtInfinity {
        /// Where the point starts.
        offset: usize,
    },
    /// The prover was about to write the identity into a proof.
    #[error("the prover committed to a zero polynomial: no constraint of this circuit reaches its degree bound")]
    IdentityWritten,
}

impl From<TranscriptError> for io::Error {
    fn from(error: TranscriptError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

/// A challenge: a Keccak digest reduced modulo r.
#[derive(Clone, Copy, Debug)]
pub struct KeccakChallenge(Fr);

impl EncodedChallenge<G1Affine> for KeccakChallenge {
    type Input = [u8; 32];

    fn new(digest: &[u8; 32]) -> Self {
        let mut wide = [0u8; 64];
        for (low, byte) in wide.iter_mut().zip(digest.iter().rev()) {
            *low = *byte;
        }
        Self(Fr::from_uniform_bytes(&wide))
    }

    fn get_scalar(&self) -> Fr {
        self.0
    }
}

/// 32 bytes big-endian of a scalar.
pub fn encode_scalar(scalar: &Fr) -> [u8; SCALAR_BYTES] {
    let mut bytes = scalar.to_repr();
    bytes.reverse();
    bytes
}

/// The scalar of 32 bytes big-endian; `None` when they are not below r.
pub fn decode_scalar(mut bytes: [u8; SCALAR_BYTES]) -> Option<Fr> {
    bytes.reverse();
    Option::from(Fr::from_repr(bytes))
}

/// 64 bytes `x || y` big-endian of a point; zeros for the identity.
pub fn encode_point(point: &G1Affine) -> [u8; POINT_BYTES] {
    let mut bytes = [0u8; POINT_BYTES];
    // The affine identity is stored as (0, 0), so one rule covers every point.
    bytes[..32].copy_from_slice(&encode_coordinate(&point.x));
    bytes[32..].copy_from_slice(&encode_coordinate(&point.y));
    bytes
}

fn encode_coordinate(coordinate: &Fq) -> [u8; 32] {
    let mut bytes = coordinate.to_repr();
    bytes.reverse();
    bytes
}

fn decode_coordinate(mut bytes: [u8; 32]) -> Option<Fq> {
    bytes.reverse();
    Option::from(Fq::from_repr(bytes))
}

/// The hash state both sides share.
#[derive(Clone, Debug, Default)]
struct Sponge {
    buffer: Vec<u8>,
}

impl Sponge {
    fn absorb(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    fn squeeze(&mut self) -> KeccakChallenge {
        // A buffer of one digest means that nothing was absorbed since: separate it from the digest itself.
        if self.buffer.len() == 32 {
            self.buffer.push(1);
        }
        let digest: [u8; 32] = Keccak256::digest(&self.buffer).into();
        self.buffer.clear();
        self.absorb(&digest);
        KeccakChallenge::new(&digest)
    }
}

/// The prover's side: collects the bytes of a proof.
#[derive(Clone, Debug, Default)]
pub struct ProofWriter {
    sponge: Sponge,
    proof: Vec<u8>,
}

impl ProofWriter {
    /// An empty transcript.
    pub fn new() -> Self {
        Self::default()
    }

    /// Absorbs a scalar that both sides know.
    pub fn absorb_scalar(&mut self, scalar: &Fr) {
        self.sponge.absorb(&encode_scalar(scalar));
    }

    /// The next challenge.
    pub fn challenge(&mut self) -> Fr {
        self.sponge.squeeze().get_scalar()
    }

    /// Writes and absorbs the next point.
    pub fn append_point(&mut self, point: &G1Affine) -> Result<(), TranscriptError> {
        if bool::from(point.is_identity()) {
            return Err(TranscriptError::IdentityWritten);
        }
        let bytes = encode_point(point);
        self.proof.extend_from_slice(&bytes);
        self.sponge.absorb(&bytes);
        Ok(())
    }

    /// The proof written so far.
    pub fn finish(self) -> Vec<u8> {
        self.proof
    }
}

impl Transcript<G1Affine, KeccakChallenge> for ProofWriter {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.sponge.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.sponge.absorb(&encode_point(&point));
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.sponge.absorb(&encode_scalar(&scalar));
        Ok(())
    }
}

impl TranscriptWrite<G1Affine, KeccakChallenge> for ProofWriter {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        Ok(self.append_point(&point)?)
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.proof.extend_from_slice(&encode_scalar(&scalar));
        self.common_scalar(scalar)
    }
}

/// The verifier's side: decodes a proof, and never panics on any bytes.
#[derive(Clone, Debug)]
pub struct ProofReader<'proof> {
    sponge: Sponge,
    proof: &'proof [u8],
    offset: usize,
}

impl<'proof> ProofReader<'proof> {
    /// A transcript at the start of `proof`.
    pub fn new(proof: &'proof [u8]) -> Self {
        Self {
            sponge: Sponge::default(),
            proof,
            offset: 0,
        }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.proof.len().saturating_sub(self.offset)
    }

    /// Absorbs a point that both sides know.
    pub fn absorb_point(&mut self, point: &G1Affine) {
        self.sponge.absorb(&encode_point(point));
    }

    /// Absorbs a scalar that both sides know.
    pub fn absorb_scalar(&mut self, scalar: &Fr) {
        self.sponge.absorb(&encode_scalar(scalar));
    }

    /// The next challenge.
    pub fn challenge(&mut self) -> Fr {
        self.sponge.squeeze().get_scalar()
    }

    /// Reads and absorbs the next scalar.
    pub fn next_scalar(&mut self) -> Result<Fr, TranscriptError> {
        let offset = self.offset;
        let bytes = self.word()?;
        self.sponge.absorb(&bytes);
        decode_scalar(bytes).ok_or(TranscriptError::ScalarNotCanonical { offset })
    }

    /// Reads and absorbs the next point.
    pub fn next_point(&mut self) -> Result<G1Affine, TranscriptError> {
        let offset = self.offset;
        let x = self.coordinate()?;
        let y = self.coordinate()?;
        let point: G1Affine = Option::from(G1Affine::from_xy(x, y))
            .ok_or(TranscriptError::PointOffCurve { offset })?;
        if bool::from(point.is_identity()) {
            return Err(TranscriptError::PointAtInfinity { offset });
        }
        Ok(point)
    }

    fn coordinate(&mut self) -> Result<Fq, TranscriptError> {
        let offset = self.offset;
        let bytes = self.word()?;
        self.sponge.absorb(&bytes);
        decode_coordinate(bytes).ok_or(TranscriptError::CoordinateNotCanonical { offset })
    }

    fn word(&mut self) -> Result<[u8; 32], TranscriptError> {
        let (word, _) = self
            .proof
            .get(self.offset..)
            .and_then(|rest| rest.split_first_chunk::<32>())
            .ok_or(TranscriptError::Ended {
                offset: self.offset,
                needed: 32,
                length: self.proof.len(),
            })?;
        self.offset += 32;
        Ok(*word)
    }
}

impl Transcript<G1Affine, KeccakChallenge> for ProofReader<'_> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.sponge.squeeze()
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.absorb_point(&point);
        Ok(())
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.absorb_scalar(&scalar);
        Ok(())
    }
}

impl TranscriptRead<G1Affine, KeccakChallenge> for ProofReader<'_> {
    fn read_point(&mut self) -> io::Result<G1Affine> {
        Ok(self.next_point()?)
    }

    fn read_scalar(&mut self) -> io::Result<Fr> {
        Ok(self.next_scalar()?)
    }
}
