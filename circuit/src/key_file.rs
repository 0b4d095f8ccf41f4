//! The file of a verifying key: all that a verifier needs, and nothing of any model.
//!
//! ```text
//! magic     8 bytes  "zknodevk"
//! version   4        little endian
//! digest    32       Keccak-256 of the rest: the fingerprint
//! header    4 + n    architecture, without names, and layout, JSON
//! points    4 + n    statement basis, generators, the secret's point in G2
//! key       4 + n    halo2's verifying key, compressed points
//! ```
//!
//! What a file can be checked for by itself is checked: exact lengths, every point on its curve and in its group, the
//! generators, the key's shape against the header. What cannot: that the key and the basis are those of the header's
//! circuit under an honest reference string. So a file is trusted for its fingerprint, or made again: the same
//! architecture, layout and reference string give the same bytes.

use crate::{
    attestation::AttestationCircuit,
    gadget::Shape,
    layout::{Layout, LayoutError, LayoutOptions},
    network::Architecture,
    plonk::KzgVerifierKey,
    srs,
    verify::Verifier,
};
use halo2_proofs::{
    plonk::{Circuit, ConstraintSystem, VerifyingKey},
    SerdeFormat,
};
use halo2curves::{
    bn256::{Fr, G1Affine, G2Affine},
    group::GroupEncoding,
};
use serde::{Deserialize, Serialize};
use sha3::{Digest, Keccak256};
use std::io::{self, Read, Write};
use thiserror::Error;

/// First bytes of the file.
const MAGIC: &[u8; 8] = b"zknodevk";
/// Version of the format.
const VERSION: u32 = 3;
/// Longest header and key that are read.
const MAX_BYTES: u32 = 1 << 24;

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
    /// The digest is that of a header which is not this program's: with names of layers, say, which are no part of a key.
    #[error("the verifying-key file's header is not written as this program writes it: expected digest {expected}, found {found}; make the file again with `zknode model key`")]
    Canonical {
        /// Digest of the same file as this program writes it.
        expected: String,
        /// Digest of the file.
        found: String,
    },
    /// The architecture cannot be laid out.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A point that belongs to no reference string.
    #[error(
        "the verifying-key file's points for the pairing check belong to no reference string: {0}"
    )]
    Points(&'static str),
    /// A key of another circuit than the header says.
    #[error("the verifying key is not one of the circuit in its header: expected {expected}, found another")]
    Key {
        /// What it should be.
        expected: &'static str,
    },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    architecture: Architecture,
    options: LayoutOptions,
}

impl Verifier {
    /// Names this key with everything it verifies by, the points of the pairing check included.
    pub fn fingerprint(&self) -> [u8; 32] {
        Keccak256::digest(self.body().unwrap_or_default()).into()
    }

    fn body(&self) -> io::Result<Vec<u8>> {
        let header = serde_json::to_vec(&Header {
            architecture: self.architecture.clone(),
            options: self.options.clone(),
        })?;
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
        Ok(body)
    }

    /// Writes the file.
    pub fn write(&self, mut writer: impl Write) -> io::Result<()> {
        let body = self.body()?;
        writer.write_all(MAGIC)?;
        writer.write_all(&VERSION.to_le_bytes())?;
        writer.write_all(&Keccak256::digest(&body))?;
        writer.write_all(&body)
    }

    /// Reads a file. Total on hostile bytes; what it cannot check is said at the top of the module.
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
            let mut bytes = vec![];
            reader.by_ref().take(found.into()).read_to_end(&mut bytes)?;
            if bytes.len() != found as usize {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
            hasher.update(word);
            hasher.update(&bytes);
            Ok(bytes)
        };
        let (header, points, key) = (part("header")?, part("points")?, part("key")?);
        if hasher.finalize().as_slice() != digest || reader.read(&mut [0])? != 0 {
            return Err(KeyFileError::Digest);
        }
        let header: Header = serde_json::from_slice(&header)?;
        let layout = Layout::new(header.architecture, header.options)?;
        let (kzg, basis) = read_points(&points)?;
        let key = read_key(&layout, &key)?;
        let verifier = Self::new(&layout, kzg, key, basis);
        match verifier.fingerprint() {
            expected if expected == digest => Ok(verifier),
            expected => Err(KeyFileError::Canonical {
                expected: hex::encode(expected),
                found: hex::encode(digest),
            }),
        }
    }
}

fn read_points(mut points: &[u8]) -> Result<(KzgVerifierKey, [G1Affine; 4]), KeyFileError> {
    let curve = KeyFileError::Points("one is on no curve");
    let basis = [(); 4].map(|()| read_point::<G1Affine>(&mut points));
    let [Some(a), Some(b), Some(c), Some(d)] = basis else {
        return Err(curve);
    };
    let (Some(g1), Some(g2), Some(s_g2)) = (
        read_point::<G1Affine>(&mut points),
        read_point::<G2Affine>(&mut points),
        read_point::<G2Affine>(&mut points),
    ) else {
        return Err(curve);
    };
    if !points.is_empty() {
        return Err(KeyFileError::Points("there are too many"));
    }
    if g1 != G1Affine::generator() || g2 != G2Affine::generator() {
        return Err(KeyFileError::Points("the generators are others"));
    }
    if !srs::is_secret(&s_g2) {
        return Err(KeyFileError::Points("the secret's point is trivial"));
    }
    Ok((KzgVerifierKey { g1, g2, s_g2 }, [a, b, c, d]))
}

/// halo2 trusts the bytes: it panics on some sizes and takes any number of commitments. So the shape is compared first,
/// and what was read must be written back the same.
fn read_key(layout: &Layout, bytes: &[u8]) -> Result<VerifyingKey<G1Affine>, KeyFileError> {
    let shape = Shape::from(layout);
    let mut system = ConstraintSystem::<Fr>::default();
    AttestationCircuit::configure_with_params(&mut system, shape);
    let mut head = vec![2];
    head.extend(layout.options().k.to_le_bytes());
    head.push(0);
    head.extend((system.num_fixed_columns() as u32).to_le_bytes());
    let wrong = |expected| KeyFileError::Key { expected };
    if !bytes.starts_with(&head) {
        return Err(wrong("its size and its fixed columns"));
    }
    let key = VerifyingKey::from_bytes::<AttestationCircuit>(bytes, SerdeFormat::Processed, shape)?;
    if key.to_bytes(SerdeFormat::Processed) != bytes {
        return Err(wrong("exactly its commitments"));
    }
    Ok(key)
}

fn read_point<P: GroupEncoding>(bytes: &mut &[u8]) -> Option<P> {
    let mut encoded = P::Repr::default();
    let length = encoded.as_ref().len();
    let (head, tail) = bytes.split_at_checked(length)?;
    encoded.as_mut().copy_from_slice(head);
    *bytes = tail;
    Option::from(P::from_bytes(&encoded))
}
