//! Which values the float model's tensors take on real images.

use super::float::FloatModel;
use super::{Calibration, ImportError, Progress};
use crate::network::Layer;
use rayon::prelude::*;

/// Images between two reports of progress.
const CHUNK: usize = 64;
/// Bins of a histogram: a quarter of a byte's step over the widest range.
const BINS: usize = 1024;

/// Least and greatest value of a tensor that matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Range {
    pub low: f32,
    pub high: f32,
}

/// Ranges of the tensors that linear layers make, in order of the layers.
pub(super) fn ranges(
    model: &FloatModel,
    images: &[&[u8]],
    calibration: Calibration,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Range>, ImportError> {
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
    let start = Range {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
    };
    let extremes = fold(
        model,
        images,
        &mut step,
        start,
        |range, tensor, _| {
            for &value in tensor {
                range.low = range.low.min(value);
                range.high = range.high.max(value);
            }
        },
        |range, other| {
            range.low = range.low.min(other.low);
            range.high = range.high.max(other.high);
        },
    );
    let Calibration::Percentile(percent) = calibration else {
        return Ok(extremes);
    };
    let bin = |layer: usize, value: f32| {
        let Range { low, high } = extremes[layer];
        let place = (value - low) / (high - low).max(f32::MIN_POSITIVE);
        ((place * BINS as f32) as usize).min(BINS - 1)
    };
    let histograms = fold(
        model,
        images,
        &mut step,
        vec![0u64; BINS],
        |bins, tensor, layer| {
            for &value in tensor {
                bins[bin(layer, value)] += 1;
            }
        },
        |bins, other| {
            for (sum, count) in bins.iter_mut().zip(other) {
                *sum += count;
            }
        },
    );
    let narrowed = extremes.iter().zip(&histograms);
    Ok(narrowed
        .map(|(range, bins)| narrow(*range, bins, percent))
        .collect())
}

fn check(model: &FloatModel, images: &[&[u8]]) -> Result<(), ImportError> {
    if images.is_empty() {
        return Err(ImportError::NoCalibration);
    }
    let expected = model.input().cells();
    match images.iter().position(|image| image.len() != expected) {
        Some(index) => Err(ImportError::Pixels {
            index,
            expected,
            found: images[index].len(),
        }),
        None => Ok(()),
    }
}

/// Runs all images and gathers something about every linear layer's output; the order of the
/// images does not matter to what is gathered.
fn fold<T: Clone + Send + Sync>(
    model: &FloatModel,
    images: &[&[u8]],
    step: &mut impl FnMut(usize),
    start: T,
    add: impl Fn(&mut T, &[f32], usize) + Sync,
    merge: impl Fn(&mut T, &T) + Sync,
) -> Vec<T> {
    let linear: Vec<usize> = (1..model.shapes.len())
        .filter(|&tensor| matches!(model.architecture.layers[tensor - 1], Layer::Linear(_)))
        .collect();
    let empty = || vec![start.clone(); linear.len()];
    let mut all = empty();
    for chunk in images.chunks(CHUNK) {
        let found = chunk.par_iter().fold(empty, |mut sums, image| {
            let tensors = model.run(image);
            for (layer, (sum, &tensor)) in sums.iter_mut().zip(&linear).enumerate() {
                add(sum, &tensors[tensor], layer);
            }
            sums
        });
        let found = found.reduce(empty, |mut left, right| {
            left.iter_mut().zip(&right).for_each(|(l, r)| merge(l, r));
            left
        });
        all.iter_mut().zip(&found).for_each(|(l, r)| merge(l, r));
        step(chunk.len());
    }
    all
}

/// Cuts `100 - percent` percent of the values off, half of them at each end; an end at zero loses
/// nothing, so what is cut there is not counted.
fn narrow(range: Range, bins: &[u64], percent: f64) -> Range {
    let total: u64 = bins.iter().sum();
    let cut = ((100.0 - percent) / 200.0 * total as f64) as u64;
    let width = (range.high - range.low) / BINS as f32;
    let skipped = |counts: &mut dyn Iterator<Item = &u64>| {
        let mut sum = 0;
        counts
            .take_while(|&&count| {
                sum += count;
                sum <= cut
            })
            .count() as f32
    };
    Range {
        low: range.low + width * skipped(&mut bins.iter()),
        high: range.high - width * skipped(&mut bins.iter().rev()),
    }
}
