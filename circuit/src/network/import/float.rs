//! The float model in the integer network's own layers: what a file is lowered to, what calibration
//! runs and what the integer network is compared with.

use super::super::{Architecture, Layer, Linear, MaxPool, Output, Shape, SumPool, Term};
use super::{ImportError, Normalization};

/// Least and greatest value of a tensor; an activation function when a layer ends with it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clamp {
    pub low: f32,
    pub high: f32,
}

impl Clamp {
    pub const NONE: Self = Self {
        low: f32::NEG_INFINITY,
        high: f32::INFINITY,
    };
    pub const RELU: Self = Self {
        low: 0.0,
        high: f32::INFINITY,
    };

    pub fn apply(&self, value: f32) -> f32 {
        value.max(self.low).min(self.high)
    }

    /// What lies in one of the two.
    pub fn or(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// This clamp, then `next`: a clamp again.
    pub fn then(&self, next: Self) -> Self {
        Self {
            low: next.apply(self.low),
            high: next.apply(self.high),
        }
    }
}

/// Scale and zero point of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct OutputScale {
    /// Real value of a step.
    pub scale: f64,
    /// The byte that stands for zero; 0 for logits.
    pub zero_point: u8,
}

impl OutputScale {
    /// The real values of the bytes 0 and 255.
    pub fn range(&self) -> (f32, f32) {
        let real = |byte: f64| ((byte - f64::from(self.zero_point)) * self.scale) as f32;
        (real(0.0), real(255.0))
    }

    /// The value as a byte tells it.
    fn round(&self, value: f32) -> f32 {
        let zero = f64::from(self.zero_point);
        let byte = (f64::from(value) / self.scale).round() + zero;
        ((byte.clamp(0.0, 255.0) - zero) * self.scale) as f32
    }
}

/// Parameters of one linear layer; weights in the order of [`Term`]. Secret: no `Debug`.
#[derive(Clone)]
pub(super) struct FloatWeights {
    pub terms: Vec<Vec<f32>>,
    pub bias: Vec<f32>,
    pub clamp: Clamp,
}

impl FloatWeights {
    /// Every channel as it is, clamped; the layer has a group per channel.
    pub fn identity(channels: usize, clamp: Clamp) -> Self {
        Self {
            terms: vec![vec![1.0; channels]],
            bias: vec![0.0; channels],
            clamp,
        }
    }

    /// Weights and biases.
    pub fn count(&self) -> usize {
        self.terms.iter().map(Vec::len).sum::<usize>() + self.bias.len()
    }
}

/// A float model: layers, weights, and how pixel bytes become its input. Secret: no `Debug`.
///
/// Normalization layers are folded into their neighbours and a softmax at the end is left out.
pub struct FloatModel {
    /// Its number format is the widest one; quantization narrows it.
    pub(super) architecture: Architecture,
    pub(super) shapes: Vec<Shape>,
    pub(super) normalization: Normalization,
    /// One entry per linear layer, in order.
    pub(super) weights: Vec<FloatWeights>,
    /// By layer: what a file that is quantized already rounds the output to.
    pub(super) roundings: Vec<Option<OutputScale>>,
    /// What was left out of the file.
    pub(super) notes: Vec<String>,
}

impl FloatModel {
    /// Puts a model together; refuses layers that do not fit and parameters that are not finite.
    pub(super) fn new(
        architecture: Architecture,
        normalization: Normalization,
        weights: Vec<FloatWeights>,
        roundings: Vec<Option<OutputScale>>,
        notes: Vec<String>,
    ) -> Result<Self, ImportError> {
        let shapes = architecture.shapes()?;
        let model = Self {
            architecture,
            shapes,
            normalization,
            weights,
            roundings,
            notes,
        };
        for (linear, weights) in model.linears() {
            let mut values = weights.terms.iter().flatten().chain(&weights.bias);
            if !values.all(|v| v.is_finite()) {
                return Err(ImportError::NotFinite {
                    place: format!("layer {}", linear.name),
                });
            }
        }
        Ok(model)
    }

    /// Shape of an image.
    pub fn input(&self) -> Shape {
        self.architecture.input
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.architecture.classes()
    }

    /// How pixel bytes become the model's input.
    pub fn normalization(&self) -> &Normalization {
        &self.normalization
    }

    /// Whether the file says itself which values its activations take, so that no images are needed
    /// to measure them. Such a model rounds its activations as the file does.
    pub fn is_quantized(&self) -> bool {
        let mut layers = self.architecture.layers.iter().zip(&self.roundings);
        layers.all(|(layer, rounding)| match layer {
            Layer::Linear(linear) => rounding.is_some() || linear.output == Output::Logits,
            _ => true,
        })
    }

    /// The linear layers with their weights.
    pub(super) fn linears(&self) -> impl Iterator<Item = (&Linear, &FloatWeights)> {
        let linears = self
            .architecture
            .layers
            .iter()
            .filter_map(|layer| match layer {
                Layer::Linear(linear) => Some(linear),
                _ => None,
            });
        linears.zip(&self.weights)
    }

    /// The model's answer to one image, a value per class; pixels channels first.
    ///
    /// # Errors
    /// [`ImportError::Pixels`] (with index 0) for an image of another size.
    pub fn logits(&self, pixels: &[u8]) -> Result<Vec<f32>, ImportError> {
        let expected = self.input().cells();
        if pixels.len() != expected {
            return Err(ImportError::Pixels {
                index: 0,
                expected,
                found: pixels.len(),
            });
        }
        Ok(self.run(pixels).pop().unwrap_or_default())
    }

    /// All tensors of one image of the right size, the input first.
    pub(super) fn run(&self, pixels: &[u8]) -> Vec<Vec<f32>> {
        let input = self.input();
        let normalized = pixels.iter().enumerate().map(|(cell, &pixel)| {
            let (scale, offset) = self.normalization.channel(cell / input.positions());
            (f64::from(pixel) * scale + offset) as f32
        });
        let mut tensors = vec![normalized.collect::<Vec<f32>>()];
        let mut weights = self.weights.iter();
        let layers = self.architecture.layers.iter().zip(&self.roundings);
        for ((layer, rounding), &to) in layers.zip(&self.shapes[1..]) {
            let mut tensor = match layer {
                Layer::Flatten { input } => tensors[input.0].clone(),
                Layer::SumPool(pool) => {
                    average(pool, self.shapes[pool.input.0], to, &tensors[pool.input.0])
                }
                Layer::MaxPool(pool) => {
                    greatest(pool, self.shapes[pool.input.0], to, &tensors[pool.input.0])
                }
                Layer::Linear(linear) => match weights.next() {
                    Some(weights) => self.linear(linear, weights, &tensors),
                    None => vec![],
                },
            };
            if let Some(rounding) = rounding {
                tensor.iter_mut().for_each(|v| *v = rounding.round(*v));
            }
            tensors.push(tensor);
        }
        tensors
    }

    fn linear(&self, linear: &Linear, weights: &FloatWeights, tensors: &[Vec<f32>]) -> Vec<f32> {
        let positions = linear.shape.positions();
        let bias = weights.bias.iter();
        let mut sums: Vec<f32> = bias
            .flat_map(|&bias| std::iter::repeat_n(bias, positions))
            .collect();
        for (term, values) in linear.terms.iter().zip(&weights.terms) {
            let from = self.shapes[term.input.0];
            accumulate(
                term,
                values,
                from,
                linear.shape,
                &tensors[term.input.0],
                &mut sums,
            );
        }
        sums.iter().map(|&sum| weights.clamp.apply(sum)).collect()
    }
}

/// Adds one term to `sums`, which hold `to`'s cells.
fn accumulate(
    term: &Term,
    weights: &[f32],
    from: Shape,
    to: Shape,
    cells: &[f32],
    sums: &mut [f32],
) {
    let (outputs, inputs) = (to.channels / term.groups, from.channels / term.groups);
    let mut runs = weights.chunks_exact(outputs);
    let mut reads = vec![0.0; to.positions()];
    for c in 0..from.channels {
        let first = c / inputs * outputs;
        for (ky, kx) in grid(term.kernel) {
            for (read, (y, x)) in reads.iter_mut().zip(grid((to.height, to.width))) {
                let iy = (y * term.stride.0 + ky).wrapping_sub(term.padding.top);
                let ix = (x * term.stride.1 + kx).wrapping_sub(term.padding.left);
                let inside = iy < from.height && ix < from.width;
                *read = if inside {
                    cells[(c * from.height + iy) * from.width + ix]
                } else {
                    0.0
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

fn average(pool: &SumPool, from: Shape, to: Shape, cells: &[f32]) -> Vec<f32> {
    let area = (pool.kernel.0 * pool.kernel.1) as f32;
    let mut averages = Vec::with_capacity(to.cells());
    for c in 0..to.channels {
        for (y, x) in grid((to.height, to.width)) {
            let window = grid(pool.kernel).map(|(dy, dx)| {
                let (iy, ix) = (y * pool.stride.0 + dy, x * pool.stride.1 + dx);
                cells[(c * from.height + iy) * from.width + ix]
            });
            averages.push(window.sum::<f32>() / area);
        }
    }
    averages
}

/// A border never wins.
fn greatest(pool: &MaxPool, from: Shape, to: Shape, cells: &[f32]) -> Vec<f32> {
    let mut greatest = vec![f32::NEG_INFINITY; to.cells()];
    for tap in 0..=pool.steps() {
        for (greatest, cell) in greatest.iter_mut().zip(pool.reads(tap, from, to)) {
            *greatest = cell.map_or(*greatest, |cell| greatest.max(cells[cell]));
        }
    }
    greatest
}

/// All `(y, x)`, row by row.
fn grid((height, width): (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (0..height).flat_map(move |y| (0..width).map(move |x| (y, x)))
}
