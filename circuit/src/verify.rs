//! The verifier of attestations: knows an architecture's public key, sees commitments only.

use crate::{
    attestation::Statement,
    commitment::{Commitment, ModelCommitment},
    layout::{Layout, LayoutOptions},
    network::Architecture,
    plonk::{proof_length, scalar_commitment, verify_proof, KzgVerifierKey, VerifyError},
    srs,
    transcript::encode_scalar,
};
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::G1Affine;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A claim with its proof.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// Whose weights.
    pub model: ModelCommitment,
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
    /// Not one commitment for each weight column.
    #[error("the model commitment has {found} weight columns, the circuit {expected}")]
    WeightColumns {
        /// Weight columns of the circuit.
        expected: usize,
        /// Points of the model commitment.
        found: usize,
    },
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

/// The public half of a circuit: enough to verify, to name it on chain, and to generate the
/// verifier contract.
#[derive(Clone, Debug)]
pub struct Verifier {
    pub(crate) architecture: Architecture,
    pub(crate) options: LayoutOptions,
    pub(crate) kzg: KzgVerifierKey,
    pub(crate) key: VerifyingKey<G1Affine>,
    pub(crate) basis: [G1Affine; 4],
}

impl Verifier {
    pub(crate) fn new(
        layout: &Layout,
        kzg: KzgVerifierKey,
        key: VerifyingKey<G1Affine>,
        basis: [G1Affine; 4],
    ) -> Self {
        Self {
            architecture: layout.architecture().without_names(),
            options: layout.options().clone(),
            kzg,
            key,
            basis,
        }
    }

    /// The network's public half, without names.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }
    /// The layout's choices.
    pub fn options(&self) -> &LayoutOptions {
        &self.options
    }
    /// Whether the reference string's secret is public: proofs are then worthless as evidence.
    pub fn is_insecure(&self) -> bool {
        srs::is_development_secret(&self.kzg.s_g2)
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
    /// gates, copies, tables and selectors, so also the architecture and the layout. The points of
    /// the pairing check it does not cover: see [`Verifier::fingerprint`].
    pub fn digest(&self) -> [u8; 32] {
        encode_scalar(&self.key.transcript_repr())
    }

    /// Accepts exactly the true attestations, up to the soundness error of the proof system.
    pub fn verify(&self, attestation: &Attestation) -> Result<(), AttestationError> {
        let Statement {
            valid, top1, topk, ..
        } = attestation.statement;
        let samples = self.options.samples as u32;
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
        let expected = self.key.cs().num_instance_columns() - 2;
        let found = attestation.model.columns().len();
        if found != expected {
            return Err(AttestationError::WeightColumns { expected, found });
        }
        let model = attestation.model.columns().iter();
        let mut commitments = model
            .map(|column| point(column, "model"))
            .collect::<Result<Vec<_>, _>>()?;
        commitments.push(point(&attestation.shard, "shard")?);
        commitments.push(scalar_commitment(&self.basis, &scalars));
        verify_proof(&self.kzg, &self.key, &commitments, &attestation.proof)?;
        Ok(())
    }
}
