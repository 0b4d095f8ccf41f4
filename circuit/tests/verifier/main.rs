//! Proofs and their judges: our verifier in Rust, the generated contract, and snark-verifier beside them.
#![allow(clippy::unwrap_used, clippy::panic)]

// What the tests are made of.
#[path = "../chain/mod.rs"]
mod chain;
mod fixture;
mod oracle;

mod evm;
mod judges;
mod plonk;
mod prover;
mod transcript;
