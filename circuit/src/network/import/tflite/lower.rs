//! From operators to layers: one operator after the other, then the layers the output needs.
//!
//! TensorFlow Lite puts channels last and the network puts them first: a tensor `[h, w, c]` of the
//! file is the network's `c x h x w`, and only where it is flattened does the order show.

use super::graph::Graph;
use super::node::Node;
use super::schema::operator;
use crate::network::import::float::{Clamp, FloatModel, FloatWeights, OutputScale};
use crate::network::import::stack::Stack;
use crate::network::import::tensor::{Mark, Tensor};
use crate::network::import::{ImportError, Normalization};
use crate::network::shapes::MAX_CELLS;
use crate::network::{Shape, TensorId, Term};

/// The network so far.
pub struct Lowering<'a> {
    /// What is lowered.
    pub graph: &'a Graph<'a>,
    /// The tensors made so far, by their index in the file.
    tensors: Vec<Option<Tensor>>,
    /// How pixel bytes become tensor 0, as far as the file or the options say.
    pub normalization: Option<Normalization>,
    /// The layers.
    pub stack: Stack,
    /// Bytes of constants read so far: many operators may read the same one.
    constant_bytes: usize,
}

/// The model of a graph; `normalization` is that of its input if the options give one.
pub fn lower(
    graph: &Graph,
    normalization: Option<Normalization>,
) -> Result<FloatModel, ImportError> {
    let input = &graph.model.tensors[graph.input];
    let dims = graph.dims(graph.input).ok_or_else(|| ImportError::Input {
        name: input.name(),
        found: format!("{:?}", input.shape),
    })?;
    let shape = shape_of(&dims);
    if let Some(normalization) = &normalization {
        normalization.check(shape.channels)?;
    }
    let normalization = match (normalization, input.bytes()?) {
        (None, Some(bytes)) => Some(pixels(bytes)),
        (given, _) => given,
    };
    let mut tensors = vec![None; graph.model.tensors.len()];
    tensors[graph.input] = Some(Tensor::new(TensorId::INPUT, dims));
    let mut lowering = Lowering {
        graph,
        tensors,
        normalization,
        stack: Stack::new(shape),
        constant_bytes: 0,
    };
    for &index in &graph.operators {
        lowering.node(&Node::new(graph, index))?;
    }
    lowering.finish()
}

/// The shape a network gives a tensor of the file: `[n]` is `n x 1 x 1`.
pub fn shape_of(dims: &[usize]) -> Shape {
    match *dims {
        [height, width, channels] => Shape::new(channels, height, width),
        [height, width] => Shape::new(1, height, width),
        _ => Shape::new(dims.iter().product(), 1, 1),
    }
}

/// How pixels become values when they are the bytes of an input that is quantized already.
pub fn pixels(bytes: OutputScale) -> Normalization {
    Normalization::uniform(bytes.scale, -bytes.scale * f64::from(bytes.zero_point))
}

impl<'a> Lowering<'a> {
    fn node(&mut self, node: &Node<'a>) -> Result<(), ImportError> {
        let tensor = match node.code {
            operator::ADD => self.add(node)?,
            operator::AVERAGE_POOL_2D => self.average_pool(node)?,
            operator::CONCATENATION => self.concat(node)?,
            operator::CONV_2D => self.conv(node)?,
            operator::DEPTHWISE_CONV_2D => self.depthwise(node)?,
            operator::DEQUANTIZE => self.dequantize(node)?,
            operator::FULLY_CONNECTED => self.fully_connected(node)?,
            operator::MAX_POOL_2D => self.max_pool(node)?,
            operator::MEAN => self.mean(node)?,
            operator::PAD => self.pad(node)?,
            operator::QUANTIZE => self.quantize(node)?,
            operator::RESHAPE => self.reshape(node)?,
            operator::SOFTMAX => self.softmax(node)?,
            _ => return Err(node.unsupported()),
        };
        let output = node.output()?;
        if self.graph.dims(output).as_ref() != Some(&tensor.dims) {
            let (found, dims) = (&self.graph.model.tensors[output].shape, &tensor.dims);
            return Err(node.form(format!(
                "the output is {dims:?} behind a batch of 1, but the file says {found:?}"
            )));
        }
        self.tensors[output] = Some(tensor);
        Ok(())
    }

    /// Input `index`, which must depend on the image; any mark is the caller's to mind.
    pub fn marked(&self, node: &Node, index: usize) -> Result<Tensor, ImportError> {
        let input = node.input(index)?;
        if let Some(tensor) = &self.tensors[input] {
            let mut tensor = tensor.clone();
            tensor.shared |= self.graph.readers[input] > 1;
            return Ok(tensor);
        }
        if self.graph.model.tensors[input].data.len() > 0 {
            return Err(node.form(format!("input {index} must depend on the image")));
        }
        Err(ImportError::UnknownValue {
            node: node.place(),
            op: node.op(),
            input: self.graph.model.tensors[input].name(),
        })
    }

    /// Input `index`, which must depend on the image and be unmarked.
    pub fn tensor(&self, node: &Node, index: usize) -> Result<Tensor, ImportError> {
        let tensor = self.marked(node, index)?;
        tensor.plain().map_err(|reason| node.form(reason))?;
        Ok(tensor)
    }

    /// Input `index`, which must be a constant of real numbers: its shape and elements.
    pub fn reals(
        &mut self,
        node: &Node,
        index: usize,
    ) -> Result<(Vec<usize>, Vec<f32>), ImportError> {
        self.constant(node, index)?.reals()
    }

    /// Input `index`, which must be a constant list of integers.
    pub fn integers(&mut self, node: &Node, index: usize) -> Result<Vec<i32>, ImportError> {
        self.constant(node, index)?.integers()
    }

    fn constant(
        &mut self,
        node: &Node,
        index: usize,
    ) -> Result<&'a super::schema::Tensor<'a>, ImportError> {
        let tensor = &self.graph.model.tensors[node.input(index)?];
        if tensor.data.len() == 0 {
            return Err(node.form(format!("input {index} must be a constant")));
        }
        self.constant_bytes += tensor.data.len();
        if self.constant_bytes > 4 * MAX_CELLS {
            return Err(ImportError::TooLarge {
                what: "the number of bytes of all constants",
                found: self.constant_bytes,
                max: 4 * MAX_CELLS,
            });
        }
        Ok(tensor)
    }

    /// Adds a linear layer that ends with `clamp`, rounded as the file rounds the operator's output.
    pub fn push_linear(
        &mut self,
        node: &Node,
        terms: Vec<Term>,
        weights: FloatWeights,
        dims: Vec<usize>,
    ) -> Result<Tensor, ImportError> {
        let shape = shape_of(&dims);
        let id = self.stack.push_linear(&node.name, terms, weights, shape)?;
        self.rounded(node, id, dims)
    }

    /// The tensor `id` that the layer just added makes: rounded as the file rounds the operator's output.
    pub fn rounded(
        &mut self,
        node: &Node,
        id: TensorId,
        dims: Vec<usize>,
    ) -> Result<Tensor, ImportError> {
        let rounding = self.graph.model.tensors[node.output()?].bytes()?;
        self.stack.round_last(rounding);
        Ok(Tensor::new(id, dims))
    }

    /// Makes the output a layer of logits and drops the layers it does not need.
    fn finish(mut self) -> Result<FloatModel, ImportError> {
        let output = &self.graph.model.tensors[self.graph.output];
        let tensor = self.tensors[self.graph.output].clone();
        let tensor = tensor.ok_or_else(|| ImportError::UnknownValue {
            node: "the output".into(),
            op: "none".into(),
            input: output.name(),
        })?;
        if !matches!(tensor.mark, Mark::None | Mark::Softmax) {
            return Err(ImportError::Form {
                node: output.name(),
                op: "the output".into(),
                shapes: format!("{:?}", output.shape),
                reason: "expected one position, a value for each class".into(),
            });
        }
        let open = !tensor.shared && self.stack.bounds(tensor.id) == Clamp::NONE;
        let last = match open && self.stack.linear(tensor.id).is_some() {
            true => tensor.id,
            false => self.stack.push_identity("logits", tensor.id, Clamp::NONE)?,
        };
        let normalization = self.pixels();
        self.stack.finish(last, normalization)
    }

    /// How pixel bytes become tensor 0: floats of which nothing is said are pixel / 255.
    pub fn pixels(&self) -> Normalization {
        let unit = || Normalization::uniform(1.0 / 255.0, 0.0);
        self.normalization.clone().unwrap_or_else(unit)
    }
}
