//! What the end-to-end tests are made of: the real program, a real Ethereum node, a small model and test set.

pub mod corpus;
pub mod hands;
pub mod lab;
pub mod liar;
pub mod predictions;
pub mod program;
pub mod stage;
pub mod tiny;
