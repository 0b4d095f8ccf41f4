//! How pixel bytes become the float model's input.

use super::ImportError;
use serde::{Deserialize, Serialize};

/// `x = scale * pixel + offset`, one pair for all channels or one for each. `(pixel - mean) / std`
/// is `scale = 1 / std`, `offset = -mean / std`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// Factors.
    pub scale: Vec<f64>,
    /// Summands, as many.
    pub offset: Vec<f64>,
}

/// A model that shrinks its input at least this much means bytes by it, and so does one that takes
/// a larger mean than [`UNIT_MEAN`] away; else it expects values in `[0, 1]`.
const BYTE_SCALE: f64 = 1.0 / 16.0;
/// See [`BYTE_SCALE`].
const UNIT_MEAN: f64 = 1.5;
/// Pixel values by which a border may be off: the means of ImageNet's channels differ by 20.
const SPREAD: f64 = 16.0;

impl Normalization {
    /// `scale * pixel + offset` in every channel.
    pub fn uniform(scale: f64, offset: f64) -> Self {
        Self {
            scale: vec![scale],
            offset: vec![offset],
        }
    }

    /// The bytes themselves.
    pub(super) fn identity() -> Self {
        Self::uniform(1.0, 0.0)
    }

    /// Scale and offset of a channel.
    pub fn channel(&self, channel: usize) -> (f64, f64) {
        let of = |values: &[f64]| match values {
            [single] => Some(*single),
            many => many.get(channel).copied(),
        };
        (
            of(&self.scale).unwrap_or(1.0),
            of(&self.offset).unwrap_or(0.0),
        )
    }

    /// Whether all channels are treated alike.
    pub(super) fn is_uniform(&self) -> bool {
        let alike = |values: &[f64]| values.windows(2).all(|pair| pair[0] == pair[1]);
        alike(&self.scale) && alike(&self.offset)
    }

    /// This, then `scale * x + offset`, a pair per channel.
    pub(super) fn then(&self, scale: &[f64], offset: &[f64]) -> Self {
        let mut both = Self {
            scale: vec![],
            offset: vec![],
        };
        for (channel, (factor, summand)) in scale.iter().zip(offset).enumerate() {
            let before = self.channel(channel);
            both.scale.push(before.0 * factor);
            both.offset.push(before.1 * factor + summand);
        }
        if both.is_uniform() {
            both.scale.truncate(1);
            both.offset.truncate(1);
        }
        both
    }

    /// What the file says about its input, read as bytes or, where that makes no sense, as
    /// pixel / 255.
    pub(super) fn guess_pixels(self) -> Self {
        let bytes =
            self.scale.iter().zip(&self.offset).any(|(scale, offset)| {
                scale.abs() < BYTE_SCALE || (offset / scale).abs() > UNIT_MEAN
            });
        if bytes {
            return self;
        }
        Self {
            scale: self.scale.iter().map(|scale| scale / 255.0).collect(),
            offset: self.offset,
        }
    }

    /// The byte that stands for zero in a border, where one does: the channels' own zeros lie within
    /// [`SPREAD`] of it.
    pub(super) fn zero_byte(&self) -> Option<u8> {
        let channels = 0..self.scale.len().max(self.offset.len());
        let zeros = channels.map(|c| self.channel(c));
        let zeros: Vec<f64> = zeros.map(|(scale, offset)| -offset / scale).collect();
        let mean = (zeros.iter().sum::<f64>() / zeros.len() as f64).round();
        let near = zeros.iter().all(|zero| (zero - mean).abs() <= SPREAD);
        (near && (0.0..=255.0).contains(&mean)).then_some(mean as u8)
    }

    /// Refuses lists of another length and values without meaning.
    pub(super) fn check(&self, channels: usize) -> Result<(), ImportError> {
        let refused = |expected| ImportError::Option {
            option: "the normalization of the input",
            expected,
            found: format!("{} scales, {} offsets", self.scale.len(), self.offset.len()),
        };
        let fits = |values: &[f64]| values.len() == 1 || values.len() == channels;
        if !fits(&self.scale) || !fits(&self.offset) {
            return Err(refused("one pair, or one for each channel"));
        }
        let mut values = self.scale.iter().chain(&self.offset);
        if !values.all(|v| v.is_finite()) || self.scale.contains(&0.0) {
            return Err(refused("finite, and no scale zero"));
        }
        Ok(())
    }
}
