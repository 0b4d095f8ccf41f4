//! What enters an evaluation at a challenge is committed before the challenge: checked over the constraint system.
//!
//! Data must be in an earlier phase than the challenges. What the later phase adds is a function of data and challenges:
//! the columns that meet a challenge there are listed, each with what determines it.

use crate::support::Case;
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{Advice, Circuit, Column, ConstraintSystem, Expression},
};
use std::collections::BTreeSet;
use zknode_circuit::{
    attestation::AttestationCircuit,
    gadget::{Columns, Shape},
    plonk::{ProofShape, Round},
};

fn constraint_system() -> (ConstraintSystem<Fr>, Columns) {
    let mut cs = ConstraintSystem::default();
    let shape = Shape::from(Case::get().layout());
    let columns = AttestationCircuit::configure_with_params(&mut cs, shape);
    (cs, columns)
}

fn indices(columns: &[Column<Advice>]) -> BTreeSet<usize> {
    columns.iter().map(Column::index).collect()
}

/// Advice columns and challenges of an expression, and which of them it may multiply.
#[derive(Default)]
struct Products {
    columns: BTreeSet<usize>,
    challenges: BTreeSet<usize>,
    pairs: BTreeSet<(usize, usize)>,
}

impl Products {
    fn sum(mut self, other: Self) -> Self {
        self.columns.extend(other.columns);
        self.challenges.extend(other.challenges);
        self.pairs.extend(other.pairs);
        self
    }

    fn product(self, other: Self) -> Self {
        let cross = |columns: &BTreeSet<usize>, challenges: &BTreeSet<usize>| -> Vec<_> {
            let pair = |&column| challenges.iter().map(move |&challenge| (column, challenge));
            columns.iter().flat_map(pair).collect()
        };
        let mut pairs = cross(&self.columns, &other.challenges);
        pairs.extend(cross(&other.columns, &self.challenges));
        let mut product = self.sum(other);
        product.pairs.extend(pairs);
        product
    }

    fn of(expression: &Expression<Fr>) -> Self {
        expression.evaluate(
            &|_| Self::default(),
            &|_| Self::default(),
            &|_| Self::default(),
            &|query| Self {
                columns: BTreeSet::from([query.column_index()]),
                ..Self::default()
            },
            &|_| Self::default(),
            &|challenge| Self {
                challenges: BTreeSet::from([challenge.index()]),
                ..Self::default()
            },
            &|a| a,
            &Self::sum,
            &Self::product,
            &|a, _| a,
        )
    }
}

#[test]
fn data_is_committed_before_every_challenge() {
    let (cs, columns) = constraint_system();
    let phases = cs.advice_column_phase();
    let first_challenge = *cs.challenge_phase().iter().min().unwrap();
    let mut data = indices(&columns.q);
    data.extend(indices(&columns.r));
    data.extend(indices(&columns.y));
    data.extend(indices(&[columns.multiplicity]));
    // A challenge of phase p is drawn when the columns of phase p are committed.
    let before: BTreeSet<_> = (0..phases.len())
        .filter(|&column| phases[column] <= first_challenge)
        .collect();
    assert_eq!(before, data);
}

#[test]
fn what_meets_a_challenge_is_data_or_follows_from_it() {
    let (cs, columns) = constraint_system();
    let (phases, drawn) = (cs.advice_column_phase(), cs.challenge_phase());
    let mut late = BTreeSet::new();
    for constraint in cs.gates().iter().flat_map(|gate| gate.polynomials()) {
        for (column, challenge) in Products::of(constraint).pairs {
            if phases[column] > drawn[challenge] {
                late.insert(column);
            }
        }
    }
    // Fractions and their sum: by the lookups' denominators, row by row from zero.
    let mut follows = indices(&columns.fractions);
    follows.extend(indices(&[columns.sum]));
    // Claims: by the data, row by row from the bottom of each cell.
    follows.extend(indices(&[
        columns.data_claim,
        columns.y_claim,
        columns.z_claim,
    ]));
    follows.extend(indices(&columns.beside));
    // Claims of the weights: by the committed weights, row by row from the end of each run.
    follows.extend(indices(&[columns.weight_claim]));
    assert_eq!(late, follows);
}

#[test]
fn the_transcript_draws_the_challenges_after_the_data() {
    let (cs, columns) = constraint_system();
    let shape = ProofShape::new(Case::get().prover.verifier().key()).unwrap();
    let data = 3 * columns.shape.lanes + 1;
    let rest = cs.num_advice_columns() - data;
    let drawn = Round {
        points: data,
        challenges: cs.num_challenges(),
    };
    assert_eq!(shape.rounds[0], drawn);
    assert_eq!(shape.rounds[1].points, rest);
    // Model, data and statement are absorbed before the first round.
    assert_eq!(shape.instances, 3);
}
