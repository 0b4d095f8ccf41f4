//! All cells of a witness and all constraints on them, so that one cell's constraints can be judged alone: the mock
//! prover judges all rows at once, which is too slow to try every cell.

use super::Case;
use halo2_proofs::{
    dev::{CellValue, MockProver},
    halo2curves::bn256::Fr,
    plonk::{Circuit, ConstraintSystem, Expression},
};
use rayon::prelude::*;
use std::{collections::HashMap, sync::Arc};
use zknode_circuit::{
    attestation::{AttestationCircuit, Statement, Witness},
    gadget::{Columns, Shape},
    witness::claims::{ChallengeValues, Claims, Committed},
};

/// A constraint that reads a column, and how far from its own row.
type Reader = (i32, Expression<Fr>);

pub struct Grid {
    pub columns: Columns,
    pub advice: Vec<Vec<Fr>>,
    pub fixed: Vec<Vec<Fr>>,
    instance: Vec<Vec<Fr>>,
    challenges: HashMap<usize, Fr>,
    constraints: Vec<Expression<Fr>>,
    /// By advice column.
    readers: Vec<Vec<Reader>>,
    /// Copies by advice column: the next cell of each cell's cycle.
    copies: Vec<Option<Vec<(usize, usize)>>>,
    /// Advice columns by their position in the permutation.
    copied: Vec<usize>,
    rows: usize,
}

/// Challenges of no particular meaning.
const CHALLENGES: ChallengeValues = ChallengeValues {
    alpha: Fr::from_raw([2, 3, 5, 7]),
    theta: Fr::from_raw([11, 13, 17, 19]),
    zeta: Fr::from_raw([23, 29, 31, 37]),
    eta: Fr::from_raw([41, 43, 47, 53]),
    t: Fr::from_raw([59, 61, 67, 71]),
};

fn small(value: i64) -> Fr {
    let magnitude = Fr::from(value.unsigned_abs());
    if value < 0 {
        -magnitude
    } else {
        magnitude
    }
}

impl Grid {
    pub fn new(case: &Case, witness: &Witness, statement: &Statement) -> Self {
        let layout = case.layout();
        let mut cs = ConstraintSystem::<Fr>::default();
        let columns = AttestationCircuit::configure_with_params(&mut cs, Shape::from(layout));
        let mut public = vec![Fr::zero(); layout.score().expose()];
        public.extend(statement.scalars().unwrap());
        let model = witness.model.iter().map(|column| column.to_vec());
        let mut instance: Vec<_> = model.chain([witness.data.to_vec(), public]).collect();
        let blank =
            AttestationCircuit::new(case.prover.layout().clone(), Arc::new(witness.clone()));
        let keys = MockProver::run(layout.options().k, &blank, instance.clone()).unwrap();
        for column in &mut instance {
            column.resize(layout.rows(), Fr::zero());
        }
        let fixed = keys.fixed().iter().map(|column| {
            let value = |cell: &CellValue<Fr>| match cell {
                CellValue::Assigned(value) => *value,
                _ => Fr::zero(),
            };
            column.iter().map(value).collect()
        });
        let copied: Vec<usize> = (keys.permutation().columns().iter())
            .map(|column| column.index())
            .collect();
        let mut copies = vec![None; cs.num_advice_columns()];
        for (mapping, &column) in keys.permutation().mapping().zip(&copied) {
            copies[column] = Some(mapping.collect::<Vec<_>>());
        }
        let constraints: Vec<_> = (cs.gates().iter())
            .flat_map(|gate| gate.polynomials().to_vec())
            .collect();
        let mut readers = vec![vec![]; cs.num_advice_columns()];
        for constraint in &constraints {
            for (column, rotation) in reads(constraint) {
                readers[column].push((rotation, constraint.clone()));
            }
        }
        let challenge = &columns.challenges;
        let challenges = HashMap::from([
            (challenge.alpha.index(), CHALLENGES.alpha),
            (challenge.theta.index(), CHALLENGES.theta),
            (challenge.zeta.index(), CHALLENGES.zeta),
            (challenge.eta.index(), CHALLENGES.eta),
            (challenge.t.index(), CHALLENGES.t),
        ]);
        let mut grid = Self {
            advice: vec![vec![Fr::zero(); layout.rows()]; cs.num_advice_columns()],
            fixed: fixed.collect(),
            instance,
            challenges,
            constraints,
            readers,
            copies,
            copied,
            rows: layout.rows(),
            columns,
        };
        grid.assign(case, witness);
        grid
    }

    /// Fills the advice columns from phase 1.
    pub fn assign(&mut self, case: &Case, witness: &Witness) {
        let (model, data) = (&witness.model[..], &witness.data[..]);
        let committed = Committed { model, data };
        let claims = Claims::compute(case.layout(), committed, &witness.lanes, &CHALLENGES);
        let lanes = &witness.lanes;
        let columns = &self.columns;
        let mut targets: Vec<(usize, Vec<Fr>)> = vec![];
        let kinds = [
            (&columns.q, &lanes.q),
            (&columns.r, &lanes.r),
            (&columns.y, &lanes.y),
        ];
        for (columns, values) in kinds {
            for (column, values) in columns.iter().zip(values) {
                targets.push((column.index(), values.iter().map(|&v| small(v)).collect()));
            }
        }
        let counts = lanes.multiplicity.iter().map(|&m| Fr::from(m)).collect();
        targets.push((columns.multiplicity.index(), counts));
        for (column, values) in columns.fractions.iter().zip(claims.fractions) {
            targets.push((column.index(), values));
        }
        targets.push((columns.sum.index(), claims.sum));
        for (column, values) in columns.claims().iter().zip(claims.columns) {
            targets.push((column.index(), values));
        }
        for (column, values) in targets {
            self.advice[column][..values.len()].copy_from_slice(&values);
        }
    }

    /// Whether all constraints and copies hold.
    pub fn holds(&self) -> bool {
        let gates = (0..self.rows).into_par_iter().all(|row| {
            let zero = |constraint| self.evaluate(constraint, row, None) == Fr::zero();
            self.constraints.iter().all(zero)
        });
        let mut copies = self.copied.iter().flat_map(|&column| {
            let cycle = self.copies[column].iter().flatten().enumerate();
            cycle.map(move |(row, next)| ((column, row), next))
        });
        gates
            && copies.all(|((column, row), &(position, other))| {
                self.advice[column][row] == self.advice[self.copied[position]][other]
            })
    }

    /// The cells that must equal this one, itself included.
    pub fn tied(&self, column: usize, row: usize) -> Vec<(usize, usize)> {
        let mut cells = vec![(column, row)];
        let mut cell = (column, row);
        while let Some(copies) = &self.copies[cell.0] {
            let (position, row) = copies[cell.1];
            cell = (self.copied[position], row);
            if cell == cells[0] {
                break;
            }
            cells.push(cell);
        }
        cells
    }

    /// Whether any constraint or copy refuses this value of one cell.
    pub fn refuses(&self, column: usize, row: usize, value: Fr) -> bool {
        if let Some(copies) = &self.copies[column] {
            if self.copied[copies[row].0] != column || copies[row].1 != row {
                return true;
            }
        }
        self.readers[column].iter().any(|(rotation, constraint)| {
            let own = (row as i32 - rotation).rem_euclid(self.rows as i32) as usize;
            let changed = Some((column, row, value));
            self.evaluate(constraint, own, changed) != Fr::zero()
        })
    }

    fn evaluate(
        &self,
        constraint: &Expression<Fr>,
        row: usize,
        changed: Option<(usize, usize, Fr)>,
    ) -> Fr {
        let at = |rotation: i32| (row as i32 + rotation).rem_euclid(self.rows as i32) as usize;
        constraint.evaluate(
            &|constant| constant,
            &|_| unreachable!("there are no selectors"),
            &|query| self.fixed[query.column_index()][at(query.rotation().0)],
            &|query| {
                let (column, row) = (query.column_index(), at(query.rotation().0));
                match changed {
                    Some((c, r, value)) if (c, r) == (column, row) => value,
                    _ => self.advice[column][row],
                }
            },
            &|query| self.instance[query.column_index()][at(query.rotation().0)],
            &|challenge| self.challenges[&challenge.index()],
            &|a| -a,
            &|a, b| a + b,
            &|a, b| a * b,
            &|a, scalar| a * scalar,
        )
    }
}

/// Advice cells that a constraint reads.
fn reads(constraint: &Expression<Fr>) -> Vec<(usize, i32)> {
    let join = |mut a: Vec<(usize, i32)>, b: Vec<(usize, i32)>| {
        a.extend(b);
        a
    };
    let mut reads = constraint.evaluate(
        &|_| vec![],
        &|_| vec![],
        &|_| vec![],
        &|query| vec![(query.column_index(), query.rotation().0)],
        &|_| vec![],
        &|_| vec![],
        &|a| a,
        &join,
        &join,
        &|a, _| a,
    );
    reads.sort_unstable();
    reads.dedup();
    reads
}
