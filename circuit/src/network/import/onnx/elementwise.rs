//! Operations per cell or channel.

use super::constant::{Constant, Data};
use super::lower::Lowering;
use super::node::Node;
use super::value::{plain, Value};
use crate::network::import::float::Clamp;
use crate::network::import::tensor::Tensor;
use crate::network::import::ImportError;

impl<'a> Lowering<'a> {
    /// Add, Sub, Mul, Div with a constant per channel; Add of two tensors.
    pub(super) fn arithmetic(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let op = node.op();
        let (tensor, constant, tensor_first) = match (self.value(node, 0)?, self.value(node, 1)?) {
            (Value::Tensor(tensor), Value::Constant(constant)) => (tensor, constant, true),
            (Value::Constant(constant), Value::Tensor(tensor)) => (tensor, constant, false),
            (Value::Tensor(left), Value::Tensor(right)) if op == "Add" => {
                plain(node, &left)?;
                plain(node, &right)?;
                if left.dims != right.dims {
                    return Err(node.form("only tensors of the same shape can be added"));
                }
                return self.sum(node, [&left, &right]);
            }
            (Value::Tensor(_), Value::Tensor(_)) => {
                return Err(node.form("one operand must be a constant"))
            }
            (Value::Constant(_), Value::Constant(_)) => {
                return Err(node.form("an operand must depend on the image"))
            }
        };
        plain(node, &tensor)?;
        let values = self.per_channel(node, &tensor, constant)?;
        let one = vec![1.0; values.len()];
        let zero = vec![0.0; values.len()];
        let negative = values.iter().map(|v| -v).collect();
        let (scale, offset): (Vec<f64>, Vec<f64>) = match (op.as_str(), tensor_first) {
            ("Add", _) => (one, values),
            ("Sub", true) => (one, negative),
            ("Sub", false) => (vec![-1.0; values.len()], values),
            ("Mul", _) => (values, zero),
            ("Div", true) if values.contains(&0.0) => return Err(node.form("the divisor is zero")),
            ("Div", true) => (values.iter().map(|v| 1.0 / v).collect(), zero),
            _ => return Err(node.form("the divisor must be a constant")),
        };
        self.affine(node, &tensor, &scale, &offset)
    }

    /// A constant broadcast along a tensor: one value, or one per channel.
    fn per_channel(
        &self,
        node: &Node,
        tensor: &Tensor,
        constant: Constant,
    ) -> Result<Vec<f64>, ImportError> {
        let Data::Float(values) = constant.data else {
            return Err(node.form("the constant must hold floats"));
        };
        let channels = self.shape(tensor).channels;
        let wide = |v: f32| f64::from(v);
        let rank = tensor.dims.len();
        // Aligned on the right, as ONNX broadcasts; the side before the channels is the batch.
        let spare = constant.dims.len().saturating_sub(rank);
        let (batch, sides) = constant.dims.split_at(spare);
        let fits = spare <= 1 && batch.iter().all(|&side| side == 1);
        if let (true, &[value]) = (fits, &values[..]) {
            return Ok(vec![wide(value); channels]);
        }
        let rest = sides
            .split_first()
            .filter(|(&first, _)| fits && rank != 2 && sides.len() == rank && first == channels);
        match rest {
            Some((_, rest)) if rest.iter().all(|&side| side == 1) => {
                Ok(values.into_iter().map(wide).collect())
            }
            _ => Err(node.form(format!(
                "the constant must be one value or one for each of the {channels} channels"
            ))),
        }
    }

    pub(super) fn batch_normalization(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["epsilon", "momentum", "spatial", "training_mode"])?;
        if node.int("training_mode", 0)? != 0 || node.int("spatial", 1)? != 1 {
            return Err(node.form("only inference per channel is supported"));
        }
        let epsilon = f64::from(node.float("epsilon", 1e-5)?);
        let tensor = self.tensor(node, 0)?;
        let channels = self.shape(&tensor).channels;
        let mut parameter = |index| {
            let (dims, values) = self.floats(node, index)?;
            if dims != [channels] || tensor.dims.len() == 2 {
                return Err(node.form(format!("input {index} must have a value per channel")));
            }
            Ok(values.into_iter().map(f64::from).collect::<Vec<_>>())
        };
        let (gamma, beta) = (parameter(1)?, parameter(2)?);
        let (mean, variance) = (parameter(3)?, parameter(4)?);
        let (mut scale, mut offset) = (vec![], vec![]);
        for channel in 0..channels {
            let spread = variance[channel] + epsilon;
            if spread <= 0.0 {
                return Err(node.form("a variance is not positive"));
            }
            let factor = gamma[channel] / spread.sqrt();
            scale.push(factor);
            offset.push(beta[channel] - mean[channel] * factor);
        }
        self.affine(node, &tensor, &scale, &offset)
    }

    pub(super) fn relu(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.tensor(node, 0)?;
        self.clamp(node, &tensor, Clamp::RELU)
    }

    pub(super) fn clip(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["min", "max"])?;
        let tensor = self.tensor(node, 0)?;
        let mut limit = |index, name, default| match node.input(index) {
            Some(_) => match self.floats(node, index)? {
                (dims, values) if dims.len() <= 1 && values.len() == 1 => Ok(values[0]),
                _ => Err(node.form(format!("{name} must be one value"))),
            },
            None => node.float(name, default),
        };
        let clamp = Clamp {
            low: limit(1, "min", f32::NEG_INFINITY)?,
            high: limit(2, "max", f32::INFINITY)?,
        };
        // Not `low > 0 || high < 0`: a limit that is not a number is refused too.
        if !(clamp.low <= 0.0 && clamp.high >= 0.0) {
            return Err(node.form("zero must lie between min and max"));
        }
        self.clamp(node, &tensor, clamp)
    }
}
