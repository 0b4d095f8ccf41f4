//! Who owes whom: agreements, roots, messages, bounds, and the port to the chain that enforces them.
//!
//! The pure half ([`agreement`], [`round`], [`retrieval`], [`deal`], [`shards`], [`dataset_root`], [`claim_tree`],
//! [`sampling`], [`bounds`], [`economics`], [`digest`], [`message`]) has no file, socket, clock or environment access:
//! randomness and time are arguments. The other half is [`chain`].

pub mod agreement;
pub mod bounds;
pub mod chain;
pub mod claim_tree;
pub mod dataset_root;
pub mod deal;
pub mod digest;
pub mod economics;
pub mod message;
pub mod retrieval;
pub mod round;
pub mod sampling;
pub mod shards;
pub mod value;
