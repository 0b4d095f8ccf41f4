//! The circuit of an attestation: honest witnesses, and every way to lie about one; layouts, keys and their files.
#![allow(clippy::unwrap_used, clippy::panic)]

// What the tests are made of.
#[path = "../chain/mod.rs"]
mod chain;
mod lies;
mod recipe;
mod support;

mod accepts;
mod boundaries;
mod cheating;
mod constraints;
mod contract;
mod corpus;
mod cut;
mod glue_identity;
mod hostile_layouts;
mod key_cache;
mod key_file;
mod max_pool;
mod perturbation;
mod phases;
mod plan;
mod random_networks;
mod windows;
