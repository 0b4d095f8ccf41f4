//! From nodes to layers: one node after the other, then the layers the output needs.

use super::graph::Graph;
use super::node::Node;
use super::proto::NodeProto;
use super::value::{Mark, Tensor, Value};
use crate::network::import::float::{Clamp, FloatModel, FloatWeights};
use crate::network::import::{ImportError, Normalization};
use crate::network::{Architecture, Layer, Linear, Output, Padding, Shape, TensorId, Term};
use std::collections::HashMap;

/// A layer and, if linear, its parameters.
pub struct Lowered {
    /// The layer.
    pub layer: Layer,
    /// Parameters of a linear one.
    pub weights: Option<FloatWeights>,
}

/// The network so far.
pub struct Lowering<'a> {
    /// What is lowered.
    pub graph: &'a Graph<'a>,
    /// What the names made so far stand for.
    pub values: HashMap<&'a str, Value>,
    /// How the file's input becomes tensor 0; how pixel bytes do if that was `given`.
    pub normalization: Normalization,
    given: bool,
    /// Layers in evaluation order.
    pub layers: Vec<Lowered>,
    /// Shapes of the tensors, the image first.
    pub shapes: Vec<Shape>,
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
    let input = Tensor {
        id: TensorId::INPUT,
        dims: graph.input_dims.clone(),
        shared: false,
        mark: Mark::None,
    };
    let mut lowering = Lowering {
        graph,
        given: normalization.is_some(),
        values: HashMap::from([(graph.input, Value::Tensor(input))]),
        normalization: normalization.unwrap_or_else(Normalization::identity),
        layers: vec![],
        shapes: vec![shape],
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
            "Dropout" | "Identity" => self.identity(&node)?,
            "Flatten" => self.flatten(&node)?,
            "Gather" => self.gather(&node)?,
            "Gemm" => self.gemm(&node)?,
            "GlobalAveragePool" => self.global_average_pool(&node)?,
            "MatMul" => self.mat_mul(&node)?,
            "Pad" => self.pad(&node)?,
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

    /// Adds a view of a tensor: pooling, flatten.
    pub fn push_view(&mut self, layer: Layer, dims: Vec<usize>) -> Value {
        self.shapes.push(shape_of(&dims));
        self.layers.push(Lowered {
            layer,
            weights: None,
        });
        self.fresh(dims)
    }

    fn fresh(&self, dims: Vec<usize>) -> Value {
        Value::Tensor(Tensor {
            id: TensorId(self.layers.len()),
            dims,
            shared: false,
            mark: Mark::None,
        })
    }

    /// Adds a linear layer.
    pub fn push_linear(
        &mut self,
        name: &str,
        terms: Vec<Term>,
        weights: FloatWeights,
        dims: Vec<usize>,
    ) -> Value {
        let shape = shape_of(&dims);
        self.shapes.push(shape);
        self.layers.push(Lowered {
            layer: Layer::Linear(Linear {
                name: name.into(),
                terms,
                shape,
                output: Output::Activation,
            }),
            weights: Some(weights),
        });
        self.fresh(dims)
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
            None => {
                let channels = self.shape(&tensor).channels;
                let weights = FloatWeights::identity(channels, Clamp::NONE);
                let terms = vec![pointwise(tensor.id, channels)];
                self.push_linear("logits", terms, weights, tensor.dims);
                TensorId(self.layers.len())
            }
        };
        let input = self.shapes[0];
        let normalization = self.pixels();
        normalization.check(input.channels)?;
        let (layers, weights) = self.prune(last);
        let architecture = Architecture {
            input,
            fraction_bits: 8,
            range_bits: 20,
            layers,
        };
        FloatModel::new(architecture, normalization, weights)
    }

    /// The layers `last` needs, renumbered, and their parameters.
    fn prune(self, last: TensorId) -> (Vec<Layer>, Vec<FloatWeights>) {
        let mut needed = vec![false; self.layers.len() + 1];
        needed[last.0] = true;
        for (index, lowered) in self.layers.iter().enumerate().rev() {
            if needed[index + 1] {
                match &lowered.layer {
                    Layer::Linear(linear) => {
                        linear.terms.iter().for_each(|t| needed[t.input.0] = true)
                    }
                    Layer::SumPool(pool) => needed[pool.input.0] = true,
                    Layer::Flatten { input } => needed[input.0] = true,
                }
            }
        }
        let mut renumbered = vec![TensorId::INPUT; self.layers.len() + 1];
        let (mut layers, mut weights) = (vec![], vec![]);
        for (index, mut lowered) in self.layers.into_iter().enumerate() {
            if !needed[index + 1] {
                continue;
            }
            let moved = |id: &mut TensorId| *id = renumbered[id.0];
            match &mut lowered.layer {
                Layer::Linear(linear) => {
                    linear.terms.iter_mut().for_each(|t| moved(&mut t.input));
                    if index + 1 == last.0 {
                        linear.output = Output::Logits;
                    }
                }
                Layer::SumPool(pool) => moved(&mut pool.input),
                Layer::Flatten { input } => moved(input),
            }
            layers.push(lowered.layer);
            weights.extend(lowered.weights);
            renumbered[index + 1] = TensorId(layers.len());
        }
        (layers, weights)
    }
}

/// A term that reads every cell once.
pub fn pointwise(input: TensorId, groups: usize) -> Term {
    Term {
        input,
        kernel: (1, 1),
        stride: (1, 1),
        padding: Padding::default(),
        groups,
    }
}
