//! What is proven and how: integer networks, layout, circuit, prover, verifier.

pub mod plonk;
pub mod transcript;
