//! What the end-to-end tests are made of: the real program, a real Ethereum node, a small model and test set.

pub mod hands;
pub mod lab;
pub mod program;
pub mod stage;
pub mod tiny;
