//! Which verifying keys are supported, and why not the others.

use halo2_proofs::plonk::{Any, ConstraintSystem};
use halo2curves::bn256::Fr;
use std::collections::BTreeSet;
use thiserror::Error;

/// Why this verifier does not support a verifying key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ShapeError {
    /// halo2's own lookup argument.
    #[error(
        "the key has {count} halo2 lookups, expected none: write them as log-derivative gates"
    )]
    Lookups {
        /// How many.
        count: usize,
    },
    /// An instance column in the permutation.
    #[error("instance column {column} is in the permutation, which must hold advice and fixed columns only")]
    InstanceInPermutation {
        /// Its index.
        column: usize,
    },
    /// A virtual selector that key generation left in a gate.
    #[error("a gate still holds virtual selector {selector}: use a key made by keygen_vk")]
    SelectorInGate {
        /// Its index.
        selector: usize,
    },
    /// A committed column that nothing opens, so nothing would check its commitment.
    #[error("{kind} column {column} is committed but never queried: query it or remove it")]
    Unopened {
        /// `"advice"` or `"instance"`.
        kind: &'static str,
        /// Its index.
        column: usize,
    },
    /// A gate that refers to a query or a challenge the key does not list.
    #[error("a gate refers to {kind} {index} at rotation {rotation}, which the key does not list")]
    UnknownQuery {
        /// What is referred to.
        kind: &'static str,
        /// Its index.
        index: usize,
        /// Its rotation; 0 for a challenge.
        rotation: i32,
    },
    /// Two rotations that are the same point of a domain this small.
    #[error("rotations {first} and {second} are the same point of a domain of 2^{k} rows: use a larger k")]
    RotationsCollide {
        /// One rotation.
        first: i32,
        /// The other.
        second: i32,
        /// Logarithm of the number of rows.
        k: u32,
    },
    /// A gate above the degree the quotient was sized for (halo2 caps it, by default at 5).
    #[error("a constraint of gate {gate:?} has degree {degree}, above the key's bound {bound}: split the gate")]
    GateDegree {
        /// The gate's name.
        gate: String,
        /// Its degree.
        degree: usize,
        /// The key's bound.
        bound: usize,
    },
}

/// Refuses what this verifier does not implement; `degree` bounds the constraints.
pub(super) fn check_support(cs: &ConstraintSystem<Fr>, degree: usize) -> Result<(), ShapeError> {
    if !cs.lookups().is_empty() {
        return Err(ShapeError::Lookups {
            count: cs.lookups().len(),
        });
    }
    for column in cs.permutation().get_columns() {
        if *column.column_type() == Any::Instance {
            return Err(ShapeError::InstanceInPermutation {
                column: column.index(),
            });
        }
    }
    for gate in cs.gates() {
        for polynomial in gate.polynomials() {
            if polynomial.degree() > degree {
                return Err(ShapeError::GateDegree {
                    gate: gate.name().to_owned(),
                    degree: polynomial.degree(),
                    bound: degree,
                });
            }
        }
    }
    let opened = |queried: BTreeSet<usize>, columns: usize, kind| match (0..columns)
        .find(|column| !queried.contains(column))
    {
        Some(column) => Err(ShapeError::Unopened { kind, column }),
        None => Ok(()),
    };
    let advice = cs.advice_queries().iter().map(|(c, _)| c.index());
    opened(advice.collect(), cs.num_advice_columns(), "advice")?;
    let instance = cs.instance_queries().iter().map(|(c, _)| c.index());
    opened(instance.collect(), cs.num_instance_columns(), "instance")
}
