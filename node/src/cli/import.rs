//! `zknode model import`: a model, float or quantized, becomes the integer network that is proven.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context};
use clap::Args;
use serde_json::json;
use zknode_circuit::network::{
    import::{self, Calibration, Evaluation, ImportOptions, ImportReport, Normalization},
    model_file,
};
use zknode_datasets::{fixtures, Dataset, Shape};

use super::{source, value, Session};
use crate::{
    home::{read_file, write_bytes, write_file},
    output::Answer,
    progress::Progress,
};

/// The name of the bundled model, in place of a path.
pub const BUNDLED_MODEL: &str = "lenet5";
/// Differing samples that are shown to people; programs get them all.
const SHOWN: usize = 10;
/// Images that the errors of layers are measured on.
const MEASURED: usize = 64;

/// Arguments of the import.
#[derive(Args)]
pub struct Import {
    /// A model in ONNX or TensorFlow Lite, or `lenet5`, the bundled one.
    model: PathBuf,
    /// Typical images, to see which values the activations take; not the buyer's test set. A model that is
    /// quantized already does without.
    #[arg(long, value_name = "DATASET")]
    calibrate: Option<PathBuf>,
    /// Samples to calibrate with, such as 0..100; all of them by default.
    #[arg(long, value_name = "FROM..TO", value_parser = value::range, requires = "calibrate")]
    samples: Option<(usize, Option<usize>)>,
    /// Added to every label: 1 for networks whose class 0 is the background.
    #[arg(long, value_name = "N", default_value_t = 0)]
    label_offset: u16,
    /// Labelled images to compare both networks on [default: those of the calibration].
    #[arg(long, value_name = "DATASET")]
    evaluate: Option<PathBuf>,
    /// Writes a report there, `-` for the screen: both accuracies, the error of every layer, the tables. It tells
    /// ranges of the model: the owner's to see.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Where the model goes. It holds the weights: keep it secret.
    #[arg(long, value_name = "FILE", default_value = "model.zkm")]
    out: PathBuf,
    /// Fraction bits of a weight, 4 to 8: fewer fit smaller proofs, more are more exact.
    #[arg(long, default_value_t = 8)]
    fraction_bits: u32,
    /// Bits of a requantized value [default: the least at which every image has a proof].
    #[arg(long)]
    range_bits: Option<u32>,
    /// Percentage of the values seen that a byte must hold [default: all].
    #[arg(long)]
    percentile: Option<f64>,
    /// Mean of the pixels / 255 that the model was trained with, one or one a channel, such as 0.485,0.456,0.406
    /// [default: what the file says, else 0].
    #[arg(long, value_delimiter = ',', requires = "std")]
    mean: Vec<f64>,
    /// Standard deviation of the same [default: what the file says, else 1].
    #[arg(long, value_delimiter = ',', requires = "mean")]
    std: Vec<f64>,
}

impl Import {
    fn options(&self) -> anyhow::Result<ImportOptions> {
        ensure!(
            self.mean.len() == self.std.len(),
            "expected as many means as standard deviations, got {} and {}",
            self.mean.len(),
            self.std.len()
        );
        ensure!(
            self.std.iter().all(|std| std.is_normal() && *std > 0.0)
                && self.mean.iter().all(|mean| mean.is_finite()),
            "expected finite means and positive standard deviations"
        );
        let pairs = self.mean.iter().zip(&self.std);
        let normalization = (!self.mean.is_empty()).then(|| Normalization {
            scale: self.std.iter().map(|std| 1.0 / (255.0 * std)).collect(),
            offset: pairs.map(|(mean, std)| -mean / std).collect(),
        });
        Ok(ImportOptions {
            fraction_bits: self.fraction_bits,
            range_bits: self.range_bits,
            calibration: self
                .percentile
                .map_or(Calibration::Extremes, Calibration::Percentile),
            normalization,
        })
    }

    /// Runs it.
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let options = self.options()?;
        let name = self.model.display();
        let file = model_bytes(&self.model)?;
        let float = import::float(&file, &options).with_context(|| format!("{name}"))?;
        let (input, classes) = (float.input(), float.classes());
        let open = |path: &Path, samples| {
            let shape = Shape::new(input.channels, input.height, input.width);
            let dataset =
                source(path, samples, self.label_offset)?.open(Some(shape), Some(classes))?;
            ensure!(
                dataset.shape() == shape,
                "{}: the model takes images of {shape}, these are {}",
                path.display(),
                dataset.shape()
            );
            Ok(labelled(dataset))
        };
        ensure!(
            self.calibrate.is_some() || float.is_quantized(),
            "{name}: a float model needs typical images to measure its activations with: --calibrate DATASET"
        );
        let calibration = match &self.calibrate {
            Some(path) => open(path, self.samples)?,
            None => vec![],
        };
        let images: Vec<_> = calibration.iter().map(|(pixels, _)| pixels).collect();
        let progress = &session.progress;
        let mut imported = with_bar(progress, |on| {
            import::quantize(float, &images, &options, on)
        })
        .with_context(|| format!("{name}"))?;
        let tests = match &self.evaluate {
            Some(path) => open(path, None)?,
            None => calibration,
        };
        let evaluation = with_bar(progress, |on| {
            import::evaluate(&imported.float, &imported.network, &tests, on)
        })?;
        if self.report.is_some() {
            let images: Vec<_> = tests
                .iter()
                .map(|(pixels, _)| pixels)
                .take(MEASURED)
                .collect();
            with_bar(progress, |on| {
                import::measure_errors(&mut imported, &images, on)
            })?;
        }
        // Without images there is nothing to compare.
        let evaluation = (!tests.is_empty()).then_some(evaluation);
        let file = model_file::write(&imported.network)?;
        write_bytes(&self.out, &file)?;
        let mut answer = json!({ "model": self.out, "report": imported.report });
        if let Some(evaluation) = &evaluation {
            let share = |top1, topk| json!({ "correct": top1, "within_k": topk, "k": evaluation.top_k, "samples": evaluation.samples });
            answer["float"] = share(evaluation.float_top1, evaluation.float_topk);
            answer["integer"] = share(evaluation.integer_top1, evaluation.integer_topk);
            answer["difference_points"] = json!(evaluation.difference());
            answer["differing"] = json!(evaluation.differing);
        }
        let screen = self.report.as_deref() == Some(Path::new("-"));
        let words = words(&imported.report, evaluation.as_ref(), &self.out, screen);
        if let Some(path) = self.report.as_deref().filter(|_| !screen) {
            let text = serde_json::to_string_pretty(&answer)?;
            write_file(path, |out| writeln!(out, "{text}"))?;
        }
        session.output().print(&answer, words)?;
        Ok(Answer::Yes)
    }
}

fn model_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    if path == Path::new(BUNDLED_MODEL) {
        return Ok(fixtures::lenet5_onnx()?.to_vec());
    }
    Ok(read_file(path, import::MAX_FILE as u64)?)
}

fn labelled(dataset: Dataset) -> Vec<(Vec<u8>, usize)> {
    let samples = dataset.into_samples().into_iter();
    samples
        .map(|sample| (sample.image.pixels().to_vec(), usize::from(sample.label.0)))
        .collect()
}

/// Runs a long step under a bar.
fn with_bar<T>(progress: &Progress, step: impl FnOnce(&mut dyn FnMut(import::Progress)) -> T) -> T {
    let mut bar = None;
    step(&mut |at| {
        let (what, done, total) = match at {
            import::Progress::Calibrating { done, total } => ("calibrating", done, total),
            import::Progress::Checking { done, total } => ("checking", done, total),
            import::Progress::Measuring { done, total } => ("measuring", done, total),
            import::Progress::Evaluating { done, total } => ("comparing", done, total),
        };
        if bar.as_ref().is_none_or(|(current, _)| *current != what) {
            bar = Some((what, progress.count(what)));
        }
        if let Some((_, bar)) = &bar {
            bar.at(done as u64, total as u64);
        }
    })
}

/// `errors`: with the error of every layer and the tables.
fn words(
    report: &ImportReport,
    evaluation: Option<&Evaluation>,
    out: &Path,
    errors: bool,
) -> String {
    let names = report.layers.iter().map(|layer| layer.name.chars().count());
    let width = names.max().unwrap_or(0).max(20);
    let mut words = format!(
        "{:<width$} {:<12} {:>12} {:>10} {:>12} {:>5} {:>9}",
        "layer", "kind", "shape", "parameters", "scale", "zero", "saturated"
    );
    if errors {
        words += &format!(" {:>8} {:>10} {:>10}", "error dB", "mean", "greatest");
    }
    words += "\n";
    for layer in &report.layers {
        let shape = layer.shape;
        let shape = format!("{}x{}x{}", shape.channels, shape.height, shape.width);
        words += &format!("{:<width$} {:<12} {shape:>12}", layer.name, layer.kind);
        if let Some(linear) = &layer.linear {
            words += &format!(
                " {:>10} {:>12.6} {:>5}",
                linear.parameters, linear.scale, linear.zero_point
            );
            words += &match linear.saturated {
                Some(share) => format!(" {:>7.3} %", 100.0 * share),
                None => format!(" {:>9}", "-"),
            };
            if let Some(error) = linear.error.as_ref().filter(|_| errors) {
                let decibels = error.decibels.map_or("-".into(), |db| format!("{db:.1}"));
                words += &format!(
                    " {decibels:>8} {:>10.5} {:>10.5}",
                    error.mean, error.greatest
                );
            }
        }
        words += "\n";
    }
    words += &format!(
        "{} fraction bits, {} range bits; {}",
        report.fraction_bits,
        report.range_bits,
        match report.calibration_images {
            0 => "scales are the file's own".into(),
            images => format!("calibrated on {images} images"),
        }
    );
    if errors {
        let tables = &report.tables;
        words += &format!(
            "\ntables: {} rows of clip, {} of remainders; k = {} at least, {:.1} MB there",
            tables.clip_rows,
            tables.remainder_rows,
            tables.least_k,
            tables.bytes as f64 / 1e6
        );
    }
    for note in &report.notes {
        words += &format!("\n{note}");
    }
    if let Some(evaluation) = evaluation {
        words += &compared(evaluation, report.quantized_source);
    }
    words + &format!("\n{} (holds the weights: keep it secret)", out.display())
}

/// Both accuracies, and where the answers differ.
fn compared(evaluation: &Evaluation, quantized: bool) -> String {
    let k = evaluation.top_k;
    let percent = |correct: usize| 100.0 * correct as f64 / evaluation.samples.max(1) as f64;
    let mut words = format!(
        "\n{} {} of {} ({:.2} %), {} within {k}\n\
         integer {} of {} ({:.2} %), {} within {k}, {:+.2} points\n{} answers differ",
        if quantized { "source " } else { "float  " },
        evaluation.float_top1,
        evaluation.samples,
        percent(evaluation.float_top1),
        evaluation.float_topk,
        evaluation.integer_top1,
        evaluation.samples,
        percent(evaluation.integer_top1),
        evaluation.integer_topk,
        evaluation.difference(),
        evaluation.differing.len(),
    );
    for differing in evaluation.differing.iter().take(SHOWN) {
        words += &format!(
            "\n  sample {}: label {}, float {}, integer {}",
            differing.index, differing.label, differing.float, differing.integer
        );
    }
    if evaluation.differing.len() > SHOWN {
        words += "\n  ... (all of them with --json)";
    }
    words
}
