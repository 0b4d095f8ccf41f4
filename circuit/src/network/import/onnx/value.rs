//! What names stand for: constants, and tensors of the network in the making.

use super::constant::{Constant, Data, Reals};
use super::lower::{shape_of, Lowering};
use super::node::Node;
use super::proto::NodeProto;
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_WEIGHTS;
use crate::network::{Shape, TensorId};

/// Elements of constants that are read: twice the weights of a network, since a quantized weight is read as an
/// integer and as what it stands for.
const MAX_CONSTANT_ELEMENTS: usize = 2 * MAX_WEIGHTS;

/// What a name stands for.
#[derive(Clone)]
pub enum Value {
    /// Known now.
    Constant(Constant),
    /// Known when the network runs.
    Tensor(Tensor),
}

impl<'a> Lowering<'a> {
    /// Shapes of what a node reads, for messages.
    pub fn input_shapes(&self, proto: &NodeProto) -> String {
        let shape = |name: &String| match self.values.get(name.as_str()) {
            Some(Value::Tensor(tensor)) => format!("{:?}", tensor.dims),
            Some(Value::Constant(constant)) => format!("constant {:?}", constant.dims),
            None => match self.graph.initializers.get(name.as_str()) {
                Some(tensor) => {
                    let sides = tensor.dims.iter().take(8).collect::<Vec<_>>();
                    format!("constant {sides:?}")
                }
                None => "?".into(),
            },
        };
        let shapes: Vec<_> = proto.input.iter().take(8).map(shape).collect();
        shapes.join(", ")
    }

    /// Input `index` of a node.
    pub fn value(&mut self, node: &Node<'a>, index: usize) -> Result<Value, ImportError> {
        let missing = || node.form(format!("input {index} is missing"));
        let name = node.input(index).ok_or_else(missing)?;
        let constant = match (self.values.get(name), self.graph.initializers.get(name)) {
            (Some(Value::Tensor(tensor)), _) => {
                let shared = self.graph.readers.get(name).is_some_and(|&n| n > 1);
                return Ok(Value::Tensor(Tensor {
                    shared: tensor.shared || shared,
                    ..tensor.clone()
                }));
            }
            (Some(Value::Constant(constant)), _) => constant.clone(),
            (None, Some(proto)) => Constant::read(proto)?,
            (None, None) => return Err(node.unknown(name)),
        };
        self.constant_elements += constant.data.len();
        if self.constant_elements > MAX_CONSTANT_ELEMENTS {
            return Err(ImportError::TooLarge {
                what: "the number of elements of all constants, once for every reader",
                found: self.constant_elements,
                max: MAX_CONSTANT_ELEMENTS,
            });
        }
        Ok(Value::Constant(constant))
    }

    /// Input `index`, which must depend on the image; any mark is the caller's to mind.
    pub fn marked(&mut self, node: &Node<'a>, index: usize) -> Result<Tensor, ImportError> {
        match self.value(node, index)? {
            Value::Tensor(tensor) => Ok(tensor),
            Value::Constant(_) => Err(node.form(format!("input {index} must depend on the image"))),
        }
    }

    /// Input `index`, which must depend on the image and whose mark its output may inherit.
    pub fn viewed(&mut self, node: &Node<'a>, index: usize) -> Result<Tensor, ImportError> {
        let tensor = self.marked(node, index)?;
        match tensor.mark {
            Mark::Border(_) => tensor
                .plain()
                .map(|()| tensor)
                .map_err(|reason| node.form(reason)),
            _ => Ok(tensor),
        }
    }

    /// Input `index`, which must depend on the image and be unmarked.
    pub fn tensor(&mut self, node: &Node<'a>, index: usize) -> Result<Tensor, ImportError> {
        let tensor = self.marked(node, index)?;
        plain(node, &tensor)?;
        Ok(tensor)
    }

    /// Input `index`, which must be a constant.
    pub fn constant(&mut self, node: &Node<'a>, index: usize) -> Result<Constant, ImportError> {
        match self.value(node, index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Tensor(_) => Err(node.form(format!("input {index} must be a constant"))),
        }
    }

    /// Input `index`, which must be a constant of floats: its shape and elements.
    pub fn floats(&mut self, node: &Node<'a>, index: usize) -> Result<Reals, ImportError> {
        let constant = self.constant(node, index)?;
        match constant.data {
            Data::Float(values) => Ok((constant.dims, values)),
            Data::Int(_) => Err(node.form(format!("input {index} must hold floats"))),
        }
    }

    /// Input `index`, which must be a constant list of integers.
    pub fn ints(&mut self, node: &Node<'a>, index: usize) -> Result<Vec<i64>, ImportError> {
        let constant = self.constant(node, index)?;
        match constant.data {
            Data::Int(values) if constant.dims.len() <= 1 => Ok(values),
            _ => Err(node.form(format!("input {index} must be a list of integers"))),
        }
    }

    /// The one value of a constant of floats.
    pub fn scalar(&mut self, node: &Node<'a>, index: usize) -> Result<f32, ImportError> {
        match &self.floats(node, index)?.1[..] {
            &[value] => Ok(value),
            _ => Err(node.form(format!("input {index} must be one value"))),
        }
    }

    /// Shape of a tensor in the network.
    pub fn shape(&self, tensor: &Tensor) -> Shape {
        self.stack.shapes[tensor.id.0]
    }

    /// The same tensor under other dimensions.
    pub fn renamed(&self, tensor: Tensor, dims: Vec<usize>) -> Value {
        Value::Tensor(Tensor { dims, ..tensor })
    }

    /// Sees the image in another shape, if nothing else reads it: bytes have no shape.
    pub fn reshape_input(&mut self, tensor: &Tensor, dims: Vec<usize>) -> Option<Value> {
        if tensor.id != TensorId::INPUT || tensor.shared || !self.normalization.is_uniform() {
            return None;
        }
        self.stack.shapes[0] = shape_of(&dims);
        Some(self.renamed(tensor.clone(), dims))
    }
}

/// Refuses a tensor with a mark, or of integers.
pub fn plain(node: &Node, tensor: &Tensor) -> Result<(), ImportError> {
    tensor.plain().map_err(|reason| node.form(reason))?;
    real(node, tensor)
}

/// Refuses a tensor of integers: what they stand for is another node's to say.
pub fn real(node: &Node, tensor: &Tensor) -> Result<(), ImportError> {
    match tensor.bytes {
        None => Ok(()),
        Some(_) => Err(node.form("it reads integers; a DequantizeLinear must come before it")),
    }
}
