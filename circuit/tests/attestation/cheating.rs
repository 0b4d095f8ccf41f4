//! A cheating prover, class by class: each false witness is refused by the mock prover, and the proof that the real
//! prover makes of it, without checking anything, by the verifier.
//!
//! Which constraint a lie would pass without is the table of `constraints.rs`, which a test proves complete; ends of
//! ranges are in `boundaries.rs`, single cells in `perturbation.rs`, the order of commitments in `phases.rs`.

use crate::support::{context, nets::net, random_images, samples, score::Sheet, Case, LABELLED};
use halo2_proofs::halo2curves::bn256::Fr;
use rand::{rngs::StdRng, SeedableRng};
use std::sync::Arc;
use zknode_circuit::{
    attestation::{Statement, Witness},
    commitment::{Commitment, ModelCommitment},
    layout::{ClaimColumn, PROGRAM_START},
    network::Trace,
    witness::{
        claims::Claims,
        lanes::{Counts, Lanes},
    },
};

fn refused(what: &str, witness: Witness, counts: Counts) {
    Case::get().refuse(what, witness, counts);
}

/// Phase 1 of forged runs, consistent in itself; then the linear layers and nothing else can object.
fn forged(what: &str, forge: impl Fn(&mut Vec<Trace>)) {
    let case = Case::get();
    let mut traces = case.traces();
    forge(&mut traces);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &case.samples(), &traces);
    refused(what, case.witness(lanes), counts);
}

#[test]
fn another_model_or_dataset_is_refused() {
    let case = Case::get();
    let mut rng = StdRng::seed_from_u64(99);
    let other = net(&mut rng);
    let (lanes, counts) = Lanes::run(case.layout(), &other, &case.samples()).unwrap();
    refused("another model", case.witness(lanes), counts);
    let images = random_images(&mut rng, 50);
    let (lanes, counts) = Lanes::run(
        case.layout(),
        &case.network,
        &samples(&images, &case.labels),
    )
    .unwrap();
    refused("another dataset", case.witness(lanes), counts);
}

#[test]
fn a_forged_linear_layer_is_refused() {
    // C + D with D = t (E_ij - E_ji): cancels in every check whose randomness is fixed beforehand.
    let shift = 1 << 5;
    forged("one accumulator", |traces| {
        traces[0].accumulators[0][3] += shift
    });
    forged("across samples", |traces| {
        traces[1].accumulators[0][3] += shift;
        traces[2].accumulators[0][3] -= shift;
    });
    forged("across channels", |traces| {
        traces[0].accumulators[0][3] += shift;
        traces[0].accumulators[0][25 + 3] -= shift;
    });
    forged("across positions", |traces| {
        traces[0].accumulators[0][3] += shift;
        traces[0].accumulators[0][4] -= shift;
    });
    forged("by the smallest step, within the remainder", |traces| {
        traces[0].accumulators[0][3] ^= 1;
    });
    forged("in a grouped layer, across samples", |traces| {
        traces[1].accumulators[1][2] += shift;
        traces[2].accumulators[1][2] -= shift;
    });
    forged("in a padded sample", |traces| {
        traces[15].accumulators[0][0] += shift
    });
    forged("logits, across samples", |traces| {
        traces[0].logits[2] += 1;
        traces[1].logits[2] -= 1;
    });
    forged("logits, the label wins everywhere", |traces| {
        for (n, trace) in traces.iter_mut().enumerate().take(LABELLED) {
            trace.logits[n % 5] += 1 << 20;
        }
    });
}

#[test]
fn a_false_count_is_refused() {
    let case = Case::get();
    let (honest, counts) = case.honest();
    let more = [
        (
            "valid + 1",
            Counts {
                valid: counts.valid + 1,
                ..counts
            },
        ),
        (
            "top1 + 1",
            Counts {
                top1: counts.top1 + 1,
                ..counts
            },
        ),
        (
            "topk + 1",
            Counts {
                topk: counts.topk + 1,
                ..counts
            },
        ),
        (
            "top1 - 1",
            Counts {
                top1: counts.top1.wrapping_sub(1),
                ..counts
            },
        ),
    ];
    for (what, counts) in more {
        refused(what, case.witness(honest.clone()), counts);
    }
    let mut lanes = honest;
    let row = case.layout().score().expose();
    lanes.y[1][row] += 1;
    lanes.y[0][row + 1] += 1;
    let counts = Counts {
        top1: counts.top1 + 1,
        ..counts
    };
    refused("the total shown raised too", case.witness(lanes), counts);
}

#[test]
fn a_false_label_is_refused() {
    let case = Case::get();
    let traces = case.traces();
    let mut labels = case.labels.clone();
    labels[0] = (labels[0] + 1) % 5;
    let (lanes, counts) =
        Lanes::from_traces(case.layout(), &samples(&case.images, &labels), &traces);
    refused("label swapped", case.witness(lanes), counts);

    let mut images = case.images.clone();
    images.push(vec![0; 50]);
    labels.clone_from(&case.labels);
    labels.push(0);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &samples(&images, &labels), &traces);
    assert_eq!(counts.valid as usize, LABELLED + 1);
    refused("padded sample counted", case.witness(lanes), counts);

    let fewer = samples(&case.images[..LABELLED - 1], &case.labels);
    let (lanes, counts) = Lanes::from_traces(case.layout(), &fewer, &traces);
    refused("a labelled sample left out", case.witness(lanes), counts);

    // Two hot bits, labels 0 and 2 for a sample of label 3: 1 + 3 = 4 fits the committed label plus one.
    assert_eq!(case.labels[3], 3);
    let (lanes, counts) = with_sheet(|sheet| sheet.hot[3] = vec![1, 0, 1, 0, 0]);
    refused("two hot bits", case.witness(lanes), counts);
}

/// Honest lanes whose score region says what the changed sheet says.
fn with_sheet(change: impl Fn(&mut Sheet)) -> (Lanes, Counts) {
    let case = Case::get();
    let (mut lanes, _) = case.honest();
    let mut sheet = Sheet::honest(case, &lanes);
    change(&mut sheet);
    let counts = sheet.write(case.layout(), &mut lanes);
    (lanes, counts)
}

/// Sets the beats bit of one class and carries the new rank through the summary and every later total.
fn with_beats(n: usize, j: usize, beats: i64) -> (Lanes, Counts) {
    with_sheet(|sheet| {
        sheet.beats.insert((n, j), beats);
    })
}

#[test]
fn a_false_rank_is_refused() {
    let case = Case::get();
    let (lanes, counts) = case.honest();
    let beats = |n: usize, j: usize| lanes.y[3][case.layout().score().class(n, j)];
    // The carrying itself is right: with the honest bit the witness is the honest one.
    let (same, same_counts) = with_beats(0, 4, beats(0, 4));
    assert_eq!(
        (same.q, same.r, same.y),
        (lanes.q.clone(), lanes.r.clone(), lanes.y.clone())
    );
    assert_eq!(same_counts, counts);
    // Sample 1 has label 1, which ties with class 0, the lower index.
    assert_eq!((case.labels[1], beats(1, 0)), (1, 1));
    let (forged, counts) = with_beats(1, 0, 0);
    refused("a tie broken the other way", case.witness(forged), counts);
    let mut flips = [0, 0];
    for (n, j) in (0..LABELLED).flat_map(|n| (0..5).map(move |j| (n, j))) {
        let honest = beats(n, j);
        if flips[honest as usize] < 2 && usize::from(case.labels[n]) != j {
            flips[honest as usize] += 1;
            let (forged, counts) = with_beats(n, j, 1 - honest);
            refused("beats flipped", case.witness(forged), counts);
        }
    }
    assert_eq!(flips, [2, 2], "both directions are tried");
    for column in [4, 5] {
        let (mut forged, counts) = case.honest();
        let row = case.layout().score().summary(2);
        forged.y[column][row] = 1 - forged.y[column][row];
        refused("rank bit flipped", case.witness(forged), counts);
    }
}

#[test]
fn a_cell_out_of_its_range_is_refused() {
    let case = Case::get();
    let side = 1 << case.layout().architecture().fraction_bits;
    let clip_rows = case.layout().clip_rows() as i64;
    type Change = fn(&mut [i64; 3], i64, i64);
    let cells: [(&str, Change); 6] = [
        ("r below", |cell, side, _| {
            (cell[0], cell[1]) = (cell[0] + 1, cell[1] - side)
        }),
        ("r above", |cell, side, _| {
            (cell[0], cell[1]) = (cell[0] - 1, cell[1] + side)
        }),
        ("q below its table", |cell, _, _| cell[0] = -1),
        ("q above its table", |cell, _, rows| cell[0] = rows),
        ("y raised", |cell, _, _| cell[2] += 1),
        ("y wrapped", |cell, _, _| cell[2] -= 256),
    ];
    for (what, change) in cells {
        let (mut lanes, counts) = case.honest();
        let mut cell = [lanes.q[1][5], lanes.r[1][5], lanes.y[1][5]];
        change(&mut cell, side, clip_rows);
        [lanes.q[1][5], lanes.r[1][5], lanes.y[1][5]] = cell;
        lanes.count_lookups(case.layout());
        refused(what, case.witness(lanes), counts);
    }
    let (mut lanes, counts) = case.honest();
    lanes.multiplicity[0] += 1;
    refused("multiplicity forged", case.witness(lanes), counts);
}

#[test]
fn a_forged_second_phase_is_refused() {
    let case = Case::get();
    let last = case.layout().last();
    let score = case.layout().score().clone();
    let program = PROGRAM_START + case.layout().glue().steps().len() - 1;
    let one = Fr::one();
    type Change = Box<dyn Fn(&mut Claims) + Send + Sync>;
    let cell = |column: ClaimColumn, row: usize| -> Change {
        Box::new(move |claims| claims.column(column)[row] += one)
    };
    let changes: Vec<(&str, Change)> = vec![
        (
            "sum starts above zero",
            Box::new(move |c| c.sum.iter_mut().for_each(|s| *s += one)),
        ),
        ("sum ends by decree", Box::new(move |c| c.sum[last] += one)),
        ("a sum in between", Box::new(move |c| c.sum[9] += one)),
        (
            "fractions of a lane",
            Box::new(move |c| c.fractions[0][9] += one),
        ),
        (
            "fractions where the clip is off",
            Box::new(move |c| c.fractions[0][score.start] += one),
        ),
        ("a pixel claim", cell(ClaimColumn::Data, 0)),
        ("an activation claim", cell(ClaimColumn::Activation, 0)),
        ("an accumulator claim", cell(ClaimColumn::Accumulator, 0)),
        ("a weight claim", cell(ClaimColumn::Weight, 0)),
        (
            "the last step's first operand",
            cell(ClaimColumn::A, program),
        ),
        (
            "the last step's second operand",
            cell(ClaimColumn::B, program),
        ),
        ("the last step's result", cell(ClaimColumn::E, program)),
        ("the constant 0", cell(ClaimColumn::A, 0)),
        ("the challenge t", cell(ClaimColumn::B, 0)),
        ("the challenge eta", cell(ClaimColumn::E, 0)),
        ("the constant 1", cell(ClaimColumn::A, last)),
        ("the challenge zeta", cell(ClaimColumn::B, last)),
    ];
    for (what, change) in changes {
        let (lanes, counts) = case.honest();
        let mut witness = case.witness(lanes);
        witness.alter = Some(Arc::new(change));
        refused(what, witness, counts);
    }
}

#[test]
fn a_true_proof_serves_its_own_statement_only() {
    let case = Case::get();
    let (lanes, counts) = case.honest();
    let statement = Statement::new(counts, context(7));
    let honest = case.attest(case.witness(lanes), statement);
    let verifier = case.prover.verifier();
    assert_eq!(verifier.verify(&honest), Ok(()));
    let mut replayed = honest.clone();
    replayed.statement.context = context(8);
    assert!(verifier.verify(&replayed).is_err(), "another context");
    let mut swapped = honest.clone();
    swapped.model = ModelCommitment::new(vec![honest.shard]);
    swapped.shard = honest.model.columns()[0];
    assert!(verifier.verify(&swapped).is_err(), "commitments swapped");
    let mut off_curve = honest.clone();
    off_curve.model = ModelCommitment::new(vec![Commitment::new([1; 64])]);
    assert!(verifier.verify(&off_curve).is_err(), "no point");
    for count in [0, 2] {
        let mut other = honest.clone();
        other.model = ModelCommitment::new(vec![honest.model.columns()[0]; count]);
        assert!(verifier.verify(&other).is_err(), "{count} weight columns");
    }
    for word in 0..honest.proof.len() / 32 {
        let mut changed = honest.clone();
        changed.proof[32 * word + 31] ^= 1;
        assert!(verifier.verify(&changed).is_err(), "word {word}");
    }
}
