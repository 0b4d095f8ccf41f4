//! The zknode program as a library, so that tests drive the same parts: seller and buyer of model accuracy, and the
//! tools both need. The only crate that knows paths, the clock and the environment.

pub mod bench;
pub mod buyer;
pub mod card;
pub mod claim_trees;
pub mod cli;
pub mod config;
pub mod corpus;
pub mod costs;
pub mod delivery;
pub mod demo;
pub mod home;
pub mod keys;
mod lock;
pub mod memory;
pub mod output;
pub mod predict;
pub mod progress;
pub mod proof_file;
pub mod proving_keys;
pub mod retrieval;
pub mod seller;
pub mod setup;
pub mod store;
pub mod testset;
#[cfg(test)]
mod tiny;
pub mod verifier_code;
pub mod wallet;
pub mod watch;
