//! Exact ranks of the labels, and the totals of the statement.
//!
//! Statement: for every sample with label `c`, `rank = #{ j : l_j > l_c or (l_j = l_c, j < c) }`
//! (ties go to the lowest index); `top1` counts the samples of rank 0, `topk` those of rank below
//! `top_k`, `valid` those that have a label. Padded samples have no label and count for nothing.
//!
//! The score rows use the lanes' columns, whose clip lookups are off here and whose remainder
//! lookups stay on and bound the limbs:
//!
//! ```text
//! cell            column   start  class j of sample n               summary of sample n
//! logit           q0       -      l_j                               -
//! label_logit     q1       -      l_c, the same on all rows         l_c (0 if padded)
//! hot             q2       -      j = c                             -
//! seen            q3       0 next hot bits before j                 valid
//! rank            q4       0 next beats before j                    rank
//! label           q5       0 next sum of hot (j+1) before j         label + 1, 0 if padded
//! valid,top1,topk y0..y2   0 next carried                           carried, then + this sample
//! beats           y3       -      l_j - l_c - (seen + hot) >= 0     -
//! first, within   y4, y5   -      -                                 rank = 0, rank < top_k
//! limbs           r0..     -      of the comparison                 of the two rank checks
//! y_claim         -        0      l_j + eta y_claim_next            0
//! z_claim         -        as summary  z_claim_next                 y_claim_next + zeta z_claim_next
//! ```
//!
//! Then three rows show the totals: `valid` equals the statement's scalar, and the totals move up.
//! The logits are bound by `z_claim` on the start row, `sum_n zeta^n sum_j eta^j l_j[n]`, which
//! the glue equates with the last layer.
//!
//! Pinned by: hot bits by booleanity, their sum and the committed label; `l_c` by the hot row
//! (by zero if padded); `beats` by both sides of its comparison; ranks and totals by their steps.
//!
//! Cost: classes + 1 rows per sample, no column, degree 4.

use super::{at, constant, double, fixed, gated, next, polynomial, Columns};
use halo2_proofs::{
    halo2curves::bn256::Fr,
    plonk::{Advice, Column, ConstraintSystem, Expression, VirtualCells},
    poly::Rotation,
};

/// The score cells by name.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Logit of the row's class.
    pub logit: Column<Advice>,
    /// Logit of the sample's label.
    pub label_logit: Column<Advice>,
    /// One on the label's row.
    pub hot: Column<Advice>,
    /// Sum of the hot bits so far.
    pub seen: Column<Advice>,
    /// Sum of the beats so far.
    pub rank: Column<Advice>,
    /// Label plus one, once seen.
    pub label: Column<Advice>,
    /// Totals of `valid`, `top1`, `topk`.
    pub totals: [Column<Advice>; 3],
    /// The row's class beats the label.
    pub beats: Column<Advice>,
    /// Rank is 0.
    pub first: Column<Advice>,
    /// Rank is below `top_k`.
    pub within: Column<Advice>,
}

impl Cells {
    /// Where the score cells stand in the lanes.
    pub fn of(columns: &Columns) -> Self {
        let (q, y) = (&columns.q, &columns.y);
        Self {
            logit: q[0],
            label_logit: q[1],
            hot: q[2],
            seen: q[3],
            rank: q[4],
            label: q[5],
            totals: [y[0], y[1], y[2]],
            beats: y[3],
            first: y[4],
            within: y[5],
        }
    }
}

fn limbs(
    cells: &mut VirtualCells<'_, Fr>,
    columns: &Columns,
    range: std::ops::Range<usize>,
) -> Expression<Fr> {
    let limbs: Vec<_> = columns.r[range].iter().map(|&r| at(cells, r)).collect();
    polynomial(&limbs, &constant(1 << columns.shape.fraction_bits))
}

fn boolean(bit: &Expression<Fr>) -> Expression<Fr> {
    bit.clone() * (bit.clone() - constant(1))
}

/// `bit` says whether `value >= 0`: `value` if set, `-value - 1` if not, which must be in range.
fn magnitude(bit: &Expression<Fr>, value: &Expression<Fr>) -> Expression<Fr> {
    bit.clone() * (double(value) + constant(1)) - value.clone() - constant(1)
}

/// Makes the gates.
pub fn configure(cs: &mut ConstraintSystem<Fr>, columns: &Columns) {
    let score = Cells::of(columns);
    configure_classes(cs, columns, &score);
    configure_summaries(cs, columns, &score);
    configure_claims(cs, columns, &score);
    cs.create_gate("score: totals are the statement's", |cells| {
        let expose = fixed(cells, columns.fixed.expose);
        let public = cells.query_instance(columns.statement, Rotation::cur());
        let [valid, top1, topk] = score.totals.map(|column| at(cells, column));
        let [next_valid, next_top1, _] = score.totals.map(|column| next(cells, column));
        gated(
            expose,
            [
                ("the total shown is public", valid - public),
                ("top1 moves up", next_valid - top1),
                ("topk moves up", next_top1 - topk),
            ],
        )
    });
}

fn configure_classes(cs: &mut ConstraintSystem<Fr>, columns: &Columns, score: &Cells) {
    cs.create_gate("score: one class of one sample", |cells| {
        let class = fixed(cells, columns.fixed.class);
        let index = fixed(cells, columns.fixed.constant);
        let [logit, label_logit, hot, seen, rank, label, beats] = [
            score.logit,
            score.label_logit,
            score.hot,
            score.seen,
            score.rank,
            score.label,
            score.beats,
        ]
        .map(|column| at(cells, column));
        let lead = logit.clone() - label_logit.clone() - seen.clone() - hot.clone();
        let size = limbs(cells, columns, 0..columns.shape.compare_limbs());
        let mut constraints = vec![
            ("hot is a bit", boolean(&hot)),
            (
                "the hot logit is the label's",
                hot.clone() * (logit - label_logit.clone()),
            ),
            (
                "label logit stays",
                next(cells, score.label_logit) - label_logit,
            ),
            (
                "seen counts hot",
                next(cells, score.seen) - seen - hot.clone(),
            ),
            (
                "label sums up",
                next(cells, score.label) - label - hot * index,
            ),
            ("beats is a bit", boolean(&beats)),
            ("beats is exact", size - magnitude(&beats, &lead)),
            ("rank counts beats", next(cells, score.rank) - rank - beats),
        ];
        for total in score.totals {
            constraints.push(("total is carried", next(cells, total) - at(cells, total)));
        }
        gated(class, constraints)
    });
}

fn configure_summaries(cs: &mut ConstraintSystem<Fr>, columns: &Columns, score: &Cells) {
    cs.create_gate("score: result of one sample", |cells| {
        let summary = fixed(cells, columns.fixed.summary);
        let committed = cells.query_instance(columns.data, Rotation::cur());
        let [label_logit, valid, rank, label, first, within] = [
            score.label_logit,
            score.seen,
            score.rank,
            score.label,
            score.first,
            score.within,
        ]
        .map(|column| at(cells, column));
        let not_first = -rank.clone();
        let not_within = constant(columns.shape.top_k as u64 - 1) - rank;
        let size_first = limbs(cells, columns, 0..2);
        let size_within = limbs(cells, columns, 2..4);
        let mut constraints = vec![
            ("valid is a bit", boolean(&valid)),
            ("label is the committed one", label - committed),
            // Its sample counts for nothing anyhow: this leaves no cell free.
            (
                "no label, no label logit",
                label_logit * (constant(1) - valid.clone()),
            ),
            ("first is a bit", boolean(&first)),
            ("first is exact", size_first - magnitude(&first, &not_first)),
            ("within is a bit", boolean(&within)),
            (
                "within is exact",
                size_within - magnitude(&within, &not_within),
            ),
        ];
        let gains = [valid.clone(), valid.clone() * first, valid * within];
        for (total, gain) in score.totals.into_iter().zip(gains) {
            constraints.push((
                "total grows by this sample",
                next(cells, total) - at(cells, total) - gain,
            ));
        }
        gated(summary, constraints)
    });
    cs.create_gate("score: a sample starts at zero", |cells| {
        let start = fixed(cells, columns.fixed.start);
        let summary = fixed(cells, columns.fixed.summary);
        let fresh = [score.seen, score.rank, score.label];
        let mut constraints: Vec<_> = fresh
            .iter()
            .map(|&column| {
                let boundary = start.clone() + summary.clone();
                ("sample starts at zero", boundary * next(cells, column))
            })
            .collect();
        for total in score.totals {
            constraints.push(("totals start at zero", start.clone() * next(cells, total)));
        }
        constraints
    });
}

fn configure_claims(cs: &mut ConstraintSystem<Fr>, columns: &Columns, score: &Cells) {
    cs.create_gate("score: claim of the logits", |cells| {
        let class = fixed(cells, columns.fixed.class);
        let boundary = fixed(cells, columns.fixed.start) + fixed(cells, columns.fixed.summary);
        let expose = fixed(cells, columns.fixed.expose);
        let eta = cells.query_challenge(columns.challenges.eta);
        let zeta = cells.query_challenge(columns.challenges.zeta);
        let logit = at(cells, score.logit);
        let (sample, sample_next) = (at(cells, columns.y_claim), next(cells, columns.y_claim));
        let (all, all_next) = (at(cells, columns.z_claim), next(cells, columns.z_claim));
        vec![
            (
                "a class joins its sample",
                class.clone() * (sample.clone() - logit - eta * sample_next.clone()),
            ),
            ("samples wait", class * (all.clone() - all_next.clone())),
            (
                "a sample joins the batch",
                boundary.clone() * (all.clone() - sample_next - zeta * all_next),
            ),
            (
                "a sample's claim ends",
                (boundary + expose.clone()) * sample,
            ),
            ("the batch's claim ends", expose * all),
        ]
    });
}
