#![doc = include_str!("../README.md")]

pub mod cifar;
mod error;
pub mod fixtures;
pub mod folder;
pub mod idx;
pub mod limits;
mod open;
mod png;
mod sample;
mod source;

pub use error::DatasetError;
pub use open::{open, Options};
pub use sample::{Dataset, Image, Label, Sample, Shape};
