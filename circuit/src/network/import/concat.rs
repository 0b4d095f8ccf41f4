//! Concatenations along the channels are read part by part, so that they cost nothing.
//!
//! A layer that mixes all channels reads every part by a term of its own, with the weights of these
//! channels. What treats channels, or groups of them, by themselves (poolings, activation functions,
//! scales, depthwise convolutions) is done to every part, and gives a concatenation again. Where neither
//! fits, as in a residual sum of a concatenation and another tensor, the groups are written out with
//! zeros between them: exact, but paid for in weights.

use super::float::{FloatWeights, OutputScale};
use super::stack::{Lowered, Stack, Step};
use super::{ImportError, Normalization};
use crate::network::{Layer, Linear, Shape, TensorId, Term};

/// Parts of one tensor.
const MAX_PARTS: usize = 1 << 10;
/// Layers of one network once its concatenations are read part by part.
const MAX_LAYERS: usize = 1 << 15;

/// Weights of a layer whose groups are written out.
const MAX_SPREAD: usize = 1 << 20;

/// Why a large layer cannot read one.
const NO_SPLIT: &str =
    "groups of channels must end where the parts do, and what is added to it must \
     have the same parts; a convolution of one group or a dense layer may read it";

/// The layers read so far, without concatenations.
struct Split {
    stack: Stack,
    /// By tensor of the stack that is read: the tensors it consists of.
    parts: Vec<Vec<TensorId>>,
    /// Whether the image's greater bytes stand for greater values.
    image_ascends: bool,
}

impl Stack {
    /// The same layers without concatenations, and where `last`, which must not be one, went; `pixels` is
    /// how pixel bytes become the image.
    pub(super) fn without_concats(
        self,
        last: TensorId,
        pixels: &Normalization,
    ) -> Result<(Self, TensorId), ImportError> {
        let mut stack = Stack::new(self.shapes[0]);
        stack.notes = self.notes;
        let mut split = Split {
            stack,
            parts: vec![vec![TensorId::INPUT]],
            image_ascends: pixels.scale.iter().all(|&scale| scale > 0.0),
        };
        for (index, (lowered, &shape)) in self.layers.into_iter().zip(&self.shapes[1..]).enumerate()
        {
            let parts = split.lowered(lowered, shape, index + 1 == last.0)?;
            limit("the number of layers", split.stack.layers.len(), MAX_LAYERS)?;
            split.parts.push(parts);
        }
        match split.parts[last.0][..] {
            [last] => Ok((split.stack, last)),
            _ => Err(split.refused("the output", last, "it must be made by one layer")),
        }
    }
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), ImportError> {
    match found > max {
        true => Err(ImportError::TooLarge { what, found, max }),
        false => Ok(()),
    }
}

impl Split {
    fn refused(&self, layer: &str, input: TensorId, reason: &'static str) -> ImportError {
        let shape = |part: &TensorId| {
            let shape = self.stack.shapes[part.0];
            format!("{}x{}x{}", shape.channels, shape.height, shape.width)
        };
        let shapes: Vec<_> = self.parts[input.0].iter().take(8).map(shape).collect();
        ImportError::Concat {
            layer: layer.into(),
            shapes: shapes.join(", "),
            reason,
        }
    }

    /// The tensors that a layer makes now; the last one makes a single one.
    fn lowered(
        &mut self,
        lowered: Lowered,
        shape: Shape,
        last: bool,
    ) -> Result<Vec<TensorId>, ImportError> {
        let Lowered {
            step,
            weights,
            rounding,
            ..
        } = lowered;
        let parts = |split: &Self, input: TensorId| split.parts[input.0].clone();
        Ok(match (step, weights) {
            (Step::Concat(inputs), _) => {
                let count = inputs.iter().map(|input| self.parts[input.0].len()).sum();
                limit("the number of tensors that are joined", count, MAX_PARTS)?;
                let parts = inputs.iter().flat_map(|&input| parts(self, input));
                parts.collect()
            }
            (Step::Layer(Layer::Linear(linear)), Some(weights)) => {
                self.linear(linear, weights, rounding, last)?
            }
            (Step::Layer(Layer::Linear(_)), None) => vec![],
            (Step::Layer(Layer::Flatten { input }), _) => {
                let parts = parts(self, input).into_iter().map(|input| {
                    let cells = self.stack.shapes[input.0].cells();
                    let flat = Layer::Flatten { input };
                    self.push(flat, Shape::new(cells, 1, 1), rounding)
                });
                parts.collect()
            }
            (Step::Layer(Layer::SumPool(pool)), _) => {
                let parts = parts(self, pool.input).into_iter().map(|input| {
                    let channels = self.stack.shapes[input.0].channels;
                    let pool = Layer::SumPool(crate::network::SumPool {
                        input,
                        ..pool.clone()
                    });
                    self.push(pool, Shape { channels, ..shape }, rounding)
                });
                parts.collect()
            }
            (Step::Layer(Layer::MaxPool(pool)), _) => {
                let parts = parts(self, pool.input).into_iter().map(|input| {
                    let input = self.bytes(&pool.name, input)?;
                    let channels = self.stack.shapes[input.0].channels;
                    let pool = Layer::MaxPool(crate::network::MaxPool {
                        input,
                        ..pool.clone()
                    });
                    Ok(self.push(pool, Shape { channels, ..shape }, rounding))
                });
                parts.collect::<Result<_, ImportError>>()?
            }
        })
    }

    fn push(&mut self, view: Layer, shape: Shape, rounding: Option<OutputScale>) -> TensorId {
        let id = self.stack.push_view(view, shape);
        self.stack.round_last(rounding);
        id
    }

    /// The tensor as bytes that ascend as its values do: sums of a pooling are none, and the pixels of an
    /// image whose normalization turns it over do not.
    fn bytes(&mut self, name: &str, id: TensorId) -> Result<TensorId, ImportError> {
        let lowered = id.0.checked_sub(1).map(|i| &self.stack.layers[i]);
        Ok(match lowered.map(|lowered| &lowered.step) {
            Some(Step::Layer(Layer::Linear(_) | Layer::MaxPool(_))) => id,
            None if self.image_ascends => id,
            _ => {
                let rounding = lowered.and_then(|lowered| lowered.rounding);
                let clamp = self.stack.bounds(id);
                let id = self.stack.push_identity(name, id, clamp)?;
                self.stack.round_last(rounding);
                id
            }
        })
    }

    fn linear(
        &mut self,
        mut linear: Linear,
        mut weights: FloatWeights,
        rounding: Option<OutputScale>,
        last: bool,
    ) -> Result<Vec<TensorId>, ImportError> {
        let spread = |term: &Term| self.parts[term.input.0].len() != 1 && term.groups != 1;
        if !linear.terms.iter().any(spread) {
            return Ok(vec![self.mixed(linear, weights, rounding)?]);
        }
        let mut cuts = linear.terms.iter().map(|t| self.cuts(t, linear.shape));
        let first = cuts.next().flatten();
        let same = cuts.all(|cuts| cuts == first);
        if let (Some(first), true, false) = (first, same, last) {
            return self.grouped(&linear, &weights, rounding, &first);
        }
        let outputs = linear.shape.channels;
        for (term, values) in linear.terms.iter_mut().zip(&mut weights.terms) {
            if !spread(term) {
                continue;
            }
            if values.len().saturating_mul(term.groups) > MAX_SPREAD {
                return Err(self.refused(&linear.name, term.input, NO_SPLIT));
            }
            *values = spread_out(term, values, outputs);
            term.groups = 1;
        }
        Ok(vec![self.mixed(linear, weights, rounding)?])
    }

    /// All channels mixed: a term for every part.
    fn mixed(
        &mut self,
        mut linear: Linear,
        mut weights: FloatWeights,
        rounding: Option<OutputScale>,
    ) -> Result<TensorId, ImportError> {
        let (mut terms, mut values) = (vec![], vec![]);
        for (term, all) in linear.terms.iter().zip(&weights.terms) {
            let parts = &self.parts[term.input.0];
            let channels: usize = parts.iter().map(|p| self.stack.shapes[p.0].channels).sum();
            let mut rest = &all[..];
            for &input in parts {
                let part = self.stack.shapes[input.0].channels;
                let (own, others) = rest.split_at(all.len() / channels * part);
                rest = others;
                values.push(own.to_vec());
                terms.push(Term {
                    input,
                    ..term.clone()
                });
            }
        }
        (linear.terms, weights.terms) = (terms, values);
        let id = self
            .stack
            .push_linear(&linear.name, linear.terms, weights, linear.shape)?;
        self.stack.round_last(rounding);
        Ok(id)
    }

    /// Output channels that each part of a term's input makes; `None` where a group reads two parts.
    fn cuts(&self, term: &Term, to: Shape) -> Option<Vec<usize>> {
        let parts = &self.parts[term.input.0];
        let channels = parts.iter().map(|part| self.stack.shapes[part.0].channels);
        let inputs = channels.clone().sum::<usize>() / term.groups;
        let outputs = to.channels / term.groups;
        let cut = |channels: usize| {
            let whole = channels.is_multiple_of(inputs);
            whole.then(|| channels / inputs * outputs)
        };
        channels.map(cut).collect()
    }

    /// Groups by themselves: a layer for every part, of so many output channels.
    fn grouped(
        &mut self,
        linear: &Linear,
        weights: &FloatWeights,
        rounding: Option<OutputScale>,
        cuts: &[usize],
    ) -> Result<Vec<TensorId>, ImportError> {
        let mut first = 0;
        let mut made = vec![];
        for (part, &outputs) in cuts.iter().enumerate() {
            let range = first..first + outputs;
            let (mut terms, mut values) = (vec![], vec![]);
            for (term, all) in linear.terms.iter().zip(&weights.terms) {
                let per_output = all.len() / linear.shape.channels;
                values.push(all[range.start * per_output..range.end * per_output].to_vec());
                terms.push(Term {
                    input: self.parts[term.input.0][part],
                    groups: outputs / (linear.shape.channels / term.groups),
                    ..term.clone()
                });
            }
            let own = FloatWeights {
                terms: values,
                bias: weights.bias[range.clone()].to_vec(),
                clamp: weights.clamp,
            };
            let name = format!("{} part {}", linear.name, part + 1);
            let shape = Shape {
                channels: outputs,
                ..linear.shape
            };
            made.push(self.stack.push_linear(&name, terms, own, shape)?);
            self.stack.round_last(rounding);
            first = range.end;
        }
        Ok(made)
    }
}

/// The weights of a term as one group: zeros where a channel is not read.
fn spread_out(term: &Term, values: &[f32], channels: usize) -> Vec<f32> {
    let outputs = channels / term.groups;
    let runs = values.len() / outputs;
    let per_group = runs / term.groups;
    let mut all = vec![0.0; runs * channels];
    let runs = values
        .chunks_exact(outputs)
        .zip(all.chunks_exact_mut(channels));
    for (index, (run, all)) in runs.enumerate() {
        let first = index / per_group * outputs;
        all[first..first + outputs].copy_from_slice(run);
    }
    all
}
