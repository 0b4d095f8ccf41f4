//! The float model and the integer network side by side.

use super::float::FloatModel;
use super::{ImportError, Progress};
use crate::network::Network;
use rayon::prelude::*;
use serde::Serialize;

/// Images between two reports of progress.
const CHUNK: usize = 256;
/// See [`Evaluation::top_k`].
const TOP_K: usize = 5;

/// How often both are right, and where they differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// Samples compared.
    pub samples: usize,
    /// Samples the float model answers correctly.
    pub float_top1: usize,
    /// Samples the integer network answers correctly.
    pub integer_top1: usize,
    /// The `k` of top-k: 5, or the number of classes where these are fewer.
    pub top_k: usize,
    /// Samples whose label is among the float model's first `top_k` classes.
    pub float_topk: usize,
    /// The same of the integer network's.
    pub integer_topk: usize,
    /// Samples with two different answers.
    pub differing: Vec<Difference>,
}

/// A sample the two answer differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Index of the sample.
    pub index: usize,
    /// Its label.
    pub label: usize,
    /// The float model's answer.
    pub float: usize,
    /// The integer network's answer.
    pub integer: usize,
}

impl Evaluation {
    /// Integer minus float accuracy, in percentage points.
    pub fn difference(&self) -> f64 {
        let correct = self.integer_top1 as f64 - self.float_top1 as f64;
        100.0 * correct / (self.samples.max(1) as f64)
    }
}

/// Index of the greatest value, the lowest one where several are equal; the rule the circuit
/// scores by.
pub fn answer<T: PartialOrd>(logits: &[T]) -> usize {
    let mut best = 0;
    for (index, logit) in logits.iter().enumerate() {
        if *logit > logits[best] {
            best = index;
        }
    }
    best
}

/// How many classes come before one: those with greater values, and with equal ones of a lower index.
fn rank<T: PartialOrd>(values: &[T], class: usize) -> usize {
    let Some(own) = values.get(class) else {
        return values.len();
    };
    let before = |(index, value): &(usize, &T)| *value > own || *value == own && *index < class;
    values.iter().enumerate().filter(before).count()
}

/// Runs both over labelled images, pixels channels first.
///
/// # Errors
/// [`ImportError::Pixels`] names the first image of another size.
pub fn evaluate<I: AsRef<[u8]> + Sync>(
    float: &FloatModel,
    network: &Network,
    samples: &[(I, usize)],
    progress: &mut dyn FnMut(Progress),
) -> Result<Evaluation, ImportError> {
    let mut evaluation = Evaluation {
        samples: samples.len(),
        float_top1: 0,
        integer_top1: 0,
        top_k: TOP_K.min(float.classes()),
        float_topk: 0,
        integer_topk: 0,
        differing: vec![],
    };
    let expected = float.input().cells();
    let mut done = 0;
    for chunk in samples.chunks(CHUNK) {
        let both = |(offset, (image, label)): (usize, &(I, usize))| {
            let image = image.as_ref();
            if image.len() != expected {
                return Err(ImportError::Pixels {
                    index: done + offset,
                    expected,
                    found: image.len(),
                });
            }
            let (integer, real) = (network.run(image)?.logits, float.logits(image)?);
            let ranks = [rank(&real, *label), rank(&integer, *label)];
            Ok((answer(&real), answer(&integer), ranks))
        };
        let answers: Vec<_> = chunk
            .par_iter()
            .enumerate()
            .map(both)
            .collect::<Result<_, _>>()?;
        for ((index, (_, label)), (float, integer, ranks)) in (done..).zip(chunk).zip(answers) {
            let label = *label;
            evaluation.float_top1 += usize::from(float == label);
            evaluation.integer_top1 += usize::from(integer == label);
            evaluation.float_topk += usize::from(ranks[0] < evaluation.top_k);
            evaluation.integer_topk += usize::from(ranks[1] < evaluation.top_k);
            if float != integer {
                evaluation.differing.push(Difference {
                    index,
                    label,
                    float,
                    integer,
                });
            }
        }
        done += chunk.len();
        progress(Progress::Evaluating {
            done,
            total: samples.len(),
        });
    }
    Ok(evaluation)
}
