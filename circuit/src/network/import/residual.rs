//! Residual sums take in the layers they add.
//!
//! A sum reads each operand by a 1x1 layer with a group per channel. Where such an operand is a linear
//! layer that nothing else reads and that has no activation function, the sum can do its work: it costs
//! one tensor less, which is never rounded. A file that is quantized already rounds it all the same, so
//! that its float model, which does what the file does, keeps it.

use super::float::{Clamp, FloatModel, FloatWeights};
use super::stack::{Lowered, Stack, Step};
use super::ImportError;
use crate::network::{Layer, Linear, Padding, Shape, TensorId, Term};

/// The same model with fewer layers.
pub(super) fn fold(model: &FloatModel) -> Result<FloatModel, ImportError> {
    let mut stack = Stack::of(model);
    let readers = readers(&stack.layers, stack.shapes.len());
    for index in 0..stack.layers.len() {
        let (earlier, rest) = stack.layers.split_at_mut(index);
        let Some((Step::Layer(Layer::Linear(linear)), Some(weights))) = rest.first_mut().map(parts)
        else {
            continue;
        };
        let (terms, values) = (
            std::mem::take(&mut linear.terms),
            std::mem::take(&mut weights.terms),
        );
        for (term, values) in terms.into_iter().zip(values) {
            let operand = open(earlier, &readers, &term, linear.shape);
            let Some((operand, parameters)) = operand else {
                linear.terms.push(term);
                weights.terms.push(values);
                continue;
            };
            let channels = operand.shape.channels;
            for (term, parts) in operand.terms.iter().zip(&mut parameters.terms) {
                scale_outputs(term, channels, parts, &values);
                linear.terms.push(term.clone());
                // The operand's own layer is read by nothing any more and left out at the end.
                weights.terms.push(std::mem::take(parts));
            }
            let scaled = parameters.bias.iter().zip(&values).map(|(b, s)| b * s);
            for (sum, bias) in weights.bias.iter_mut().zip(scaled) {
                *sum += bias;
            }
        }
    }
    let last = stack.last();
    stack.finish(last, model.normalization.clone())
}

fn parts(lowered: &mut Lowered) -> (&mut Step, Option<&mut FloatWeights>) {
    (&mut lowered.step, lowered.weights.as_mut())
}

/// How many layers read each tensor, counted once a term.
fn readers(layers: &[Lowered], tensors: usize) -> Vec<usize> {
    let mut readers = vec![0; tensors];
    for id in layers.iter().flat_map(Lowered::inputs) {
        readers[id.0] += 1;
    }
    readers
}

/// The layer that a term scales channel by channel, if it may be taken in.
fn open<'a>(
    layers: &'a mut [Lowered],
    readers: &[usize],
    term: &Term,
    shape: Shape,
) -> Option<(&'a mut Linear, &'a mut FloatWeights)> {
    let scales = *term == pointwise(term.input, shape.channels);
    let lowered = layers.get_mut(term.input.0.checked_sub(1)?)?;
    match parts(lowered) {
        (Step::Layer(Layer::Linear(linear)), Some(weights))
            if scales && linear.shape == shape && readers[term.input.0] == 1 =>
        {
            (weights.clamp == Clamp::NONE).then_some((linear, weights))
        }
        _ => None,
    }
}

/// A term that reads every cell once.
pub(super) fn pointwise(input: TensorId, groups: usize) -> Term {
    Term {
        input,
        kernel: (1, 1),
        stride: (1, 1),
        padding: Padding::default(),
        groups,
    }
}

/// Multiplies the weights of every output channel.
pub(super) fn scale_outputs<T: Copy + Into<f64>>(
    term: &Term,
    channels: usize,
    values: &mut [f32],
    scale: &[T],
) {
    let outputs = channels / term.groups;
    let per_group = values.len() / term.groups;
    for (group, scale) in values
        .chunks_mut(per_group.max(1))
        .zip(scale.chunks(outputs))
    {
        for run in group.chunks_mut(outputs) {
            for (value, &scale) in run.iter_mut().zip(scale) {
                *value = (f64::from(*value) * scale.into()) as f32;
            }
        }
    }
}
