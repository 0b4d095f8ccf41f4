//! What is proven and how: integer networks, layout, circuit, prover, verifier.

pub mod attestation;
pub mod commitment;
pub mod corpus;
pub mod cost;
pub mod evm;
pub mod gadget;
pub mod key_cache;
pub mod key_file;
pub mod layout;
pub mod network;
pub mod plan;
pub mod plonk;
pub mod prove;
pub mod srs;
pub mod transcript;
pub mod verify;
pub mod witness;
