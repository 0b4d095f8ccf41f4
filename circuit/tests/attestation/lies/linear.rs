//! Forged tensors, and the one place where the linear layers' checks are bent to fit them.

use super::{other_net, run, Lie, HIGH};
use crate::support::{
    glue::{balance, balance_result, cell, gap, rerun, value},
    nets::{cut_net, dense_net},
    samples, Case,
};
use halo2_proofs::halo2curves::bn256::Fr;
use rand::{rngs::StdRng, SeedableRng};
use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};
use zknode_circuit::{
    layout::{CellRef, ClaimColumn, Layout, Step, PROGRAM_START},
    network::Network,
    witness::{claims::Claims, lanes::Lanes},
};

/// Logits that let every label win, and a change of phase 2.
fn with_other_logits(
    case: &'static Case,
    alter: impl Fn(&Layout, &mut Claims) + Send + Sync + 'static,
) -> Lie {
    let mut traces = case.traces();
    for (trace, &label) in traces.iter_mut().zip(&case.labels) {
        trace.logits[usize::from(label)] += HIGH;
    }
    let phase_1 = Lanes::from_traces(case.layout(), &case.samples(), &traces);
    assert_eq!(phase_1.1.top1 as usize, case.labels.len());
    let layout = case.prover.layout().clone();
    Lie::new(case, phase_1).altered(Arc::new(move |claims| alter(&layout, claims)))
}

fn last_layer(layout: &Layout) -> usize {
    layout.glue().equal().len() - 1
}

/// Other logits, and a cell changed so that the last layer's sides agree.
pub fn other_logits(column: ClaimColumn, row: fn(&Layout) -> usize) -> Lie {
    with_other_logits(Case::get(), move |layout, claims| {
        balance(
            layout,
            claims,
            last_layer(layout),
            cell(column, row(layout)),
        );
    })
}

/// First row of an activation that the dense layer reads.
pub fn dense_input(layout: &Layout) -> usize {
    layout.activation_start(2).unwrap()
}

/// First row of the dense layer's biases.
pub fn dense_bias(layout: &Layout) -> usize {
    let runs = layout.runs_of(5).unwrap();
    layout.weights().runs()[runs.bias].start
}

pub fn sides_unequal() -> Lie {
    with_other_logits(Case::get(), |_, _| ())
}

/// Rows of the last layer's dot product; it ends with the biases and a step that adds nothing.
fn dot_rows(layout: &Layout) -> Range<usize> {
    let (_, right) = layout.glue().equal()[last_layer(layout)];
    let mut start = PROGRAM_START;
    for length in layout.glue().runs() {
        if start == right.row as usize {
            return start..start + length;
        }
        start += length;
    }
    unreachable!("the right side is the first row of a run")
}

fn shift(claims: &mut Claims, column: ClaimColumn, rows: Range<usize>, by: Fr) {
    for row in rows {
        *value(claims, cell(column, row)) += by;
    }
}

/// Other logits, and the results of these rows of the dot product shifted.
pub fn last_dot(rows: fn(Range<usize>) -> Range<usize>) -> Lie {
    with_other_logits(Case::get(), move |layout, claims| {
        let gap = gap(layout, claims, last_layer(layout));
        shift(claims, ClaimColumn::E, rows(dot_rows(layout)), -gap);
    })
}

/// Other logits, and the biases' operand in `column` changed, `other` being the other one.
pub fn operand(column: ClaimColumn, other: ClaimColumn) -> Lie {
    with_other_logits(Case::get(), move |layout, claims| {
        let gap = gap(layout, claims, last_layer(layout));
        let rows = dot_rows(layout);
        let bias = rows.end - 2;
        let factor = *value(claims, cell(other, bias));
        shift(
            claims,
            column,
            bias..bias + 1,
            -gap * factor.invert().unwrap(),
        );
        shift(claims, ClaimColumn::E, rows.start..bias + 1, -gap);
    })
}

/// A dense network of this many hidden neurons, or of none.
fn dense(hidden: Option<usize>) -> Case {
    let mut rng = StdRng::seed_from_u64(4);
    let network = dense_net(&mut rng, hidden);
    Case::of(network, &mut rng)
}

/// Without hidden layer the constant 1 serves only to fold the biases: another constant makes up for any logits.
pub fn one_to_fit() -> Lie {
    static CASE: OnceLock<Case> = OnceLock::new();
    with_other_logits(CASE.get_or_init(|| dense(None)), |layout, claims| {
        balance(layout, claims, 0, cell(ClaimColumn::A, layout.last()));
    })
}

/// With two hidden neurons the left side is linear in eta.
pub fn eta_to_fit() -> Lie {
    static CASE: OnceLock<Case> = OnceLock::new();
    let case = CASE.get_or_init(|| dense(Some(2)));
    let other = dense_net(&mut StdRng::seed_from_u64(5), Some(2));
    fit_first_layer(case, &other, cell(ClaimColumn::E, 0))
}

/// The first layer of another network, and a cell changed so that its sides agree.
fn fit_first_layer(case: &'static Case, other: &Network, by: CellRef) -> Lie {
    let layout = case.prover.layout().clone();
    let other = case.with_layer(0, other);
    Lie::new(case, run(case, &other)).altered(Arc::new(move |claims| {
        balance(&layout, claims, 0, by);
    }))
}

pub fn other_first_layer() -> Lie {
    fit_first_layer(Case::get(), &other_net(), cell(ClaimColumn::Accumulator, 0))
}

/// Other images, which differ in a pixel that only the first layer reads, and its claim to fit.
pub fn other_pixels() -> Lie {
    let case = Case::get();
    let layout = case.prover.layout().clone();
    let mut images = case.images.clone();
    for image in &mut images {
        image[1] ^= 255;
    }
    let shard = samples(&images, &case.labels);
    let phase_1 = Lanes::run(&layout, &case.network, &shard).unwrap();
    Lie::new(case, phase_1).altered(Arc::new(move |claims| {
        balance(
            &layout,
            claims,
            0,
            cell(ClaimColumn::Data, layout.data_row(1, 0)),
        );
    }))
}

/// `D = t(E_ij - E_ji)` with a t of the prover's own: what one position gains another one loses, within their remainders.
pub fn t_is_one() -> Lie {
    let case = Case::get();
    let layout = case.prover.layout().clone();
    let mut traces = case.traces();
    let cells = &mut traces[0].accumulators[0][..layout.shapes()[1].positions()];
    let less = cells.iter().position(|z| z & 15 > 0).unwrap();
    let more = cells.iter().rposition(|z| z & 15 < 15).unwrap();
    assert_ne!(less, more);
    cells[less] -= 1;
    cells[more] += 1;
    let phase_1 = Lanes::from_traces(&layout, &case.samples(), &traces);
    Lie::new(case, phase_1).altered(Arc::new(move |claims| {
        *value(claims, cell(ClaimColumn::B, 0)) = Fr::one();
        rerun(&layout, claims);
    }))
}

/// Other logits, and `bend` is given the gap and zeta and eta to hide it between the rows of the score region.
fn bent(bend: fn(&Layout, &mut Claims, Fr, [Fr; 2])) -> Lie {
    with_other_logits(Case::get(), move |layout, claims| {
        let gap = gap(layout, claims, last_layer(layout));
        let start = layout.score().start;
        shift(claims, ClaimColumn::Accumulator, start..start + 1, gap);
        let zeta = *value(claims, cell(ClaimColumn::B, layout.last()));
        let eta = *value(claims, cell(ClaimColumn::E, 0));
        bend(layout, claims, gap, [zeta, eta]);
    })
}

pub fn class_joins() -> Lie {
    bent(|layout, claims, gap, _| {
        let row = layout.score().class(0, 0);
        shift(claims, ClaimColumn::Activation, row..row + 1, gap);
    })
}

pub fn samples_wait() -> Lie {
    bent(|layout, claims, gap, [zeta, _]| {
        let row = layout.score().class(0, 0);
        let by = gap * zeta.invert().unwrap();
        shift(claims, ClaimColumn::Accumulator, row..row + 1, by);
    })
}

pub fn sample_ends() -> Lie {
    bent(|layout, claims, mut gap, [_, eta]| {
        let score = layout.score();
        for row in score.class(0, 0)..=score.summary(0) {
            shift(claims, ClaimColumn::Activation, row..row + 1, gap);
            gap *= eta.invert().unwrap();
        }
    })
}

pub fn batch_ends() -> Lie {
    bent(|layout, claims, mut gap, [zeta, _]| {
        let score = layout.score();
        for row in score.class(0, 0)..=score.expose() {
            // A boundary before this row divides by zeta.
            if (row - score.start - 1) % (score.classes + 1) == 0 {
                gap *= zeta.invert().unwrap();
            }
            shift(claims, ClaimColumn::Accumulator, row..row + 1, gap);
        }
    })
}

/// Where images are cut: another linear layer, and what `fit` changes so that its sides agree.
fn other_layer(layer: usize, fit: impl Fn(&Layout, &mut Claims) + Send + Sync + 'static) -> Lie {
    let case = Case::cut();
    let layout = case.prover.layout().clone();
    let other = case.with_layer(layer, &cut_net(&mut StdRng::seed_from_u64(99)));
    Lie::new(case, run(case, &other)).altered(Arc::new(move |claims| fit(&layout, claims)))
}

fn other_depthwise(fit: fn(&Layout, &mut Claims)) -> Lie {
    other_layer(1, fit)
}

/// ... an activation's claim as the tile so far beside sees it.
pub fn claim_beside(distance: i8) -> Lie {
    other_layer(3, move |layout, claims| {
        let row = layout.activation_start(4).unwrap();
        balance(layout, claims, 3, cell(ClaimColumn::Beside(distance), row));
    })
}

/// ... the difference of claims that is an activation as the tile below sees it.
pub fn less_to_fit() -> Lie {
    other_depthwise(|layout, claims| {
        let start = layout.activation_start(1).unwrap() as u32;
        let reads = |step: &Step| match step {
            Step::Less(_, read) => read.column == ClaimColumn::Activation && read.row >= start,
            _ => false,
        };
        let step = layout.glue().steps().iter().position(reads).unwrap();
        balance_result(layout, claims, 1, PROGRAM_START + step);
    })
}

/// Where images are cut: other logits, and the claim of an activation that is pooled over all tiles to fit.
pub fn summed_to_fit() -> Lie {
    with_other_logits(Case::cut(), |layout, claims| {
        let row = layout.activation_start(5).unwrap();
        let last = last_layer(layout);
        balance(layout, claims, last, cell(ClaimColumn::Activation, row));
    })
}

/// Where there are several weight columns: other logits, and the claim of the dense layer's biases to fit.
pub fn wide_weights_to_fit() -> Lie {
    with_other_logits(Case::cut(), |layout, claims| {
        let bias = layout.runs_of(8).unwrap().bias;
        let row = layout.weights().runs()[bias].start;
        let last = last_layer(layout);
        balance(layout, claims, last, cell(ClaimColumn::Weight, row));
    })
}

/// ... another depthwise layer, and the claim of one of its weights, alone on its row, to fit.
pub fn narrow_weights_to_fit() -> Lie {
    other_depthwise(|layout, claims| {
        let first = layout.runs_of(2).unwrap().terms[0];
        let run = layout.weights().runs()[first];
        assert!(run.narrow);
        balance(layout, claims, 1, cell(ClaimColumn::Weight, run.start));
    })
}
