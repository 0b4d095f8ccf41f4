//! Reference strings: made for development, read from a ceremony's files, kept in a cache.
#![allow(clippy::unwrap_used, clippy::panic)]

mod cache;
mod development;
mod ptau;
mod snarkjs;
