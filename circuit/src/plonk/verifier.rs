//! The Rust verifier: sees commitments only, decides with one multi-scalar multiplication and one pairing check.
//!
//! The checks are halo2's (`plonk/verifier.rs` and SHPLONK, eprint 2020/081), arranged as in the contract that
//! [`crate::evm`] generates: the quotient's evaluation is computed from the gates, the permutation and the proof's
//! evaluations, and every opening is folded into one pairing equation. Total: no panic on any bytes.

use super::domain::{power_of_domain_size, Rows, SetBasis};
use super::shape::{Poly, ProofShape, SystemChallenge};
use super::support::ShapeError;
use crate::transcript::{ProofReader, TranscriptError};
use halo2_proofs::arithmetic::best_multiexp;
use halo2_proofs::plonk::VerifyingKey;
use halo2_proofs::poly::commitment::ParamsProver;
use halo2_proofs::poly::kzg::commitment::ParamsKZG;
use halo2curves::bn256::{Bn256, Fr, G1Affine, G2Affine, G2Prepared};
use halo2curves::ff::{Field, PrimeField};
use halo2curves::group::{Curve, Group};
use halo2curves::pairing::{MillerLoopResult, MultiMillerLoop};
use halo2curves::CurveAffine;
use thiserror::Error;

/// The three points of a structured reference string that a verifier needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KzgVerifierKey {
    /// Generator of G1: the commitment to the constant 1.
    pub g1: G1Affine,
    /// Generator of G2.
    pub g2: G2Affine,
    /// The secret times `g2`.
    pub s_g2: G2Affine,
}

impl From<&ParamsKZG<Bn256>> for KzgVerifierKey {
    fn from(params: &ParamsKZG<Bn256>) -> Self {
        Self {
            g1: params.get_g().first().copied().unwrap_or_default(),
            g2: params.g2(),
            s_g2: params.s_g2(),
        }
    }
}

/// Why a proof was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum VerifyError {
    /// This verifier does not support the verifying key.
    #[error("the verifying key is not supported: {0}")]
    UnsupportedKey(#[from] ShapeError),
    /// Not one commitment per instance column.
    #[error("expected {expected} instance commitments, got {got}")]
    CommitmentCount {
        /// Instance columns of the key.
        expected: usize,
        /// Commitments given.
        got: usize,
    },
    /// An instance commitment that is no point of the curve.
    #[error("the commitment of instance column {column} is not on the curve")]
    CommitmentOffCurve {
        /// Its column.
        column: usize,
    },
    /// A proof of another length than the key's proofs have.
    #[error("a proof for this key has exactly {expected} bytes, got {got}")]
    ProofLength {
        /// The exact length.
        expected: usize,
        /// The length given.
        got: usize,
    },
    /// A key with fewer commitments than its constraint system has columns.
    #[error("the verifying key is incomplete: it lacks a commitment its constraints name")]
    MissingPoint,
    /// Bytes that decode to nothing.
    #[error("the proof does not decode: {0}")]
    Encoding(#[from] TranscriptError),
    /// The evaluation point is a row of the domain, or an opening point repeats: never by chance.
    #[error("a challenge fell on an excluded point: make a new proof")]
    ExcludedChallenge,
    /// The openings are not those of the committed polynomials, or a constraint does not hold.
    #[error("the pairing check failed: the proof does not show this statement")]
    PairingFailed,
}

/// Exact length in bytes of a proof for `vk`.
pub fn proof_length(vk: &VerifyingKey<G1Affine>) -> Result<usize, ShapeError> {
    Ok(ProofShape::new(vk)?.proof_length())
}

/// The commitment to a column that is zero but for some rows: the sum of `scalar * Lagrange point of its row`.
///
/// `basis` and `scalars` are paired in order; what is beyond the shorter one is ignored.
pub fn scalar_commitment(basis: &[G1Affine], scalars: &[Fr]) -> G1Affine {
    let pairs = basis.iter().zip(scalars);
    let sum = pairs.map(|(point, scalar)| *point * *scalar);
    sum.fold(halo2curves::bn256::G1::identity(), |a, b| a + b)
        .to_affine()
}

/// Checks `proof` against `vk` for the statement made by the commitments of all instance columns, in column order.
pub fn verify_proof(
    kzg: &KzgVerifierKey,
    vk: &VerifyingKey<G1Affine>,
    instance_commitments: &[G1Affine],
    proof: &[u8],
) -> Result<(), VerifyError> {
    let shape = ProofShape::new(vk)?;
    if instance_commitments.len() != shape.instances {
        return Err(VerifyError::CommitmentCount {
            expected: shape.instances,
            got: instance_commitments.len(),
        });
    }
    if let Some(column) = instance_commitments
        .iter()
        .position(|commitment| !bool::from(commitment.is_on_curve()))
    {
        return Err(VerifyError::CommitmentOffCurve { column });
    }
    if proof.len() != shape.proof_length() {
        return Err(VerifyError::ProofLength {
            expected: shape.proof_length(),
            got: proof.len(),
        });
    }
    let transcript = Replay::read(&shape, instance_commitments, proof)?;
    let quotient = transcript.quotient_evaluation(&shape)?;
    let terms = transcript.opening_terms(&shape, vk, instance_commitments, kzg, quotient)?;
    let (scalars, points): (Vec<Fr>, Vec<G1Affine>) = terms.into_iter().unzip();
    let right = best_multiexp(&scalars, &points).to_affine();
    let product = Bn256::multi_miller_loop(&[
        (&transcript.opening_witness, &G2Prepared::from(-kzg.s_g2)),
        (&right, &G2Prepared::from(kzg.g2)),
    ])
    .final_exponentiation();
    if bool::from(product.is_identity()) {
        Ok(())
    } else {
        Err(VerifyError::PairingFailed)
    }
}

/// A decoded proof with its challenges.
struct Replay {
    points: Vec<G1Affine>,
    evaluations: Vec<Fr>,
    challenges: Vec<Fr>,
    opening_quotient: G1Affine,
    opening_witness: G1Affine,
}

impl Replay {
    fn read(
        shape: &ProofShape,
        instance_commitments: &[G1Affine],
        proof: &[u8],
    ) -> Result<Self, VerifyError> {
        let mut reader = ProofReader::new(proof);
        reader.absorb_scalar(&shape.digest);
        for commitment in instance_commitments {
            reader.absorb_point(commitment);
        }
        let mut points = Vec::with_capacity(shape.points());
        let mut challenges = Vec::with_capacity(shape.challenges());
        for round in &shape.rounds {
            for _ in 0..round.points {
                points.push(reader.next_point()?);
            }
            for _ in 0..round.challenges {
                challenges.push(reader.challenge());
            }
        }
        let mut evaluations = Vec::with_capacity(shape.evaluations.len());
        for _ in &shape.evaluations {
            evaluations.push(reader.next_scalar()?);
        }
        challenges.push(reader.challenge());
        challenges.push(reader.challenge());
        let opening_quotient = reader.next_point()?;
        challenges.push(reader.challenge());
        let opening_witness = reader.next_point()?;
        Ok(Self {
            points,
            evaluations,
            challenges,
            opening_quotient,
            opening_witness,
        })
    }

    fn challenge(&self, shape: &ProofShape, challenge: SystemChallenge) -> Fr {
        let position = shape.challenge(challenge);
        self.challenges.get(position).copied().unwrap_or_default()
    }

    fn evaluation(&self, position: usize) -> Fr {
        self.evaluations.get(position).copied().unwrap_or_default()
    }

    /// The value the quotient must have at x for every constraint to hold.
    fn quotient_evaluation(&self, shape: &ProofShape) -> Result<Fr, VerifyError> {
        let x = self.challenge(shape, SystemChallenge::X);
        let y = self.challenge(shape, SystemChallenge::Y);
        let rows = Rows::new(shape, x)?;
        let gates = shape.gates.evaluate(&self.evaluations, &self.challenges);
        let permutation = self.permutation_constraints(shape, &rows, x);
        let numerator = gates
            .into_iter()
            .chain(permutation)
            .fold(Fr::ZERO, |sum, value| sum * y + value);
        Ok(numerator * rows.vanishing_inverse)
    }

    fn permutation_constraints(&self, shape: &ProofShape, rows: &Rows, x: Fr) -> Vec<Fr> {
        let argument = &shape.permutation;
        let beta = self.challenge(shape, SystemChallenge::Beta);
        let gamma = self.challenge(shape, SystemChallenge::Gamma);
        let z = |product: usize, part: usize| {
            self.evaluation(argument.first_product + 3 * product + part)
        };
        let Some(last) = argument.products.checked_sub(1) else {
            return Vec::new();
        };
        let mut constraints = vec![
            rows.first * (Fr::ONE - z(0, 0)),
            rows.last * (z(last, 0).square() - z(last, 0)),
        ];
        for product in 1..argument.products {
            constraints.push(rows.first * (z(product, 0) - z(product - 1, 2)));
        }
        let mut position = beta * x;
        let mut sigma = argument.first_sigma;
        for (product, columns) in argument.columns.chunks(argument.chunk).enumerate() {
            let (mut left, mut right) = (z(product, 1), z(product, 0));
            for column in columns {
                let value = self.evaluation(*column) + gamma;
                left *= value + beta * self.evaluation(sigma);
                right *= value + position;
                position *= Fr::DELTA;
                sigma += 1;
            }
            constraints.push(rows.active * (left - right));
        }
        constraints
    }

    /// The terms of the right side of the pairing equation.
    fn opening_terms(
        &self,
        shape: &ProofShape,
        vk: &VerifyingKey<G1Affine>,
        instance_commitments: &[G1Affine],
        kzg: &KzgVerifierKey,
        quotient: Fr,
    ) -> Result<Vec<(Fr, G1Affine)>, VerifyError> {
        let x = self.challenge(shape, SystemChallenge::X);
        let mu = self.challenge(shape, SystemChallenge::Mu);
        let nu = self.challenge(shape, SystemChallenge::Nu);
        let u = self.challenge(shape, SystemChallenge::U);
        let x_n = power_of_domain_size(x, shape.k);
        let mut terms = Vec::new();
        let mut claimed = Fr::ZERO;
        let mut weight = Fr::ONE;
        let mut first_vanishing = Fr::ONE;
        for (index, set) in shape.rotation_sets.iter().enumerate() {
            let basis = SetBasis::new(shape, set, x, u)?;
            if index == 0 {
                first_vanishing = basis.vanishing;
            }
            let mut scale = weight * first_vanishing * basis.vanishing_inverse;
            for (poly, positions) in &set.members {
                let mut value = Fr::ZERO;
                for (position, lagrange) in positions.iter().zip(&basis.lagrange) {
                    let known = self.evaluations.get(*position).copied();
                    value += *lagrange * known.unwrap_or(quotient);
                }
                claimed += scale * value;
                match *poly {
                    Poly::Quotient => {
                        let pieces = self.points.iter().skip(shape.first_quotient_piece);
                        let mut power = scale;
                        for piece in pieces {
                            terms.push((power, *piece));
                            power *= x_n;
                        }
                    }
                    Poly::Instance(i) => terms.push(term(scale, instance_commitments, i)?),
                    Poly::Fixed(i) => terms.push(term(scale, vk.fixed_commitments(), i)?),
                    Poly::Sigma(i) => {
                        terms.push(term(scale, vk.permutation().commitments(), i)?);
                    }
                    Poly::Proof(i) => terms.push(term(scale, &self.points, i)?),
                }
                scale *= mu;
            }
            weight *= nu;
        }
        terms.push((-claimed, kzg.g1));
        terms.push((-first_vanishing, self.opening_quotient));
        terms.push((u, self.opening_witness));
        Ok(terms)
    }
}

fn term(scale: Fr, points: &[G1Affine], position: usize) -> Result<(Fr, G1Affine), VerifyError> {
    let point = points.get(position).ok_or(VerifyError::MissingPoint)?;
    Ok((scale, *point))
}
