//! Runs the circuit: its columns filled, blinded and committed, phase by phase.

use super::{ProveError, Turn};
use crate::plonk::{fft, shape::ProofShape};
use halo2_proofs::{
    circuit::Value,
    plonk::{
        Advice, Any, Assigned, Assignment, Challenge, Circuit, Column, ConstraintSystem, Error,
        Fixed, FloorPlanner, Instance, ProvingKey, Selector,
    },
    poly::{
        commitment::{Blind, Params},
        Coeff, LagrangeCoeff, Polynomial,
    },
    transcript::Transcript,
};
use halo2curves::{
    bn256::{Fr, G1Affine, G1},
    ff::Field,
    group::Curve,
};
use rand_core::RngCore;
use rayon::prelude::*;

/// The proof's columns after the last phase.
pub(super) struct Columns {
    pub instance: Vec<Polynomial<Fr, Coeff>>,
    pub advice: Vec<Polynomial<Fr, LagrangeCoeff>>,
}

/// Everything up to the circuit's last challenge; `instances` are checked.
pub(super) fn run<C: Circuit<Fr>>(
    turn: &mut Turn<'_>,
    shape: &ProofShape,
    pk: &ProvingKey<G1Affine>,
    circuit: &C,
    instances: &[&[Fr]],
    rng: impl RngCore,
) -> Result<Columns, ProveError> {
    let (cs, domain) = (pk.get_vk().cs(), pk.get_vk().get_domain());
    turn.transcript.common_scalar(shape.digest)?;
    let padded = instances.iter().map(|values| {
        let mut column = domain.empty_lagrange();
        column.values_mut()[..values.len()].copy_from_slice(values);
        column
    });
    let padded: Vec<_> = padded.collect();
    for point in commit(turn, &padded) {
        turn.transcript.common_point(point)?;
    }

    let mut assigner = Assigner {
        turn,
        instances,
        advice: vec![domain.empty_lagrange(); cs.num_advice_columns()],
        phase_of: cs.advice_column_phase(),
        challenge_phase: cs.challenge_phase(),
        challenges: vec![None; cs.num_challenges()],
        phase: 0,
        phases: shape.phases(),
        last: (1 << shape.k) - shape.blinding_factors - 1,
        rng,
        failed: None,
    };
    let config = C::configure_with_params(&mut ConstraintSystem::default(), circuit.params());
    // A circuit that does not end its phases itself is run once for each.
    while assigner.phase < assigner.phases {
        let constants = cs.constants().clone();
        C::FloorPlanner::synthesize(&mut assigner, circuit, config.clone(), constants)?;
        assigner.next_phase();
    }
    match assigner.failed {
        Some(error) => Err(error),
        None => Ok(Columns {
            instance: fft::to_coefficients(domain, padded),
            advice: assigner.advice,
        }),
    }
}

fn commit(turn: &Turn<'_>, columns: &[Polynomial<Fr, LagrangeCoeff>]) -> Vec<G1Affine> {
    let one = |column| turn.params.commit_lagrange(column, Blind::default());
    let points: Vec<G1> = columns.par_iter().map(one).collect();
    let mut affine = vec![G1Affine::default(); points.len()];
    G1::batch_normalize(&points, &mut affine);
    affine
}

/// What halo2 hands the cells to.
struct Assigner<'turn, 'a, R> {
    turn: &'turn mut Turn<'a>,
    instances: &'turn [&'turn [Fr]],
    advice: Vec<Polynomial<Fr, LagrangeCoeff>>,
    phase_of: Vec<u8>,
    challenge_phase: Vec<u8>,
    challenges: Vec<Option<Fr>>,
    phase: usize,
    phases: usize,
    /// The first row that a circuit may not use; it and those after it are blinded.
    last: usize,
    rng: R,
    failed: Option<ProveError>,
}

impl<R: RngCore> Assigner<'_, '_, R> {
    fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(ProveError::Halo2(error));
    }

    /// Blinds and commits the columns of the phase, and squeezes its challenges.
    fn end_phase(&mut self) -> Result<(), ProveError> {
        let of = |phases: &[u8], phase| -> Vec<usize> {
            let all = phases.iter().enumerate();
            let own = all.filter(|(_, of)| usize::from(**of) == phase);
            own.map(|(index, _)| index).collect()
        };
        let own = of(&self.phase_of, self.phase);
        let mut columns = Vec::with_capacity(own.len());
        for &column in &own {
            let mut values =
                std::mem::replace(&mut self.advice[column], Polynomial::new(Vec::new()));
            for cell in &mut values[self.last..] {
                *cell = Fr::random(&mut self.rng);
            }
            columns.push(values);
        }
        for point in commit(self.turn, &columns) {
            self.turn.write(point)?;
        }
        for (column, values) in own.into_iter().zip(columns) {
            self.advice[column] = values;
        }
        for challenge in of(&self.challenge_phase, self.phase) {
            self.challenges[challenge] = Some(self.turn.challenge());
        }
        self.phase += 1;
        Ok(())
    }
}

impl<R: RngCore> Assignment<Fr> for Assigner<'_, '_, R> {
    fn assign_advice<'v>(
        &mut self,
        column: Column<Advice>,
        row: usize,
        to: Value<Assigned<Fr>>,
    ) -> Value<&'v Assigned<Fr>> {
        let mut value = None;
        to.map(|known| value = Some(known.evaluate()));
        let column = column.index();
        let (Some(phase), Some(cells)) = (self.phase_of.get(column), self.advice.get_mut(column))
        else {
            self.fail(Error::BoundsFailure);
            return Value::unknown();
        };
        let phase = usize::from(*phase);
        match value {
            _ if row >= self.last => self.fail(Error::NotEnoughRowsAvailable {
                current_k: self.turn.params.k(),
            }),
            Some(value) if phase >= self.phase => cells[row] = value,
            // A column that is committed is what it is; a circuit that is run once a phase assigns it again.
            Some(value) if cells[row] == value => {}
            // What waits for a challenge is known when its phase is run.
            None if phase > self.phase => {}
            _ => self.fail(Error::Synthesis),
        }
        // What was assigned is not read back: the circuit knows it.
        Value::unknown()
    }

    fn get_challenge(&self, challenge: Challenge) -> Value<Fr> {
        let value = self.challenges.get(challenge.index()).copied().flatten();
        value.map_or_else(Value::unknown, Value::known)
    }

    fn next_phase(&mut self) {
        if self.phase < self.phases {
            if let Err(error) = self.end_phase() {
                self.failed.get_or_insert(error);
                self.phase += 1;
            }
        }
    }

    fn query_instance(&self, column: Column<Instance>, row: usize) -> Result<Value<Fr>, Error> {
        let values = self.instances.get(column.index());
        let value = values.and_then(|values| values.get(row));
        value
            .map(|value| Value::known(*value))
            .ok_or(Error::BoundsFailure)
    }

    // The rest is in the keys already.

    fn enter_region<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}
    fn exit_region(&mut self) {}
    fn annotate_column<A: FnOnce() -> AR, AR: Into<String>>(&mut self, _: A, _: Column<Any>) {}
    fn enable_selector<A: FnOnce() -> AR, AR: Into<String>>(
        &mut self,
        _: A,
        _: &Selector,
        _: usize,
    ) -> Result<(), Error> {
        Ok(())
    }
    fn assign_fixed(&mut self, _: Column<Fixed>, _: usize, _: Assigned<Fr>) {}
    fn copy(&mut self, _: Column<Any>, _: usize, _: Column<Any>, _: usize) {}
    fn fill_from_row(
        &mut self,
        _: Column<Fixed>,
        _: usize,
        _: Value<Assigned<Fr>>,
    ) -> Result<(), Error> {
        Ok(())
    }
    fn push_namespace<NR: Into<String>, N: FnOnce() -> NR>(&mut self, _: N) {}
    fn pop_namespace(&mut self, _: Option<String>) {}
}
