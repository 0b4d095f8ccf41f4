//! Positions: where a proof holds what a gate refers to, and which polynomials are opened together.

use super::shape::{Opening, Poly, RotationSet};
use super::support::ShapeError;
use halo2_proofs::plonk::{Any, Column, ConstraintSystem};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::Fr;
use std::collections::{BTreeMap, HashMap};

/// Where the proof holds what a gate refers to.
#[derive(Debug, Default)]
pub(super) struct QueryIndex {
    pub instance: HashMap<(usize, i32), usize>,
    pub advice: HashMap<(usize, i32), usize>,
    pub fixed: HashMap<(usize, i32), usize>,
    pub challenges: Vec<usize>,
}

impl QueryIndex {
    pub fn instance(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.instance, "instance column", column, at)
    }

    pub fn advice(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.advice, "advice column", column, at)
    }

    pub fn fixed(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.fixed, "fixed column", column, at)
    }

    pub fn challenge(&self, index: usize) -> Result<usize, ShapeError> {
        self.challenges
            .get(index)
            .copied()
            .ok_or(ShapeError::UnknownQuery {
                kind: "challenge",
                index,
                rotation: 0,
            })
    }

    pub fn current(&self, column: &Column<Any>) -> Result<usize, ShapeError> {
        match column.column_type() {
            Any::Advice(_) => self.advice(column.index(), Rotation::cur()),
            Any::Fixed => self.fixed(column.index(), Rotation::cur()),
            Any::Instance => self.instance(column.index(), Rotation::cur()),
        }
    }
}

fn find(
    positions: &HashMap<(usize, i32), usize>,
    kind: &'static str,
    index: usize,
    at: Rotation,
) -> Result<usize, ShapeError> {
    let rotation = at.0;
    positions
        .get(&(index, rotation))
        .copied()
        .ok_or(ShapeError::UnknownQuery {
            kind,
            index,
            rotation,
        })
}

/// Position of each item when items are listed phase by phase.
pub(super) fn by_phase(phase_of: &[u8], phases: usize) -> Vec<usize> {
    let mut positions = vec![0; phase_of.len()];
    let mut next = 0;
    for phase in 0..phases {
        for (item, of) in phase_of.iter().enumerate() {
            if usize::from(*of) == phase {
                positions[item] = next;
                next += 1;
            }
        }
    }
    positions
}

/// Groups the evaluations as SHPLONK does: polynomials in order of first query, sets in order of first polynomial.
pub(super) fn rotation_sets(
    cs: &ConstraintSystem<Fr>,
    evaluations: &[Opening],
    k: u32,
) -> Result<Vec<RotationSet>, ShapeError> {
    // halo2 queries the same openings in another order than it sends them.
    let before_fixed = cs.instance_queries().len() + cs.advice_queries().len();
    let after_fixed = before_fixed + cs.fixed_queries().len();
    let random = after_fixed;
    let after_sigma = random + 1 + cs.permutation().get_columns().len();
    let quotient = Opening {
        poly: Poly::Quotient,
        rotation: 0,
    };
    let order = (0..before_fixed)
        .chain(after_sigma..evaluations.len())
        .chain(before_fixed..after_fixed)
        .chain(random + 1..after_sigma)
        .chain([evaluations.len(), random]);

    let mut polys: Vec<(Poly, BTreeMap<i32, usize>)> = Vec::new();
    let mut found: HashMap<Poly, usize> = HashMap::new();
    for position in order {
        let opening = evaluations.get(position).copied().unwrap_or(quotient);
        let slot = *found.entry(opening.poly).or_insert_with(|| {
            polys.push((opening.poly, BTreeMap::new()));
            polys.len() - 1
        });
        polys[slot].1.insert(opening.rotation, position);
    }

    let mut points: BTreeMap<i64, i32> = BTreeMap::new();
    let mut sets: Vec<RotationSet> = Vec::new();
    for (poly, positions) in polys {
        let rotations: Vec<i32> = positions.keys().copied().collect();
        for rotation in &rotations {
            let point = i64::from(*rotation).rem_euclid(1i64 << k);
            let first = *points.entry(point).or_insert(*rotation);
            if first != *rotation {
                return Err(ShapeError::RotationsCollide {
                    first,
                    second: *rotation,
                    k,
                });
            }
        }
        let member = (poly, positions.into_values().collect());
        match sets.iter_mut().find(|set| set.rotations == rotations) {
            Some(set) => set.members.push(member),
            None => sets.push(RotationSet {
                rotations,
                members: vec![member],
            }),
        }
    }
    Ok(sets)
}
