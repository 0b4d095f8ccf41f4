//! What is proven and how: integer networks, layout, circuit, prover, verifier.

pub mod attestation;
pub mod gadget;
pub mod layout;
pub mod network;
pub mod witness;
