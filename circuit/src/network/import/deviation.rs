//! How far every layer of the integer network is from the model's.

use super::{residual, ImportError, Imported, Progress};
use crate::network::{Layer, Output};
use rayon::prelude::*;
use serde::Serialize;

/// Images between two reports of progress.
const CHUNK: usize = 16;

/// Distance of a layer's output from the model's, over all cells of some images, in real units. What
/// earlier layers got wrong is in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LayerError {
    /// Signal to noise in decibels: ten times the logarithm of the mean square of the model's values by
    /// that of the distances. None where they agree, or are all zero.
    pub decibels: Option<f64>,
    /// Mean distance.
    pub mean: f64,
    /// Greatest distance.
    pub greatest: f64,
}

/// Sums over cells.
#[derive(Clone, Copy, Default)]
struct Sums {
    cells: f64,
    signal: f64,
    noise: f64,
    distance: f64,
    greatest: f64,
}

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            cells: self.cells + other.cells,
            signal: self.signal + other.signal,
            noise: self.noise + other.noise,
            distance: self.distance + other.distance,
            greatest: self.greatest.max(other.greatest),
        }
    }

    fn see(&mut self, model: f64, network: f64) {
        let distance = (model - network).abs();
        self.cells += 1.0;
        self.signal += model * model;
        self.noise += distance * distance;
        self.distance += distance;
        self.greatest = self.greatest.max(distance);
    }

    fn error(self) -> LayerError {
        let ratio = self.signal / self.noise;
        LayerError {
            decibels: (ratio.is_finite() && ratio > 0.0).then(|| 10.0 * ratio.log10()),
            mean: self.distance / self.cells.max(1.0),
            greatest: self.greatest,
        }
    }
}

/// Runs images, pixels channels first, through both and writes the distances into the report.
///
/// # Errors
/// [`ImportError::Pixels`] names the first image of another size.
pub fn measure_errors<I: AsRef<[u8]> + Sync>(
    imported: &mut Imported,
    images: &[I],
    progress: &mut dyn FnMut(Progress),
) -> Result<(), ImportError> {
    // The layers that the network has: sums have taken in what they add.
    let model = residual::fold(&imported.float)?;
    let expected = model.input().cells();
    for (index, image) in images.iter().enumerate() {
        let found = image.as_ref().len();
        if found != expected {
            return Err(ImportError::Pixels {
                index,
                expected,
                found,
            });
        }
    }
    let (network, report) = (&imported.network, &imported.report);
    let bits = network.architecture().fraction_bits;
    let one = |image: &I| -> Result<Vec<Sums>, ImportError> {
        let trace = network.run(image.as_ref())?;
        let mut accumulators = trace.accumulators.iter();
        let tensors = model.run(image.as_ref());
        let layers = network.architecture().layers.iter().zip(&tensors[1..]);
        let mut all = vec![];
        for ((layer, tensor), report) in layers.zip(&report.layers) {
            let cells = match layer {
                Layer::Linear(_) | Layer::MaxPool(_) => accumulators.next(),
                _ => None,
            };
            let (Layer::Linear(linear), Some(cells), Some(numbers)) =
                (layer, cells, &report.linear)
            else {
                continue;
            };
            let mut sums = Sums::default();
            let zero_point = i64::from(numbers.zero_point);
            for (&model, &cell) in tensor.iter().zip(cells) {
                let integer = match linear.output {
                    Output::Logits => cell as f64 / f64::from(1u32 << bits),
                    Output::Activation => ((cell >> bits).clamp(0, 255) - zero_point) as f64,
                };
                sums.see(f64::from(model), integer * numbers.scale);
            }
            all.push(sums);
        }
        Ok(all)
    };
    let mut sums: Vec<Sums> = vec![];
    let mut done = 0;
    for chunk in images.chunks(CHUNK) {
        let found: Vec<_> = chunk.par_iter().map(one).collect::<Result<_, _>>()?;
        for image in found {
            sums.resize(image.len(), Sums::default());
            let both = sums.iter_mut().zip(image);
            both.for_each(|(sum, one)| *sum = sum.plus(one));
        }
        done += chunk.len();
        progress(Progress::Measuring {
            done,
            total: images.len(),
        });
    }
    let linears = imported.report.layers.iter_mut();
    let linears = linears.filter_map(|layer| layer.linear.as_mut());
    for (linear, sums) in linears.zip(sums) {
        linear.error = Some(sums.error());
    }
    Ok(())
}
