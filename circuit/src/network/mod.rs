//! The integer network: the thing that is proven.
//!
//! Every activation is an unsigned byte, every weight a fixed-point integer with
//! [`Architecture::fraction_bits`] fraction bits. A requantizing layer computes
//!
//! ```text
//! acc = sum_taps w * x + b          b holds the bias, the zero points and the rounding half
//! q   = floor(acc / 2^s)            s = fraction_bits
//! y   = clamp(q, 0, 255)
//! ```
//!
//! so ReLU, ReLU6 and linear outputs are one rule: scales and zero points are folded into `w`
//! and `b` at import, and a zero point shows up again only as the value a border is padded with.
//! Max pooling takes the greatest byte of a window.
//! The last layer is not requantized: its accumulators are the logits.
//!
//! The accuracy zknode proves is the accuracy of *this* network, never of the float model it
//! came from. [`execute`] is the specification; the circuit must agree with it bit for bit.

mod architecture;
pub mod execute;
pub mod import;
mod max_pool;
pub mod model_file;
mod shapes;

pub use architecture::{
    Architecture, ArchitectureError, Layer, Linear, Output, Padding, Shape, SumPool, TensorId, Term,
};
pub use execute::{rank, LinearWeights, Network, NetworkError, Trace, Weights};
pub use max_pool::MaxPool;
