//! What is known before the network runs: constants, and the arithmetic on shapes that exporters
//! write in front of a Reshape. A batch is one image there.

use super::constant::{Constant, Data};
use super::lower::Lowering;
use super::node::Node;
use super::proto::element;
use super::value::Value;
use crate::network::import::ImportError;

/// Elements of a computed list: shapes are short.
const MAX_LIST: usize = 64;

impl<'a> Lowering<'a> {
    /// The value of a Constant node.
    pub(super) fn known(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[
            "value",
            "value_float",
            "value_floats",
            "value_int",
            "value_ints",
        ])?;
        let list = |dims, data: Data| {
            let element = match data {
                Data::Float(_) => element::FLOAT,
                Data::Int(_) => element::INT64,
            };
            Ok(Value::Constant(Constant {
                dims,
                data,
                element,
            }))
        };
        if let Some(constant) = node.tensor("value")? {
            return Ok(Value::Constant(constant));
        }
        if let Some(values) = node.floats("value_floats")? {
            return list(vec![values.len()], Data::Float(values.to_vec()));
        }
        if let Some(values) = node.ints("value_ints")? {
            return list(vec![values.len()], Data::Int(values.to_vec()));
        }
        if node.has("value_float") {
            return list(vec![], Data::Float(vec![node.float("value_float", 0.0)?]));
        }
        if node.has("value_int") {
            return list(vec![], Data::Int(vec![node.int("value_int", 0)?]));
        }
        Err(node.form("the constant has no value"))
    }

    /// The shape of a tensor, as a list.
    pub(super) fn shape_list(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&[])?;
        let tensor = self.viewed(node, 0)?;
        let sides = tensor.dims.iter().map(|&side| side as i64);
        list(node, std::iter::once(1).chain(sides).collect())
    }

    /// One element of a list, or some.
    pub(super) fn gather(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        if node.int("axis", 0)? != 0 {
            return Err(node.form("only axis 0 of a list is supported"));
        }
        let values = self.ints(node, 0)?;
        let pick = |&index: &i64| {
            let from_end = index.checked_add_unsigned(values.len() as u64);
            let index = if index < 0 { from_end } else { Some(index) };
            let index = index.and_then(|index| usize::try_from(index).ok());
            let value = index.and_then(|index| values.get(index));
            value
                .copied()
                .ok_or_else(|| node.form("an index beyond the list"))
        };
        let picked = self
            .ints(node, 1)?
            .iter()
            .map(pick)
            .collect::<Result<_, _>>()?;
        list(node, picked)
    }

    /// Lists, or channels of tensors, one after the other.
    pub(super) fn concat(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axis"])?;
        if matches!(self.value(node, 0)?, Value::Tensor(_)) {
            return self.concat_channels(node);
        }
        if node.int("axis", 0)? != 0 {
            return Err(node.form("only axis 0 of lists is supported"));
        }
        if node.inputs() > MAX_LIST {
            return Err(node.form(format!("more than {MAX_LIST} lists")));
        }
        let mut joined = vec![];
        for index in 0..node.inputs() {
            joined.extend(self.ints(node, index)?);
        }
        list(node, joined)
    }

    /// A side of 1 more; a single integer becomes a list.
    pub(super) fn unsqueeze(&mut self, node: &Node<'a>) -> Result<Value, ImportError> {
        node.only(&["axes"])?;
        if matches!(self.value(node, 0)?, Value::Constant(_)) {
            return list(node, self.ints(node, 0)?);
        }
        let tensor = self.viewed(node, 0)?;
        let axes = self.axes(node)?;
        let rank = (tensor.dims.len() + axes.len() + 1) as i64;
        let mut added: Vec<_> = axes
            .iter()
            .map(|&a| if a < 0 { a.saturating_add(rank) } else { a })
            .collect();
        added.sort_unstable();
        let mut dims = tensor.dims.clone();
        for axis in added {
            // Axis 0 is the batch, which `dims` leaves out.
            match usize::try_from(axis)
                .ok()
                .and_then(|axis| axis.checked_sub(1))
            {
                Some(place) if place <= dims.len() && dims.len() < 3 => dims.insert(place, 1),
                _ => return Err(node.form("cannot add these axes behind the batch")),
            }
        }
        self.reshaped(node, tensor, dims)
    }
}

/// A constant list of integers.
fn list(node: &Node, values: Vec<i64>) -> Result<Value, ImportError> {
    if values.len() > MAX_LIST {
        return Err(node.form(format!("a list of more than {MAX_LIST} integers")));
    }
    Ok(Value::Constant(Constant {
        dims: vec![values.len()],
        data: Data::Int(values),
        element: element::INT64,
    }))
}
