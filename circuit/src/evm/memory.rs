//! Where the contract keeps things: the statement and the proof as they are hashed, then what is computed, then the
//! key data, then the gates' shared values.
//!
//! The first 0x180 bytes are the argument area of the precompiles. From `digest` to `proof_end` memory holds exactly
//! the bytes that the transcript hashes, so a round is one `keccak256` over a range.

use super::EvmError;
use crate::plonk::{Node, Poly, ProofShape, RotationSet};
use crate::transcript::{encode_point, encode_scalar};
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// r, the order of the scalar field, big-endian.
const SCALAR_MODULUS: [u8; 32] = [
    0x30, 0x64, 0x4e, 0x72, 0xe1, 0x31, 0xa0, 0x29, 0xb8, 0x50, 0x45, 0xb6, 0x81, 0x81, 0x58, 0x5d,
    0x28, 0x33, 0xe8, 0x48, 0x79, 0xb9, 0x70, 0x91, 0x43, 0xe1, 0xf5, 0x93, 0xf0, 0x00, 0x00, 0x01,
];
/// End of the precompiles' argument area.
const ARGUMENTS_END: usize = 0x180;
/// Pointers of the tables have 16 bits.
const POINTER_LIMIT: usize = 1 << 16;
/// Constants up to this many bytes are literals, longer ones key data.
const LITERAL_BYTES: usize = 8;
/// Evaluations beside the commitment in a table entry of one word.
pub(super) const ENTRY_EVALUATIONS: usize = 15;

/// A table of opening entries: per polynomial a pointer to its commitment and to its evaluations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    pub address: usize,
    pub entry_bytes: usize,
    pub entries: usize,
}

/// Addresses of everything, and the key data.
#[derive(Debug)]
pub(super) struct Memory {
    pub commitments: usize,
    pub scalars: usize,
    pub digest: usize,
    pub instances: usize,
    pub points: usize,
    pub evaluations: usize,
    pub opening_quotient: usize,
    pub opening_witness: usize,
    pub proof_end: usize,
    /// The quotient's commitment (64 bytes) and its computed evaluation.
    pub quotient: usize,
    pub quotient_evaluation: usize,
    challenges: usize,
    pub x_n: usize,
    pub first: usize,
    pub last: usize,
    pub active: usize,
    /// `u - x omega^rotation` of each rotation.
    pub differences: BTreeMap<i32, usize>,
    /// The first set's vanishing polynomial at u.
    pub first_vanishing: usize,
    /// Sum of commitments (64 bytes) and of claimed values.
    pub sum_point: usize,
    pub sum_value: usize,
    /// Lagrange coefficients of the set at hand.
    pub basis: usize,
    /// Values to invert, their inverses later; the prefix products after them.
    pub inverses: usize,
    pub prefixes: usize,
    /// Rows whose Lagrange values are needed: from the last usable row to row 0.
    pub rows: usize,
    pub key_start: usize,
    pub scalar_basis: usize,
    pub permutation: usize,
    pub tables: Vec<Table>,
    constants: HashMap<[u8; 32], usize>,
    pub scratch: usize,
    /// Bytes copied to `key_start`.
    pub key: Vec<u8>,
}

impl Memory {
    pub fn new(
        shape: &ProofShape,
        vk: &VerifyingKey<G1Affine>,
        basis: &[G1Affine],
    ) -> Result<Self, EvmError> {
        let commitments = shape
            .instances
            .checked_sub(1)
            .ok_or(EvmError::NoInstanceColumn)?;
        let mut next = ARGUMENTS_END;
        let mut take = |words: usize| {
            let address = next;
            next += 32 * words;
            address
        };
        let sets = &shape.rotation_sets;
        let widest = sets.iter().map(|set| set.rotations.len()).max();
        let widest = widest.unwrap_or(1);
        if widest > ENTRY_EVALUATIONS {
            return Err(EvmError::TooManyRotations {
                expected: ENTRY_EVALUATIONS,
                got: widest,
            });
        }
        let rotations: BTreeSet<i32> = sets.iter().flat_map(|set| set.rotations.clone()).collect();
        let rows = shape.blinding_factors + 2;
        // Rows, the vanishing polynomial of the domain, x, and every opening set but the first.
        let inversions = rows + 2 + sets.len().saturating_sub(1);
        let mut memory = Self {
            commitments,
            scalars: basis.len(),
            digest: take(1),
            instances: take(2 * shape.instances),
            points: take(2 * shape.points()),
            evaluations: take(shape.evaluations.len()),
            opening_quotient: take(2),
            opening_witness: take(2),
            proof_end: take(0),
            quotient: take(2),
            quotient_evaluation: take(1),
            challenges: take(shape.challenges()),
            x_n: take(1),
            first: take(1),
            last: take(1),
            active: take(1),
            differences: rotations.into_iter().map(|r| (r, take(1))).collect(),
            first_vanishing: take(1),
            sum_point: take(2),
            sum_value: take(1),
            basis: take(widest),
            inverses: take(inversions),
            prefixes: take(inversions),
            rows,
            key_start: take(0),
            scalar_basis: 0,
            permutation: 0,
            tables: Vec::new(),
            constants: HashMap::new(),
            scratch: 0,
            key: SCALAR_MODULUS.to_vec(),
        };
        memory.lay_key(shape, vk, basis);
        memory.check_limit(memory.scratch)?;
        Ok(memory)
    }

    fn lay_key(&mut self, shape: &ProofShape, vk: &VerifyingKey<G1Affine>, basis: &[G1Affine]) {
        for node in shape.gates.nodes() {
            if let Node::Constant(value) = node {
                let bytes = encode_scalar(&shorter(value).1);
                if !is_literal(&bytes) && !self.constants.contains_key(&bytes) {
                    self.constants.insert(bytes, self.key_end());
                    self.key.extend(bytes);
                }
            }
        }
        self.scalar_basis = self.key_end();
        self.lay_points(basis);
        let fixed = self.key_end();
        self.lay_points(vk.fixed_commitments());
        let sigma = self.key_end();
        self.lay_points(vk.permutation().commitments());
        self.permutation = self.key_end();
        for column in &shape.permutation.columns {
            self.lay_pointer(self.evaluation(*column));
        }
        for set in &shape.rotation_sets {
            let table = self.lay_table(shape, set, fixed, sigma);
            self.tables.push(table);
        }
        self.scratch = self.key_end().next_multiple_of(32);
    }

    fn lay_points(&mut self, points: &[G1Affine]) {
        for point in points {
            self.key.extend(encode_point(point));
        }
    }

    fn lay_pointer(&mut self, address: usize) {
        // `check_limit` refuses a map in which this would lose bits.
        self.key.extend((address as u16).to_be_bytes());
    }

    /// Last polynomial first: Horner's rule in mu.
    fn lay_table(
        &mut self,
        shape: &ProofShape,
        set: &RotationSet,
        fixed: usize,
        sigma: usize,
    ) -> Table {
        let address = self.key_end();
        for (poly, evaluations) in set.members.iter().rev() {
            let commitment = match *poly {
                Poly::Instance(i) => self.instances + 64 * i,
                Poly::Proof(i) => self.points + 64 * i,
                Poly::Fixed(i) => fixed + 64 * i,
                Poly::Sigma(i) => sigma + 64 * i,
                Poly::Quotient => self.quotient,
            };
            self.lay_pointer(commitment);
            for evaluation in evaluations {
                let computed = *evaluation >= shape.evaluations.len();
                self.lay_pointer(if computed {
                    self.quotient_evaluation
                } else {
                    self.evaluation(*evaluation)
                });
            }
        }
        Table {
            address,
            entry_bytes: 2 + 2 * set.rotations.len(),
            entries: set.members.len(),
        }
    }

    fn key_end(&self) -> usize {
        self.key_start + self.key.len()
    }

    /// Refuses a map that ends beyond what the pointers address.
    pub fn check_limit(&self, end: usize) -> Result<(), EvmError> {
        if end > POINTER_LIMIT {
            return Err(EvmError::MemoryTooLarge {
                bytes: end,
                limit: POINTER_LIMIT,
            });
        }
        Ok(())
    }

    pub fn evaluation(&self, position: usize) -> usize {
        self.evaluations + 32 * position
    }

    pub fn challenge(&self, position: usize) -> usize {
        self.challenges + 32 * position
    }

    /// A scalar as an expression: a literal, key data, or the negative of either.
    pub fn constant(&self, value: &Fr) -> String {
        let (negative, magnitude) = shorter(value);
        let bytes = encode_scalar(&magnitude);
        let known = match self.constants.get(&bytes) {
            Some(address) => super::yul::load(*address),
            None => super::yul::scalar(&magnitude),
        };
        if negative {
            format!("sub(r, {known})")
        } else {
            known
        }
    }
}

/// A scalar as sign and magnitude, whichever is a literal; positive if neither is.
fn shorter(value: &Fr) -> (bool, Fr) {
    let negative = -*value;
    if *value != Fr::ZERO
        && !is_literal(&encode_scalar(value))
        && is_literal(&encode_scalar(&negative))
    {
        (true, negative)
    } else {
        (false, *value)
    }
}

fn is_literal(bytes: &[u8; 32]) -> bool {
    bytes.iter().take(32 - LITERAL_BYTES).all(|byte| *byte == 0)
}
