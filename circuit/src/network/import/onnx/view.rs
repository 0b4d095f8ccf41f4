//! Reshapes, borders and what changes nothing.

use super::lower::{shape_of, Lowering};
use super::node::Node;
use super::value::Value;
use super::window::border;
use crate::network::import::stack::KEEPS_ORDER;
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::{Layer, Shape};

impl<'a> Lowering<'a> {
    /// The axes of a node, by attribute or second input.
    pub(super) fn axes(&mut self, node: &Node<'a>) -> Result<Vec<i64>, ImportError> {
        match node.ints("axes")? {
            Some(axes) => Ok(axes.to_vec()),
            None if node.input(1).is_some() => self.ints(node, 1),
            None => Err(node.form("the axes must be named, or the batch would go too")),
        }
    }

    /// A border of zeros, left to the convolution or max pooling that reads it.
    pub(super) fn pad(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["mode", "pads", "value"])?;
        let mut tensor = self.tensor(node, 0)?;
        let mode = node.string("mode")?.unwrap_or(b"constant");
        let zero = match node.input(2) {
            Some(_) => self.floats(node, 2)?.1.iter().all(|&v| v == 0.0),
            None => node.float("value", 0.0)? == 0.0,
        };
        if mode != b"constant" || !zero || node.input(3).is_some() {
            return Err(node.form("only borders of zeros on all axes are supported"));
        }
        let pads = match node.ints("pads")? {
            Some(pads) => pads.to_vec(),
            None => self.ints(node, 1)?,
        };
        let [_, height, width] = &mut tensor.dims[..] else {
            return Err(node.form("only padding in two dimensions is supported"));
        };
        let &[0, 0, top, left, 0, 0, bottom, right] = &pads[..] else {
            return Err(node.form("only height and width can be padded"));
        };
        let border = border(node, &[top, left, bottom, right])?;
        *height += border.top + border.bottom;
        *width += border.left + border.right;
        tensor.mark = Mark::Border(border);
        Ok(Value::Tensor(tensor))
    }

    /// Channels of several tensors, one after the other, left to the layers that read them.
    pub(super) fn concat_channels(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        let mut parts = vec![];
        for index in 0..node.inputs() {
            let part = self.viewed(node, index)?;
            part.plain().map_err(|reason| node.form(reason))?;
            parts.push(part);
        }
        self.joined(node, parts)
    }

    pub(super) fn joined(
        &mut self,
        node: &Node<'a>,
        parts: Vec<Tensor>,
    ) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        let Some(first) = parts.first() else {
            return Err(node.form("input 0 is missing"));
        };
        let axis = node.int("axis", 1)?;
        let rank = first.dims.len() as i64 + 1;
        if axis != 1 && axis.saturating_add(rank) != 1 {
            return Err(node.form("only channels can be joined: axis 1"));
        }
        let sides = &first.dims[1..];
        // A flat tensor has channels, one of two sides has none.
        let alike = |part: &Tensor| part.dims.len() as i64 == rank - 1 && part.dims[1..] == *sides;
        if rank == 3 || !parts.iter().all(alike) {
            return Err(node.form("only tensors of the same height and width can be joined"));
        }
        if parts.iter().any(|part| part.bytes != first.bytes) {
            return Err(node.form("only tensors of one scale and zero point can be joined"));
        }
        let mut dims = first.dims.clone();
        let channels = parts.iter().map(|part| part.dims[0]);
        dims[0] = channels.fold(0, |sum, channels| sum.saturating_add(channels));
        self.check_size(node, &dims)?;
        let ids = parts.iter().map(|part| part.id).collect();
        Ok(Value::Tensor(Tensor {
            bytes: first.bytes,
            ..Tensor::new(self.stack.push_concat(ids), dims)
        }))
    }

    pub(super) fn flatten(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        let tensor = self.viewed(node, 0)?;
        let axis = node.int("axis", 1)?;
        if axis != 1 && axis != -(tensor.dims.len() as i64) {
            return Err(node.form("only axis 1 is supported: it keeps the batch"));
        }
        let cells = tensor.dims.iter().product();
        self.reshaped(node, tensor, vec![cells])
    }

    pub(super) fn reshape(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["allowzero"])?;
        let tensor = self.viewed(node, 0)?;
        let target = self.ints(node, 1)?;
        let cells: usize = tensor.dims.iter().product();
        let Some((&batch, sides)) = target.split_first() else {
            return Err(node.form("the shape must keep the batch"));
        };
        let zero_copies = node.int("allowzero", 0)? == 0;
        let open = sides.iter().filter(|&&side| side == -1).count();
        let keeps_batch = match batch {
            0 => zero_copies,
            1 => open <= 1,
            -1 => open == 0,
            _ => false,
        };
        if !keeps_batch {
            return Err(node.form("the shape must keep the batch: 0, 1 or -1 first, one -1 in all"));
        }
        let mut dims = vec![];
        for (index, &side) in sides.iter().enumerate() {
            let side = match side {
                0 if zero_copies => tensor.dims.get(index).copied(),
                -1 => Some(1),
                side => usize::try_from(side).ok(),
            };
            dims.push(side.ok_or_else(|| node.form(format!("shape {target:?} has no meaning")))?);
        }
        let known = dims.iter().fold(1usize, |n, &side| n.saturating_mul(side));
        if let Some(index) = sides.iter().position(|&side| side == -1) {
            dims[index] = cells.checked_div(known).unwrap_or(0);
        }
        self.reshaped(node, tensor, dims)
    }

    pub(super) fn squeeze(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axes"])?;
        let tensor = self.viewed(node, 0)?;
        let axes = self.axes(node)?;
        let rank = tensor.dims.len() as i64 + 1;
        let mut drop = vec![false; tensor.dims.len()];
        for axis in axes {
            let axis = if axis < 0 {
                axis.saturating_add(rank)
            } else {
                axis
            };
            let index = usize::try_from(axis)
                .ok()
                .and_then(|axis| axis.checked_sub(1));
            match index.and_then(|index| drop.get_mut(index)) {
                Some(dropped) if tensor.dims[axis as usize - 1] == 1 => *dropped = true,
                _ => return Err(node.form(format!("axis {axis} cannot be dropped"))),
            }
        }
        let kept = tensor.dims.iter().zip(drop).filter(|(_, drop)| !drop);
        let dims: Vec<_> = kept.map(|(&side, _)| side).collect();
        self.reshaped(node, tensor, dims)
    }

    /// The tensor with other dimensions: the same network shape, flat, or any for the image.
    pub(super) fn reshaped(
        &mut self,
        node: &Node,
        tensor: Tensor,
        dims: Vec<usize>,
    ) -> Result<Value, ImportError> {
        let count = |dims: &[usize]| dims.iter().fold(1usize, |n, &side| n.saturating_mul(side));
        let cells = count(&tensor.dims);
        if count(&dims) != cells || !(1..=3).contains(&dims.len()) {
            return Err(node.form(format!("cannot give {cells} cells the shape {dims:?}")));
        }
        let (from, to) = (self.shape(&tensor), shape_of(&dims));
        if from == to {
            return Ok(self.renamed(tensor, dims));
        }
        if to == Shape::new(cells, 1, 1) {
            let layer = Layer::Flatten { input: tensor.id };
            let id = self.stack.push_view(layer, to);
            self.stack.alone_last(!tensor.shared);
            return Ok(Value::Tensor(Tensor {
                bytes: tensor.bytes,
                ..Tensor::new(id, dims)
            }));
        }
        if let Some(value) = self.reshape_input(&tensor, dims.clone()) {
            return Ok(value);
        }
        Err(node.form("a tensor can only be flattened to channels*height*width"))
    }

    pub(super) fn identity(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["ratio", "seed"])?;
        let training = node.input(2).map(|_| self.ints(node, 2)).transpose()?;
        if training.is_some_and(|flags| flags.iter().any(|&flag| flag != 0)) {
            return Err(node.form("only inference is supported, not training"));
        }
        self.value(node, 0)
    }

    /// Left out: it keeps the order of the classes.
    pub(super) fn softmax(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        let tensor = self.tensor(node, 0)?;
        let rank = tensor.dims.len() as i64 + 1;
        let axis = node.int("axis", if rank == 2 { 1 } else { -1 })?;
        if axis != 1 && axis.saturating_add(rank) != 1 || self.shape(&tensor).positions() != 1 {
            return Err(node.form("a softmax must be over the classes, one position each"));
        }
        self.stack.left_out(&node.name, &node.op(), KEEPS_ORDER);
        Ok(Value::Tensor(Tensor {
            mark: Mark::Softmax,
            ..tensor
        }))
    }
}
