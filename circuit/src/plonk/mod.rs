//! The proof system seen from outside halo2: one description of a proof's shape, a prover and a verifier on top.
//!
//! halo2 (PLONKish arithmetization, KZG on BN254, SHPLONK multi-opening, eprint 2020/081) makes the keys. Every instance
//! column is *committed*: its KZG commitment is part of the statement, absorbed before any challenge, and opened like an
//! advice column, so a verifier never sees the values. [`ProofShape`] is derived once from a verifying key; the prover and
//! the Rust verifier here and the contract generator in `evm` all read it, so that no two can disagree about an order or a
//! count.

mod constraint;
mod domain;
pub(crate) mod fft;
mod order;
mod prover;
mod shape;
mod support;
mod verifier;

pub use constraint::{ConstraintGraph, Node};
pub use prover::{create_proof, KeyCosets, ProveError};
pub use shape::{Opening, PermutationShape, Poly, ProofShape, RotationSet, Round, SystemChallenge};
pub use support::ShapeError;
pub use verifier::{proof_length, scalar_commitment, verify_proof, KzgVerifierKey, VerifyError};
