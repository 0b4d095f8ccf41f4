//! From the float model and the ranges of its tensors to the integer network.
//!
//! A stored integer `y` of channel `c` stands for `scale_c * y + offset_c`. For the image that is
//! the normalization, for a linear layer's bytes `scale * (y - zero_point)`, for a pooled tensor
//! the scale divided by the window, since the network sums and the model averages. With output scale
//! `S`, zero point `Z` and `f` fraction bits a linear layer's
//!
//! ```text
//! y = (sum w x + b) / S + Z        x = scale_c * (X - zero_c),  zero_c = -offset_c / scale_c
//! ```
//!
//! becomes `floor((sum W X + B) / 2^f)` with
//!
//! ```text
//! W = round(w * scale_c / S * 2^f)
//! B = round((b / S + Z) * 2^f - sum W zero_c) + 2^(f-1)
//! ```
//!
//! Zero points are multiplied by the rounded weights, so that a zero input adds nothing at all; and
//! what rounding the weights adds to a channel's mean, as calibration saw it, is taken off the bias
//! (bias correction: Nagel et al. 2019, "Data-free quantization", section 4.2).

use super::calibrate::Seen;
use super::float::{FloatModel, FloatWeights, OutputScale};
use super::ImportError;
use crate::network::architecture::LOGIT_BOUND;
use crate::network::{
    Architecture, Layer, Linear, LinearWeights, Network, NetworkError, Output, Padding, Weights,
};

/// Range bits there may be.
const MOST_RANGE_BITS: u32 = 20;

/// Greatest magnitude of a logit weight: it leaves rounding far below the other layers' and the
/// committed values small.
const LOGIT_WEIGHT: f64 = 32768.0;

/// What the stored integers of a tensor stand for, by channel.
#[derive(Clone)]
struct Meaning {
    scale: Vec<f64>,
    /// The integer that stands for zero; not whole for some images.
    zero: Vec<f64>,
    /// Greatest integer.
    greatest: f64,
    /// Mean distance from zero, in integers, as calibration saw it.
    mean: Vec<f64>,
}

impl Meaning {
    fn new(scale: Vec<f64>, zero: Vec<f64>, greatest: f64, seen: &Seen) -> Self {
        let means = seen.means.iter().zip(&scale);
        Self {
            mean: means.map(|(mean, scale)| mean / scale).collect(),
            scale,
            zero,
            greatest,
        }
    }
}

/// An integer network and what its numbers stand for.
pub(super) struct Quantized {
    pub network: Network,
    /// By linear layer.
    pub scales: Vec<OutputScale>,
}

/// Quantizes `model`, of whose tensors calibration saw `seen`; `range_bits` is the least that makes the network total unless it is given.
pub(super) fn quantize(
    model: &FloatModel,
    seen: &[Seen],
    fraction_bits: u32,
    range_bits: Option<u32>,
) -> Result<Quantized, ImportError> {
    let mut architecture = Architecture {
        fraction_bits,
        range_bits: MOST_RANGE_BITS,
        ..model.architecture.clone()
    };
    let channels = (0..model.input().channels).map(|c| model.normalization.channel(c));
    let (scale, zero) = channels
        .map(|(scale, offset)| (scale, -offset / scale))
        .unzip();
    let mut meanings = vec![Meaning::new(scale, zero, 255.0, &seen[0])];
    let (mut layers, mut scales) = (vec![], vec![]);
    let mut linears = model.weights.iter();
    let tensors = model.roundings.iter().zip(&seen[1..]);
    for (layer, (rounding, seen)) in architecture.layers.iter_mut().zip(tensors) {
        let meaning = match layer {
            Layer::Flatten { input } => {
                let (from, positions) = (&meanings[input.0], model.shapes[input.0].positions());
                let spread = |values: &[f64]| {
                    let each = values.iter();
                    each.flat_map(|&v| std::iter::repeat_n(v, positions))
                        .collect()
                };
                let (scale, zero) = (spread(&from.scale), spread(&from.zero));
                Meaning::new(scale, zero, from.greatest, seen)
            }
            Layer::SumPool(pool) => {
                let from = &meanings[pool.input.0];
                let window = (pool.kernel.0 * pool.kernel.1) as f64;
                let scale = from.scale.iter().map(|scale| scale / window).collect();
                let zero = from.zero.iter().map(|zero| zero * window).collect();
                Meaning::new(scale, zero, from.greatest * window, seen)
            }
            Layer::MaxPool(pool) => {
                let from = &meanings[pool.input.0];
                let (scale, zero) = (from.scale.clone(), from.zero.clone());
                Meaning::new(scale, zero, from.greatest, seen)
            }
            Layer::Linear(linear) => {
                let Some(weights) = linears.next() else {
                    continue;
                };
                set_borders(linear, &meanings);
                let output = match linear.output {
                    Output::Logits => logit_scale(linear, weights, &meanings, fraction_bits),
                    Output::Activation => output_scale(weights, *rounding, seen),
                };
                layers.push(integers(linear, weights, &meanings, output, fraction_bits));
                scales.push(output);
                let each = |value| vec![value; linear.shape.channels];
                let zero = each(f64::from(output.zero_point));
                Meaning::new(each(output.scale), zero, 255.0, seen)
            }
        };
        meanings.push(meaning);
    }
    let network = Network::new(architecture, Weights { layers }).map_err(refused)?;
    Ok(Quantized {
        network: narrowed(network, range_bits)?,
        scales,
    })
}

/// Borders hold the byte that stands for zero, or the nearest to the mean of the channels' zeros;
/// lowering sees to it that there is one.
fn set_borders(linear: &mut Linear, meanings: &[Meaning]) {
    for term in &mut linear.terms {
        if term.padding != Padding::default() {
            let zero = &meanings[term.input.0].zero;
            let mean = zero.iter().sum::<f64>() / zero.len() as f64;
            term.padding.value = mean.round().clamp(0.0, 255.0) as u8;
        }
    }
}

/// Scale and zero point of an activation whose real values matter as far as the file says or, if it
/// says nothing, as they were seen. A clamp is the byte's own: where a file's clamp is tighter than its
/// bytes, ours are finer.
fn output_scale(weights: &FloatWeights, rounding: Option<OutputScale>, seen: &Seen) -> OutputScale {
    let clamped = |value| f64::from(weights.clamp.apply(value));
    let (low, high) = match rounding {
        Some(rounding) => rounding.range(),
        None => (seen.low, seen.high),
    };
    let (low, high) = (clamped(low.min(0.0)), clamped(high.max(0.0)));
    // A layer that is always zero has any scale.
    let scale = if high > low {
        (high - low) / 255.0
    } else {
        1.0
    };
    OutputScale {
        scale,
        zero_point: (-low / scale).round().clamp(0.0, 255.0) as u8,
    }
}

/// The finest scale at which no logit leaves its bound and no weight [`LOGIT_WEIGHT`].
fn logit_scale(
    linear: &Linear,
    weights: &FloatWeights,
    meanings: &[Meaning],
    fraction_bits: u32,
) -> OutputScale {
    let channels = linear.shape.channels;
    // Weights that are all zero have any scale.
    let least = f64::from(f32::MIN_POSITIVE);
    let (mut largest, mut reach) = (least, vec![0.0; channels]);
    for (reach, bias) in reach.iter_mut().zip(&weights.bias) {
        *reach += f64::from(bias.abs());
    }
    for (term, values) in linear.terms.iter().zip(&weights.terms) {
        let meaning = &meanings[term.input.0];
        for_each_run(
            term,
            channels,
            meaning.scale.len(),
            values,
            |input, first, run| {
                let (scale, zero) = (meaning.scale[input].abs(), meaning.zero[input]);
                for (reach, weight) in reach[first..].iter_mut().zip(run) {
                    let weight = f64::from(weight.abs()) * scale;
                    largest = largest.max(weight);
                    *reach += weight * zero.abs().max((meaning.greatest - zero).abs());
                }
            },
        );
    }
    let reach = reach.into_iter().fold(least, f64::max);
    // A thousandth is left for rounding.
    let factor = (LOGIT_WEIGHT / largest).min(0.999 * LOGIT_BOUND as f64 / reach);
    OutputScale {
        scale: f64::from(1u32 << fraction_bits) / factor,
        zero_point: 0,
    }
}

/// The integer weights of a layer.
fn integers(
    linear: &Linear,
    weights: &FloatWeights,
    meanings: &[Meaning],
    output: OutputScale,
    fraction_bits: u32,
) -> LinearWeights {
    let one = f64::from(1u32 << fraction_bits);
    let zero_point = f64::from(output.zero_point);
    let bias = weights.bias.iter();
    let mut bias: Vec<f64> = bias
        .map(|&b| (f64::from(b) / output.scale + zero_point) * one)
        .collect();
    let mut terms = vec![];
    for (term, values) in linear.terms.iter().zip(&weights.terms) {
        let meaning = &meanings[term.input.0];
        let mut rounded = Vec::with_capacity(values.len());
        let (inputs, channels) = (meaning.scale.len(), linear.shape.channels);
        for_each_run(term, channels, inputs, values, |input, first, run| {
            let factor = meaning.scale[input] / output.scale * one;
            for (weight, bias) in run.iter().zip(&mut bias[first..]) {
                let exact = f64::from(*weight) * factor;
                let weight = exact.round();
                *bias -= weight * meaning.zero[input] + (weight - exact) * meaning.mean[input];
                rounded.push(weight as i64);
            }
        });
        terms.push(rounded);
    }
    let half = match linear.output {
        Output::Activation => 1 << (fraction_bits - 1),
        Output::Logits => 0,
    };
    let bias = bias
        .into_iter()
        .map(|b| (b.round() as i64).saturating_add(half));
    LinearWeights {
        terms,
        bias: bias.collect(),
    }
}

/// Calls `visit(input channel, first output channel, weights)` for every input channel and tap of
/// a term, in the order of its weights.
fn for_each_run(
    term: &crate::network::Term,
    channels: usize,
    inputs: usize,
    values: &[f32],
    mut visit: impl FnMut(usize, usize, &[f32]),
) {
    let (outputs, inputs) = (channels / term.groups, inputs / term.groups);
    let taps = term.kernel.0 * term.kernel.1;
    for (index, run) in values.chunks_exact(outputs).enumerate() {
        let input = index / taps;
        visit(input, input / inputs * outputs, run);
    }
}

/// The error of a network that no range bits make total.
fn refused(error: NetworkError) -> ImportError {
    match error {
        NetworkError::NotTotal {
            layer,
            low,
            high,
            allowed_low,
            allowed_high,
            ..
        } => ImportError::NotTotal {
            layer,
            low,
            high,
            allowed_low,
            allowed_high,
            suffice: None,
        },
        other => other.into(),
    }
}

/// The same network with the range bits that are given, or the least at which it is total.
fn narrowed(network: Network, range_bits: Option<u32>) -> Result<Network, ImportError> {
    let mut architecture = network.architecture().clone();
    let linears = architecture.layers.iter().filter_map(|layer| match layer {
        Layer::Linear(linear) => Some(linear),
        _ => None,
    });
    let bounds: Vec<_> = linears.cloned().zip(network.bounds()).collect();
    let beyond = |architecture: &Architecture| {
        bounds.iter().find(|(linear, (low, high))| {
            let (allowed_low, allowed_high) = architecture.allowed(linear.output);
            *low < allowed_low || *high > allowed_high
        })
    };
    let mut least = architecture.least_range_bits();
    while least < MOST_RANGE_BITS {
        architecture.range_bits = least;
        if beyond(&architecture).is_none() {
            break;
        }
        least += 1;
    }
    architecture.range_bits = range_bits.unwrap_or(least);
    if let Some((linear, (low, high))) = beyond(&architecture) {
        let (allowed_low, allowed_high) = architecture.allowed(linear.output);
        return Err(ImportError::NotTotal {
            layer: linear.name.clone(),
            low: *low,
            high: *high,
            allowed_low,
            allowed_high,
            suffice: Some(least),
        });
    }
    Ok(Network::new(architecture, network.weights().clone())?)
}
