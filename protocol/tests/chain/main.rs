//! One agreement told through the port, to the fake chain and to a real EVM.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod anvil;
mod evm;
mod evm_sender;
mod fake;
mod roads;
mod scene;
mod sender;
