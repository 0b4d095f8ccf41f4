//! What a proof must cost, known before any key is made: columns to FFTs and multi-scalar multiplications (MSMs).
//!
//! Counts are those of [`crate::plonk::create_proof`]: one FFT of size `n = 2^k` brings each advice, instance and product
//! column to coefficients; each column that the quotient reads is then evaluated on `d - 1` cosets of size `n` (`d` the
//! degree of the constraints; rounded up to a power of two), up to [`KEPT`] the keys' own columns by the first proof only; the
//! quotient comes back by one FFT on each. Every commitment is one MSM of size `n`: of small values for instance and phase-1
//! columns, of full scalars for everything else.
//!
//! The *floor* is these counts times a machine's own speed for one of each: what no prover of this layout with these
//! FFTs and MSMs undercuts. `prove / floor` is the overhead of everything else.

use crate::{
    attestation::AttestationCircuit,
    gadget::Shape,
    layout::Layout,
    plonk::fft,
    prove::Stage,
    srs::Srs,
    transcript::{POINT_BYTES, SCALAR_BYTES},
};
use halo2_proofs::{
    plonk::{Circuit, ConstraintSystem},
    poly::{
        commitment::{Blind, Params, ParamsProver},
        EvaluationDomain,
    },
};
use halo2curves::{bn256::Fr, ff::Field};
use rand_core::RngCore;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Bytes of a field element.
const SCALAR: u64 = 32;
/// Largest k at which what the keys' columns are on the quotient's cosets is kept for the next proof: 0.9 GB of 28 columns
/// there. Above it the memory would be worth more than the sixth of the time it saves from the second proof on.
const KEPT: u32 = 18;
/// The random polynomial that blinds the quotient.
const RANDOM: u64 = 1;
/// SHPLONK's two quotients.
const OPENINGS: u64 = 2;

/// Gas of a verification whatever the circuit: the transaction, the pairing, the quotient.
const GAS: u64 = 243_500;
/// ... of an advice column: a point of calldata, its evaluation, a multiplication of the point.
const ADVICE_GAS: u64 = 8_200;
/// ... of a column under copies.
const PERMUTED_GAS: u64 = 10_500;
/// ... of a fixed column.
const FIXED_GAS: u64 = 7_000;
/// ... of a committed instance column.
const INSTANCE_GAS: u64 = 9_100;
/// ... of a lookup.
const LOOKUP_GAS: u64 = 1_000;

/// Columns and operations of one proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// log2 of the rows.
    pub k: u32,
    /// Advice columns of phase 1: values of 8 to 16 bits.
    pub small_columns: u64,
    /// Advice columns of phase 2: full scalars.
    pub full_columns: u64,
    /// Committed instance columns: weights, data, statement.
    pub instance_columns: u64,
    /// Fixed columns.
    pub fixed_columns: u64,
    /// Columns under copy constraints.
    pub permuted_columns: u64,
    /// Products of the copy argument.
    pub products: u64,
    /// Pieces of the quotient, `d - 1`.
    pub quotient_pieces: u64,
    /// FFTs of size `2^k`.
    pub ffts: u64,
    /// MSMs of small values.
    pub small_msms: u64,
    /// MSMs of full scalars.
    pub full_msms: u64,
    /// Exact length of a proof, in bytes.
    pub proof_bytes: u64,
    /// Gas of a transaction that verifies one proof and does nothing else. An estimate, within 3 %.
    pub gas: u64,
    /// Memory while proving, keys and reference string included, in bytes. An estimate.
    pub peak_bytes: u64,
}

/// Seconds of one operation of size `2^k`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// One FFT.
    pub fft: f64,
    /// One MSM of small values.
    pub small_msm: f64,
    /// One MSM of full scalars.
    pub full_msm: f64,
}

impl Speed {
    /// Two quiet cores of 2026 at 2^20 rows (`zknode bench --k 20`), scaled.
    pub fn two_cores(k: u32) -> Self {
        let scale = f64::from(k) / 20.0 * 2f64.powi(k as i32 - 20);
        Self {
            fft: 0.13 * scale,
            small_msm: 0.324 * scale,
            full_msm: 1.635 * scale,
        }
    }

    /// What a machine is likely to need that takes `fft` seconds for one of [`Ffts`] of `2^sampled` rows: everything else
    /// in proportion.
    pub fn guess(k: u32, sampled: u32, fft: f64) -> Self {
        let slower = fft / Self::two_cores(sampled).fft;
        let Self {
            fft,
            small_msm,
            full_msm,
        } = Self::two_cores(k);
        Self {
            fft: fft * slower,
            small_msm: small_msm * slower,
            full_msm: full_msm * slower,
        }
    }
}

impl Cost {
    /// The cost of a proof of this layout.
    pub fn of(layout: &Layout) -> Self {
        let mut system = ConstraintSystem::<Fr>::default();
        AttestationCircuit::configure_with_params(&mut system, Shape::from(layout));
        let phases = system.advice_column_phase();
        let full_columns = phases.iter().filter(|phase| **phase > 0).count() as u64;
        let small_columns = phases.len() as u64 - full_columns;
        let instance_columns = system.num_instance_columns() as u64;
        let fixed_columns = system.num_fixed_columns() as u64;
        let permuted_columns = system.permutation().get_columns().len() as u64;
        // The quotient's degree is rounded up to a power of two by the evaluation domain.
        let quotient_pieces = system.degree() as u64 - 1;
        let cosets = quotient_pieces.next_power_of_two();
        let products = permuted_columns.div_ceil(quotient_pieces - 1);
        let evaluations = system.instance_queries().len()
            + system.advice_queries().len()
            + system.fixed_queries().len();
        let evaluations = evaluations as u64 + RANDOM + permuted_columns + 3 * products - 1;
        let points = small_columns + full_columns + products + RANDOM + quotient_pieces + OPENINGS;
        let lanes = layout.options().lanes as u64;
        let lookups = lanes + lanes.div_ceil(2);
        let own = small_columns + full_columns + instance_columns + products;
        let fixed = fixed_columns + permuted_columns;
        let k = layout.options().k;
        let made = if Self::keeps_cosets(k) { 0 } else { fixed };
        Self {
            k,
            small_columns,
            full_columns,
            instance_columns,
            fixed_columns,
            permuted_columns,
            products,
            quotient_pieces,
            ffts: own + (own + made + 1) * cosets,
            small_msms: small_columns + instance_columns,
            full_msms: full_columns + products + RANDOM + quotient_pieces + OPENINGS,
            proof_bytes: points * POINT_BYTES as u64 + evaluations * SCALAR_BYTES as u64,
            gas: GAS
                + (small_columns + full_columns) * ADVICE_GAS
                + permuted_columns * PERMUTED_GAS
                + fixed_columns * FIXED_GAS
                + instance_columns * INSTANCE_GAS
                + lookups * LOOKUP_GAS,
            peak_bytes: Self::peak(layout.rows() as u64, own, fixed, cosets),
        }
    }

    /// Whether a prover keeps its key's columns on the quotient's cosets from one proof to the next.
    pub const fn keeps_cosets(k: u32) -> bool {
        k <= KEPT
    }

    /// The moment of the quotient: every column as values, as coefficients and on one coset, the keys' copies of the
    /// fixed ones and the witness's of the others, the quotient, and two points a row of the reference string.
    fn peak(rows: u64, own: u64, fixed: u64, cosets: u64) -> u64 {
        let columns = 4 * (fixed + own) + 2 * cosets;
        let reference_string = 4;
        rows * SCALAR * (columns + reference_string)
    }

    /// Seconds that FFTs and MSMs alone take.
    pub fn floor(&self, speed: &Speed) -> f64 {
        self.ffts as f64 * speed.fft
            + self.small_msms as f64 * speed.small_msm
            + self.full_msms as f64 * speed.full_msm
    }
}

/// Overhead over the floor of proofs as they are made today, as `zknode bench` measures it.
const OVERHEAD: f64 = 1.45;

impl Cost {
    /// Seconds a proof is likely to take, stage by stage.
    pub fn stages(&self, speed: &Speed) -> [(Stage, f64); 5] {
        let small = (self.small_columns + self.instance_columns) as f64;
        let commitments = self.small_msms as f64 * speed.small_msm + small * speed.fft;
        let checks = self.full_columns as f64 * (speed.full_msm + speed.fft);
        let copies = self.products as f64 * (speed.full_msm + speed.fft) * 2.0;
        let opening = OPENINGS as f64 * speed.full_msm * 2.0;
        let all = OVERHEAD * self.floor(speed);
        let quotient = all - commitments - checks - copies - opening;
        [
            (Stage::Commitments, commitments),
            (Stage::Checks, checks),
            (Stage::Copies, copies),
            (Stage::Quotient, quotient),
            (Stage::Opening, opening),
        ]
    }
}

/// FFTs ready to be timed by whoever has a clock.
pub struct Ffts {
    domain: EvaluationDomain<Fr>,
    columns: Vec<Vec<Fr>>,
}

impl Ffts {
    /// Columns of a run, side by side.
    pub const COUNT: usize = 8;

    /// A random column of `2^k` rows, several times.
    pub fn new(k: u32, mut rng: impl RngCore) -> Self {
        let column: Vec<Fr> = (0..1 << k).map(|_| Fr::random(&mut rng)).collect();
        Self {
            domain: EvaluationDomain::new(1, k),
            columns: vec![column; Self::COUNT],
        }
    }

    /// [`Ffts::COUNT`] FFTs, a core each.
    pub fn run(&self) {
        let run = |column: &Vec<Fr>| {
            let mut column = column.clone();
            fft::inverse(&self.domain, &mut column);
            std::hint::black_box(column);
        };
        self.columns.par_iter().for_each(run);
    }
}

/// One of each operation of a reference string's size.
pub struct Probe<'srs> {
    srs: &'srs Srs,
    ffts: Ffts,
    small: Vec<Fr>,
}

impl<'srs> Probe<'srs> {
    /// Random columns of `2^k` rows.
    pub fn new(srs: &'srs Srs, mut rng: impl RngCore) -> Self {
        let small = (0..1 << srs.k()).map(|_| Fr::from(u64::from(rng.next_u32() as u8)));
        Self {
            small: small.collect(),
            ffts: Ffts::new(srs.k(), rng),
            srs,
        }
    }

    /// The FFTs.
    pub fn ffts(&self) -> &Ffts {
        &self.ffts
    }

    /// One MSM of bytes.
    pub fn small_msm(&self) {
        let column = self.ffts.domain.lagrange_from_vec(self.small.clone());
        std::hint::black_box(self.srs.params().commit_lagrange(&column, Blind::default()));
    }

    /// One MSM of full scalars.
    pub fn full_msm(&self) {
        let column = self
            .ffts
            .domain
            .coeff_from_vec(self.ffts.columns[0].clone());
        std::hint::black_box(self.srs.params().commit(&column, Blind::default()));
    }
}
