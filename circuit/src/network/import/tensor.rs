//! A tensor as a node of a file sees it, whatever the format.

use super::float::OutputScale;
use crate::network::{Padding, Shape, TensorId};

/// A tensor that depends on the image.
#[derive(Clone)]
pub(super) struct Tensor {
    /// Which tensor of the network.
    pub id: TensorId,
    /// Its shape in the file, without the batch.
    pub dims: Vec<usize>,
    /// Whether more than one node reads it.
    pub shared: bool,
    /// What the network's tensor does not have and the file's has.
    pub mark: Mark,
    /// What its integers stand for where the file has integers; `None` for floats.
    pub bytes: Option<OutputScale>,
}

/// What is left to the reader of a tensor.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Mark {
    /// Nothing.
    None,
    /// A softmax, left out: only the output may read it.
    Softmax,
    /// A border of zeros: only a convolution or a max pooling may read it. `dims` are those of the
    /// padded tensor.
    Border(Padding),
    /// The tensor is flat and was of this shape: the file counts its cells channels last.
    Flat(Shape),
}

impl Tensor {
    /// A tensor that a layer makes.
    pub fn new(id: TensorId, dims: Vec<usize>) -> Self {
        Self {
            id,
            dims,
            shared: false,
            mark: Mark::None,
            bytes: None,
        }
    }

    /// Why a node that does not mind marks cannot read it.
    pub fn plain(&self) -> Result<(), &'static str> {
        match self.mark {
            Mark::None => Ok(()),
            Mark::Softmax => Err("a softmax is only supported at the very end"),
            Mark::Border(_) => {
                Err("a border is only supported right before a convolution or a max pooling")
            }
            Mark::Flat(_) => Err("a flattened tensor is only supported before a dense layer"),
        }
    }
}

/// The border around a border.
pub(super) fn both(inner: Padding, outer: Padding) -> Padding {
    Padding {
        top: inner.top.saturating_add(outer.top),
        left: inner.left.saturating_add(outer.left),
        bottom: inner.bottom.saturating_add(outer.bottom),
        right: inner.right.saturating_add(outer.right),
        value: 0,
    }
}
