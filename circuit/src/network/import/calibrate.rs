//! Which values the float model's tensors take on real images.

use super::float::FloatModel;
use super::{noise, Calibration, ImportError, Progress};
use rayon::prelude::*;

/// Images between two reports of progress.
const CHUNK: usize = 64;
/// Bins of a histogram: a quarter of a byte's step.
const BINS: usize = 1024;

/// What was seen of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Seen {
    /// Least value that matters.
    pub low: f32,
    /// Greatest value that matters.
    pub high: f32,
    /// Mean of every channel.
    pub means: Vec<f64>,
}

/// What a model that is quantized already says of itself; its means are those of noise.
pub(super) fn declared(
    model: &FloatModel,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Seen>, ImportError> {
    let images = noise::images(model.input());
    let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    let mut seen = measure(model, &images, Calibration::Extremes, progress)?;
    for (seen, rounding) in seen[1..].iter_mut().zip(&model.roundings) {
        if let Some(bytes) = rounding {
            (seen.low, seen.high) = bytes.range();
        }
    }
    Ok(seen)
}

/// Runs the images through the model: what was seen of every tensor, the image first. The same
/// images in the same order give the same result to the last bit.
pub(super) fn measure(
    model: &FloatModel,
    images: &[&[u8]],
    calibration: Calibration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Seen>, ImportError> {
    check(model, images)?;
    let passes = match calibration {
        Calibration::Extremes => 1,
        Calibration::Percentile(_) => 2,
    };
    let total = passes * images.len();
    let mut done = 0;
    let mut step = |count| {
        done += count;
        progress(Progress::Calibrating { done, total });
    };
    let mut all = fold(model, images, &mut step, Seen::of, Seen::merge);
    for mean in all.iter_mut().flat_map(|seen| &mut seen.means) {
        *mean /= images.len() as f64;
    }
    if let Some(tensor) = all.iter().position(|seen| !seen.is_finite()) {
        return Err(ImportError::NotFinite {
            place: format!("tensor {tensor} during calibration"),
        });
    }
    if let Calibration::Percentile(percent) = calibration {
        let bins = |tensor: usize, values: &[f32], _| histogram(&all[tensor], values);
        let add = |sums: &mut Vec<u64>, bins: Vec<u64>| {
            sums.iter_mut()
                .zip(bins)
                .for_each(|(sum, count)| *sum += count);
        };
        let histograms = fold(model, images, &mut step, bins, add);
        for (seen, bins) in all.iter_mut().zip(&histograms) {
            seen.narrow(bins, percent);
        }
    }
    Ok(all)
}

fn check(model: &FloatModel, images: &[&[u8]]) -> Result<(), ImportError> {
    if images.is_empty() {
        return Err(ImportError::NoCalibration);
    }
    let expected = model.input().cells();
    let odd = images.iter().enumerate();
    match odd
        .map(|(i, image)| (i, image.len()))
        .find(|(_, n)| *n != expected)
    {
        Some((index, found)) => Err(ImportError::Pixels {
            index,
            expected,
            found,
        }),
        None => Ok(()),
    }
}

/// Gathers `see(tensor, values, positions)` of every tensor over all images, in their order.
fn fold<T: Send>(
    model: &FloatModel,
    images: &[&[u8]],
    step: &mut impl FnMut(usize),
    see: impl Fn(usize, &[f32], usize) -> T + Sync,
    merge: impl Fn(&mut T, T),
) -> Vec<T> {
    let see_image = |image: &&[u8]| -> Vec<T> {
        let tensors = model.run(image).into_iter().zip(&model.shapes);
        let each = tensors.enumerate();
        each.map(|(index, (values, shape))| see(index, &values, shape.positions()))
            .collect()
    };
    let mut all: Vec<T> = vec![];
    for chunk in images.chunks(CHUNK) {
        let seen: Vec<_> = chunk.par_iter().map(see_image).collect();
        for image in seen {
            if all.is_empty() {
                all = image;
            } else {
                all.iter_mut()
                    .zip(image)
                    .for_each(|(sum, one)| merge(sum, one));
            }
        }
        step(chunk.len());
    }
    all
}

impl Seen {
    fn of(_tensor: usize, values: &[f32], positions: usize) -> Self {
        let channels = values.chunks(positions);
        let mean =
            |channel: &[f32]| channel.iter().map(|&v| f64::from(v)).sum::<f64>() / positions as f64;
        Self {
            low: values.iter().copied().fold(f32::INFINITY, f32::min),
            high: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
            means: channels.map(mean).collect(),
        }
    }

    fn merge(&mut self, other: Self) {
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
        for (sum, mean) in self.means.iter_mut().zip(other.means) {
            *sum += mean;
        }
    }

    fn is_finite(&self) -> bool {
        let means = self.means.iter().all(|mean| mean.is_finite());
        means && self.low.is_finite() && self.high.is_finite()
    }

    /// Cuts `100 - percent` percent of the values off, half of them at each end.
    fn narrow(&mut self, bins: &[u64], percent: f64) {
        let total: u64 = bins.iter().sum();
        let cut = ((100.0 - percent) / 200.0 * total as f64) as u64;
        let width = (self.high - self.low) / BINS as f32;
        let empty = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0;
            let beyond = counts.take_while(|&&count| {
                sum += count;
                sum <= cut
            });
            beyond.count() as f32
        };
        self.low += width * empty(&mut bins.iter());
        self.high -= width * empty(&mut bins.iter().rev());
    }
}

fn histogram(seen: &Seen, values: &[f32]) -> Vec<u64> {
    let width = (seen.high - seen.low).max(f32::MIN_POSITIVE) / BINS as f32;
    let mut bins = vec![0; BINS];
    for value in values {
        let bin = ((value - seen.low) / width) as usize;
        bins[bin.min(BINS - 1)] += 1;
    }
    bins
}
