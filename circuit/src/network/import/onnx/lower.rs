//! From nodes to layers: one node after the other, then the layers the output needs.

use super::graph::Graph;
use super::node::Node;
use super::proto::NodeProto;
use super::value::Value;
use crate::network::import::float::{Clamp, FloatModel, FloatWeights};
use crate::network::import::stack::Stack;
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::{ImportError, Normalization};
use crate::network::{Shape, TensorId, Term};
use std::collections::HashMap;

/// The network so far.
pub struct Lowering<'a> {
    /// What is lowered.
    pub graph: &'a Graph<'a>,
    /// What the names made so far stand for.
    pub values: HashMap<&'a str, Value>,
    /// How the file's input becomes tensor 0; how pixel bytes do if that was `given`.
    pub normalization: Normalization,
    /// Whether [`Self::normalization`] is that of pixel bytes.
    pub given: bool,
    /// The layers.
    pub stack: Stack,
    /// Elements of constants read so far: many nodes may read the same one.
    pub constant_elements: usize,
}

/// The float model of a graph; `normalization` is that of its input if the options give one.
pub fn lower(
    graph: &Graph,
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    let shape = shape_of(&graph.input_dims);
    if let Some(normalization) = &normalization {
        normalization.check(shape.channels)?;
    }
    let input = Tensor::new(TensorId::INPUT, graph.input_dims.clone());
    let mut lowering = Lowering {
        graph,
        given: normalization.is_some(),
        values: HashMap::from([(graph.input, Value::Tensor(input))]),
        normalization: normalization.unwrap_or_else(Normalization::identity),
        stack: Stack::new(shape),
        constant_elements: 0,
    };
    for proto in &graph.nodes {
        lowering.node(proto)?;
    }
    lowering.finish()
}

/// The shape a network gives a tensor: `[n]` is `n x 1 x 1`.
pub fn shape_of(dims: &[usize]) -> Shape {
    match *dims {
        [channels, height, width] => Shape::new(channels, height, width),
        [height, width] => Shape::new(1, height, width),
        _ => Shape::new(dims.iter().product(), 1, 1),
    }
}

impl<'a> Lowering<'a> {
    fn node(&mut self, proto: &'a NodeProto) -> Result<(), ImportError> {
        let node = Node::new(proto, self.input_shapes(proto));
        let value = match node.op().as_str() {
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(&node)?,
            "AveragePool" => self.average_pool(&node)?,
            "BatchNormalization" => self.batch_normalization(&node)?,
            "Clip" => self.clip(&node)?,
            "Concat" => self.concat(&node)?,
            "Constant" => self.known(&node)?,
            "Conv" => self.conv(&node)?,
            "DequantizeLinear" => self.dequantize(&node)?,
            "Dropout" | "Identity" => self.identity(&node)?,
            "Flatten" => self.flatten(&node)?,
            "Gather" => self.gather(&node)?,
            "Gemm" => self.gemm(&node)?,
            "GlobalAveragePool" => self.global_average_pool(&node)?,
            "GlobalMaxPool" => self.global_max_pool(&node)?,
            "MatMul" => self.mat_mul(&node)?,
            "MaxPool" => self.max_pool(&node)?,
            "Pad" => self.pad(&node)?,
            "QLinearConv" => self.qlinear_conv(&node)?,
            "QLinearMatMul" => self.qlinear_mat_mul(&node)?,
            "QuantizeLinear" => self.quantize(&node)?,
            "com.microsoft.QGemm" => self.qgemm(&node)?,
            "com.microsoft.QLinearAdd" => self.qlinear_add(&node)?,
            "com.microsoft.QLinearAveragePool" | "com.microsoft.QLinearGlobalAveragePool" => {
                self.qlinear_average(&node)?
            }
            "com.microsoft.QLinearConcat" => self.qlinear_concat(&node)?,
            "ReduceMean" => self.reduce_mean(&node)?,
            "Relu" => self.relu(&node)?,
            "Reshape" => self.reshape(&node)?,
            "Shape" => self.shape_list(&node)?,
            "Softmax" | "LogSoftmax" => self.softmax(&node)?,
            "Squeeze" => self.squeeze(&node)?,
            "Unsqueeze" => self.unsqueeze(&node)?,
            _ => return Err(node.unsupported()),
        };
        // Only the first output of an operator is made; a reader of another one finds nothing.
        if let Some(name) = proto.output.first() {
            self.values.insert(name, value);
        }
        Ok(())
    }

    /// How pixel bytes become tensor 0, as far as is known.
    pub fn pixels(&self) -> Normalization {
        match self.given {
            true => self.normalization.clone(),
            false => self.normalization.clone().guess_pixels(),
        }
    }

    /// Adds a linear layer.
    pub fn push_linear(
        &mut self,
        name: &str,
        terms: Vec<Term>,
        weights: FloatWeights,
        dims: Vec<usize>,
    ) -> Result<Value, ImportError> {
        let id = self
            .stack
            .push_linear(name, terms, weights, shape_of(&dims))?;
        Ok(fresh(id, dims))
    }

    /// Makes the output a layer of logits and drops the layers it does not need.
    fn finish(mut self) -> Result<FloatModel, ImportError> {
        let missing = || ImportError::UnknownValue {
            node: "the output".into(),
            op: "Identity".into(),
            input: self.graph.output.into(),
        };
        let tensor = match self.values.get(self.graph.output) {
            Some(Value::Tensor(tensor)) if !matches!(tensor.mark, Mark::Border(_)) => {
                tensor.clone()
            }
            _ => return Err(missing()),
        };
        let last = match self.open(&tensor) {
            Some(_) => tensor.id,
            None => self.stack.push_identity("logits", tensor.id, Clamp::NONE)?,
        };
        let normalization = self.pixels();
        self.stack.finish(last, normalization)
    }
}

/// A tensor that a layer makes.
pub fn fresh(id: TensorId, dims: Vec<usize>) -> Value {
    Value::Tensor(Tensor::new(id, dims))
}
