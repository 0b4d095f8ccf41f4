//! Convolutions and dense layers.

use super::constant::Reals;
use super::lower::Lowering;
use super::node::Node;
use super::value::{real, Value};
use super::window::padding;
use crate::network::import::float::{Clamp, FloatWeights};
use crate::network::import::residual::pointwise;
use crate::network::import::stack::kernel_fits;
use crate::network::import::tensor::{both, Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_CELLS;
use crate::network::{Padding, Term};

impl<'a> Lowering<'a> {
    pub(super) fn conv(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        let tensor = self.marked(node, 0)?;
        real(node, &tensor)?;
        let weights = self.floats(node, 1)?;
        let bias = node.input(2).map(|_| self.floats(node, 2)).transpose()?;
        self.convolution(node, tensor, weights, bias)
    }

    /// A convolution of a tensor by weights and a bias, each with its shape.
    pub(super) fn convolution(
        &mut self,
        node: &Node<'a>,
        tensor: Tensor,
        (sides, weights): Reals,
        bias: Option<Reals>,
    ) -> Result<Value, ImportError> {
        let border = match tensor.mark {
            Mark::Border(border) => border,
            _ => {
                tensor.plain().map_err(|reason| node.form(reason))?;
                Padding::default()
            }
        };
        let (&[channels, height, width], &[outputs, inputs, kh, kw]) =
            (&tensor.dims[..], &sides[..])
        else {
            return Err(node.form("only convolutions of two dimensions are supported"));
        };
        if node.sides("kernel_shape", Some((kh, kw)))? != (kh, kw) {
            return Err(node.form("kernel_shape is not the shape of the weights"));
        }
        if node.sides("dilations", Some((1, 1)))? != (1, 1) {
            return Err(node.form("only dilation 1 is supported"));
        }
        let groups = usize::try_from(node.int("group", 1)?).unwrap_or(0);
        if groups == 0
            || outputs == 0
            || kh == 0
            || kw == 0
            || outputs % groups != 0
            || inputs.checked_mul(groups) != Some(channels)
        {
            return Err(node.form("the weights do not go with the channels and groups"));
        }
        let stride = node.sides("strides", Some((1, 1)))?;
        let own = padding(node, (height, width), (kh, kw), stride)?;
        let padding = both(border, own);
        let bytes =
            padding == Padding::default() || self.stack.has_zero_byte(tensor.id, &self.pixels());
        let term = Term {
            input: match bytes {
                true => tensor.id,
                false => self
                    .stack
                    .push_identity(&node.name, tensor.id, Clamp::NONE)?,
            },
            kernel: (kh, kw),
            stride,
            padding,
            groups,
        };
        // [group][output][input][tap] becomes [group][input][tap][output].
        let (per_group, taps) = (outputs / groups, inputs * kh * kw);
        let mut ordered = Vec::with_capacity(weights.len());
        for group in weights.chunks_exact((per_group * taps).max(1)) {
            for tap in 0..taps {
                ordered.extend(group.iter().skip(tap).step_by(taps));
            }
        }
        let bias = match bias {
            None => vec![0.0; outputs],
            Some((dims, bias)) if dims == [outputs] => bias,
            Some(_) => return Err(node.form(format!("the bias must have {outputs} values"))),
        };
        let shape = self.shape(&tensor);
        let (height, width) = kernel_fits(&term)
            .then(|| term.positions(shape))
            .flatten()
            .ok_or_else(|| {
                node.form("the kernel must fit the padded input and be larger than the padding")
            })?;
        self.check_size(node, &[outputs, height, width])?;
        let weights = FloatWeights {
            terms: vec![ordered],
            bias,
            clamp: Clamp::NONE,
        };
        self.push_linear(
            &node.name,
            vec![term],
            weights,
            vec![outputs, height, width],
        )
    }

    /// Refuses a tensor larger than any network's.
    pub(super) fn check_size(&self, node: &Node, dims: &[usize]) -> Result<(), ImportError> {
        let cells = dims.iter().fold(1usize, |n, &side| n.saturating_mul(side));
        if cells == 0 || cells > MAX_CELLS {
            return Err(node.form(format!(
                "the output has {cells} cells; 1 to {MAX_CELLS} are supported"
            )));
        }
        Ok(())
    }

    pub(super) fn gemm(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["alpha", "beta", "transA", "transB"])?;
        if node.int("transA", 0)? != 0 {
            return Err(node.form("only transA = 0 is supported"));
        }
        let (alpha, beta) = (node.float("alpha", 1.0)?, node.float("beta", 1.0)?);
        let tensor = self.tensor(node, 0)?;
        let transposed = node.int("transB", 0)? != 0;
        let matrix = self.floats(node, 1)?;
        let (mut weights, outputs) = self.matrix(node, &tensor, matrix, transposed)?;
        weights.iter_mut().for_each(|weight| *weight *= alpha);
        let mut bias = vec![0.0; outputs];
        if node.input(2).is_some() {
            let (dims, values) = self.floats(node, 2)?;
            let single = values.len() == 1;
            let row = matches!(dims[..], [n] | [1, n] if n == outputs);
            if !single && !row {
                return Err(node.form(format!("C must be one value or {outputs}")));
            }
            for (bias, value) in bias.iter_mut().zip(values.iter().cycle()) {
                *bias = beta * value;
            }
        }
        self.dense(node, &tensor, weights, bias)
    }

    pub(super) fn mat_mul(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.tensor(node, 0)?;
        let matrix = self.floats(node, 1)?;
        let (weights, outputs) = self.matrix(node, &tensor, matrix, false)?;
        self.dense(node, &tensor, weights, vec![0.0; outputs])
    }

    /// A matrix as `[input][output]`, and the number of outputs.
    pub(super) fn matrix(
        &self,
        node: &Node<'a>,
        tensor: &Tensor,
        (dims, values): Reals,
        transposed: bool,
    ) -> Result<(Vec<f32>, usize), ImportError> {
        let (&[size], &[rows, columns]) = (&tensor.dims[..], &dims[..]) else {
            return Err(node.form("expected a flat tensor times a constant matrix"));
        };
        let (inputs, outputs) = if transposed {
            (columns, rows)
        } else {
            (rows, columns)
        };
        if inputs != size || outputs == 0 {
            return Err(node.form(format!("expected a matrix with {size} inputs")));
        }
        if !transposed {
            return Ok((values, outputs));
        }
        let column = |input: usize| values.iter().skip(input).step_by(inputs).copied();
        Ok(((0..inputs).flat_map(column).collect(), outputs))
    }

    pub(super) fn dense(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Value, ImportError> {
        let dims = vec![bias.len()];
        let weights = FloatWeights {
            terms: vec![weights],
            bias,
            clamp: Clamp::NONE,
        };
        self.push_linear(&node.name, vec![pointwise(tensor.id, 1)], weights, dims)
    }
}
