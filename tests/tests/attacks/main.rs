//! The attacks of docs/attacks.md, and those on retrieval, that are played on a real chain with real proofs, and what each side has in the end.
#![allow(clippy::unwrap_used, clippy::panic)]

mod backdoor;
mod corpora;
mod deliveries;
mod lazy;
mod page;
mod proofs;
mod silence;
mod terms;
