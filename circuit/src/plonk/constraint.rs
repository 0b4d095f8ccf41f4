//! The gates of a constraint system as one graph without repetition.
//!
//! halo2 keeps each constraint as a tree, in which a challenge power or a selector product appears once per use.
//! Here equal subexpressions are one node (hash-consing), so a verifier computes each of them once. A node refers
//! only to earlier nodes: evaluating in order needs no recursion.

use super::order::QueryIndex;
use super::support::ShapeError;
use halo2_proofs::plonk::{ConstraintSystem, Expression};
use halo2curves::bn256::Fr;
use halo2curves::ff::{Field, PrimeField};
use std::collections::HashMap;

/// One value of the graph; operands are positions of earlier nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    /// A constant.
    Constant(Fr),
    /// The evaluation at this position of the proof's evaluations.
    Evaluation(usize),
    /// The challenge at this position in squeezing order.
    Challenge(usize),
    /// `-a`.
    Negated(usize),
    /// `a + b`.
    Sum(usize, usize),
    /// `a * b`.
    Product(usize, usize),
}

/// All constraints of the gates, in halo2's order.
#[derive(Clone, Debug)]
pub struct ConstraintGraph {
    nodes: Vec<Node>,
    roots: Vec<usize>,
}

impl ConstraintGraph {
    /// Reads the gates of `cs`; `queries` resolves cells and challenges.
    pub(super) fn new(cs: &ConstraintSystem<Fr>, queries: &QueryIndex) -> Result<Self, ShapeError> {
        let mut builder = Builder {
            queries,
            nodes: Vec::new(),
            positions: HashMap::new(),
        };
        let mut roots = Vec::new();
        for gate in cs.gates() {
            for polynomial in gate.polynomials() {
                roots.push(builder.expression(polynomial)?);
            }
        }
        Ok(Self {
            nodes: builder.nodes,
            roots,
        })
    }

    /// Any graph, for tests of what reads one.
    #[cfg(test)]
    pub(super) fn from_parts(nodes: Vec<Node>, roots: Vec<usize>) -> Self {
        Self { nodes, roots }
    }

    /// The nodes, operands before uses.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The constraints, as positions of nodes.
    pub fn roots(&self) -> &[usize] {
        &self.roots
    }

    /// The constraints' values. A position outside a slice counts as zero; the shape guarantees there is none.
    pub(super) fn evaluate(&self, evaluations: &[Fr], challenges: &[Fr]) -> Vec<Fr> {
        let at = |values: &[Fr], index: usize| values.get(index).copied().unwrap_or(Fr::ZERO);
        let mut values: Vec<Fr> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let value = match *node {
                Node::Constant(constant) => constant,
                Node::Evaluation(index) => at(evaluations, index),
                Node::Challenge(index) => at(challenges, index),
                Node::Negated(a) => -at(&values, a),
                Node::Sum(a, b) => at(&values, a) + at(&values, b),
                Node::Product(a, b) => at(&values, a) * at(&values, b),
            };
            values.push(value);
        }
        self.roots.iter().map(|root| at(&values, *root)).collect()
    }
}

struct Builder<'a> {
    queries: &'a QueryIndex,
    nodes: Vec<Node>,
    positions: HashMap<NodeKey, usize>,
}

/// Scalars are keyed by their canonical bytes.
type NodeKey = (u8, usize, usize, [u8; 32]);

fn key(node: &Node) -> NodeKey {
    match *node {
        Node::Constant(constant) => (0, 0, 0, constant.to_repr()),
        Node::Evaluation(index) => (1, index, 0, [0; 32]),
        Node::Challenge(index) => (2, index, 0, [0; 32]),
        Node::Negated(a) => (3, a, 0, [0; 32]),
        Node::Sum(a, b) => (4, a, b, [0; 32]),
        Node::Product(a, b) => (5, a, b, [0; 32]),
    }
}

impl Builder<'_> {
    fn expression(&mut self, expression: &Expression<Fr>) -> Result<usize, ShapeError> {
        Ok(match expression {
            Expression::Constant(constant) => self.intern(Node::Constant(*constant)),
            Expression::Selector(selector) => {
                return Err(ShapeError::SelectorInGate {
                    selector: selector.index(),
                })
            }
            Expression::Fixed(query) => {
                let index = self.queries.fixed(query.column_index(), query.rotation())?;
                self.intern(Node::Evaluation(index))
            }
            Expression::Advice(query) => {
                let index = self
                    .queries
                    .advice(query.column_index(), query.rotation())?;
                self.intern(Node::Evaluation(index))
            }
            Expression::Instance(query) => {
                let index = self
                    .queries
                    .instance(query.column_index(), query.rotation())?;
                self.intern(Node::Evaluation(index))
            }
            Expression::Challenge(challenge) => {
                let index = self.queries.challenge(challenge.index())?;
                self.intern(Node::Challenge(index))
            }
            Expression::Negated(a) => {
                let a = self.expression(a)?;
                self.negate(a)
            }
            Expression::Sum(a, b) => {
                let (a, b) = (self.expression(a)?, self.expression(b)?);
                self.sum(a, b)
            }
            Expression::Product(a, b) => {
                let (a, b) = (self.expression(a)?, self.expression(b)?);
                self.product(a, b)
            }
            Expression::Scaled(a, factor) => {
                let a = self.expression(a)?;
                let factor = self.intern(Node::Constant(*factor));
                self.product(a, factor)
            }
        })
    }

    fn intern(&mut self, node: Node) -> usize {
        let next = self.nodes.len();
        let position = *self.positions.entry(key(&node)).or_insert(next);
        if position == next {
            self.nodes.push(node);
        }
        position
    }

    fn constant(&self, position: usize) -> Option<Fr> {
        match self.nodes.get(position) {
            Some(Node::Constant(constant)) => Some(*constant),
            _ => None,
        }
    }

    fn negate(&mut self, a: usize) -> usize {
        match self.nodes.get(a) {
            Some(Node::Constant(constant)) => self.intern(Node::Constant(-*constant)),
            Some(Node::Negated(inner)) => *inner,
            _ => self.intern(Node::Negated(a)),
        }
    }

    fn sum(&mut self, a: usize, b: usize) -> usize {
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => self.intern(Node::Constant(x + y)),
            (Some(x), None) if x == Fr::ZERO => b,
            (None, Some(y)) if y == Fr::ZERO => a,
            _ => self.intern(Node::Sum(a.min(b), a.max(b))),
        }
    }

    fn product(&mut self, a: usize, b: usize) -> usize {
        match (self.constant(a), self.constant(b)) {
            (Some(x), Some(y)) => self.intern(Node::Constant(x * y)),
            (Some(x), None) => self.scale(b, x),
            (None, Some(y)) => self.scale(a, y),
            _ => self.intern(Node::Product(a.min(b), a.max(b))),
        }
    }

    fn scale(&mut self, a: usize, factor: Fr) -> usize {
        if factor == Fr::ZERO {
            self.intern(Node::Constant(Fr::ZERO))
        } else if factor == Fr::ONE {
            a
        } else if factor == -Fr::ONE {
            self.negate(a)
        } else {
            let factor = self.intern(Node::Constant(factor));
            self.intern(Node::Product(a.min(factor), a.max(factor)))
        }
    }
}
