//! Ranges at their ends and one beyond: the ends are accepted, and a cheating prover who makes everything fit but the range
//! is refused by the range alone.

use crate::support::{alone, context, grid::Grid, nets::dense_net, samples, score::Sheet, Case};
use halo2_proofs::halo2curves::bn256::Fr;
use rand::{rngs::StdRng, SeedableRng};
use std::{collections::BTreeSet, sync::Arc};
use zknode_circuit::{
    attestation::{Statement, Witness},
    network::{Network, Trace, Weights},
    witness::lanes::{Counts, Lanes},
};

/// A tuple that is in no row of the table leaves the running sum open.
const LOOKUP: &str = "running sum is zero at both ends";

fn accepted(case: &Case, witness: Witness, counts: Counts) {
    let statement = Statement::new(counts, context(7));
    let complaints = case.complaints(&witness, &statement);
    assert!(complaints.is_empty(), "{complaints:?}");
    let attestation = case.attest(witness, statement);
    assert_eq!(case.prover.verifier().verify(&attestation), Ok(()));
}

fn refused(case: &Case, what: &str, witness: Witness, counts: Counts, by: &str) {
    let complaints = case.refuse(what, witness, counts);
    assert!(alone(&complaints, by), "{what}: {complaints:?}");
}

/// A dense network without weights, so that the biases are the accumulators of every sample.
fn constant_net(biases: &[&[i64]]) -> Case {
    let hidden = (biases.len() == 2).then(|| biases[0].len());
    let mut rng = StdRng::seed_from_u64(2);
    let network = dense_net(&mut rng, hidden);
    let mut layers = network.weights().layers.clone();
    for (layer, &bias) in layers.iter_mut().zip(biases) {
        layer.terms[0].fill(0);
        layer.bias = bias.to_vec();
    }
    let network = Network::new(network.architecture().clone(), Weights { layers }).unwrap();
    Case::of(network, &mut rng)
}

/// The witness of forged runs, and a model committed with one bias shifted to fit them.
fn shifted(
    case: &Case,
    tensor: usize,
    channel: usize,
    by: i64,
    traces: &[Trace],
) -> (Witness, Counts) {
    let (lanes, counts) = Lanes::from_traces(case.layout(), &case.samples(), traces);
    let mut witness = case.witness(lanes);
    let mut model = witness.model[0].to_vec();
    let bias = case.layout().runs_of(tensor).unwrap().bias;
    let row = case.layout().weights().runs()[bias].start + channel;
    let size = Fr::from(by.unsigned_abs());
    model[row] += if by < 0 { -size } else { size };
    witness.model = vec![Arc::new(model)];
    (witness, counts)
}

#[test]
fn remainders() {
    let case = Case::get();
    let (honest, counts) = case.honest();
    let side = 1 << case.layout().architecture().fraction_bits;
    let middle = case.layout().clip_offset();
    let cells = || (0..case.layout().lane_rows()).flat_map(|row| (0..8).map(move |j| (row, j)));
    // The honest witness, which is accepted elsewhere, has remainders at both ends; where the activation is clipped
    // on both sides of q the next layers see no difference.
    for (end, beyond, carry) in [(0, side, -1), (side - 1, -1, 1)] {
        let (row, j) = cells()
            .find(|&(row, j)| honest.r[j][row] == end && honest.q[j][row] < middle - 1)
            .unwrap();
        let mut lanes = honest.clone();
        (lanes.r[j][row], lanes.y[j][row]) = (beyond, 0);
        lanes.q[j][row] += carry;
        lanes.count_lookups(case.layout());
        let what = format!("remainder {beyond}");
        refused(case, &what, case.witness(lanes), counts, LOOKUP);
    }
    accepted(case, case.witness(honest), counts);
}

#[test]
fn requantized_values() {
    let (low, high) = (-(1 << 14), (1 << 14) - 1);
    let case = constant_net(&[&[low, high], &[1, 2, 3]]);
    let (honest, counts) = case.honest();
    let top = case.layout().clip_rows() as i64 - 1;
    assert_eq!((honest.q[0][0], honest.y[0][0]), (0, 0));
    assert_eq!((honest.q[0][2], honest.y[0][2]), (top, 255));
    accepted(&case, case.witness(honest), counts);
    for (channel, by) in [(0, -1), (1, 1)] {
        let mut traces = case.traces();
        for trace in &mut traces {
            trace.accumulators[0][channel] += by;
        }
        let (witness, counts) = shifted(&case, 1, channel, by, &traces);
        let beyond = [-1, top + 1][channel];
        assert_eq!(witness.lanes.q[0][2 * channel], beyond);
        let what = format!("q {beyond}");
        refused(&case, &what, witness, counts, LOOKUP);
    }
}

#[test]
fn comparisons_of_logits() {
    // Logits that no total network has: a difference of 32 bits is the most that the limbs hold.
    let case = constant_net(&[&[0, 0, 0]]);
    let bits = 32;
    // Class 0 against label 1: the difference is the logit itself.
    for (logit, fits) in [
        ((1 << bits) - 1, true),
        (1 << bits, false),
        (-(1 << bits), true),
        (-(1 << bits) - 1, false),
    ] {
        let mut traces = case.traces();
        for trace in &mut traces {
            trace.logits[0] = logit;
        }
        let (mut witness, _) = shifted(&case, 1, 0, logit, &traces);
        // Label 1 on all samples, so that nothing else is compared with this logit.
        let labels = vec![1; case.labels.len()];
        let shard = samples(&case.images, &labels);
        let (mut lanes, counts) = Lanes::from_traces(case.layout(), &shard, &traces);
        let mut data = witness.data.to_vec();
        for n in 0..labels.len() {
            data[case.layout().score().summary(n)] = Fr::from(2);
        }
        witness.data = Arc::new(data);
        witness.lanes = lanes.clone();
        if fits {
            accepted(&case, witness, counts);
            continue;
        }
        // Neither bit is right, nor are the limbs that fit best.
        for bit in [0, 1] {
            let mut sheet = Sheet::honest(&case, &lanes);
            for n in 0..labels.len() {
                sheet.pick(n, 1, 0);
            }
            for n in 0..case.layout().score().samples {
                sheet.beats.insert((n, 0), bit);
            }
            let counts = sheet.write(case.layout(), &mut lanes);
            witness.lanes = lanes.clone();
            let what = format!("logit {logit} beats {bit}");
            refused(&case, &what, witness.clone(), counts, "beats is exact");
        }
    }
}

#[test]
fn labels() {
    let case = Case::get();
    let classes = case.layout().score().classes;
    // A shard that the seller should have refused: no hot bit fits the label, so the sample is no class, and not padded.
    for label in [classes + 1, classes + 2, 2 * classes] {
        let (honest, _) = case.honest();
        for claimed in (0..classes).map(Some).chain([None]) {
            let mut lanes = honest.clone();
            let mut sheet = Sheet::honest(case, &lanes);
            match claimed {
                Some(class) => {
                    let logit = lanes.q[0][case.layout().score().class(0, class)];
                    sheet.pick(0, class, logit);
                }
                None => {
                    sheet.hot[0].fill(0);
                    sheet.label_logit[0].fill(0);
                }
            }
            let counts = sheet.write(case.layout(), &mut lanes);
            let mut witness = case.witness(lanes);
            let mut data = witness.data.to_vec();
            data[case.layout().score().summary(0)] = Fr::from(label as u64);
            witness.data = Arc::new(data);
            let complaints = case.complaints(&witness, &Statement::new(counts, context(7)));
            let what = format!("label {label} as {claimed:?}: {complaints:?}");
            assert!(alone(&complaints, "label is the committed one"), "{what}");
        }
    }
}

#[test]
fn the_table_holds_clips_and_pairs_of_remainders_and_nothing_else() {
    let case = Case::get();
    let layout = case.layout();
    let (lanes, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let grid = Grid::new(case, &case.witness(lanes), &statement);
    let fixed = &grid.columns.fixed;
    let [tag, first, second] = [fixed.table_tag, fixed.table_first, fixed.table_second]
        .map(|column| &grid.fixed[column.index()]);
    let rows = |rows: std::ops::Range<usize>| -> BTreeSet<_> {
        rows.map(|row| [tag[row], first[row], second[row]])
            .collect()
    };
    let side = 1 << layout.architecture().fraction_bits;
    let half = 1 << (layout.architecture().range_bits - 1);
    let mut expected = BTreeSet::new();
    for q in 0..2 * half {
        let clip = if q < half { 0 } else { (q - half).min(255) };
        expected.insert([0, q, clip].map(Fr::from));
    }
    for low in 0..side {
        expected.extend((0..side).map(|high| [1, low, high].map(Fr::from)));
    }
    assert_eq!(rows(0..layout.last()), expected);
    // The last rows are no part of the sum; were they, they would add nothing.
    assert!(rows(layout.last()..layout.usable()).is_subset(&expected));
}
