//! The executor: plain Rust, the specification of what the circuit proves.

use super::Architecture;

/// An integer network: architecture and weights.
pub struct Network {
    architecture: Architecture,
}

/// Everything one sample's run leaves behind.
pub struct Trace {}

impl Network {
    /// The public half.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }
}
