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
use halo2_proofs::plonk::{Any, Column, ConstraintSystem, VerifyingKey};
use halo2_proofs::poly::Rotation;
use halo2curves::bn256::{Fr, G1Affine};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use thiserror::Error;

use crate::transcript::{POINT_BYTES, SCALAR_BYTES};

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
}

/// Where the proof holds what a gate refers to.
#[derive(Debug, Default)]
pub(super) struct QueryIndex {
    instance: HashMap<(usize, i32), usize>,
    advice: HashMap<(usize, i32), usize>,
    fixed: HashMap<(usize, i32), usize>,
    challenges: Vec<usize>,
}

impl QueryIndex {
    pub(super) fn instance(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.instance, "instance column", column, at)
    }

    pub(super) fn advice(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.advice, "advice column", column, at)
    }

    pub(super) fn fixed(&self, column: usize, at: Rotation) -> Result<usize, ShapeError> {
        find(&self.fixed, "fixed column", column, at)
    }

    pub(super) fn challenge(&self, index: usize) -> Result<usize, ShapeError> {
        self.challenges
            .get(index)
            .copied()
            .ok_or(ShapeError::UnknownQuery {
                kind: "challenge",
                index,
                rotation: 0,
            })
    }

    fn current(&self, column: &Column<Any>) -> Result<usize, ShapeError> {
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
fn by_phase(phase_of: &[u8], phases: usize) -> Vec<usize> {
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

fn check_support(cs: &ConstraintSystem<Fr>, degree: usize) -> Result<(), ShapeError> {
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

/// Groups the evaluations as SHPLONK does: polynomials in order of first query, sets in order of first polynomial.
fn rotation_sets(
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
