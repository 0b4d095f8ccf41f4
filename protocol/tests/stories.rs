//! The stories the contracts are tested with (`contracts/vectors/README.md`), told to the rules of this crate: the same
//! refusals, the same states, the same money.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod stories {
    pub mod agreement;
    pub mod names;
    pub mod retrieval;
    pub mod round;
    pub mod told;
}
