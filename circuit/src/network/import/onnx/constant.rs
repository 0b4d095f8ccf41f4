//! Constant tensors of a file, checked.

use super::proto::{element, TensorProto};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_CELLS;

/// Sides of a constant.
const MAX_RANK: usize = 8;

/// A constant tensor. Weights are secret: no `Debug`.
#[derive(Clone)]
pub struct Constant {
    /// Shape; empty for a scalar.
    pub dims: Vec<usize>,
    /// The elements.
    pub data: Data,
    /// ONNX's number of their type.
    pub element: i32,
}

/// Real numbers with their shape.
pub type Reals = (Vec<usize>, Vec<f32>);

/// Elements, row-major.
#[derive(Clone)]
pub enum Data {
    /// Of a float type.
    Float(Vec<f32>),
    /// Of an integer type.
    Int(Vec<i64>),
}

impl Constant {
    /// Reads a tensor: no more elements than a layer may have, as many as the shape says, all finite.
    pub fn read(proto: &TensorProto) -> Result<Self, ImportError> {
        let tensor = || proto.name.clone();
        if proto.data_location != 0 || !proto.external_data.is_empty() {
            return Err(ImportError::ExternalData { tensor: tensor() });
        }
        let mismatch = |found, unit| ImportError::TensorData {
            tensor: tensor(),
            dims: proto.dims.clone(),
            found,
            unit,
        };
        if proto.dims.len() > MAX_RANK {
            return Err(ImportError::TooLarge {
                what: "the number of sides of a constant",
                found: proto.dims.len(),
                max: MAX_RANK,
            });
        }
        let mut dims = Vec::with_capacity(proto.dims.len());
        let mut count = 1usize;
        for &side in &proto.dims {
            let side = usize::try_from(side).map_err(|_| mismatch(0, "elements"))?;
            count = count.saturating_mul(side);
            dims.push(side);
        }
        if count > MAX_CELLS {
            return Err(ImportError::TooLarge {
                what: "the number of elements of a constant",
                found: count,
                max: MAX_CELLS,
            });
        }
        let data = Data::read(proto, &mismatch)?;
        if data.len() != count {
            return Err(mismatch(data.len(), "elements"));
        }
        if matches!(&data, Data::Float(values) if !values.iter().all(|v| v.is_finite())) {
            return Err(ImportError::NotFinite {
                place: format!("tensor {}", proto.name),
            });
        }
        Ok(Self {
            dims,
            data,
            element: proto.data_type,
        })
    }
}

impl Data {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
        }
    }

    fn read(
        proto: &TensorProto,
        mismatch: &impl Fn(usize, &'static str) -> ImportError,
    ) -> Result<Self, ImportError> {
        let raw = proto.raw_data.as_deref();
        Ok(match proto.data_type {
            element::FLOAT => Self::Float(match raw {
                Some(raw) => words(raw, mismatch)?.map(f32::from_le_bytes).collect(),
                None => proto.float_data.clone(),
            }),
            element::DOUBLE => Self::Float(match raw {
                Some(raw) => words(raw, mismatch)?
                    .map(|word| f64::from_le_bytes(word) as f32)
                    .collect(),
                None => proto.double_data.iter().map(|&v| v as f32).collect(),
            }),
            element::BOOL => Self::Int(match raw {
                Some(raw) => raw.iter().map(|&v| v.into()).collect(),
                None => proto.int32_data.iter().map(|&v| v.into()).collect(),
            }),
            element::UINT8 => Self::Int(match raw {
                Some(raw) => raw.iter().map(|&v| v.into()).collect(),
                None => small(proto, 0..=255, mismatch)?,
            }),
            element::INT8 => Self::Int(match raw {
                Some(raw) => raw.iter().map(|&v| i64::from(v as i8)).collect(),
                None => small(proto, -128..=127, mismatch)?,
            }),
            element::INT32 => Self::Int(match raw {
                Some(raw) => words(raw, mismatch)?
                    .map(|word| i32::from_le_bytes(word).into())
                    .collect(),
                None => proto.int32_data.iter().map(|&v| v.into()).collect(),
            }),
            element::INT64 => Self::Int(match raw {
                Some(raw) => words(raw, mismatch)?.map(i64::from_le_bytes).collect(),
                None => proto.int64_data.clone(),
            }),
            found => {
                return Err(ImportError::ElementType {
                    tensor: proto.name.clone(),
                    found,
                })
            }
        })
    }
}

/// Elements of a byte each that are kept as words.
fn small(
    proto: &TensorProto,
    range: std::ops::RangeInclusive<i32>,
    mismatch: &impl Fn(usize, &'static str) -> ImportError,
) -> Result<Vec<i64>, ImportError> {
    match proto.int32_data.iter().all(|v| range.contains(v)) {
        true => Ok(proto.int32_data.iter().map(|&v| v.into()).collect()),
        false => Err(mismatch(proto.int32_data.len(), "elements beyond a byte")),
    }
}

/// The words of `N` bytes in `raw`, which must be whole.
fn words<'a, const N: usize>(
    raw: &'a [u8],
    mismatch: &impl Fn(usize, &'static str) -> ImportError,
) -> Result<impl Iterator<Item = [u8; N]> + 'a, ImportError> {
    let words = raw.chunks_exact(N);
    if !words.remainder().is_empty() {
        return Err(mismatch(raw.len(), "bytes"));
    }
    Ok(words.filter_map(|word| word.try_into().ok()))
}
