//! From nodes to layers: which values exist, and what is folded into what.
//!
//! A convolution or dense layer becomes a [`Linear`]. An operation per channel (bias, scale, batch
//! normalization, clip) folds into the linear layer before it when nothing else reads that, into the
//! normalization when it works on the image, and else becomes a depthwise 1x1 layer of its own. A
//! sum folds both its operands in the same way, so a residual block costs no extra tensor.

use super::constant::{Constant, Data};
use super::graph::Graph;
use super::node::Node;
use super::proto::NodeProto;
use crate::network::import::float::{Clamp, FloatModel, FloatWeights};
use crate::network::import::{ImportError, Normalization};
use crate::network::{Architecture, Layer, Linear, Output, Padding, Shape, TensorId, Term};
use std::collections::HashMap;

/// A tensor as a node sees it.
#[derive(Clone)]
pub struct Tensor {
    /// Which tensor of the network.
    pub id: TensorId,
    /// Its shape in the file, without the batch.
    pub dims: Vec<usize>,
    /// Whether more than one node reads it.
    shared: bool,
    /// Whether a softmax was left out: only the output may read it.
    softmax: bool,
}

/// What a name stands for.
#[derive(Clone)]
pub enum Value {
    /// Known now.
    Constant(Constant),
    /// Known when the network runs.
    Tensor(Tensor),
}

/// A layer and, if linear, its parameters.
struct Lowered {
    layer: Layer,
    weights: Option<FloatWeights>,
}

/// The network so far.
pub struct Lowering<'a> {
    graph: &'a Graph<'a>,
    values: HashMap<&'a str, Value>,
    normalization: Normalization,
    layers: Vec<Lowered>,
    shapes: Vec<Shape>,
}

/// The float model of a graph; `normalization` is that of its input if the options give one.
pub fn lower(
    graph: &Graph,
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    let given = normalization.is_some();
    let shape = shape_of(&graph.input_dims);
    let input = Tensor {
        id: TensorId::INPUT,
        dims: graph.input_dims.clone(),
        shared: false,
        softmax: false,
    };
    let mut lowering = Lowering {
        graph,
        values: HashMap::from([(graph.input, Value::Tensor(input))]),
        normalization: normalization.unwrap_or_else(Normalization::identity),
        layers: vec![],
        shapes: vec![shape],
    };
    for proto in &graph.nodes {
        lowering.node(proto)?;
    }
    if !given {
        lowering.normalization = lowering.normalization.guess_pixels();
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
            "Constant" => self.known(&node)?,
            "Conv" => self.conv(&node)?,
            "Dropout" | "Identity" => self.identity(&node)?,
            "Flatten" => self.flatten(&node)?,
            "Gemm" => self.gemm(&node)?,
            "GlobalAveragePool" => self.global_average_pool(&node)?,
            "MatMul" => self.mat_mul(&node)?,
            "Relu" => self.relu(&node)?,
            "Reshape" => self.reshape(&node)?,
            "Softmax" | "LogSoftmax" => self.softmax(&node)?,
            "Squeeze" => self.squeeze(&node)?,
            _ => return Err(node.unsupported()),
        };
        // Only the first output of an operator is made; a reader of another one finds nothing.
        if let Some(name) = proto.output.first() {
            self.values.insert(name, value);
        }
        Ok(())
    }

    fn input_shapes(&self, proto: &NodeProto) -> String {
        let shape = |name: &String| match self.values.get(name.as_str()) {
            Some(Value::Tensor(tensor)) => format!("{:?}", tensor.dims),
            Some(Value::Constant(constant)) => format!("constant {:?}", constant.dims),
            None => match self.graph.initializers.get(name.as_str()) {
                Some(tensor) => format!("constant {:?}", tensor.dims),
                None => "?".into(),
            },
        };
        let shapes: Vec<_> = proto.input.iter().take(8).map(shape).collect();
        shapes.join(", ")
    }

    /// Input `index` of a node.
    pub fn value(&self, node: &Node<'a>, index: usize) -> Result<Value, ImportError> {
        let missing = || node.form(format!("input {index} is missing"));
        let name = node.input(index).ok_or_else(missing)?;
        if let Some(value) = self.values.get(name) {
            let mut value = value.clone();
            if let Value::Tensor(tensor) = &mut value {
                tensor.shared |= self.graph.readers.get(name).is_some_and(|&n| n > 1);
            }
            return Ok(value);
        }
        match self.graph.initializers.get(name) {
            Some(proto) => Constant::read(proto).map(Value::Constant),
            None => Err(node.unknown(name)),
        }
    }

    /// Input `index`, which must depend on the image; a softmax before it is no matter.
    pub fn source(&self, node: &Node<'a>, index: usize) -> Result<Tensor, ImportError> {
        match self.value(node, index)? {
            Value::Tensor(tensor) => Ok(tensor),
            Value::Constant(_) => Err(node.form(format!("input {index} must depend on the image"))),
        }
    }

    /// Input `index`, which must depend on the image.
    pub fn tensor(&self, node: &Node<'a>, index: usize) -> Result<Tensor, ImportError> {
        let tensor = self.source(node, index)?;
        self.not_softmax(node, &tensor)?;
        Ok(tensor)
    }

    /// A softmax may only be the end: what is computed from its values is lost with it.
    pub fn not_softmax(&self, node: &Node, tensor: &Tensor) -> Result<(), ImportError> {
        if tensor.softmax {
            return Err(node.form("a softmax is only supported at the very end"));
        }
        Ok(())
    }

    /// Input `index`, which must be a constant.
    pub fn constant(&self, node: &Node<'a>, index: usize) -> Result<Constant, ImportError> {
        match self.value(node, index)? {
            Value::Constant(constant) => Ok(constant),
            Value::Tensor(_) => Err(node.form(format!("input {index} must be a constant"))),
        }
    }

    /// Input `index`, which must be a constant of floats: its shape and elements.
    pub fn floats(
        &self,
        node: &Node<'a>,
        index: usize,
    ) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
        let constant = self.constant(node, index)?;
        match constant.data {
            Data::Float(values) => Ok((constant.dims, values)),
            Data::Int(_) => Err(node.form(format!("input {index} must hold floats"))),
        }
    }

    /// Input `index`, which must be a constant list of integers.
    pub fn ints(&self, node: &Node<'a>, index: usize) -> Result<Vec<i64>, ImportError> {
        let constant = self.constant(node, index)?;
        match constant.data {
            Data::Int(values) if constant.dims.len() <= 1 => Ok(values),
            _ => Err(node.form(format!("input {index} must be a list of integers"))),
        }
    }

    /// Shape of a tensor in the network.
    pub fn shape(&self, tensor: &Tensor) -> Shape {
        self.shapes[tensor.id.0]
    }

    /// The same tensor under other dimensions.
    pub fn renamed(&self, tensor: Tensor, dims: Vec<usize>) -> Value {
        Value::Tensor(Tensor { dims, ..tensor })
    }

    /// The same tensor, marked as read by nothing but the output.
    pub fn ended(&self, tensor: Tensor) -> Value {
        Value::Tensor(Tensor {
            softmax: true,
            ..tensor
        })
    }

    /// Sees the image in another shape, if nothing else reads it: bytes have no shape.
    pub fn reshape_input(&mut self, tensor: &Tensor, dims: Vec<usize>) -> Option<Value> {
        if tensor.id != TensorId::INPUT || tensor.shared || !self.normalization.is_uniform() {
            return None;
        }
        self.shapes[0] = shape_of(&dims);
        Some(self.renamed(tensor.clone(), dims))
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
            softmax: false,
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

    /// The linear layer that makes `tensor`, if it may still be changed: nothing else reads the
    /// tensor, and it does not end with a clamp.
    fn open(&mut self, tensor: &Tensor) -> Option<(&mut Linear, &mut FloatWeights)> {
        let (linear, weights) = self.last(tensor)?;
        (weights.clamp == Clamp::NONE).then_some((linear, weights))
    }

    /// The linear layer that makes `tensor`, if nothing else reads that.
    fn last(&mut self, tensor: &Tensor) -> Option<(&mut Linear, &mut FloatWeights)> {
        if tensor.shared {
            return None;
        }
        let lowered = self.layers.get_mut(tensor.id.0.checked_sub(1)?)?;
        match (&mut lowered.layer, &mut lowered.weights) {
            (Layer::Linear(linear), Some(weights)) => Some((linear, weights)),
            _ => None,
        }
    }

    /// `scale[c] * x + offset[c]` for every channel `c` of the tensor.
    pub fn affine(
        &mut self,
        node: &Node,
        tensor: &Tensor,
        scale: &[f64],
        offset: &[f64],
    ) -> Result<Value, ImportError> {
        if tensor.id == TensorId::INPUT && !tensor.shared {
            if scale.contains(&0.0) {
                return Err(node.form("the image is multiplied by zero"));
            }
            self.normalization = self.normalization.then(scale, offset);
            return Ok(Value::Tensor(tensor.clone()));
        }
        if let Some((linear, weights)) = self.open(tensor) {
            for (term, values) in linear.terms.iter().zip(&mut weights.terms) {
                scale_outputs(term, linear.shape.channels, values, scale);
            }
            for ((bias, scale), offset) in weights.bias.iter_mut().zip(scale).zip(offset) {
                *bias = (f64::from(*bias) * scale + offset) as f32;
            }
            return Ok(Value::Tensor(tensor.clone()));
        }
        let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect();
        let weights = FloatWeights {
            terms: vec![narrow(scale)],
            bias: narrow(offset),
            clamp: Clamp::NONE,
        };
        Ok(self.push_linear(
            &node.name,
            vec![depthwise(tensor.id, scale.len())],
            weights,
            tensor.dims.clone(),
        ))
    }

    /// The sum of two tensors of the same dimensions.
    pub fn sum(&mut self, node: &Node, operands: [&Tensor; 2]) -> Value {
        let channels = self.shape(operands[0]).channels;
        let mut terms = vec![];
        let mut weights = FloatWeights {
            terms: vec![],
            bias: vec![0.0; channels],
            clamp: Clamp::NONE,
        };
        for tensor in operands {
            match self.open(tensor) {
                // The operand's own layer is read by nothing any more and pruned at the end.
                Some((linear, parts)) => {
                    terms.extend(linear.terms.iter().cloned());
                    weights.terms.append(&mut parts.terms);
                    for (sum, bias) in weights.bias.iter_mut().zip(&parts.bias) {
                        *sum += bias;
                    }
                }
                None => {
                    terms.push(depthwise(tensor.id, channels));
                    weights.terms.push(vec![1.0; channels]);
                }
            }
        }
        self.push_linear(&node.name, terms, weights, operands[0].dims.clone())
    }

    /// The tensor clamped.
    pub fn clamp(&mut self, node: &Node, tensor: &Tensor, clamp: Clamp) -> Value {
        let bounds = self.bounds(tensor.id);
        if bounds.then(clamp) == bounds {
            return Value::Tensor(tensor.clone());
        }
        if let Some((_, weights)) = self.last(tensor) {
            weights.clamp = weights.clamp.then(clamp);
            return Value::Tensor(tensor.clone());
        }
        let channels = self.shape(tensor).channels;
        let weights = FloatWeights {
            terms: vec![vec![1.0; channels]],
            bias: vec![0.0; channels],
            clamp,
        };
        let terms = vec![depthwise(tensor.id, channels)];
        self.push_linear(&node.name, terms, weights, tensor.dims.clone())
    }

    /// Values a tensor is known to lie between.
    fn bounds(&self, id: TensorId) -> Clamp {
        let Some(index) = id.0.checked_sub(1) else {
            return Clamp::NONE;
        };
        match &self.layers[index] {
            Lowered {
                weights: Some(weights),
                ..
            } => weights.clamp,
            Lowered { layer, .. } => match layer {
                Layer::SumPool(pool) => self.bounds(pool.input),
                Layer::Flatten { input } => self.bounds(*input),
                Layer::Linear(_) => Clamp::NONE,
            },
        }
    }

    /// Makes the output a layer of logits and drops the layers it does not need.
    fn finish(mut self) -> Result<FloatModel, ImportError> {
        let missing = || ImportError::UnknownValue {
            node: "the output".into(),
            op: "Identity".into(),
            input: self.graph.output.into(),
        };
        let tensor = match self.values.get(self.graph.output) {
            Some(Value::Tensor(tensor)) => tensor.clone(),
            _ => return Err(missing()),
        };
        let last = match self.open(&tensor) {
            Some(_) => tensor.id,
            None => {
                let channels = self.shape(&tensor).channels;
                let weights = FloatWeights {
                    terms: vec![vec![1.0; channels]],
                    bias: vec![0.0; channels],
                    clamp: Clamp::NONE,
                };
                let terms = vec![depthwise(tensor.id, channels)];
                self.push_linear("logits", terms, weights, tensor.dims);
                TensorId(self.layers.len())
            }
        };
        let input = self.shapes[0];
        let normalization = self.normalization.clone();
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

/// A term that reads every channel by itself.
fn depthwise(input: TensorId, channels: usize) -> Term {
    pointwise(input, channels)
}

/// Multiplies the weights of every output channel.
fn scale_outputs(term: &Term, channels: usize, values: &mut [f32], scale: &[f64]) {
    let outputs = channels / term.groups;
    let per_group = values.len() / term.groups;
    for (group, scale) in values
        .chunks_mut(per_group.max(1))
        .zip(scale.chunks(outputs))
    {
        for run in group.chunks_mut(outputs) {
            for (value, scale) in run.iter_mut().zip(scale) {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    }
}
