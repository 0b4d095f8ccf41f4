//! Convolutions, dense layers and sums.

use super::lower::{shape_of, Lowering};
use super::node::Node;
use super::schema::options;
use crate::network::import::float::{Clamp, FloatWeights};
use crate::network::import::residual::pointwise;
use crate::network::import::stack::{kernel_fits, same};
use crate::network::import::tensor::{both, Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_CELLS;
use crate::network::{Layer, Padding, Shape, Term};

/// A convolution's weights in the order of [`Term`], and what they fit.
struct Kernel {
    size: (usize, usize),
    groups: usize,
    outputs: usize,
    weights: Vec<f32>,
}

impl<'a> Lowering<'a> {
    /// Weights `[output][ky][kx][input of the group]`.
    pub(super) fn conv(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let kind = options::CONV_2D;
        let dilation = [options::CONV_DILATION + 1, options::CONV_DILATION];
        let clamp = node.activation(kind, options::CONV_ACTIVATION)?;
        let channels = shape_of(&self.marked(node, 0)?.dims).channels;
        let (dims, values) = self.reals(node, 1)?;
        let &[outputs, height, width, inputs] = &dims[..] else {
            return Err(node.form("expected weights [outputs, height, width, inputs]"));
        };
        let groups = channels / inputs;
        if !channels.is_multiple_of(inputs) || !outputs.is_multiple_of(groups) {
            return Err(node.form("the weights do not go with the channels"));
        }
        let (per_group, taps) = (outputs / groups, height * width);
        let mut weights = Vec::with_capacity(values.len());
        for group in values.chunks_exact(per_group * taps * inputs) {
            for (input, tap) in (0..inputs).flat_map(|i| (0..taps).map(move |t| (i, t))) {
                let first = tap * inputs + input;
                weights.extend(group.iter().skip(first).step_by(taps * inputs));
            }
        }
        let kernel = Kernel {
            size: (height, width),
            groups,
            outputs,
            weights,
        };
        self.convolution(node, kind, dilation, kernel, clamp)
    }

    /// Weights `[1][ky][kx][input * multiplier + output of the group]`.
    pub(super) fn depthwise(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let kind = options::DEPTHWISE_CONV_2D;
        let dilation = [options::DEPTHWISE_DILATION + 1, options::DEPTHWISE_DILATION];
        let clamp = node.activation(kind, options::DEPTHWISE_ACTIVATION)?;
        let groups = shape_of(&self.marked(node, 0)?.dims).channels;
        let (dims, values) = self.reals(node, 1)?;
        let &[1, height, width, outputs] = &dims[..] else {
            return Err(node.form("expected weights [1, height, width, outputs]"));
        };
        if !outputs.is_multiple_of(groups) {
            return Err(node.form("the weights do not go with the channels"));
        }
        let per_group = outputs / groups;
        let mut weights = Vec::with_capacity(values.len());
        for group in 0..groups {
            for tap in values.chunks_exact(outputs) {
                weights.extend(&tap[group * per_group..(group + 1) * per_group]);
            }
        }
        let kernel = Kernel {
            size: (height, width),
            groups,
            outputs,
            weights,
        };
        self.convolution(node, kind, dilation, kernel, clamp)
    }

    fn convolution(
        &mut self,
        node: &Node<'a>,
        kind: i8,
        dilation: [usize; 2],
        kernel: Kernel,
        clamp: Clamp,
    ) -> Result<Tensor, ImportError> {
        let mut tensor = self.marked(node, 0)?;
        let (padded, border) = (shape_of(&tensor.dims), tensor.mark);
        let border = match border {
            Mark::Border(border) => {
                tensor.mark = Mark::None;
                border
            }
            _ => self.tensor(node, 0).map(|_| Padding::default())?,
        };
        if node.sides(kind, dilation, 1)? != (1, 1) {
            return Err(node.form("only dilation 1 is supported"));
        }
        let stride = node.sides(kind, [options::STRIDE_H, options::STRIDE_W], 0)?;
        let (mut rows, mut columns) = ((0, 0), (0, 0));
        if node.is_same(kind)? {
            rows = same(padded.height, kernel.size.0, stride.0);
            columns = same(padded.width, kernel.size.1, stride.1);
        }
        let own = Padding {
            top: rows.0,
            left: columns.0,
            bottom: rows.1,
            right: columns.1,
            value: 0,
        };
        let padding = both(border, own);
        let none = padding == Padding::default();
        let input = match none || self.stack.has_zero_byte(tensor.id, &self.pixels()) {
            true => tensor.id,
            false => {
                let clamp = self.stack.bounds(tensor.id);
                self.stack.push_identity(&node.name, tensor.id, clamp)?
            }
        };
        let term = Term {
            input,
            kernel: kernel.size,
            stride,
            padding,
            groups: kernel.groups,
        };
        let shape = self.stack.shapes[input.0];
        let fits = kernel_fits(&term).then(|| term.positions(shape)).flatten();
        let (height, width) = fits.ok_or_else(|| {
            node.form("the kernel must fit the padded input and be larger than the padding")
        })?;
        let dims = vec![height, width, kernel.outputs];
        if dims.iter().fold(1usize, |n, &side| n.saturating_mul(side)) > MAX_CELLS {
            return Err(node.form(format!("the output has more than {MAX_CELLS} cells")));
        }
        let weights = FloatWeights {
            terms: vec![kernel.weights],
            bias: self.bias(node, kernel.outputs)?,
            clamp,
        };
        self.push_linear(node, vec![term], weights, dims)
    }

    fn bias(&mut self, node: &Node<'a>, outputs: usize) -> Result<Vec<f32>, ImportError> {
        if node.optional(2).is_none() {
            return Ok(vec![0.0; outputs]);
        }
        let (dims, bias) = self.reals(node, 2)?;
        if dims != [outputs] {
            return Err(node.form(format!("the bias must have {outputs} values")));
        }
        Ok(bias)
    }

    /// Weights `[output][input]`, the inputs in the file's order of cells.
    pub(super) fn fully_connected(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let kind = options::FULLY_CONNECTED;
        let clamp = node.activation(kind, options::ACTIVATION)?;
        if node.byte(kind, options::WEIGHTS_FORMAT)? != 0 {
            return Err(node.form("shuffled weights are not supported"));
        }
        let tensor = self.marked(node, 0)?;
        let (id, from) = match tensor.mark {
            Mark::Flat(from) => (tensor.id, from),
            _ => {
                let tensor = self.tensor(node, 0)?;
                let from = shape_of(&tensor.dims);
                let flat = Layer::Flatten { input: tensor.id };
                let shape = Shape::new(from.cells(), 1, 1);
                match from.positions() {
                    1 => (tensor.id, from),
                    _ => (self.stack.push_view(flat, shape), from),
                }
            }
        };
        let (dims, values) = self.reals(node, 1)?;
        let &[outputs, inputs] = &dims[..] else {
            return Err(node.form("expected weights [outputs, inputs]"));
        };
        if inputs != from.cells() {
            return Err(node.form(format!("expected weights with {} inputs", from.cells())));
        }
        let mut weights = Vec::with_capacity(values.len());
        for channel in 0..from.channels {
            for position in 0..from.positions() {
                let input = position * from.channels + channel;
                weights.extend(values.iter().skip(input).step_by(inputs));
            }
        }
        let weights = FloatWeights {
            terms: vec![weights],
            bias: self.bias(node, outputs)?,
            clamp,
        };
        self.push_linear(node, vec![pointwise(id, 1)], weights, vec![outputs])
    }

    /// Channels of several tensors, one after the other, left to the layers that read them.
    pub(super) fn concat(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let clamp = node.activation(options::CONCATENATION, options::CONCATENATION_AXIS + 1)?;
        let axis = node.word(options::CONCATENATION, options::CONCATENATION_AXIS)?;
        let first = self.tensor(node, 0)?;
        let rank = first.dims.len() as i32 + 1;
        if axis != rank - 1 && axis != -1 {
            return Err(node.form("only channels can be joined: the last axis"));
        }
        let mut dims = first.dims.clone();
        let mut ids = vec![first.id];
        for index in 1..node.inputs() {
            let next = self.tensor(node, index)?;
            let alike = next.dims.len() == dims.len()
                && next.dims[..dims.len() - 1] == dims[..dims.len() - 1];
            let (Some(sum), Some(more), true) = (dims.last_mut(), next.dims.last(), alike) else {
                return Err(node.form("only tensors of the same height and width can be joined"));
            };
            *sum += more;
            ids.push(next.id);
        }
        if shape_of(&dims).cells() > MAX_CELLS {
            return Err(node.form(format!("the output has more than {MAX_CELLS} cells")));
        }
        let id = self.stack.push_concat(ids);
        let bounds = self.stack.bounds(id);
        if bounds.then(clamp) == bounds {
            return Ok(Tensor::new(id, dims));
        }
        let id = self.stack.push_identity(&node.name, id, clamp)?;
        self.rounded(node, id, dims)
    }

    /// A residual sum of two tensors of one shape.
    pub(super) fn add(&mut self, node: &Node<'a>) -> Result<Tensor, ImportError> {
        let clamp = node.activation(options::ADD, options::ACTIVATION)?;
        let operands = [self.tensor(node, 0)?, self.tensor(node, 1)?];
        if operands[0].dims != operands[1].dims {
            return Err(node.form("only tensors of the same shape can be added"));
        }
        let parts = operands.each_ref().map(|tensor| tensor.id);
        let id = self.stack.push_sum(&node.name, parts, clamp)?;
        let [Tensor { dims, .. }, _] = operands;
        self.rounded(node, id, dims)
    }
}
