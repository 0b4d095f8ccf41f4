//! The executor: plain Rust, the specification of what the circuit proves.

use super::{Architecture, ArchitectureError, Layer, Linear, Shape, SumPool};
use std::fmt;
use thiserror::Error;

/// Weights of one linear layer.
#[derive(Clone, PartialEq, Eq)]
pub struct LinearWeights {
    /// One list per term, ordered `[group][input channel][ky][kx][output channel of the group]`.
    pub terms: Vec<Vec<i64>>,
    /// One bias per output channel: zero points and the rounding half included.
    pub bias: Vec<i64>,
}

/// Weights of a network, one entry per linear layer in order. Secret: no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Weights {
    /// The linear layers.
    pub layers: Vec<LinearWeights>,
}

/// Why a network is refused, or cannot run.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NetworkError {
    /// The architecture itself is malformed.
    #[error(transparent)]
    Architecture(#[from] ArchitectureError),
    /// Not one entry of weights per linear layer.
    #[error("expected weights for {expected} linear layers, found {found}")]
    Layers {
        /// Linear layers of the architecture.
        expected: usize,
        /// Entries given.
        found: usize,
    },
    /// A list of weights of another length than its layer has.
    #[error("layer {layer}: expected {expected} {what}, found {found}")]
    Count {
        /// Name of the layer.
        layer: String,
        /// Weights or biases.
        what: &'static str,
        /// How many the layer has.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A weight or bias beyond 2^40, where accumulators could leave 64 bits.
    #[error("layer {layer}: a weight or bias exceeds 2^40 in magnitude")]
    Magnitude {
        /// Name of the layer.
        layer: String,
    },
    /// Some input has an accumulator that the tables do not hold, so it would have no proof.
    #[error("layer {layer}, output {channel}: accumulators reach {low}..={high}, allowed are {allowed_low}..={allowed_high}; use more range bits or smaller weights")]
    NotTotal {
        /// Name of the layer.
        layer: String,
        /// Output channel.
        channel: usize,
        /// Least accumulator of any input.
        low: i128,
        /// Greatest accumulator of any input.
        high: i128,
        /// Least that the tables hold.
        allowed_low: i128,
        /// Greatest that the tables hold.
        allowed_high: i128,
    },
    /// An image of another size.
    #[error("expected {expected} pixels, found {found}")]
    Pixels {
        /// Pixels of the architecture's input.
        expected: usize,
        /// Pixels given.
        found: usize,
    },
}

/// A total integer network: every image of the right size has a run, and every run a proof.
#[derive(Clone)]
pub struct Network {
    architecture: Architecture,
    shapes: Vec<Shape>,
    weights: Weights,
}

/// What one image's run leaves behind. Secret: no `Debug`.
pub struct Trace {
    /// Of every layer that commits cells, in order: accumulators of a linear layer, bias included, in
    /// `(channel, y, x)` order; differences of a max pooling, shifted by `fraction_bits`, in
    /// `(step, channel, y, x)` order.
    pub accumulators: Vec<Vec<i64>>,
    /// Accumulators of the last layer.
    pub logits: Vec<i64>,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("architecture", &self.architecture)
            .field("weights", &"secret")
            .finish()
    }
}

/// Greatest weight or bias: with at most 2^26 weights of bytes an `i128` bound cannot overflow,
/// and a total layer's accumulators are far within 64 bits.
const MAX_MAGNITUDE: u64 = 1 << 40;

impl Network {
    /// Joins an architecture with weights; checks counts and totality.
    pub fn new(architecture: Architecture, weights: Weights) -> Result<Self, NetworkError> {
        let shapes = architecture.shapes()?;
        let network = Self {
            architecture,
            shapes,
            weights,
        };
        network.check_counts()?;
        network.check_total()?;
        Ok(network)
    }

    /// The public half.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The private half.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.architecture.layers.iter().filter_map(|l| match l {
            Layer::Linear(linear) => Some(linear),
            _ => None,
        })
    }

    fn check_counts(&self) -> Result<(), NetworkError> {
        let (expected, found) = (self.linears().count(), self.weights.layers.len());
        if expected != found {
            return Err(NetworkError::Layers { expected, found });
        }
        for (linear, weights) in self.linears().zip(&self.weights.layers) {
            let layer = || linear.name.clone();
            let count = |what, expected, found| {
                if expected == found {
                    return Ok(());
                }
                Err(NetworkError::Count {
                    layer: layer(),
                    what,
                    expected,
                    found,
                })
            };
            count("terms", linear.terms.len(), weights.terms.len())?;
            for (term, values) in linear.terms.iter().zip(&weights.terms) {
                let inputs = self.shapes[term.input.0].channels;
                let expected = term.weights(inputs, linear.shape.channels);
                count("weights", expected, values.len())?;
            }
            count("biases", linear.shape.channels, weights.bias.len())?;
            let mut values = weights.terms.iter().flatten().chain(&weights.bias);
            if values.any(|v| v.unsigned_abs() > MAX_MAGNITUDE) {
                return Err(NetworkError::Magnitude { layer: layer() });
            }
        }
        Ok(())
    }

    /// Least and greatest accumulator of every linear layer over all images, from the weights
    /// alone: inputs and activations are bytes, pooled cells bytes times the window.
    pub fn bounds(&self) -> Vec<(i128, i128)> {
        let channels = |reach: Vec<(i128, i128)>| {
            let low = reach.iter().map(|r| r.0).min().unwrap_or(0);
            (low, reach.iter().map(|r| r.1).max().unwrap_or(0))
        };
        self.reach().into_iter().map(channels).collect()
    }

    /// [`Network::bounds`] by output channel.
    fn reach(&self) -> Vec<Vec<(i128, i128)>> {
        let mut greatest: Vec<i128> = vec![255];
        let mut weights = self.weights.layers.iter();
        let mut reach = vec![];
        for layer in &self.architecture.layers {
            let bound = match layer {
                Layer::Flatten { input } => greatest[input.0],
                Layer::SumPool(pool) => {
                    greatest[pool.input.0] * (pool.kernel.0 * pool.kernel.1) as i128
                }
                Layer::MaxPool(_) => 255,
                Layer::Linear(linear) => {
                    if let Some(weights) = weights.next() {
                        reach.push(layer_reach(linear, weights, &greatest));
                    }
                    255
                }
            };
            greatest.push(bound);
        }
        reach
    }

    fn check_total(&self) -> Result<(), NetworkError> {
        for (linear, reach) in self.linears().zip(self.reach()) {
            let (allowed_low, allowed_high) = self.architecture.allowed(linear.output);
            for (channel, (low, high)) in reach.into_iter().enumerate() {
                if low < allowed_low || high > allowed_high {
                    return Err(NetworkError::NotTotal {
                        layer: linear.name.clone(),
                        channel,
                        low,
                        high,
                        allowed_low,
                        allowed_high,
                    });
                }
            }
        }
        Ok(())
    }

    /// Runs one image, pixels channels first.
    pub fn run(&self, pixels: &[u8]) -> Result<Trace, NetworkError> {
        let expected = self.architecture.input.cells();
        if pixels.len() != expected {
            return Err(NetworkError::Pixels {
                expected,
                found: pixels.len(),
            });
        }
        let mut tensors: Vec<Vec<i64>> = vec![pixels.iter().map(|&p| i64::from(p)).collect()];
        let bits = self.architecture.fraction_bits;
        let mut accumulators = vec![];
        let mut weights = self.weights.layers.iter();
        let last_readers = self.architecture.last_readers();
        for (index, layer) in self.architecture.layers.iter().enumerate() {
            let tensor = match layer {
                Layer::Flatten { input } => tensors[input.0].clone(),
                Layer::SumPool(pool) => self.sum_pool(pool, self.shapes[index + 1], &tensors),
                Layer::MaxPool(pool) => {
                    let (from, to) = (self.shapes[pool.input.0], self.shapes[index + 1]);
                    let (mut steps, greatest) = pool.run(from, to, &tensors[pool.input.0]);
                    steps.iter_mut().for_each(|step| *step <<= bits);
                    accumulators.push(steps);
                    greatest
                }
                Layer::Linear(linear) => {
                    let cells = match weights.next() {
                        Some(weights) => self.accumulate(linear, weights, &tensors),
                        None => vec![],
                    };
                    let tensor = cells.iter().map(|z| (z >> bits).clamp(0, 255)).collect();
                    accumulators.push(cells);
                    tensor
                }
            };
            tensors.push(tensor);
            let tensors = tensors.iter_mut().zip(&last_readers);
            let read = tensors.filter(|(_, last)| **last == index);
            read.for_each(|(tensor, _)| *tensor = vec![]);
        }
        let logits = accumulators.last().cloned().unwrap_or_default();
        Ok(Trace {
            accumulators,
            logits,
        })
    }

    fn sum_pool(&self, pool: &SumPool, to: Shape, tensors: &[Vec<i64>]) -> Vec<i64> {
        let (from, cells) = (self.shapes[pool.input.0], &tensors[pool.input.0]);
        let mut sums = Vec::with_capacity(to.cells());
        for c in 0..to.channels {
            for (y, x) in grid(to.height, to.width) {
                let window = grid(pool.kernel.0, pool.kernel.1).map(|(dy, dx)| {
                    let (iy, ix) = (y * pool.stride.0 + dy, x * pool.stride.1 + dx);
                    cells[(c * from.height + iy) * from.width + ix]
                });
                sums.push(window.sum());
            }
        }
        sums
    }

    fn accumulate(
        &self,
        linear: &Linear,
        weights: &LinearWeights,
        tensors: &[Vec<i64>],
    ) -> Vec<i64> {
        let to = linear.shape;
        let mut sums: Vec<i64> = weights
            .bias
            .iter()
            .flat_map(|&bias| std::iter::repeat_n(bias, to.positions()))
            .collect();
        for (term, values) in linear.terms.iter().zip(&weights.terms) {
            let (from, cells) = (self.shapes[term.input.0], &tensors[term.input.0]);
            let outputs = to.channels / term.groups;
            let inputs = from.channels / term.groups;
            let mut runs = values.chunks_exact(outputs);
            let mut reads = vec![0; to.positions()];
            for c in 0..from.channels {
                let first = c / inputs * outputs;
                for (ky, kx) in grid(term.kernel.0, term.kernel.1) {
                    for (read, (y, x)) in reads.iter_mut().zip(grid(to.height, to.width)) {
                        let iy = (y * term.stride.0 + ky).wrapping_sub(term.padding.top);
                        let ix = (x * term.stride.1 + kx).wrapping_sub(term.padding.left);
                        *read = if iy < from.height && ix < from.width {
                            cells[(c * from.height + iy) * from.width + ix]
                        } else {
                            i64::from(term.padding.value)
                        };
                    }
                    let run = runs.next().unwrap_or_default();
                    let channels = sums[first * reads.len()..].chunks_exact_mut(reads.len());
                    for (weight, sums) in run.iter().zip(channels) {
                        for (sum, read) in sums.iter_mut().zip(&reads) {
                            *sum += weight * read;
                        }
                    }
                }
            }
        }
        sums
    }
}

/// Least and greatest accumulator of every output channel, where tensor `i` holds `0..=greatest[i]`.
fn layer_reach(linear: &Linear, weights: &LinearWeights, greatest: &[i128]) -> Vec<(i128, i128)> {
    let channel = |channel: usize| {
        let bias = i128::from(weights.bias[channel]);
        let (mut low, mut high) = (bias, bias);
        for (term, values) in linear.terms.iter().zip(&weights.terms) {
            let outputs = linear.shape.channels / term.groups;
            let per_group = values.len() / term.groups;
            let (group, output) = (channel / outputs, channel % outputs);
            let run = &values[group * per_group..(group + 1) * per_group];
            for weight in run.iter().skip(output).step_by(outputs) {
                let reach = i128::from(*weight) * greatest[term.input.0];
                low += reach.min(0);
                high += reach.max(0);
            }
        }
        (low, high)
    };
    (0..linear.shape.channels).map(channel).collect()
}

/// Rank of a class among logits: how many beat it, ties going to the lowest index. A sample is
/// answered correctly when its label's rank is 0, and within the first k when it is below k. A
/// class that does not exist ranks last.
pub fn rank(logits: &[i64], class: usize) -> usize {
    let Some(own) = logits.get(class) else {
        return logits.len();
    };
    let beats = |(index, logit): &(usize, &i64)| *logit > own || (*logit == own && *index < class);
    logits.iter().enumerate().filter(beats).count()
}

/// All `(y, x)`, row by row.
fn grid(height: usize, width: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}
