//! The statement, and the circuit that proves it.
//!
//! > There are weights under the model commitment and labelled samples under the shard commitment
//! > such that the integer network of the architecture ranks the label first for exactly `top1`,
//! > and below `top_k` for exactly `topk`, of the `valid` samples.
//!
//! Weights and pixels are field elements; no gate keeps them small. Where they are the integers of a
//! total network and bytes, the network is `network::execute`'s. Else the commitments still fix,
//! before any data is seen, one function of an image (accumulators are field elements, and the split
//! of one into `q` and `r` is unique), which has no proof where it leaves the tables. So a seller gains
//! nothing by odd weights; who holds both sides of an agreement can prove what they like, as with
//! honest pixels.

use crate::{
    gadget::{glue::opcode, Columns, Shape},
    layout::{CellRef, Layout, PROGRAM_START},
    witness::{
        claims::{data_chain, lane_chain, table, ChallengeValues, Claims, Committed},
        field,
        lanes::{Counts, Lanes},
    },
};
use halo2_proofs::{
    circuit::{Cell, Layouter, Region, SimpleFloorPlanner, Value},
    halo2curves::bn256::Fr,
    plonk::{Advice, Challenge, Circuit, Column, ConstraintSystem, Error, Fixed},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The public scalars of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Samples of the shard that have a label.
    pub valid: u32,
    /// Samples whose label ranks first; ties go to the lowest class index.
    pub top1: u32,
    /// Samples whose label ranks below the layout's `top_k`.
    pub topk: u32,
    /// Binds the proof to one use: chain, escrow, agreement, shard, payee.
    pub context: Context,
}

/// A field element that a proof is bound to, 32 bytes big-endian, below the BN254 scalar modulus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Context(#[serde(with = "hex::serde")] pub [u8; 32]);

impl Context {
    /// The scalar, or `None` where the bytes are not canonical.
    pub fn scalar(&self) -> Option<Fr> {
        let mut bytes = self.0;
        bytes.reverse();
        Option::from(Fr::from_bytes(&bytes))
    }
}

impl Statement {
    /// The counts of a run, bound to `context`.
    pub fn new(counts: Counts, context: Context) -> Self {
        Self {
            valid: counts.valid,
            top1: counts.top1,
            topk: counts.topk,
            context,
        }
    }

    /// The scalars as the circuit's last instance column holds them, from row
    /// [`crate::layout::ScoreRows::expose`] on. `None` if the context is not canonical.
    pub fn scalars(&self) -> Option<[Fr; 4]> {
        let count = |n: u32| Fr::from(u64::from(n));
        Some([
            count(self.valid),
            count(self.top1),
            count(self.topk),
            self.context.scalar()?,
        ])
    }
}

/// Everything private. Secret: no `Debug`.
#[derive(Clone)]
pub struct Witness {
    /// Phase 1.
    pub lanes: Lanes,
    /// The salted weight columns.
    pub model: Vec<Arc<Vec<Fr>>>,
    /// The salted data column.
    pub data: Arc<Vec<Fr>>,
    /// Changes phase 2 after it is computed: what a cheating prover could do. Honest provers
    /// leave it `None`.
    pub alter: Option<Alter>,
}

/// A change of phase 2, for soundness tests.
pub type Alter = Arc<dyn Fn(&mut Claims) + Send + Sync>;

/// The circuit of a layout, with a witness when proving.
#[derive(Clone)]
pub struct AttestationCircuit {
    layout: Arc<Layout>,
    witness: Option<Arc<Witness>>,
}

impl AttestationCircuit {
    /// For key generation.
    pub fn blank(layout: Arc<Layout>) -> Self {
        Self {
            layout,
            witness: None,
        }
    }

    /// For proving.
    pub fn new(layout: Arc<Layout>, witness: Arc<Witness>) -> Self {
        Self {
            layout,
            witness: Some(witness),
        }
    }

    fn assign_fixed(&self, columns: &Columns, region: &mut Region<'_, Fr>) {
        let (layout, fixed) = (&*self.layout, &columns.fixed);
        let score = layout.score();
        let score_rows = score.rows();
        let mut set = |column: Column<Fixed>, row: usize, value: u64| {
            region.assign_fixed(column, row, Fr::from(value));
        };
        for row in 0..layout.last() {
            if !score_rows.contains(&row) {
                set(fixed.lane, row, 1);
            }
            if lane_chain(layout, row) {
                set(fixed.lane_chain, row, 1);
            }
            if data_chain(layout, row) {
                set(fixed.data_chain, row, 1);
            }
        }
        for run in layout.weights().runs() {
            let rows = run.start..run.start + run.rows;
            for row in rows.clone() {
                if row + 1 < rows.end {
                    set(fixed.weight_chain, row, 1);
                }
                if let (Some(narrow), true) = (fixed.narrow, run.narrow) {
                    set(narrow, row, 1);
                }
            }
        }
        if let Some(summed) = fixed.summed {
            for row in layout.summed_rows().flatten() {
                set(summed, row, 1);
            }
        }
        for (row, [tag, first, second]) in table(layout).into_iter().enumerate() {
            set(fixed.table_tag, row, tag);
            set(fixed.table_first, row, first);
            set(fixed.table_second, row, second);
        }
        for (index, &step) in layout.glue().steps().iter().enumerate() {
            set(fixed.opcode, PROGRAM_START + index, opcode(step));
        }
        for (row, constant) in [(0, 0), (layout.last(), 1)] {
            set(fixed.load, row, 1);
            set(fixed.constant, row, constant);
        }
        set(fixed.start, score.start, 1);
        for n in 0..score.samples {
            for j in 0..score.classes {
                set(fixed.class, score.class(n, j), 1);
                set(fixed.constant, score.class(n, j), j as u64 + 1);
            }
            set(fixed.summary, score.summary(n), 1);
        }
        for row in score.expose()..score.expose() + 3 {
            set(fixed.expose, row, 1);
        }
    }

    fn copy(&self, columns: &Columns, region: &mut Region<'_, Fr>) {
        let claims = columns.claims();
        let glue = self.layout.glue();
        let cell = |cell: CellRef| Cell {
            row_offset: cell.row as usize,
            column: claims[cell.column.index(self.layout.reach())].into(),
        };
        for (index, &step) in glue.steps().iter().enumerate() {
            let here = |column: Column<Advice>| Cell {
                row_offset: PROGRAM_START + index,
                column: column.into(),
            };
            let (a, b) = step.operands();
            region.constrain_equal(cell(a), here(columns.a));
            region.constrain_equal(cell(b), here(columns.b));
        }
        for &(left, right) in glue.equal() {
            region.constrain_equal(cell(left), cell(right));
        }
    }
}

fn assign(region: &mut Region<'_, Fr>, column: Column<Advice>, row: usize, value: Fr) {
    region.assign_advice(column, row, Value::known(value));
}

fn assign_lanes(columns: &Columns, region: &mut Region<'_, Fr>, lanes: &Lanes) {
    let kinds = [
        (&columns.q, &lanes.q),
        (&columns.r, &lanes.r),
        (&columns.y, &lanes.y),
    ];
    for (columns, values) in kinds {
        for (&column, values) in columns.iter().zip(values) {
            for (row, &value) in values.iter().enumerate() {
                assign(region, column, row, field(value));
            }
        }
    }
    for (row, &count) in lanes.multiplicity.iter().enumerate() {
        assign(region, columns.multiplicity, row, Fr::from(count));
    }
}

fn assign_claims(columns: &Columns, region: &mut Region<'_, Fr>, claims: &Claims) {
    let fractions = columns.fractions.iter().zip(&claims.fractions);
    let targets = columns.claims();
    let glue = targets.iter().zip(&claims.columns);
    for (&column, values) in fractions.chain(glue).chain([(&columns.sum, &claims.sum)]) {
        for (row, &value) in values.iter().enumerate() {
            assign(region, column, row, value);
        }
    }
}

fn challenge_values(columns: &Columns, region: &Region<'_, Fr>) -> Option<ChallengeValues> {
    let value = |challenge: Challenge| {
        let mut known = None;
        region.get_challenge(challenge).map(|v| known = Some(v));
        known
    };
    Some(ChallengeValues {
        alpha: value(columns.challenges.alpha)?,
        theta: value(columns.challenges.theta)?,
        zeta: value(columns.challenges.zeta)?,
        eta: value(columns.challenges.eta)?,
        t: value(columns.challenges.t)?,
    })
}

impl Circuit<Fr> for AttestationCircuit {
    type Config = Columns;
    type FloorPlanner = SimpleFloorPlanner;
    type Params = Shape;

    fn params(&self) -> Shape {
        Shape::from(&*self.layout)
    }

    fn without_witnesses(&self) -> Self {
        Self::blank(self.layout.clone())
    }

    fn configure_with_params(cs: &mut ConstraintSystem<Fr>, shape: Shape) -> Columns {
        Columns::configure(cs, shape)
    }

    // halo2 demands it; every path of ours goes through the shape.
    fn configure(cs: &mut ConstraintSystem<Fr>) -> Columns {
        Columns::configure(cs, Shape::default())
    }

    fn synthesize(&self, columns: Columns, mut layouter: impl Layouter<Fr>) -> Result<(), Error> {
        layouter.assign_region(
            || "attestation",
            |mut region| {
                // The real prover calls this once and has the fixed columns from its key.
                self.assign_fixed(&columns, &mut region);
                self.copy(&columns, &mut region);
                if let Some(witness) = &self.witness {
                    assign_lanes(&columns, &mut region, &witness.lanes);
                }
                region.next_phase();
                let challenges = challenge_values(&columns, &region);
                if let (Some(witness), Some(challenges)) = (&self.witness, challenges) {
                    let committed = Committed {
                        model: &witness.model,
                        data: &witness.data,
                    };
                    let mut claims =
                        Claims::compute(&self.layout, committed, &witness.lanes, &challenges);
                    if let Some(alter) = &witness.alter {
                        alter(&mut claims);
                    }
                    assign_claims(&columns, &mut region, &claims);
                }
                Ok(())
            },
        )
    }
}
