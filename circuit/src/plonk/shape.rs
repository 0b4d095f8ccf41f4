//! What a proof for a verifying key looks like: rounds, evaluations and opening sets, in the order of the bytes.
//!
//! Order of a proof (points of 64 bytes, scalars of 32):
//!
//! ```text
//! per phase p:   advice commitments of p            then the challenges of p
//!                (the last phase's round also squeezes theta, beta, gamma)
//! products, random polynomial                       then y
//! quotient pieces                                   then x
//! evaluations: instance, advice, fixed, random, permutation (sigma), products (z, z_next, z_last)
//!                                                   then mu, nu
//! opening quotient W                                then u
//! opening witness W'
//! ```
//!
//! Before it the verifying key's digest and the instance commitments are absorbed.

use super::constraint::ConstraintGraph;
use super::order::{by_phase, rotation_sets, QueryIndex};
use super::support::{check_support, ShapeError};
use halo2_proofs::plonk::VerifyingKey;
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;

use crate::transcript::{POINT_BYTES, SCALAR_BYTES};

/// A committed polynomial, by where its commitment is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Poly {
    /// Instance column: part of the statement.
    Instance(usize),
    /// Fixed column: part of the verifying key.
    Fixed(usize),
    /// Permutation polynomial: part of the verifying key.
    Sigma(usize),
    /// Point of the proof, counted from its start: advice column, permutation product or random polynomial.
    Proof(usize),
    /// The quotient, combined from its pieces with powers of x^n.
    Quotient,
}

/// One round: the prover sends points, then the verifier squeezes challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Points of 64 bytes sent.
    pub points: usize,
    /// Challenges squeezed after them.
    pub challenges: usize,
}

/// The system's challenges, squeezed after the circuit's own; theta is squeezed and unused (it serves lookups).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemChallenge {
    /// Combines a cell's value with its position in the permutation.
    Beta,
    /// Shifts the permutation's factors.
    Gamma,
    /// Combines the constraints.
    Y,
    /// The evaluation point.
    X,
    /// Combines the polynomials of one opening set (halo2's SHPLONK `y`).
    Mu,
    /// Combines the opening sets (halo2's SHPLONK `v`).
    Nu,
    /// The point at which the opening quotient is checked (halo2's SHPLONK `u`).
    U,
}

/// A claimed evaluation: `poly(x * omega^rotation)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Opening {
    /// What is opened.
    pub poly: Poly,
    /// Where, relative to x.
    pub rotation: i32,
}

/// Polynomials opened at the same rotations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationSet {
    /// The rotations, ascending.
    pub rotations: Vec<i32>,
    /// Each polynomial with the positions of its evaluations, one per rotation.
    pub members: Vec<(Poly, Vec<usize>)>,
}

/// The permutation argument (halo2 book, "Permutation argument").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermutationShape {
    /// Per column the position of its evaluation at rotation 0.
    pub columns: Vec<usize>,
    /// Columns per product polynomial.
    pub chunk: usize,
    /// Product polynomials.
    pub products: usize,
    /// Position of the first sigma evaluation; one per column follow.
    pub first_sigma: usize,
    /// Position of the first product's evaluations: z, z_next, z_last each, without z_last for the final product.
    pub first_product: usize,
}

/// Everything a verifier of one verifying key must know besides the key's points.
#[derive(Clone, Debug)]
pub struct ProofShape {
    /// Logarithm of the number of rows.
    pub k: u32,
    /// Generator of the domain of 2^k rows.
    pub omega: Fr,
    /// The verifying key's digest as the transcript absorbs it.
    pub digest: Fr,
    /// Rows at the end of each column reserved for blinding, without the last usable row's boundary.
    pub blinding_factors: usize,
    /// Instance columns.
    pub instances: usize,
    /// Rounds before the evaluations.
    pub rounds: Vec<Round>,
    /// Challenges of the circuit itself (they come first).
    pub circuit_challenges: usize,
    /// Position among the proof's points of the first quotient piece.
    pub first_quotient_piece: usize,
    /// Quotient pieces.
    pub quotient_pieces: usize,
    /// Evaluations in the proof; the computed quotient evaluation has the position after the last of them.
    pub evaluations: Vec<Opening>,
    /// Opening sets in SHPLONK order.
    pub rotation_sets: Vec<RotationSet>,
    /// The gates.
    pub gates: ConstraintGraph,
    /// The permutation argument.
    pub permutation: PermutationShape,
}

impl ProofShape {
    /// Derives the shape of proofs for `vk`.
    pub fn new(vk: &VerifyingKey<G1Affine>) -> Result<Self, ShapeError> {
        let (cs, domain) = (vk.cs(), vk.get_domain());
        // The bound is read from the domain: `cs.degree()` would consult the environment a second time.
        let quotient_pieces = domain.get_quotient_poly_degree();
        let degree = quotient_pieces + 1;
        check_support(cs, degree)?;

        let phases = cs
            .advice_column_phase()
            .iter()
            .max()
            .map_or(1, |phase| usize::from(*phase) + 1);
        let columns = cs.permutation().get_columns();
        let chunk = degree.saturating_sub(2).max(1);
        let products = columns.len().div_ceil(chunk);

        // Points of the proof: advice by phase, products, random, quotient pieces.
        let advice_point = by_phase(&cs.advice_column_phase(), phases);
        let first_product_point = advice_point.len();
        let random_point = first_product_point + products;

        let mut rounds = Vec::with_capacity(phases + 2);
        for phase in 0..phases {
            let of = |phases: &[u8]| phases.iter().filter(|p| usize::from(**p) == phase).count();
            let system = if phase + 1 == phases { 3 } else { 0 };
            rounds.push(Round {
                points: of(&cs.advice_column_phase()),
                challenges: of(&cs.challenge_phase()) + system,
            });
        }
        rounds.push(Round {
            points: products + 1,
            challenges: 1,
        });
        rounds.push(Round {
            points: quotient_pieces,
            challenges: 1,
        });

        let advice = |column: usize| Poly::Proof(advice_point[column]);
        let mut evaluations: Vec<Opening> = Vec::new();
        let mut push = |poly: Poly, rotation: i32| {
            evaluations.push(Opening { poly, rotation });
            evaluations.len() - 1
        };
        let mut queries = QueryIndex::default();
        for (column, at) in cs.instance_queries() {
            let position = push(Poly::Instance(column.index()), at.0);
            queries.instance.insert((column.index(), at.0), position);
        }
        for (column, at) in cs.advice_queries() {
            let position = push(advice(column.index()), at.0);
            queries.advice.insert((column.index(), at.0), position);
        }
        for (column, at) in cs.fixed_queries() {
            let position = push(Poly::Fixed(column.index()), at.0);
            queries.fixed.insert((column.index(), at.0), position);
        }
        queries.challenges = by_phase(&cs.challenge_phase(), phases);
        let first_sigma = push(Poly::Proof(random_point), 0) + 1;
        for column in 0..columns.len() {
            push(Poly::Sigma(column), 0);
        }
        let first_product = first_sigma + columns.len();
        let last = -(cs.blinding_factors() as i32 + 1);
        for product in 0..products {
            let poly = Poly::Proof(first_product_point + product);
            push(poly, 0);
            push(poly, 1);
            if product + 1 < products {
                push(poly, last);
            }
        }

        let permutation = PermutationShape {
            columns: columns
                .iter()
                .map(|column| queries.current(column))
                .collect::<Result<_, _>>()?,
            chunk,
            products,
            first_sigma,
            first_product,
        };
        let rotation_sets = rotation_sets(cs, &evaluations, domain.k())?;
        Ok(Self {
            k: domain.k(),
            omega: domain.get_omega(),
            digest: vk.transcript_repr(),
            blinding_factors: cs.blinding_factors(),
            instances: cs.num_instance_columns(),
            rounds,
            circuit_challenges: cs.num_challenges(),
            first_quotient_piece: random_point + 1,
            quotient_pieces,
            gates: ConstraintGraph::new(cs, &queries)?,
            evaluations,
            rotation_sets,
            permutation,
        })
    }

    /// Phases of the circuit.
    pub fn phases(&self) -> usize {
        // Two rounds carry the permutation products and the quotient.
        self.rounds.len().saturating_sub(2)
    }

    /// Points of the proof before its evaluations.
    pub fn points(&self) -> usize {
        self.first_quotient_piece + self.quotient_pieces
    }

    /// Position of a system challenge in squeezing order.
    pub fn challenge(&self, challenge: SystemChallenge) -> usize {
        // Theta comes first and is not named.
        self.circuit_challenges
            + match challenge {
                SystemChallenge::Beta => 1,
                SystemChallenge::Gamma => 2,
                SystemChallenge::Y => 3,
                SystemChallenge::X => 4,
                SystemChallenge::Mu => 5,
                SystemChallenge::Nu => 6,
                SystemChallenge::U => 7,
            }
    }

    /// Challenges squeezed in all.
    pub fn challenges(&self) -> usize {
        self.circuit_challenges + 8
    }

    /// Exact length of a proof in bytes.
    pub fn proof_length(&self) -> usize {
        (self.points() + 2) * POINT_BYTES + self.evaluations.len() * SCALAR_BYTES
    }

    /// The rotation of the last usable row relative to row 0.
    pub fn last_rotation(&self) -> i32 {
        -(self.blinding_factors as i32 + 1)
    }

    /// `omega^rotation`: how far a rotation moves x.
    pub fn rotation_factor(&self, rotation: i32) -> Fr {
        let power = self.omega.pow_vartime([u64::from(rotation.unsigned_abs())]);
        if rotation < 0 {
            // A root of unity is never zero.
            power.invert().unwrap_or(Fr::ZERO)
        } else {
            power
        }
    }
}
