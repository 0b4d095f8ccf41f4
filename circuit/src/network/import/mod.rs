//! Import: a model and some images become a total integer network.
//!
//! 1. [`onnx`] or [`tflite`] lowers the file to the layers the integer network has ([`FloatModel`]).
//! 2. The images are run through it and show which range each activation takes. A file that is
//!    quantized already says so itself, and needs none.
//! 3. Ranges become scales and zero points of bytes; these, and the multiplier of every
//!    requantization, are folded into integer weights and biases.
//! 4. The bounds of all accumulators give the least range bits at which every image has a run.
//!
//! Bytes in, values out. [`evaluate()`] compares what came out with what went in. The images should
//! not be the test set: a handful of training images does.

mod calibrate;
mod concat;
mod deviation;
mod error;
mod evaluate;
mod float;
mod noise;
mod normalization;
pub mod onnx;
mod origin;
mod pool;
mod quantize;
mod report;
mod residual;
mod stack;
mod tensor;
pub mod tflite;

pub use deviation::{measure_errors, LayerError};
pub use error::ImportError;
pub use evaluate::{answer, evaluate, Difference, Evaluation};
pub use float::FloatModel;
pub use normalization::Normalization;
pub use report::{ImportReport, LayerReport, LinearReport, Tables};

use super::Network;

/// Bytes of a model file.
pub const MAX_FILE: usize = 1 << 28;

/// Which of the values seen during calibration a byte must hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Calibration {
    /// All of them.
    Extremes,
    /// This percentage, more than 50; what is beyond is cut off, the rest is finer.
    Percentile(f64),
}

/// The choices of an import.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Fraction bits of every weight, 4 to 8: fewer need fewer table rows, more are more exact.
    pub fraction_bits: u32,
    /// Bits of a requantized value before its clip; by default the least, up to 20, at which the
    /// network is total. The lookup table has `2^range_bits + 2^(2 * fraction_bits)` rows.
    pub range_bits: Option<u32>,
    /// Which activations a byte must hold; a file that is quantized already says it itself.
    pub calibration: Calibration,
    /// How pixel bytes become the file's input; by default what the file's first operations say,
    /// else pixel / 255.
    pub normalization: Option<Normalization>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            fraction_bits: 8,
            range_bits: None,
            calibration: Calibration::Extremes,
            normalization: None,
        }
    }
}

/// How far a long step has come, in images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Running the float model.
    Calibrating {
        /// Images done; every image is run once or twice.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Running the integer network over the calibration images.
    Checking {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Running both, layer by layer.
    Measuring {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Running both.
    Evaluating {
        /// Samples done.
        done: usize,
        /// Samples in all.
        total: usize,
    },
}

/// What an import gives. Weights are secret: no `Debug`.
pub struct Imported {
    /// The network that is proven.
    pub network: Network,
    /// The model it came from, to compare it with.
    pub float: FloatModel,
    /// What was done.
    pub report: ImportReport,
}

/// Imports an ONNX file. `calibration` are typical images, pixels channels first.
///
/// # Errors
/// Everything that is not understood is refused by name, and so is a network that is not total
/// ([`ImportError::NotTotal`]).
pub fn onnx<I: AsRef<[u8]>>(
    file: &[u8],
    calibration: &[I],
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported, ImportError> {
    check(options)?;
    let float = onnx::read(file, options.normalization.clone())?;
    quantize(float, calibration, options, progress)
}

/// Imports a TensorFlow Lite file. `calibration` are typical images, pixels channels first; a file that
/// is quantized already ([`FloatModel::is_quantized`]) needs none.
///
/// # Errors
/// As [`onnx`].
pub fn tflite<I: AsRef<[u8]>>(
    file: &[u8],
    calibration: &[I],
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported, ImportError> {
    check(options)?;
    let float = tflite::read(file, options.normalization.clone())?;
    quantize(float, calibration, options, progress)
}

/// The first step alone: the float model of an ONNX or TensorFlow Lite file, by content, which says
/// what images it takes.
///
/// # Errors
/// Everything that is not understood is refused by name.
pub fn float(file: &[u8], options: &ImportOptions) -> Result<FloatModel, ImportError> {
    check(options)?;
    let normalization = options.normalization.clone();
    match tflite::is_tflite(file) {
        true => tflite::read(file, normalization),
        false => onnx::read(file, normalization),
    }
}

/// The other steps: a float model and typical images, pixels channels first, to a network. A model
/// that is quantized already needs no images.
///
/// # Errors
/// [`ImportError::NoCalibration`] where images are needed and there are none. A network that is not total is refused ([`ImportError::NotTotal`]).
pub fn quantize<I: AsRef<[u8]>>(
    float: FloatModel,
    calibration: &[I],
    options: &ImportOptions,
    progress: &mut dyn FnMut(Progress),
) -> Result<Imported, ImportError> {
    check(options)?;
    let images: Vec<&[u8]> = calibration.iter().map(AsRef::as_ref).collect();
    let folded = residual::fold(&float)?;
    let seen = match images.is_empty() && float.is_quantized() {
        true => calibrate::declared(&folded, progress)?,
        false => calibrate::measure(&folded, &images, options.calibration, progress)?,
    };
    let (fraction_bits, range_bits) = (options.fraction_bits, options.range_bits);
    let quantized = quantize::quantize(&folded, &seen, fraction_bits, range_bits)?;
    let report = report::report(&folded, &quantized, &seen, &images, progress)?;
    Ok(Imported {
        network: quantized.network,
        float,
        report,
    })
}

fn check(options: &ImportOptions) -> Result<(), ImportError> {
    let refused = |option, expected, found: String| ImportError::Option {
        option,
        expected,
        found,
    };
    if !(4..=8).contains(&options.fraction_bits) {
        let found = options.fraction_bits.to_string();
        return Err(refused("fraction bits", "in 4..=8", found));
    }
    if let Some(bits) = options.range_bits.filter(|bits| !(2..=20).contains(bits)) {
        return Err(refused("range bits", "in 2..=20", bits.to_string()));
    }
    match options.calibration {
        Calibration::Percentile(percent) if !(percent > 50.0 && percent <= 100.0) => {
            let expected = "more than 50 and at most 100";
            Err(refused("the percentile", expected, percent.to_string()))
        }
        _ => Ok(()),
    }
}
