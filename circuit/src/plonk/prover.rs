//! Proving with committed instance columns.

use crate::transcript::{KeccakChallenge, ProofWriter};
use halo2_proofs::plonk::{Circuit, ProvingKey};
use halo2_proofs::poly::commitment::Prover;
use halo2_proofs::poly::kzg::commitment::{KZGCommitmentScheme, ParamsKZG};
use halo2_proofs::poly::kzg::multiopen::ProverSHPLONK;
use halo2_proofs::poly::ProverQuery;
use halo2_proofs::transcript::{EncodedChallenge, Transcript, TranscriptWrite};
use halo2curves::bn256::{Bn256, Fr, G1Affine};
use rand_core::RngCore;
use std::io;
use thiserror::Error;

use super::shape::{ProofShape, Round};
use super::support::ShapeError;

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
    #[error("the circuit has {got} phases, halo2-axiom 0.5.3 can prove {expected}: move columns to an earlier phase")]
    TooManyPhases {
        /// Phases halo2 can prove.
        expected: usize,
        /// Phases of the circuit.
        got: usize,
    },
    /// halo2 refused the circuit, the witness or the transcript.
    #[error("halo2 could not make the proof: {0}")]
    Halo2(#[from] halo2_proofs::plonk::Error),
}

/// halo2's SHPLONK prover with one change: instance columns are committed and opened, not absorbed as values.
#[derive(Debug)]
pub struct CommittedInstances<'params>(ProverSHPLONK<'params, Bn256>);

impl<'params> Prover<'params, KZGCommitmentScheme<Bn256>> for CommittedInstances<'params> {
    const QUERY_INSTANCE: bool = true;

    fn new(params: &'params ParamsKZG<Bn256>) -> Self {
        Self(ProverSHPLONK::new(params))
    }

    fn create_proof<'com, E, T, R, I>(
        &self,
        rng: R,
        transcript: &mut T,
        queries: I,
    ) -> io::Result<()>
    where
        E: EncodedChallenge<G1Affine>,
        T: TranscriptWrite<G1Affine, E>,
        I: IntoIterator<Item = ProverQuery<'com, G1Affine>> + Clone,
        R: RngCore,
    {
        self.0.create_proof(rng, transcript, queries)
    }
}

/// Proves `circuit`; `instances` holds one slice of values per instance column, zero-padded to 2^k rows.
///
/// The instance values are committed again here, without blinding: the salt that hides them is part of the values.
/// `rng` draws the blinding rows; halo2 draws its random polynomial from the thread's generator, so two proofs from
/// equal generators differ. A circuit whose `synthesize` fails panics inside halo2: check it before proving.
///
/// `on_round` is told as each round of [`ProofShape::rounds`] ends, and so what the prover turns to next.
pub fn create_proof<C: Circuit<Fr>>(
    params: &ParamsKZG<Bn256>,
    pk: &ProvingKey<G1Affine>,
    circuit: C,
    instances: &[&[Fr]],
    rng: impl RngCore,
    on_round: &dyn Fn(usize),
) -> Result<Vec<u8>, ProveError> {
    let shape = ProofShape::new(pk.get_vk())?;
    check_inputs(params, &shape, instances)?;
    let mut transcript = Observed {
        writer: ProofWriter::new(),
        squeezed: 0,
        rounds: &shape.rounds,
        on_round,
    };
    halo2_proofs::plonk::create_proof::<
        KZGCommitmentScheme<Bn256>,
        CommittedInstances<'_>,
        _,
        _,
        _,
        _,
    >(params, pk, &[circuit], &[instances], rng, &mut transcript)?;
    Ok(transcript.writer.finish())
}

/// A transcript whose challenges tell how far the proof is: halo2 itself reports nothing.
struct Observed<'a> {
    writer: ProofWriter,
    squeezed: usize,
    rounds: &'a [Round],
    on_round: &'a dyn Fn(usize),
}

impl Transcript<G1Affine, KeccakChallenge> for Observed<'_> {
    fn squeeze_challenge(&mut self) -> KeccakChallenge {
        self.squeezed += 1;
        let ends = self.rounds.iter().scan(0, |sum, round| {
            *sum += round.challenges;
            Some(*sum)
        });
        if let Some(round) = { ends }.position(|end| end == self.squeezed) {
            (self.on_round)(round);
        }
        self.writer.squeeze_challenge()
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

/// Entering the step after the third phase panics in halo2-axiom 0.5.3, so the third phase itself is lost.
const PROVABLE_PHASES: usize = 2;

/// halo2 panics on these; they are errors here.
fn check_inputs(
    params: &ParamsKZG<Bn256>,
    shape: &ProofShape,
    instances: &[&[Fr]],
) -> Result<(), ProveError> {
    use halo2_proofs::poly::commitment::Params;
    if params.k() != shape.k {
        return Err(ProveError::ParameterSize {
            expected: shape.k,
            got: params.k(),
        });
    }
    // The two rounds after the phases carry the permutation products and the quotient.
    let phases = shape.rounds.len().saturating_sub(2);
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
