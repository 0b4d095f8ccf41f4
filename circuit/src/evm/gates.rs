//! The constraint graph as Yul: shared values in memory, the rest as nested expressions of bounded depth.

use super::memory::Memory;
use super::yul::{load, Yul};
use crate::plonk::{Node, ProofShape, SystemChallenge};

/// Stack slots an expression may use beside the locals; the EVM reaches 16.
const STACK_LIMIT: usize = 9;

/// Emits `sum := sum * y + constraint` for every gate constraint; returns the end of the memory used.
pub(super) fn constraints(yul: &mut Yul, shape: &ProofShape, memory: &Memory) -> usize {
    let mut emitter = Emitter {
        yul,
        memory,
        uses: count_uses(shape.gates.nodes(), shape.gates.roots()),
        values: Vec::with_capacity(shape.gates.nodes().len()),
        next: memory.scratch,
    };
    let y = load(memory.challenge(shape.challenge(SystemChallenge::Y)));
    for root in shape.gates.roots() {
        while emitter.values.len() <= *root {
            let Some(node) = shape.gates.nodes().get(emitter.values.len()) else {
                break;
            };
            emitter.emit(node);
        }
        let value = emitter.take(*root);
        emitter.yul.line(format!(
            "sum := addmod(mulmod(sum, {y}, r), {}, r)",
            value.text
        ));
    }
    emitter.next
}

/// How often each node's value is needed. A negation is never stored: its uses are uses of its operand.
fn count_uses(nodes: &[Node], roots: &[usize]) -> Vec<usize> {
    let mut uses = vec![0usize; nodes.len()];
    for root in roots {
        uses[*root] += 1;
    }
    for (position, node) in nodes.iter().enumerate().rev() {
        let of_operands = match node {
            _ if uses[position] == 0 => 0,
            Node::Negated(_) => uses[position],
            _ => 1,
        };
        match *node {
            Node::Negated(a) => uses[a] += of_operands,
            Node::Sum(a, b) | Node::Product(a, b) => {
                uses[a] += of_operands;
                uses[b] += of_operands;
            }
            Node::Constant(_) | Node::Evaluation(_) | Node::Challenge(_) => {}
        }
    }
    uses
}

/// An expression and the stack slots its evaluation takes.
#[derive(Clone, Debug)]
struct Value {
    text: String,
    stack: usize,
}

struct Emitter<'a> {
    yul: &'a mut Yul,
    memory: &'a Memory,
    uses: Vec<usize>,
    values: Vec<Value>,
    next: usize,
}

impl Emitter<'_> {
    fn emit(&mut self, node: &Node) {
        let position = self.values.len();
        let uses = self.uses[position];
        let value = match *node {
            _ if uses == 0 => atom(String::new()),
            Node::Constant(constant) => atom(self.memory.constant(&constant)),
            Node::Evaluation(index) => atom(load(self.memory.evaluation(index))),
            Node::Challenge(index) => atom(load(self.memory.challenge(index))),
            Node::Negated(a) => {
                let a = self.take(a);
                Value {
                    stack: a.stack.max(2),
                    text: format!("sub(r, {})", a.text),
                }
            }
            Node::Sum(a, b) => self.binary("addmod", a, b, uses),
            Node::Product(a, b) => self.binary("mulmod", a, b, uses),
        };
        self.values.push(value);
    }

    fn binary(&mut self, operation: &str, a: usize, b: usize, uses: usize) -> Value {
        let (mut first, mut second) = (self.take(a), self.take(b));
        // Arguments are evaluated from the right: modulus, second, first.
        if first.stack > second.stack {
            std::mem::swap(&mut first, &mut second);
        }
        if second.stack + 1 > STACK_LIMIT {
            second = self.store(second);
        }
        if first.stack + 2 > STACK_LIMIT {
            first = self.store(first);
        }
        let value = Value {
            stack: (first.stack + 2).max(second.stack + 1),
            text: format!("{operation}({}, {}, r)", first.text, second.text),
        };
        if uses > 1 {
            self.store(value)
        } else {
            value
        }
    }

    fn store(&mut self, value: Value) -> Value {
        let address = self.next;
        self.next += 32;
        self.yul
            .line(format!("mstore({address:#x}, {})", value.text));
        atom(load(address))
    }

    fn take(&mut self, position: usize) -> Value {
        if self.uses[position] > 1 {
            self.values[position].clone()
        } else {
            // Used once: move the text instead of copying it.
            std::mem::replace(&mut self.values[position], atom(String::new()))
        }
    }
}

fn atom(text: String) -> Value {
    Value { text, stack: 1 }
}
