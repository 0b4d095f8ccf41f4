//! A file's graph, checked: one input, one output, the nodes the output needs.

use super::proto::{element, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_CELLS;
use std::collections::{HashMap, HashSet};

/// Broadcasting follows today's rules from here on.
const MIN_OPERATOR_SET: i64 = 7;
/// Nodes of one graph.
const MAX_NODES: usize = 1 << 14;

/// What lowering works on.
pub struct Graph<'a> {
    /// Name of the input.
    pub input: &'a str,
    /// Its shape without the batch.
    pub input_dims: Vec<usize>,
    /// Name of the output.
    pub output: &'a str,
    /// The nodes the output needs, in order.
    pub nodes: Vec<&'a NodeProto>,
    /// Constants by name.
    pub initializers: HashMap<&'a str, &'a TensorProto>,
    /// How often each value is read by them; being the output counts.
    pub readers: HashMap<&'a str, usize>,
}

impl<'a> Graph<'a> {
    /// Checks what the file says about itself.
    pub fn read(model: &'a ModelProto) -> Result<Self, ImportError> {
        let graph = model.graph.as_ref().ok_or(ImportError::NoGraph)?;
        let standard = |domain: &str| domain.is_empty() || domain == "ai.onnx";
        let sets = model.opset_import.iter().filter(|s| standard(&s.domain));
        let version = sets.map(|set| set.version).max().unwrap_or(0);
        if version < MIN_OPERATOR_SET {
            return Err(ImportError::OperatorSet {
                min: MIN_OPERATOR_SET,
                found: version,
            });
        }
        if graph.node.len() > MAX_NODES {
            return Err(ImportError::TooLarge {
                what: "the number of nodes",
                found: graph.node.len(),
                max: MAX_NODES,
            });
        }
        let mut initializers = HashMap::new();
        for tensor in &graph.initializer {
            if initializers.insert(tensor.name.as_str(), tensor).is_some() {
                return Err(ImportError::MadeTwice {
                    name: tensor.name.clone(),
                });
            }
        }
        let inputs = graph.input.iter();
        let inputs = inputs.filter(|input| !initializers.contains_key(input.name.as_str()));
        let input = single("input", inputs)?;
        let output = single("output", graph.output.iter())?.name.as_str();
        check_made_once(input, &graph.node, &initializers)?;
        let (nodes, readers) = needed(output, &graph.node);
        Ok(Self {
            input: &input.name,
            input_dims: input_dims(input)?,
            output,
            nodes,
            initializers,
            readers,
        })
    }
}

fn single<'a>(
    what: &'static str,
    ports: impl Iterator<Item = &'a ValueInfoProto>,
) -> Result<&'a ValueInfoProto, ImportError> {
    let ports: Vec<_> = ports.collect();
    match ports[..] {
        [port] => Ok(port),
        _ => {
            let names = ports.iter().take(8).map(|port| port.name.as_str());
            Err(ImportError::Ports {
                what,
                found: ports.len(),
                names: names.collect::<Vec<_>>().join(", "),
            })
        }
    }
}

fn check_made_once(
    input: &ValueInfoProto,
    nodes: &[NodeProto],
    initializers: &HashMap<&str, &TensorProto>,
) -> Result<(), ImportError> {
    let mut made = HashSet::from([input.name.as_str()]);
    for name in nodes.iter().flat_map(|node| &node.output) {
        let once = made.insert(name) && !initializers.contains_key(name.as_str());
        if !once && !name.is_empty() {
            return Err(ImportError::MadeTwice { name: name.clone() });
        }
    }
    Ok(())
}

/// The nodes `output` needs, in order, and how often they read each value.
fn needed<'a>(
    output: &'a str,
    nodes: &'a [NodeProto],
) -> (Vec<&'a NodeProto>, HashMap<&'a str, usize>) {
    let mut readers = HashMap::from([(output, 1)]);
    let mut kept = vec![];
    for node in nodes.iter().rev() {
        if node.output.iter().any(|o| readers.contains_key(o.as_str())) {
            for name in node.input.iter().filter(|name| !name.is_empty()) {
                *readers.entry(name.as_str()).or_insert(0) += 1;
            }
            kept.push(node);
        }
    }
    kept.reverse();
    (kept, readers)
}

/// Shape of the input without its batch, which must be 1 or not fixed.
fn input_dims(input: &ValueInfoProto) -> Result<Vec<usize>, ImportError> {
    let tensor = input.r#type.as_ref().and_then(|t| t.tensor_type.as_ref());
    let shape = tensor.and_then(|t| t.shape.as_ref());
    let refused = || {
        let sides = shape.map(|shape| {
            let side = |d: &super::proto::DimensionProto| match (&d.dim_param, d.dim_value) {
                (_, Some(value)) => value.to_string(),
                (Some(name), None) => name.clone(),
                (None, None) => "?".into(),
            };
            shape.dim.iter().take(8).map(side).collect::<Vec<_>>()
        });
        let element = tensor.map_or(0, |t| t.elem_type);
        ImportError::Input {
            name: input.name.clone(),
            found: match sides {
                Some(sides) => format!("[{}] of element type {element}", sides.join(", ")),
                None => "no shape".into(),
            },
        }
    };
    let Some((batch, sides)) = shape.and_then(|shape| shape.dim.split_first()) else {
        return Err(refused());
    };
    let float = tensor.is_some_and(|t| t.elem_type == element::FLOAT);
    if !float || batch.dim_value.is_some_and(|batch| batch != 1) || !(1..=3).contains(&sides.len())
    {
        return Err(refused());
    }
    let mut dims = vec![];
    for side in sides {
        let side = side.dim_value.and_then(|side| usize::try_from(side).ok());
        match side {
            Some(side) if (1..=MAX_CELLS).contains(&side) => dims.push(side),
            _ => return Err(refused()),
        }
    }
    let cells = dims.iter().fold(1usize, |n, &side| n.saturating_mul(side));
    if cells > MAX_CELLS {
        return Err(ImportError::TooLarge {
            what: "the number of cells of the input",
            found: cells,
            max: MAX_CELLS,
        });
    }
    Ok(dims)
}
