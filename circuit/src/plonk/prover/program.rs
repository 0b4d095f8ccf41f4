//! The gates as a straight-line program over blocks of rows.
//!
//! The same graph that the verifiers evaluate at one point is evaluated here on a coset, a block of rows at a time: what
//! it takes to find out what to do next is spent once a block, and the values on the way stay in the cache.

use super::super::constraint::{ConstraintGraph, Node};
use halo2curves::bn256::Fr;
use halo2curves::ff::Field;
use std::borrow::Cow;

/// Rows of a block: 4 KiB a value.
pub(super) const BLOCK: usize = 128;

/// Where a step finds a value.
#[derive(Clone, Copy, Debug)]
enum Operand {
    /// Computed before, in this place.
    Slot(usize),
    /// The cell at this position of the proof's evaluations.
    Cell(usize),
    /// The same in every row.
    Scalar(Fr),
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Add,
    Subtract,
    Multiply,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// The result's slot, none of the operands'.
    Compute(usize, Action, Operand, Operand),
    /// The end of a constraint: `sum = sum * y + value`, or `- value`.
    Fold { value: Operand, negated: bool },
}

/// A graph made ready for the challenges of one proof.
pub(super) struct Program {
    steps: Vec<Step>,
    slots: usize,
}

/// Places for the values on the way; a set for each thread.
pub(super) struct Scratch(Vec<Vec<Fr>>);

impl Program {
    /// `challenges` in the order they were squeezed.
    pub fn new(graph: &ConstraintGraph, challenges: &[Fr]) -> Self {
        let mut compiler = Compiler::default();
        let mut rest = graph.nodes().iter();
        for &root in graph.roots() {
            // Operands come before uses, so what a constraint needs ends with itself.
            while compiler.values.len() <= root {
                let Some(node) = rest.next() else { break };
                compiler.node(*node, challenges);
            }
            compiler.fold(root);
        }
        compiler.place()
    }

    pub fn scratch(&self) -> Scratch {
        Scratch(vec![vec![Fr::ZERO; BLOCK]; self.slots])
    }

    /// Folds every constraint into `sum`, a value for each row of the block; `cell` has the rows of a cell.
    pub fn run<'c>(
        &self,
        cell: &impl Fn(usize) -> Cow<'c, [Fr]>,
        y: Fr,
        sum: &mut [Fr],
        scratch: &mut Scratch,
    ) {
        for step in &self.steps {
            match *step {
                Step::Compute(slot, action, a, b) => {
                    let mut out = std::mem::take(&mut scratch.0[slot]);
                    let rows = &mut out[..sum.len()];
                    // A loop for each action and each kind of operands, so that nothing is decided inside it.
                    match action {
                        Action::Add => each(scratch, cell, (a, b), rows, |a, b| a + b),
                        Action::Subtract => each(scratch, cell, (a, b), rows, |a, b| a - b),
                        Action::Multiply => each(scratch, cell, (a, b), rows, |a, b| a * b),
                    }
                    scratch.0[slot] = out;
                }
                Step::Fold { value, negated } => {
                    let y = if negated { -y } else { y };
                    // A negated sum is folded as -(sum * -y + value).
                    with(scratch, cell, value, |value| {
                        for (row, sum) in sum.iter_mut().enumerate() {
                            *sum = *sum * y + value.row(row);
                        }
                    });
                    if negated {
                        sum.iter_mut().for_each(|sum| *sum = -*sum);
                    }
                }
            }
        }
    }
}

/// The values of an operand in the rows of a block.
#[derive(Clone, Copy)]
enum Rows<'a> {
    Each(&'a [Fr]),
    Same(Fr),
}

impl Rows<'_> {
    fn row(self, row: usize) -> Fr {
        match self {
            Self::Each(rows) => rows[row],
            Self::Same(value) => value,
        }
    }
}

fn with<'c>(
    scratch: &Scratch,
    cell: &impl Fn(usize) -> Cow<'c, [Fr]>,
    operand: Operand,
    then: impl FnOnce(Rows<'_>),
) {
    match operand {
        Operand::Slot(slot) => then(Rows::Each(&scratch.0[slot])),
        Operand::Cell(position) => then(Rows::Each(&cell(position))),
        Operand::Scalar(value) => then(Rows::Same(value)),
    }
}

fn each<'c>(
    scratch: &Scratch,
    cell: &impl Fn(usize) -> Cow<'c, [Fr]>,
    (a, b): (Operand, Operand),
    out: &mut [Fr],
    action: impl Fn(Fr, Fr) -> Fr,
) {
    with(scratch, cell, a, |a| {
        with(scratch, cell, b, |b| match (a, b) {
            (Rows::Each(a), Rows::Each(b)) => {
                for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                    *out = action(*a, *b);
                }
            }
            (Rows::Each(a), Rows::Same(b)) => {
                for (out, a) in out.iter_mut().zip(a) {
                    *out = action(*a, b);
                }
            }
            (Rows::Same(a), Rows::Each(b)) => {
                for (out, b) in out.iter_mut().zip(b) {
                    *out = action(a, *b);
                }
            }
            (Rows::Same(a), Rows::Same(b)) => out.fill(action(a, b)),
        })
    });
}

/// A node's value: signs are carried along, so that no step negates.
#[derive(Clone, Copy)]
struct Value {
    negated: bool,
    operand: Operand,
}

/// Steps in order; a slot here is the number of the step that fills it.
#[derive(Default)]
struct Compiler {
    values: Vec<Value>,
    steps: Vec<Step>,
}

impl Compiler {
    fn node(&mut self, node: Node, challenges: &[Fr]) {
        let value = match node {
            Node::Constant(constant) => scalar(constant),
            Node::Challenge(index) => scalar(challenges.get(index).copied().unwrap_or_default()),
            Node::Evaluation(position) => plain(Operand::Cell(position)),
            Node::Negated(a) => self.negated(a),
            Node::Sum(a, b) => self.sum(self.values[a], self.values[b]),
            Node::Product(a, b) => self.product(self.values[a], self.values[b]),
        };
        self.values.push(value);
    }

    fn negated(&self, a: usize) -> Value {
        match self.values[a] {
            Value {
                operand: Operand::Scalar(value),
                ..
            } => scalar(-value),
            Value { negated, operand } => Value {
                negated: !negated,
                operand,
            },
        }
    }

    fn sum(&mut self, a: Value, b: Value) -> Value {
        if let (Operand::Scalar(a), Operand::Scalar(b)) = (a.operand, b.operand) {
            return scalar(a + b);
        }
        let (action, left, right) = match (a.negated, b.negated) {
            (true, false) => (Action::Subtract, b, a),
            (false, true) => (Action::Subtract, a, b),
            _ => (Action::Add, a, b),
        };
        Value {
            negated: a.negated && b.negated,
            operand: self.compute(action, left.operand, right.operand),
        }
    }

    fn product(&mut self, a: Value, b: Value) -> Value {
        if let (Operand::Scalar(a), Operand::Scalar(b)) = (a.operand, b.operand) {
            return scalar(a * b);
        }
        Value {
            negated: a.negated != b.negated,
            operand: self.compute(Action::Multiply, a.operand, b.operand),
        }
    }

    fn compute(&mut self, action: Action, a: Operand, b: Operand) -> Operand {
        let own = self.steps.len();
        self.steps.push(Step::Compute(own, action, a, b));
        Operand::Slot(own)
    }

    fn fold(&mut self, root: usize) {
        let Value { negated, operand } = self.values[root];
        let value = operand;
        self.steps.push(Step::Fold { value, negated });
    }

    /// Gives each result a slot that nothing needs any more.
    fn place(self) -> Program {
        let mut last = vec![0; self.steps.len()];
        for (number, step) in self.steps.iter().enumerate() {
            for operand in step.operands() {
                if let Operand::Slot(of) = operand {
                    last[of] = number;
                }
            }
        }
        let (mut free, mut slots) = (Vec::new(), 0);
        let mut places = vec![0; self.steps.len()];
        let mut steps = Vec::with_capacity(self.steps.len());
        for (number, step) in self.steps.into_iter().enumerate() {
            let moved = |operand| match operand {
                Operand::Slot(of) => Operand::Slot(places[of]),
                other => other,
            };
            let operands = step.operands();
            let placed = match step {
                Step::Fold { value, negated } => Step::Fold {
                    value: moved(value),
                    negated,
                },
                Step::Compute(_, action, a, b) => {
                    // Taken before the operands' are given back: a step never writes what it reads.
                    let slot = free.pop().unwrap_or_else(|| {
                        slots += 1;
                        slots - 1
                    });
                    let step = Step::Compute(slot, action, moved(a), moved(b));
                    places[number] = slot;
                    step
                }
            };
            steps.push(placed);
            let mut ended: Vec<usize> = operands
                .into_iter()
                .filter_map(|operand| match operand {
                    Operand::Slot(of) if last[of] == number => Some(places[of]),
                    _ => None,
                })
                .collect();
            ended.sort_unstable();
            ended.dedup();
            free.extend(ended);
        }
        Program { steps, slots }
    }
}

impl Step {
    fn operands(&self) -> Vec<Operand> {
        match *self {
            Self::Compute(_, _, a, b) => vec![a, b],
            Self::Fold { value, .. } => vec![value],
        }
    }
}

fn plain(operand: Operand) -> Value {
    Value {
        negated: false,
        operand,
    }
}

fn scalar(value: Fr) -> Value {
    plain(Operand::Scalar(value))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CELLS: usize = 4;

    /// Random nodes, each of earlier ones.
    fn graphs() -> impl Strategy<Value = ConstraintGraph> {
        let node = (0u8..8, any::<usize>(), any::<usize>(), 0u64..3);
        let nodes = proptest::collection::vec(node, 1..60);
        let roots = proptest::collection::vec(any::<usize>(), 1..6);
        (nodes, roots).prop_map(|(nodes, roots)| {
            let nodes: Vec<Node> = nodes
                .into_iter()
                .enumerate()
                .map(|(position, (kind, a, b, small))| match (kind, position) {
                    (0, _) => Node::Constant(Fr::from(small)),
                    (1, _) => Node::Challenge(a % 2),
                    (2, _) | (_, 0) => Node::Evaluation(a % CELLS),
                    (3, _) => Node::Negated(a % position),
                    (4 | 5, _) => Node::Sum(a % position, b % position),
                    _ => Node::Product(a % position, b % position),
                })
                .collect();
            let roots = roots.into_iter().map(|root| root % nodes.len()).collect();
            ConstraintGraph::from_parts(nodes, roots)
        })
    }

    proptest! {
        /// Row by row what the verifiers compute from the same graph.
        #[test]
        fn a_block_is_what_the_graph_is_in_each_row(graph in graphs(), rows in 1..=BLOCK, y in 0u64..9) {
            let columns: Vec<Vec<Fr>> = (0..CELLS as u64)
                .map(|column| (0..rows as u64).map(|row| Fr::from(7 * column + row * row)).collect())
                .collect();
            let challenges = [Fr::from(5), -Fr::from(2)];
            let y = Fr::from(y);
            let program = Program::new(&graph, &challenges);
            let mut sum = vec![Fr::from(3); rows];
            let cell = |position: usize| Cow::Borrowed(&columns[position][..]);
            program.run(&cell, y, &mut sum, &mut program.scratch());
            for (row, sum) in sum.iter().enumerate() {
                let cells: Vec<Fr> = columns.iter().map(|column| column[row]).collect();
                let constraints = graph.evaluate(&cells, &challenges);
                let expected = constraints.into_iter().fold(Fr::from(3), |sum, c| sum * y + c);
                prop_assert_eq!(*sum, expected);
            }
        }
    }
}
