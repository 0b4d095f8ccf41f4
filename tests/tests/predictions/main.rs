//! Predictions by the batch: real processes, a real chain, real proofs; and who gets what.
#![allow(clippy::unwrap_used)]

mod cheats;
mod honest;
mod silence;
mod strangers;
