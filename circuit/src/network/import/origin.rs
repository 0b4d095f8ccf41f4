//! What is known of a tensor from the layers behind it, and what may still be changed in them.

use super::float::{Clamp, OutputScale};
use super::stack::{Lowered, Stack, Step};
use super::Normalization;
use crate::network::{Layer, TensorId};
use std::collections::HashSet;

impl Stack {
    /// Values a tensor is known to lie between.
    pub fn bounds(&self, id: TensorId) -> Clamp {
        let mut bounds: Option<Clamp> = None;
        self.trace(id, |lowered| {
            let own = match lowered.map(|lowered| (&lowered.step, &lowered.weights)) {
                Some((_, Some(weights))) => weights.clamp,
                None | Some((Step::Layer(Layer::Linear(_)), None)) => Clamp::NONE,
                Some(_) => return true,
            };
            bounds = Some(bounds.map_or(own, |bounds| bounds.or(own)));
            false
        });
        bounds.unwrap_or(Clamp::NONE)
    }

    /// Whether a byte stands for zero in a tensor, so that it can have a border: the sums of a
    /// pooling have their zero at a multiple of the byte's, and an image may have several.
    pub fn has_zero_byte(&self, id: TensorId, pixels: &Normalization) -> bool {
        let mut all = true;
        self.trace(id, |lowered| {
            let Some(lowered) = lowered else {
                all &= pixels.zero_byte().is_some();
                return false;
            };
            match &lowered.step {
                Step::Layer(Layer::SumPool(pool)) => {
                    all &= self.bounds(pool.input).low >= 0.0;
                    false
                }
                Step::Concat(_) | Step::Layer(Layer::MaxPool(_)) => true,
                Step::Layer(_) => false,
            }
        });
        all
    }

    /// Shows what makes a tensor, `None` for the image, and what makes those it reads where `visit`
    /// wants it; nothing twice.
    fn trace(&self, id: TensorId, mut visit: impl FnMut(Option<&Lowered>) -> bool) {
        let (mut pending, mut seen) = (vec![id], HashSet::new());
        while let Some(id) = pending.pop() {
            let lowered = id.0.checked_sub(1).and_then(|i| self.layers.get(i));
            if seen.insert(id) && visit(lowered) {
                pending.extend(lowered.into_iter().flat_map(Lowered::inputs));
            }
        }
    }

    /// Rounds a tensor that nothing else reads where it is made, also through max poolings: the
    /// greatest of rounded values is the rounded greatest. `false` where that is not one layer.
    pub fn round(&mut self, id: TensorId, bytes: OutputScale) -> bool {
        let id = self.behind_views(id);
        let lowered = id.0.checked_sub(1).and_then(|i| self.layers.get_mut(i));
        match lowered {
            Some(lowered) if !matches!(lowered.step, Step::Concat(_)) => {
                let made = matches!(
                    lowered.step,
                    Step::Layer(Layer::Linear(_) | Layer::SumPool(_))
                );
                if made {
                    lowered.rounding = Some(bytes);
                }
                made
            }
            _ => false,
        }
    }

    /// What a tensor is rounded to already, as far as that is one thing.
    pub fn rounding(&self, mut id: TensorId) -> Option<OutputScale> {
        loop {
            let lowered = self.layers.get(id.0.checked_sub(1)?)?;
            id = match &lowered.step {
                Step::Layer(Layer::MaxPool(pool)) => pool.input,
                Step::Layer(Layer::Flatten { input }) => *input,
                _ => return lowered.rounding,
            };
        }
    }

    /// Whether a tensor is a concatenation of tensors that are rounded, each to its own bytes.
    pub fn parts_are_rounded(&self, id: TensorId) -> bool {
        let lowered = |id: TensorId| id.0.checked_sub(1).and_then(|i| self.layers.get(i));
        let Some(Step::Concat(parts)) = lowered(id).map(|lowered| &lowered.step) else {
            return false;
        };
        let rounded = |part: &TensorId| *part == TensorId::INPUT || self.rounding(*part).is_some();
        parts.iter().all(rounded)
    }

    /// What makes a tensor's values: the tensor behind max poolings and flattenings of what nothing else
    /// reads.
    pub fn behind_views(&self, mut id: TensorId) -> TensorId {
        while let Some(lowered) = id.0.checked_sub(1).and_then(|i| self.layers.get(i)) {
            match &lowered.step {
                Step::Layer(Layer::MaxPool(pool)) if lowered.alone => id = pool.input,
                Step::Layer(Layer::Flatten { input }) if lowered.alone => id = *input,
                _ => break,
            }
        }
        id
    }

    /// Clamps a tensor where the layer that makes it can do so: a linear one, also through max poolings,
    /// since the greatest of clamped values is the clamped greatest. `false` where none can.
    pub fn clamp_in_place(&mut self, id: TensorId, clamp: Clamp) -> bool {
        let id = self.behind_views(id);
        match self.linear(id) {
            Some((_, weights)) => {
                weights.clamp = weights.clamp.then(clamp);
                true
            }
            None => false,
        }
    }
}
