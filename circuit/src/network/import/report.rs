//! What the import did, layer by layer.

use super::calibrate::Seen;
use super::deviation::LayerError;
use super::float::FloatModel;
use super::quantize::Quantized;
use super::{noise, ImportError, Normalization, Progress};
use crate::layout::BLINDING_ROWS;
use crate::network::{Architecture, Layer, Network, Output, Shape};
use rayon::prelude::*;
use serde::Serialize;

/// Images between two reports of progress.
const CHUNK: usize = 64;

/// What the import did. It tells ranges and scales of the model: the owner's to see.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImportReport {
    /// How pixel bytes become the model's input.
    pub normalization: Normalization,
    /// Fraction bits of every weight.
    pub fraction_bits: u32,
    /// Bits of a requantized value before its clip.
    pub range_bits: u32,
    /// Images the activations were measured on.
    pub calibration_images: usize,
    /// Whether the source was quantized already: its float model rounds as it does.
    pub quantized_source: bool,
    /// What was left out of the source and why that is no loss, and what was done without images.
    pub notes: Vec<String>,
    /// The lookup tables.
    pub tables: Tables,
    /// The layers in order.
    pub layers: Vec<LayerReport>,
}

/// The lookup tables of any circuit of the network: one column triple holds them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Tables {
    /// Rows of the clip: a value before it on each.
    pub clip_rows: usize,
    /// Rows of the pairs of remainders.
    pub remainder_rows: usize,
    /// log2 of the least rows of a circuit that hold them.
    pub least_k: u32,
    /// Bytes of their three columns at `least_k`, the values alone: a proving key holds some three
    /// times as much for them, in its other forms.
    pub bytes: usize,
}

impl Tables {
    fn of(architecture: &Architecture) -> Self {
        let clip_rows = 1 << architecture.range_bits;
        let remainder_rows = 1 << (2 * architecture.fraction_bits);
        // Two rows beside those that halo2 takes.
        let rows = clip_rows + remainder_rows + BLINDING_ROWS + 2;
        let least_k = rows.next_power_of_two().trailing_zeros();
        Self {
            clip_rows,
            remainder_rows,
            least_k,
            bytes: (3 * 32) << least_k,
        }
    }
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// Name in the source model.
    pub name: String,
    /// `convolution`, `dense`, `sum`, `pool`, `max pool` or `flatten`.
    pub kind: &'static str,
    /// Output shape.
    pub shape: Shape,
    /// Numbers of a linear layer.
    pub linear: Option<LinearReport>,
}

/// Numbers of a linear layer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinearReport {
    /// Number of weights and biases.
    pub parameters: usize,
    /// Real value of a step of the output byte; of `2^fraction_bits` for logits.
    pub scale: f64,
    /// The byte that stands for zero.
    pub zero_point: u8,
    /// Least and greatest value the float model's output took during calibration; without images
    /// those that the source's bytes can take.
    pub seen: (f32, f32),
    /// Least and greatest accumulator over all images.
    pub reach: (i128, i128),
    /// Least and greatest accumulator that would be allowed.
    pub allowed: (i128, i128),
    /// Fraction of the cells that the byte cut off although the model's own activation function
    /// would not have, over the calibration images; none without images.
    pub saturated: Option<f64>,
    /// How far the output is from the model's; only if it was measured ([`super::measure_errors`]).
    pub error: Option<LayerError>,
}

/// Describes `quantized`, running the calibration images through it.
pub(super) fn report(
    model: &FloatModel,
    quantized: &Quantized,
    seen: &[Seen],
    images: &[&[u8]],
    progress: &mut dyn FnMut(Progress),
) -> Result<ImportReport, ImportError> {
    let network = &quantized.network;
    let architecture = network.architecture();
    let saturated = saturated(model, quantized, images, progress)?;
    let bounds = network.bounds();
    let mut index = 0;
    let mut layers = vec![];
    let tensors = model.shapes[1..].iter().zip(&seen[1..]);
    for (layer, (&shape, seen)) in architecture.layers.iter().zip(tensors) {
        let (name, kind) = describe(layer);
        let linear = match layer {
            Layer::Linear(linear) => {
                let (weights, output) = (&network.weights().layers[index], quantized.scales[index]);
                let terms = weights.terms.iter().map(Vec::len).sum::<usize>();
                index += 1;
                Some(LinearReport {
                    parameters: terms + weights.bias.len(),
                    scale: output.scale,
                    zero_point: output.zero_point,
                    seen: (seen.low, seen.high),
                    reach: bounds[index - 1],
                    allowed: architecture.allowed(linear.output),
                    saturated: saturated[index - 1],
                    error: None,
                })
            }
            _ => None,
        };
        layers.push(LayerReport {
            name,
            kind,
            shape,
            linear,
        });
    }
    let mut notes = model.notes.clone();
    if images.is_empty() {
        notes.push(format!(
            "no images were given: the means that biases are corrected by are those of {} images of noise",
            noise::count(model.input())
        ));
    }
    Ok(ImportReport {
        normalization: model.normalization.clone(),
        fraction_bits: architecture.fraction_bits,
        range_bits: architecture.range_bits,
        calibration_images: images.len(),
        quantized_source: model.is_quantized(),
        notes,
        tables: Tables::of(architecture),
        layers,
    })
}

fn describe(layer: &Layer) -> (String, &'static str) {
    match layer {
        Layer::Flatten { .. } => ("flatten".into(), "flatten"),
        Layer::SumPool(pool) => (pool.name.clone(), "pool"),
        Layer::MaxPool(pool) => (pool.name.clone(), "max pool"),
        Layer::Linear(linear) => {
            let kind = match &linear.terms[..] {
                [term] if term.kernel == (1, 1) && linear.shape.positions() == 1 => "dense",
                [_] => "convolution",
                _ => "sum",
            };
            (linear.name.clone(), kind)
        }
    }
}

/// Fraction of each linear layer's cells that only the byte cuts off.
fn saturated(
    model: &FloatModel,
    quantized: &Quantized,
    images: &[&[u8]],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Option<f64>>, ImportError> {
    let network = &quantized.network;
    // Requantized values beyond these are cut off, and by the byte alone.
    let limits: Vec<(i64, i64)> = model
        .linears()
        .zip(&quantized.scales)
        .map(|((linear, weights), output)| {
            let real = |byte: f64| (byte - f64::from(output.zero_point)) * output.scale;
            let (low, high) = (f64::from(weights.clamp.low), f64::from(weights.clamp.high));
            let open_low = linear.output == Output::Activation && low < real(-0.5);
            let open_high = linear.output == Output::Activation && high > real(255.5);
            (
                if open_low { 0 } else { i64::MIN },
                if open_high { 255 } else { i64::MAX },
            )
        })
        .collect();
    let mut counts = vec![0usize; limits.len()];
    let mut done = 0;
    for chunk in images.chunks(CHUNK) {
        let found: Vec<_> = chunk
            .par_iter()
            .map(|image| cut_off(network, image, &limits))
            .collect::<Result<_, _>>()?;
        for image in found {
            counts.iter_mut().zip(image).for_each(|(sum, n)| *sum += n);
        }
        done += chunk.len();
        progress(Progress::Checking {
            done,
            total: images.len(),
        });
    }
    let cells = model.linears().map(|(linear, _)| linear.shape.cells());
    let fraction = |(count, cells): (usize, usize)| match images.len() {
        0 => None,
        images => Some(count as f64 / (cells * images) as f64),
    };
    Ok(counts.into_iter().zip(cells).map(fraction).collect())
}

fn cut_off(
    network: &Network,
    image: &[u8],
    limits: &[(i64, i64)],
) -> Result<Vec<usize>, ImportError> {
    let bits = network.architecture().fraction_bits;
    let trace = network.run(image)?;
    let count = |(cells, (low, high)): (&Vec<i64>, &(i64, i64))| {
        let outside = |z: &&i64| (**z >> bits) < *low || (**z >> bits) > *high;
        cells.iter().filter(outside).count()
    };
    let committing = network.architecture().layers.iter().filter(|layer| {
        let is_linear = matches!(layer, Layer::Linear(_));
        is_linear || matches!(layer, Layer::MaxPool(_))
    });
    let linear = committing.zip(&trace.accumulators);
    let linear = linear.filter(|(layer, _)| matches!(layer, Layer::Linear(_)));
    let cells = linear.map(|(_, cells)| cells);
    Ok(cells.zip(limits).map(count).collect())
}
