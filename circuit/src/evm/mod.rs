//! The verifying key as an on-chain verifier: one Yul contract per architecture.
//!
//! [`VerifierSource::new`] reads the same [`ProofShape`] as the Rust verifier and writes a contract that accepts and
//! refuses the same bytes. The contract has no functions and no state. It is called with
//!
//! ```text
//! commitments of the instance columns but the last (64 bytes each) || public scalars (32 bytes each) || proof
//! ```
//!
//! and returns the 32-byte number 1, or reverts. It commits to the last instance column itself, from the scalars and
//! the Lagrange points of their rows. It refuses every other length, scalars not below r, coordinates not below q,
//! points off the curve, and the identity inside a proof.
//!
//! What makes it small and cheap: the key's points and the tables that drive the opening loops are data behind the
//! code; equal subexpressions of the gates are computed once; all inversions are one.

mod gates;
mod memory;
mod opening;
mod rounds;
mod rows;
mod yul;

use crate::plonk::{KzgVerifierKey, ProofShape, ShapeError};
use crate::transcript::{encode_point, encode_scalar, POINT_BYTES, SCALAR_BYTES};
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::{Fr, G1Affine};
use thiserror::Error;

use memory::Memory;
use yul::Yul;

/// Largest code a contract may have (EIP-170), in bytes.
pub const CODE_LIMIT: usize = 24_576;
/// EVM version the source is written for: `mcopy` (EIP-5656) is the newest instruction used.
pub const EVM_VERSION: &str = "cancun";
/// How often the compiler assumes the code to run: favors gas over size.
const OPTIMIZER_RUNS: u32 = 1_000;

/// Why no contract was generated, or no calldata encoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvmError {
    /// Neither verifier supports the key.
    #[error("the verifying key is not supported: {0}")]
    UnsupportedKey(#[from] ShapeError),
    /// There is no column for the public scalars.
    #[error("the key has no instance column, expected at least the column of public scalars")]
    NoInstanceColumn,
    /// The memory map does not fit the 16-bit pointers of the tables.
    #[error("the contract would address {bytes} bytes of memory, expected at most {limit}: use fewer columns")]
    MemoryTooLarge {
        /// Bytes needed.
        bytes: usize,
        /// Bytes that the tables can address.
        limit: usize,
    },
    /// A table entry is one word: a commitment and at most 15 evaluations.
    #[error("a column is opened at {got} rotations, expected at most {expected}: copy it instead")]
    TooManyRotations {
        /// The limit.
        expected: usize,
        /// Rotations of the column.
        got: usize,
    },
    /// Not one commitment per committed column.
    #[error("expected {expected} commitments (all instance columns but the last), got {got}")]
    CommitmentCount {
        /// Committed columns.
        expected: usize,
        /// Commitments given.
        got: usize,
    },
    /// Not one scalar per Lagrange point.
    #[error("expected {expected} public scalars, got {got}")]
    ScalarCount {
        /// Scalars of the statement.
        expected: usize,
        /// Scalars given.
        got: usize,
    },
    /// A proof of another length than the contract accepts.
    #[error("expected a proof of {expected} bytes, got {got}")]
    ProofLength {
        /// The exact length.
        expected: usize,
        /// Its length.
        got: usize,
    },
}

/// A generated verifier contract, before compilation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierSource {
    /// Yul source.
    pub source: String,
    /// The verifying key's digest as the transcript absorbs it, big-endian.
    pub vk_digest: [u8; 32],
    /// Commitments the calldata starts with.
    pub commitments: usize,
    /// Public scalars after them.
    pub scalars: usize,
    /// Bytes of the proof after those.
    pub proof_length: usize,
}

impl VerifierSource {
    /// Generates the contract for `vk`; `scalar_basis` holds the Lagrange points of the public scalars' rows.
    pub fn new(
        kzg: &KzgVerifierKey,
        vk: &VerifyingKey<G1Affine>,
        scalar_basis: &[G1Affine],
    ) -> Result<Self, EvmError> {
        let shape = ProofShape::new(vk)?;
        let memory = Memory::new(&shape, vk, scalar_basis)?;
        let mut yul = Yul::default();
        rounds::read_statement(&mut yul, &shape, &memory);
        rounds::replay_transcript(&mut yul, &shape, &memory);
        rows::lagrange_values(&mut yul, &shape, &memory);
        yul.open("combine the constraints with powers of y");
        yul.line("let sum := 0");
        let scratch_end = gates::constraints(&mut yul, &shape, &memory);
        rows::permutation_constraints(&mut yul, &shape, &memory);
        rows::quotient_evaluation(&mut yul, &memory);
        yul.close();
        opening::check(&mut yul, &shape, &memory, kzg);
        memory.check_limit(scratch_end)?;
        Ok(Self {
            source: yul.object(&memory.key),
            vk_digest: encode_scalar(&shape.digest),
            commitments: memory.commitments,
            scalars: scalar_basis.len(),
            proof_length: shape.proof_length(),
        })
    }

    /// Exact length of the calldata, in bytes.
    pub fn calldata_length(&self) -> usize {
        self.commitments * POINT_BYTES + self.scalars * SCALAR_BYTES + self.proof_length
    }

    /// The calldata of one verification.
    pub fn calldata(
        &self,
        commitments: &[G1Affine],
        scalars: &[Fr],
        proof: &[u8],
    ) -> Result<Vec<u8>, EvmError> {
        if commitments.len() != self.commitments {
            return Err(EvmError::CommitmentCount {
                expected: self.commitments,
                got: commitments.len(),
            });
        }
        if scalars.len() != self.scalars {
            return Err(EvmError::ScalarCount {
                expected: self.scalars,
                got: scalars.len(),
            });
        }
        if proof.len() != self.proof_length {
            return Err(EvmError::ProofLength {
                expected: self.proof_length,
                got: proof.len(),
            });
        }
        let mut bytes = Vec::with_capacity(self.calldata_length());
        commitments
            .iter()
            .for_each(|point| bytes.extend(encode_point(point)));
        scalars
            .iter()
            .for_each(|scalar| bytes.extend(encode_scalar(scalar)));
        bytes.extend_from_slice(proof);
        Ok(bytes)
    }

    /// Input for solc's standard-JSON interface; the settings are part of what is generated, since another optimizer
    /// setting is another contract. The output holds the creation code at
    /// `contracts["Verifier.yul"]["Verifier"].evm.bytecode.object`.
    pub fn standard_json(&self) -> String {
        serde_json::json!({
            "language": "Yul",
            "sources": { "Verifier.yul": { "content": self.source } },
            "settings": {
                "evmVersion": EVM_VERSION,
                "optimizer": {
                    "enabled": true,
                    "runs": OPTIMIZER_RUNS,
                    // The source is laid out for the stack already: the Yul optimizer's code motion overflows it.
                    "details": {
                        "peephole": true,
                        "inliner": true,
                        "jumpdestRemover": true,
                        "orderLiterals": true,
                        "deduplicate": true,
                        "cse": true,
                        "constantOptimizer": true,
                        "yul": false
                    }
                },
                "outputSelection": {
                    "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] }
                }
            }
        })
        .to_string()
    }
}
