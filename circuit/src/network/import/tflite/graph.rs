//! A file's graph, checked: one input, one output, the operators the output needs.

use super::schema::{Model, Operator};
use crate::network::import::ImportError;
use crate::network::shapes::MAX_CELLS;

/// What lowering works on. Tensors go by their index in the file.
pub struct Graph<'a> {
    /// The tables.
    pub model: &'a Model<'a>,
    /// The input.
    pub input: usize,
    /// The output.
    pub output: usize,
    /// Indices of the operators the output needs, in order.
    pub operators: Vec<usize>,
    /// How often each tensor is read by them; being the output counts.
    pub readers: Vec<usize>,
}

impl<'a> Graph<'a> {
    /// Checks that every index means a tensor and that every tensor is made at most once.
    pub fn read(model: &'a Model<'a>) -> Result<Self, ImportError> {
        let input = single(model, "input", &model.inputs)?;
        let output = single(model, "output", &model.outputs)?;
        let mut made = vec![false; model.tensors.len()];
        made[input] = true;
        for operator in &model.operators {
            for &index in operator.inputs.iter().filter(|&&index| index != -1) {
                tensor(model, index)?;
            }
            for &index in &operator.outputs {
                let index = tensor(model, index)?;
                let constant = model.tensors[index].data.len() > 0;
                if std::mem::replace(&mut made[index], true) || constant {
                    let name = model.tensors[index].name();
                    return Err(ImportError::MadeTwice { name });
                }
            }
        }
        let (operators, readers) = needed(model, output);
        Ok(Self {
            model,
            input,
            output,
            operators,
            readers,
        })
    }

    /// Shape of a tensor without its batch, which must be 1; every side positive, at most three.
    pub fn dims(&self, index: usize) -> Option<Vec<usize>> {
        let (&batch, sides) = self.model.tensors[index].shape.split_first()?;
        let side = |&side: &i32| usize::try_from(side).ok().filter(|&side| side > 0);
        let sides: Vec<usize> = sides.iter().map(side).collect::<Option<_>>()?;
        let cells = sides.iter().fold(1usize, |n, &side| n.saturating_mul(side));
        let fits = batch == 1 && (1..=3).contains(&sides.len()) && cells <= MAX_CELLS;
        fits.then_some(sides)
    }
}

fn tensor(model: &Model, index: i32) -> Result<usize, ImportError> {
    let index = usize::try_from(index).ok();
    let index = index.filter(|&index| index < model.tensors.len());
    index.ok_or(ImportError::FlatBuffer {
        at: 0,
        reason: "an operator, or the model, names a tensor that does not exist",
    })
}

fn single(model: &Model, what: &'static str, ports: &[i32]) -> Result<usize, ImportError> {
    if let &[port] = ports {
        return tensor(model, port);
    }
    let named = ports.iter().filter_map(|&port| tensor(model, port).ok());
    let names: Vec<_> = named.map(|index| model.tensors[index].name()).collect();
    Err(ImportError::Ports {
        what,
        found: ports.len(),
        names: names.join(", "),
    })
}

/// The operators `output` needs, in order, and how often they read each tensor.
fn needed(model: &Model, output: usize) -> (Vec<usize>, Vec<usize>) {
    let mut readers = vec![0; model.tensors.len()];
    readers[output] = 1;
    let mut kept = vec![];
    let read = |readers: &[usize], operator: &Operator| {
        let outputs = operator.outputs.iter();
        outputs
            .filter(|&&index| readers[index as usize] > 0)
            .count()
            > 0
    };
    for (position, operator) in model.operators.iter().enumerate().rev() {
        if read(&readers, operator) {
            for &index in operator.inputs.iter().filter(|&&index| index != -1) {
                readers[index as usize] += 1;
            }
            kept.push(position);
        }
    }
    kept.reverse();
    (kept, readers)
}
