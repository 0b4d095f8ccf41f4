//! Reshapes, borders and what changes nothing.

use super::lower::{pixels, shape_of, Lowering};
use super::node::Node;
use super::schema::{element, options};
use crate::network::import::float::Clamp;
use crate::network::import::stack::KEEPS_ORDER;
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::{Layer, Padding, Shape, TensorId};

/// Cells of a border.
const MAX_SIDE: i32 = 1 << 16;

impl<'a> Lowering<'a> {
    /// A border of zeros, left to the convolution or max pooling that reads it.
    pub(super) fn pad(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let mut tensor = self.tensor(node, 0)?;
        let sides = self.integers(node, 1)?;
        let ([height, width, _], &[0, 0, top, bottom, left, right, 0, 0]) =
            (&mut tensor.dims[..], &sides[..])
        else {
            return Err(node.form("only height and width can be padded"));
        };
        let side = |side: i32| match (0..MAX_SIDE).contains(&side) {
            true => Ok(side as usize),
            false => Err(node.form(format!("a border must be in 0..{MAX_SIDE}"))),
        };
        let border = Padding {
            top: side(top)?,
            left: side(left)?,
            bottom: side(bottom)?,
            right: side(right)?,
            value: 0,
        };
        *height += border.top + border.bottom;
        *width += border.left + border.right;
        tensor.mark = Mark::Border(border);
        Ok(tensor)
    }

    /// The shape is that of the output; the second input says the same.
    pub(super) fn reshape(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let mut tensor = self.marked(node, 0)?;
        if matches!(tensor.mark, Mark::Border(_)) {
            tensor = self.tensor(node, 0)?;
        }
        let dims = self.graph.dims(node.output()?);
        let dims = dims.ok_or_else(|| node.form("the shape must keep a batch of 1"))?;
        let (from, to) = (shape_of(&tensor.dims), shape_of(&dims));
        if from == to {
            return Ok(Tensor { dims, ..tensor });
        }
        if from.cells() != to.cells() {
            let cells = from.cells();
            return Err(node.form(format!("cannot give {cells} cells the shape {dims:?}")));
        }
        if to == Shape::new(from.cells(), 1, 1) && tensor.mark == Mark::None {
            let layer = Layer::Flatten { input: tensor.id };
            return Ok(Tensor {
                mark: Mark::Flat(from),
                ..Tensor::new(self.stack.push_view(layer, to), dims)
            });
        }
        // Bytes have no shape: the image may be seen in another one if nothing else reads it.
        let image = tensor.id == TensorId::INPUT && !tensor.shared && tensor.mark == Mark::None;
        let order_kept = from.channels == 1 || from.positions() == 1;
        if image && order_kept && self.pixels().is_uniform() && to.channels == 1 {
            self.stack.shapes[0] = to;
            return Ok(Tensor { dims, ..tensor });
        }
        Err(node.form("a tensor can only be flattened"))
    }

    /// Left out: it keeps the order of the classes.
    pub(super) fn softmax(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let tensor = self.tensor(node, 0)?;
        let beta = node.float(options::SOFTMAX, options::BETA)?;
        if shape_of(&tensor.dims).positions() != 1 || !beta.is_finite() || beta <= 0.0 {
            return Err(node.form("a softmax must be over the classes, its beta positive"));
        }
        self.stack.left_out(&node.place(), &node.op(), KEEPS_ORDER);
        Ok(Tensor {
            mark: Mark::Softmax,
            ..tensor
        })
    }

    /// At the beginning it says which bytes the pixels are; between layers of two scales it is a
    /// layer; after a softmax it is nothing.
    pub(super) fn quantize(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let tensor = self.marked(node, 0)?;
        if tensor.mark == Mark::Softmax {
            return Ok(tensor);
        }
        let tensor = self.tensor(node, 0)?;
        let [from, to] = [node.input(0)?, node.output()?].map(|at| &self.graph.model.tensors[at]);
        let Some(bytes) = to.bytes()? else {
            return Err(node.form("the output must be quantized"));
        };
        let image = tensor.id == TensorId::INPUT && from.element == element::FLOAT32;
        if image && !tensor.shared {
            self.normalization.get_or_insert_with(|| pixels(bytes));
            return Ok(tensor);
        }
        if from.bytes()? == Some(bytes) {
            return Ok(tensor);
        }
        let id = self
            .stack
            .push_identity(&node.name, tensor.id, Clamp::NONE)?;
        self.rounded(node, id, tensor.dims)
    }

    /// The same values as floats.
    pub(super) fn dequantize(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let tensor = self.marked(node, 0)?;
        match tensor.mark {
            Mark::Border(_) => self.tensor(node, 0),
            _ => Ok(tensor),
        }
    }
}
