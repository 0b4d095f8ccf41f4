//! Proving with committed instance columns, for the same [`ProofShape`] that the verifiers read.
//!
//! halo2 makes the keys; the proof is made here, message by message as [`super::verify_proof`] expects it: the columns, the
//! copies' products, the quotient, the evaluations, the opening. halo2's own prover makes proofs for the same verifier (a
//! test keeps it so), but evaluates a key's fixed columns anew for each and the gates row by row, and takes the slower of
//! its FFTs.

mod columns;
mod copies;
mod opening;
mod program;
mod quotient;

pub use quotient::KeyCosets;

use super::{
    fft,
    order::by_phase,
    shape::{Poly, ProofShape, Round, SystemChallenge},
    support::ShapeError,
};
use crate::transcript::{KeccakChallenge, ProofWriter};
use halo2_proofs::{
    arithmetic::{best_multiexp, eval_polynomial},
    plonk::{Circuit, ProvingKey},
    poly::{
        commitment::{Blind, Params, ParamsProver},
        kzg::commitment::ParamsKZG,
        Coeff, Polynomial,
    },
    transcript::{EncodedChallenge, Transcript, TranscriptWrite},
};
use halo2curves::{
    bn256::{Bn256, Fr, G1Affine},
    ff::Field,
    group::Curve,
};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};
use rayon::prelude::*;
use std::io;
use thiserror::Error;

/// Why no proof was made.
#[derive(Debug, Error)]
pub enum ProveError {
    /// No verifier of ours would accept this key's proofs.
    #[error("the verifying key is not supported: {0}")]
    UnsupportedKey(#[from] ShapeError),
    /// The parameters are for another number of rows.
    #[error("the parameters are for 2^{got} rows, the key for 2^{expected}: use parameters of the key's size")]
    ParameterSize {
        /// The key's k.
        expected: u32,
        /// The parameters' k.
        got: u32,
    },
    /// Not one slice of values per instance column.
    #[error("expected values for {expected} instance columns, got {got}")]
    InstanceCount {
        /// Instance columns of the key.
        expected: usize,
        /// Slices given.
        got: usize,
    },
    /// More values than an instance column has usable rows.
    #[error("instance column {column} has {rows} usable rows, got {got} values: shorten it or use a larger k")]
    InstanceTooLong {
        /// The column.
        column: usize,
        /// Its usable rows.
        rows: usize,
        /// Values given.
        got: usize,
    },
    /// A circuit with advice in the third phase.
    #[error("the circuit has {got} phases, this prover is made for {expected}: move columns to an earlier phase")]
    TooManyPhases {
        /// Phases there may be.
        expected: usize,
        /// Phases of the circuit.
        got: usize,
    },
    /// Cosets of another key.
    #[error("the cosets were made from another proving key: make them from this one")]
    OtherCosets,
    /// An evaluation point is a row, or an opening point repeats: never by chance.
    #[error("a challenge fell on an excluded point: make the proof again")]
    ExcludedChallenge,
    /// halo2 refused the circuit, the witness or the transcript.
    #[error("halo2 could not make the proof: {0}")]
    Halo2(#[from] halo2_proofs::plonk::Error),
}

/// Proves `circuit`; `instances` holds one slice of values per instance column, zero-padded to 2^k rows.
///
/// The instance values are committed again here, without blinding: the salt that hides them is part of the values.
/// `rng` draws everything that is random, and with it everything that hides: never the same stream for two witnesses.
/// `cosets`, if given, are those of `pk`. The circuit must not read back the cells it assigns.
///
/// `on_round` is told as each round of [`ProofShape::rounds`] ends, and so what the prover turns to next.
pub fn create_proof<C: Circuit<Fr>>(
    params: &ParamsKZG<Bn256>,
    (pk, cosets): (&ProvingKey<G1Affine>, Option<&KeyCosets>),
    circuit: C,
    instances: &[&[Fr]],
    mut rng: impl RngCore + CryptoRng,
    on_round: &dyn Fn(usize),
) -> Result<Vec<u8>, ProveError> {
    let shape = ProofShape::new(pk.get_vk())?;
    check_inputs(params, &shape, instances)?;
    if cosets.is_some_and(|cosets| !cosets.belong_to(pk)) {
        return Err(ProveError::OtherCosets);
    }
    let mut turn = Turn {
        params,
        transcript: Observed {
            writer: ProofWriter::new(),
            squeezed: Vec::new(),
            rounds: &shape.rounds,
            on_round,
        },
    };
    let columns = columns::run(&mut turn, &shape, pk, &circuit, instances, &mut rng)?;
    drop(circuit);
    // Theta, beta, gamma.
    for _ in 0..3 {
        turn.challenge();
    }

    let domain = pk.get_vk().get_domain();
    let challenges =
        [SystemChallenge::Beta, SystemChallenge::Gamma].map(|which| turn.known(&shape, which));
    let mut products = Vec::with_capacity(shape.permutation.products);
    for values in copies::products(&shape, pk, &columns.advice, challenges, &mut rng) {
        let values = domain.lagrange_from_vec(values);
        turn.write(
            params
                .commit_lagrange(&values, Blind::default())
                .to_affine(),
        )?;
        products.push(values);
    }
    let products = fft::to_coefficients(domain, products);
    let advice = fft::to_coefficients(domain, columns.advice);
    let random = domain.coeff_from_vec(random_column(1 << shape.k, &mut rng));
    turn.commit(random.values())?;
    turn.challenge();

    let mut proof = in_order(&shape, pk, &advice);
    proof.extend(&products);
    let own = (&columns.instance[..], &proof[..]);
    let pieces = quotient::quotient(&shape, (pk, cosets), own, &turn.transcript.squeezed);
    for piece in &pieces {
        turn.commit(piece.values())?;
    }
    let x = turn.challenge();

    proof.push(&random);
    let polys = Polys {
        instance: &columns.instance,
        pk,
        proof,
        quotient: whole(&shape, &pieces, x),
    };
    let mut values = Vec::with_capacity(shape.evaluations.len() + 1);
    for opening in &shape.evaluations {
        let point = x * shape.rotation_factor(opening.rotation);
        let value = eval_polynomial(polys.get(opening.poly).values(), point);
        turn.transcript.write_scalar(value)?;
        values.push(value);
    }
    values.push(eval_polynomial(polys.quotient.values(), x));
    opening::open(&shape, &polys, &values, &mut turn)?;
    Ok(turn.transcript.writer.finish())
}

/// The pieces, folded with powers of `x^n`: what is opened instead of each of them.
fn whole(shape: &ProofShape, pieces: &[Polynomial<Fr, Coeff>], x: Fr) -> Polynomial<Fr, Coeff> {
    let step = super::domain::power_of_domain_size(x, shape.k);
    let powers = std::iter::successors(Some(Fr::ONE), |power| Some(*power * step));
    let terms: Vec<_> = powers
        .zip(pieces.iter().map(|piece| piece.values()))
        .collect();
    Polynomial::new(combine(1 << shape.k, &terms))
}

/// Advice columns as the proof has their points.
fn in_order<'a>(
    shape: &ProofShape,
    pk: &ProvingKey<G1Affine>,
    advice: &'a [Polynomial<Fr, Coeff>],
) -> Vec<&'a Polynomial<Fr, Coeff>> {
    let phase_of = pk.get_vk().cs().advice_column_phase();
    let points = by_phase(&phase_of, shape.phases());
    let mut columns: Vec<_> = points.into_iter().zip(advice).collect();
    columns.sort_unstable_by_key(|(point, _)| *point);
    columns.into_iter().map(|(_, column)| column).collect()
}

/// Everything that is opened, as coefficients.
struct Polys<'a> {
    instance: &'a [Polynomial<Fr, Coeff>],
    pk: &'a ProvingKey<G1Affine>,
    /// By their points: advice, products, the random polynomial.
    proof: Vec<&'a Polynomial<Fr, Coeff>>,
    quotient: Polynomial<Fr, Coeff>,
}

impl Polys<'_> {
    /// `poly` is one of the shape's.
    fn get(&self, poly: Poly) -> &Polynomial<Fr, Coeff> {
        match poly {
            Poly::Instance(column) => &self.instance[column],
            Poly::Fixed(column) => &self.pk.fixed_polys()[column],
            Poly::Sigma(column) => &self.pk.permutation().polys()[column],
            Poly::Proof(point) => self.proof[point],
            Poly::Quotient => &self.quotient,
        }
    }
}

/// Coefficients that are worked on at a time.
const CHUNK: usize = 1 << 12;

/// The sum of `factor * polynomial`, of `rows` coefficients.
fn combine(rows: usize, terms: &[(Fr, &[Fr])]) -> Vec<Fr> {
    let mut sum = vec![Fr::ZERO; rows];
    sum.par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(chunk, sum)| {
            for (factor, poly) in terms {
                let part = poly.get(chunk * CHUNK..).unwrap_or_default();
                for (sum, coefficient) in sum.iter_mut().zip(part) {
                    *sum += *factor * coefficient;
                }
            }
        });
    sum
}

/// Random scalars, by all threads from one seed.
fn random_column(rows: usize, mut rng: impl RngCore) -> Vec<Fr> {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    let mut column = vec![Fr::ZERO; rows];
    column
        .par_chunks_mut(CHUNK)
        .enumerate()
        .for_each(|(stream, column)| {
            let mut rng = ChaCha20Rng::from_seed(seed);
            rng.set_stream(stream as u64);
            column
                .iter_mut()
                .for_each(|value| *value = Fr::random(&mut rng));
        });
    column
}

impl From<io::Error> for ProveError {
    fn from(error: io::Error) -> Self {
        Self::Halo2(error.into())
    }
}

/// The prover's side of the conversation.
struct Turn<'a> {
    params: &'a ParamsKZG<Bn256>,
    transcript: Observed<'a>,
}

impl Turn<'_> {
    fn challenge(&mut self) -> Fr {
        self.transcript.squeeze_challenge().get_scalar()
    }

    /// A challenge squeezed before.
    fn known(&self, shape: &ProofShape, challenge: SystemChallenge) -> Fr {
        let position = shape.challenge(challenge);
        self.transcript
            .squeezed
            .get(position)
            .copied()
            .unwrap_or_default()
    }

    /// Commits to coefficients and writes the point.
    fn commit(&mut self, coefficients: &[Fr]) -> Result<(), ProveError> {
        let points = &self.params.get_g()[..coefficients.len()];
        self.write(best_multiexp(coefficients, points).to_affine())
    }

    fn write(&mut self, point: G1Affine) -> Result<(), ProveError> {
        Ok(self.transcript.write_point(point)?)
    }
}

/// A transcript whose challenges tell how far the proof is, and are kept.
struct Observed<'a> {
    writer: ProofWriter,
    squeezed: Vec<Fr>,
    rounds: &'a [Round],
    on_round: &'a dyn Fn(usize),
}

impl Transcript<G1Affine, KeccakChallenge> for Observed<'_> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        let challenge = self.writer.squeeze_challenge();
        self.squeezed.push(challenge.get_scalar());
        let ends = self.rounds.iter().scan(0, |sum, round| {
            *sum += round.challenges;
            Some(*sum)
        });
        if let Some(round) = { ends }.position(|end| end == self.squeezed.len()) {
            (self.on_round)(round);
        }
        challenge
    }

    fn common_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.writer.common_point(point)
    }

    fn common_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.writer.common_scalar(scalar)
    }
}

impl TranscriptWrite<G1Affine, KeccakChallenge> for Observed<'_> {
    fn write_point(&mut self, point: G1Affine) -> io::Result<()> {
        self.writer.write_point(point)
    }

    fn write_scalar(&mut self, scalar: Fr) -> io::Result<()> {
        self.writer.write_scalar(scalar)
    }
}

/// No circuit here needs a third phase, and none was tried (halo2-axiom 0.5.3 panics on it).
const PROVABLE_PHASES: usize = 2;

/// What would otherwise be found out by a panic.
fn check_inputs(
    params: &ParamsKZG<Bn256>,
    shape: &ProofShape,
    instances: &[&[Fr]],
) -> Result<(), ProveError> {
    if params.k() != shape.k {
        return Err(ProveError::ParameterSize {
            expected: shape.k,
            got: params.k(),
        });
    }
    let phases = shape.phases();
    if phases > PROVABLE_PHASES {
        return Err(ProveError::TooManyPhases {
            expected: PROVABLE_PHASES,
            got: phases,
        });
    }
    if instances.len() != shape.instances {
        return Err(ProveError::InstanceCount {
            expected: shape.instances,
            got: instances.len(),
        });
    }
    let rows = (1usize << shape.k).saturating_sub(shape.blinding_factors + 1);
    for (column, values) in instances.iter().enumerate() {
        if values.len() > rows {
            return Err(ProveError::InstanceTooLong {
                column,
                rows,
                got: values.len(),
            });
        }
    }
    Ok(())
}
