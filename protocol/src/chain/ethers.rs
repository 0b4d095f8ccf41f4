//! The adapter over the `ethers` library; nothing outside this folder knows that library.

pub mod key;
