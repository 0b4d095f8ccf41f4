//! Constants, and what the bytes of a tensor stand for.

use super::schema::{element, Tensor};
use crate::network::import::float::OutputScale;
use crate::network::import::ImportError;

impl Tensor<'_> {
    /// What the bytes stand for that a tensor holds; `None` for floats. Signed bytes are counted from
    /// -128, so that they are unsigned.
    pub fn bytes(&self) -> Result<Option<OutputScale>, ImportError> {
        let first = match self.element {
            element::FLOAT32 => return Ok(None),
            element::INT8 => -128,
            element::UINT8 => 0,
            _ => return Err(self.wrong_type("float, int8 or uint8")),
        };
        let (scales, zero_points) = self.quantization(1)?;
        match (&scales[..], &zero_points[..]) {
            (&[scale], &[zero_point]) => Ok(Some(OutputScale {
                scale: f64::from(scale),
                zero_point: u8::try_from(zero_point.saturating_sub(first))
                    .map_err(|_| self.refused("the zero point is not among its values"))?,
            })),
            _ => Err(self.refused("an activation must have one scale and one zero point")),
        }
    }

    /// The shape and elements of a constant of real numbers.
    pub fn reals(&self) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
        let dims = self.sides()?;
        let integers: Vec<i32> = match self.element {
            element::FLOAT32 => {
                let values = self.words(&dims)?.map(f32::from_le_bytes).collect();
                return Ok((dims, values));
            }
            element::INT32 => self.words(&dims)?.map(i32::from_le_bytes).collect(),
            element::INT8 | element::UINT8 => {
                let signed = self.element == element::INT8;
                let wide = |[byte]: [u8; 1]| match signed {
                    true => i32::from(byte as i8),
                    false => i32::from(byte),
                };
                self.check(&dims, 1)?;
                self.data.iter().map(wide).collect()
            }
            _ => return Err(self.wrong_type("float, int8, uint8 or int32")),
        };
        let (scales, zero_points) = self.quantization(integers.len())?;
        // Elements from one of the quantized dimension to the next.
        let axis = usize::try_from(self.quantized_dimension).unwrap_or(usize::MAX);
        let run: usize = match (scales.len(), dims.get(axis)) {
            (1, _) => integers.len().max(1),
            (count, Some(&side)) if count == side => dims[axis + 1..].iter().product(),
            _ => return Err(self.refused("expected one scale, or one for each channel")),
        };
        let real = |(index, integer): (usize, i32)| {
            let channel = index / run % scales.len();
            let distance = i64::from(integer) - zero_points[channel];
            (distance as f64 * f64::from(scales[channel])) as f32
        };
        Ok((dims, integers.into_iter().enumerate().map(real).collect()))
    }

    /// The elements of a constant list of integers.
    pub fn integers(&self) -> Result<Vec<i32>, ImportError> {
        if self.element != element::INT32 {
            return Err(self.wrong_type("int32"));
        }
        let values = self.words(&self.sides()?)?;
        Ok(values.map(i32::from_le_bytes).collect())
    }

    /// Scales, at most `max`, and as many zero points.
    fn quantization(&self, max: usize) -> Result<(Vec<f32>, Vec<i64>), ImportError> {
        if self.scale.len() == 0 {
            return Err(self.refused("expected scales: integers alone stand for nothing"));
        }
        if self.scale.len().max(self.zero_point.len()) > max {
            return Err(self.refused(
                "an activation must have one scale, a constant at most one for each channel",
            ));
        }
        let scales: Vec<f32> = self.scale.iter().map(f32::from_le_bytes).collect();
        let mut zero_points: Vec<i64> = self.zero_point.iter().map(i64::from_le_bytes).collect();
        if zero_points.is_empty() {
            zero_points = vec![0; scales.len()];
        }
        if !scales.iter().all(|scale| scale.is_finite() && *scale > 0.0) {
            return Err(self.refused("scales must be positive and finite"));
        }
        if zero_points.len() != scales.len()
            || zero_points.iter().any(|z| i32::try_from(*z).is_err())
        {
            return Err(self.refused("expected a zero point of 32 bits for each scale"));
        }
        Ok((scales, zero_points))
    }

    fn sides(&self) -> Result<Vec<usize>, ImportError> {
        let side = |&side: &i32| usize::try_from(side).ok();
        let sides: Option<Vec<usize>> = self.shape.iter().map(side).collect();
        sides.ok_or_else(|| self.wrong_data())
    }

    /// The elements of four bytes each.
    fn words(&self, dims: &[usize]) -> Result<impl Iterator<Item = [u8; 4]> + '_, ImportError> {
        self.check(dims, 4)?;
        let (words, _) = self.data.as_bytes().as_chunks();
        Ok(words.iter().copied())
    }

    /// Refuses data of another length than the shape's.
    fn check(&self, dims: &[usize], size: usize) -> Result<(), ImportError> {
        let expected = dims.iter().fold(size, |n, &side| n.saturating_mul(side));
        if self.data.len() != expected || expected == 0 {
            return Err(self.wrong_data());
        }
        Ok(())
    }

    fn wrong_data(&self) -> ImportError {
        ImportError::TensorData {
            tensor: self.name(),
            dims: self.shape.iter().map(|&side| i64::from(side)).collect(),
            found: self.data.len(),
            unit: "bytes",
        }
    }

    fn wrong_type(&self, expected: &'static str) -> ImportError {
        ImportError::TensorType {
            tensor: self.name(),
            expected,
            found: self.element,
        }
    }

    fn refused(&self, reason: &'static str) -> ImportError {
        ImportError::Quantization {
            tensor: self.name(),
            reason,
        }
    }
}
