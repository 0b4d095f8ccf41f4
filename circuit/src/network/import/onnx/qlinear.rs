//! Operators that work on integers: their inputs as real numbers, the operator, its output rounded.

use super::constant::{Constant, Data, Reals};
use super::lower::Lowering;
use super::node::Node;
use super::value::Value;
use crate::network::import::float::OutputScale;
use crate::network::import::tensor::Tensor;
use crate::network::import::ImportError;

impl<'a> Lowering<'a> {
    /// A bias of 32-bit integers, input `at`, whose scale is that of the products.
    fn products(
        &mut self,
        node: &Node<'a>,
        at: usize,
        input: OutputScale,
        weights: usize,
        factor: f32,
    ) -> Result<Option<Reals>, ImportError> {
        if node.input(at).is_none() {
            return Ok(None);
        }
        let Constant {
            dims,
            data: Data::Int(integers),
            ..
        } = self.constant(node, at)?
        else {
            return Err(node.form(format!("input {at} must hold integers")));
        };
        let (_, scales) = self.floats(node, weights)?;
        if scales.len() != 1 && scales.len() != integers.len() {
            return Err(node.form("expected one scale of the weights, or one for each output"));
        }
        let real = |(&integer, &scale): (&i64, &f32)| {
            (integer as f64 * input.scale * f64::from(scale) * f64::from(factor)) as f32
        };
        let each = integers.iter().zip(scales.iter().cycle());
        Ok(Some((dims, each.map(real).collect())))
    }

    /// Input `index` as real numbers, without a border or any other mark.
    fn meant_plainly(
        &mut self,
        node: &Node<'a>,
        index: usize,
        at: usize,
    ) -> Result<Tensor, ImportError> {
        let (tensor, _) = self.meant(node, index, at)?;
        tensor.plain().map_err(|reason| node.form(reason))?;
        Ok(tensor)
    }

    /// x, its scale and zero point, w, the same, those of y, and a bias.
    pub(super) fn qlinear_conv(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[
            "auto_pad",
            "dilations",
            "group",
            "kernel_shape",
            "pads",
            "strides",
        ])?;
        let (tensor, input) = self.meant(node, 0, 1)?;
        let weights = self.reals(node, 3, 0)?;
        let bias = self.products(node, 8, input, 4, 1.0)?;
        let made = self.convolution(node, tensor, weights, bias)?;
        self.made(node, made, 6)
    }

    /// a, its scale and zero point, b, the same, those of y.
    pub(super) fn qlinear_mat_mul(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.meant_plainly(node, 0, 1)?;
        let matrix = self.reals(node, 3, 1)?;
        let (weights, outputs) = self.matrix(node, &tensor, matrix, false)?;
        let made = self.dense(node, &tensor, weights, vec![0.0; outputs])?;
        self.made(node, made, 6)
    }

    /// a, its scale and zero point, b, the same, a bias, those of y.
    pub(super) fn qgemm(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["alpha", "transA", "transB"])?;
        if node.int("transA", 0)? != 0 {
            return Err(node.form("only transA = 0 is supported"));
        }
        let alpha = node.float("alpha", 1.0)?;
        let transposed = node.int("transB", 0)? != 0;
        let (tensor, input) = self.meant(node, 0, 1)?;
        tensor.plain().map_err(|reason| node.form(reason))?;
        let matrix = self.reals(node, 3, usize::from(!transposed))?;
        let (mut weights, outputs) = self.matrix(node, &tensor, matrix, transposed)?;
        weights.iter_mut().for_each(|weight| *weight *= alpha);
        let bias = match self.products(node, 6, input, 4, alpha)? {
            None => vec![0.0; outputs],
            Some((_, bias)) if bias.len() == outputs => bias,
            Some(_) => return Err(node.form(format!("the bias must have {outputs} values"))),
        };
        let made = self.dense(node, &tensor, weights, bias)?;
        match node.input(7) {
            Some(_) => self.made(node, made, 7),
            None => Ok(made),
        }
    }

    /// a, its scale and zero point, b, the same, those of y.
    pub(super) fn qlinear_add(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let operands = [
            self.meant_plainly(node, 0, 1)?,
            self.meant_plainly(node, 3, 4)?,
        ];
        if operands[0].dims != operands[1].dims {
            return Err(node.form("only tensors of the same shape can be added"));
        }
        let made = self.sum(node, operands.each_ref())?;
        self.made(node, made, 6)
    }

    /// x, its scale and zero point, those of y.
    pub(super) fn qlinear_average(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        let windows = [
            "auto_pad",
            "ceil_mode",
            "count_include_pad",
            "dilations",
            "kernel_shape",
        ];
        node.only(&[&windows[..], &["pads", "strides", "channels_last"]].concat())?;
        if node.int("channels_last", 0)? != 0 {
            return Err(node.form("only channels first are supported"));
        }
        let tensor = self.meant_plainly(node, 0, 1)?;
        let made = match node.has("kernel_shape") {
            true => self.means(node, &tensor)?,
            false => {
                let window = self.whole(node, &tensor)?;
                self.average(node, &tensor, window)
            }
        };
        self.made(node, made, 3)
    }

    /// Scale and zero point of y, then for every part itself, its scale and zero point. The parts keep theirs.
    pub(super) fn qlinear_concat(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        let mut parts = vec![];
        for at in (2..node.inputs()).step_by(3) {
            parts.push(self.meant_plainly(node, at, at + 1)?);
        }
        let made = self.joined(node, parts)?;
        self.made(node, made, 0)
    }
}
