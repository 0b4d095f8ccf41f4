//! The verifier of attestations: knows an architecture's public key, sees commitments only.

use crate::{
    attestation::Statement,
    commitment::Commitment,
    gadget::Shape,
    layout::{Layout, LayoutError, LayoutOptions},
    network::Architecture,
    plonk::{proof_length, scalar_commitment, verify_proof, KzgVerifierKey, VerifyError},
    transcript::encode_scalar,
};
use halo2_proofs::{plonk::VerifyingKey, SerdeFormat};
use halo2curves::{
    bn256::{G1Affine, G2Affine},
    group::GroupEncoding,
};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};
use std::io::{self, Read, Write};
use thiserror::Error;

use crate::attestation::AttestationCircuit;

/// First bytes of a verifying-key file.
const MAGIC: &[u8; 8] = b"zknodevk";
/// Version of the file format.
const VERSION: u32 = 1;
/// Longest header and key that are read.
const MAX_BYTES: u32 = 1 << 24;

/// A claim with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Whose weights.
    pub model: Commitment,
    /// Whose samples.
    pub shard: Commitment,
    /// What is claimed.
    pub statement: Statement,
    /// Why it is true.
    #[serde(with = "hex::serde")]
    pub proof: Vec<u8>,
}

/// Why an attestation is not accepted.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AttestationError {
    /// The context is not below the scalar modulus.
    #[error("the context is not a canonical scalar; it must be below the BN254 scalar modulus")]
    Context,
    /// A commitment is not a point.
    #[error("the {0} commitment is not a point of BN254 G1")]
    NotAPoint(&'static str),
    /// A claim no shard of this layout can make.
    #[error("the statement counts {found} samples where at most {max} are possible")]
    Count {
        /// The count.
        found: u32,
        /// What bounds it.
        max: u32,
    },
    /// The proof system says no.
    #[error(transparent)]
    Proof(#[from] VerifyError),
}

/// Why a verifying-key file is not read.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// Reading failed, most likely the file is truncated.
    #[error(
        "the verifying-key file cannot be read to its end; if it is truncated, fetch it again"
    )]
    Io(#[from] io::Error),
    /// Not such a file at all.
    #[error("this is not a zknode verifying-key file")]
    Magic,
    /// Another version of the format.
    #[error("the verifying-key file has version {found}, this program reads version {VERSION}")]
    Version {
        /// The version found.
        found: u32,
    },
    /// A length beyond anything this program writes.
    #[error("the verifying-key file declares {found} bytes of {what}, more than {MAX_BYTES}")]
    Length {
        /// Of what.
        what: &'static str,
        /// The length.
        found: u32,
    },
    /// The digest does not fit the contents.
    #[error("the verifying-key file is damaged: its digest does not match; fetch it again")]
    Digest,
    /// The header is not what its digest promised.
    #[error("the verifying-key file's header is malformed: {0}")]
    Header(#[from] serde_json::Error),
    /// The architecture cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// The public half of a circuit: enough to verify, to name it on chain, and to generate the
/// verifier contract.
#[derive(Clone, Debug)]
pub struct Verifier {
    header: Header,
    kzg: KzgVerifierKey,
    key: VerifyingKey<G1Affine>,
    basis: [G1Affine; 4],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Header {
    architecture: Architecture,
    options: LayoutOptions,
    insecure_srs: bool,
}

impl Verifier {
    pub(crate) fn new(
        layout: &Layout,
        insecure_srs: bool,
        kzg: KzgVerifierKey,
        key: VerifyingKey<G1Affine>,
        basis: [G1Affine; 4],
    ) -> Self {
        let header = Header {
            architecture: layout.architecture().clone(),
            options: layout.options().clone(),
            insecure_srs,
        };
        Self {
            header,
            kzg,
            key,
            basis,
        }
    }

    /// The network's public half.
    pub fn architecture(&self) -> &Architecture {
        &self.header.architecture
    }
    /// The layout's choices.
    pub fn options(&self) -> &LayoutOptions {
        &self.header.options
    }
    /// Whether the reference string's secret is public: proofs are then worthless as evidence.
    pub fn is_insecure(&self) -> bool {
        self.header.insecure_srs
    }
    /// The verifying key.
    pub fn key(&self) -> &VerifyingKey<G1Affine> {
        &self.key
    }
    /// The points of the reference string that the pairing check takes.
    pub fn kzg(&self) -> &KzgVerifierKey {
        &self.kzg
    }
    /// Lagrange points of the statement's rows.
    pub fn statement_basis(&self) -> &[G1Affine; 4] {
        &self.basis
    }
    /// Length of every proof, in bytes.
    pub fn proof_length(&self) -> usize {
        // The key was made or checked by this program, so it has a shape.
        proof_length(&self.key).unwrap_or_default()
    }
    /// Names the circuit on chain: the verifying key's digest in the transcript, which covers
    /// gates, copies, tables and selectors, so also the architecture and the layout.
    pub fn digest(&self) -> [u8; 32] {
        encode_scalar(&self.key.transcript_repr())
    }

    /// Accepts exactly the true attestations, up to the soundness error of the proof system.
    pub fn verify(&self, attestation: &Attestation) -> Result<(), AttestationError> {
        let Statement {
            valid, top1, topk, ..
        } = attestation.statement;
        let samples = self.header.options.samples as u32;
        for (found, max) in [(valid, samples), (topk, valid), (top1, topk)] {
            if found > max {
                return Err(AttestationError::Count { found, max });
            }
        }
        let scalars = attestation
            .statement
            .scalars()
            .ok_or(AttestationError::Context)?;
        let point = |commitment: &Commitment, name| {
            commitment.point().ok_or(AttestationError::NotAPoint(name))
        };
        let commitments = [
            point(&attestation.model, "model")?,
            point(&attestation.shard, "shard")?,
            scalar_commitment(&self.basis, &scalars),
        ];
        verify_proof(&self.kzg, &self.key, &commitments, &attestation.proof)?;
        Ok(())
    }

    /// Writes the verifying-key file.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let header = serde_json::to_vec(&self.header)?;
        let mut points = vec![];
        for point in self.basis.iter().chain([&self.kzg.g1]) {
            points.extend(point.to_bytes().as_ref());
        }
        for point in [&self.kzg.g2, &self.kzg.s_g2] {
            points.extend(point.to_bytes().as_ref());
        }
        let key = self.key.to_bytes(SerdeFormat::Processed);
        let mut body = vec![];
        for part in [&header, &points, &key] {
            body.extend((part.len() as u32).to_le_bytes());
            body.extend(part.iter());
        }
        writer.write_all(MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        writer.write_all(&Keccak256::digest(&body))?;
        writer.write_all(&body)
    }

    /// Reads a verifying-key file. Every point is checked to lie on its curve.
    pub fn read(mut reader: impl Read) -> Result<Self, KeyFileError> {
        let mut magic = [0; 8];
        reader.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(KeyFileError::Magic);
        }
        let mut word = [0; 4];
        reader.read_exact(&mut word)?;
        let found = u32::from_le_bytes(word);
        if found != VERSION {
            return Err(KeyFileError::Version { found });
        }
        let mut digest = [0; 32];
        reader.read_exact(&mut digest)?;
        let mut hasher = Keccak256::new();
        let mut part = |what| {
            let mut word = [0; 4];
            reader.read_exact(&mut word)?;
            let found = u32::from_le_bytes(word);
            if found > MAX_BYTES {
                return Err(KeyFileError::Length { what, found });
            }
            let mut bytes = vec![0; found as usize];
            reader.read_exact(&mut bytes)?;
            hasher.update(word);
            hasher.update(&bytes);
            Ok(bytes)
        };
        let (header, points, key) = (part("header")?, part("points")?, part("key")?);
        if hasher.finalize().as_slice() != digest {
            return Err(KeyFileError::Digest);
        }
        let header: Header = serde_json::from_slice(&header)?;
        let layout = Layout::new(header.architecture.clone(), header.options.clone())?;
        let mut points = &points[..];
        let basis = [(); 4].map(|()| read_point::<G1Affine>(&mut points));
        let [Some(a), Some(b), Some(c), Some(d)] = basis else {
            return Err(KeyFileError::Digest);
        };
        let (Some(g1), Some(g2), Some(s_g2)) = (
            read_point::<G1Affine>(&mut points),
            read_point::<G2Affine>(&mut points),
            read_point::<G2Affine>(&mut points),
        ) else {
            return Err(KeyFileError::Digest);
        };
        let key = VerifyingKey::from_bytes::<AttestationCircuit>(
            &key,
            SerdeFormat::Processed,
            Shape::from(&layout),
        )?;
        Ok(Self {
            header,
            kzg: KzgVerifierKey { g1, g2, s_g2 },
            key,
            basis: [a, b, c, d],
        })
    }
}

fn read_point<P: GroupEncoding>(bytes: &mut &[u8]) -> Option<P> {
    let mut encoded = P::Repr::default();
    let length = encoded.as_ref().len();
    let (head, tail) = bytes.split_at_checked(length)?;
    encoded.as_mut().copy_from_slice(head);
    *bytes = tail;
    Option::from(P::from_bytes(&encoded))
}
