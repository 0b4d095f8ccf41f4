//! False labels, ranks and totals.

use super::{Lie, HIGH};
use crate::support::{
    nets::net,
    samples,
    score::{Running, Sheet},
    Case, LABELLED,
};
use rand::{rngs::StdRng, SeedableRng};
use std::sync::OnceLock;
use zknode_circuit::{
    network::Network,
    witness::lanes::{Counts, Lanes},
};

/// The honest score region with a change.
fn sheet(change: impl Fn(&mut Sheet, &Lanes)) -> Lie {
    sheet_of(Case::get(), change)
}

fn sheet_of(case: &'static Case, change: impl Fn(&mut Sheet, &Lanes)) -> Lie {
    let (mut lanes, _) = case.honest();
    let mut sheet = Sheet::honest(case, &lanes);
    change(&mut sheet, &lanes);
    let counts = sheet.write(case.layout(), &mut lanes);
    assert!(counts.topk <= counts.valid && counts.top1 <= counts.topk);
    Lie::new(case, (lanes, counts))
}

/// Row `j` of sample `n`, the summary after the classes.
fn row(n: usize, j: usize) -> usize {
    Case::get().layout().score().class(n, j)
}

/// Honest rank of a sample.
fn rank(lanes: &Lanes, n: usize) -> i64 {
    lanes.q[4][row(n, 5)]
}

/// The first labelled sample for which this holds.
fn sample(holds: impl Fn(usize) -> bool) -> usize {
    (0..LABELLED).find(|&n| holds(n)).unwrap()
}

/// A running total is one more from row `j` of sample `n` on.
pub fn raise(total: Running, n: usize, j: usize) -> Lie {
    sheet(|sheet, _| sheet.jumps.push((total, row(n, j), 1)))
}

/// From row `j` on the rank of a sample is 0.
pub fn lower_rank(j: usize) -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| rank(lanes, n) == 1);
        sheet.jumps.push((Running::Rank, row(n, j), -1));
    })
}

/// From row `j` on the sum of labels is what a sample of another label, which wins, commits to.
pub fn other_label(j: usize) -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| rank(lanes, n) > 0);
        let label = Case::get().labels[n];
        let winner = winner(lanes, n);
        sheet.pick(n, winner, lanes.q[0][row(n, winner)]);
        let by = i64::from(label) - winner as i64;
        sheet.jumps.push((Running::Label, row(n, j), by));
    })
}

fn winner(lanes: &Lanes, n: usize) -> usize {
    let logit = |j: &usize| lanes.q[0][row(n, *j)];
    (0..5).rev().max_by_key(logit).unwrap()
}

/// A sample without label is seen from row `j` on, and wins.
pub fn padded_seen(j: usize) -> Lie {
    sheet(|sheet, _| {
        sheet.label_logit[LABELLED].fill(HIGH);
        sheet.jumps.push((Running::Seen, row(LABELLED, j), 1));
    })
}

pub fn free_label_logit() -> Lie {
    sheet(|sheet, _| sheet.label_logit[LABELLED].fill(HIGH))
}

/// `1 * -1 + 2 * 2` is label 2 plus one, and `-1 + 2` one label.
pub fn twins_instead() -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| Case::get().labels[n] == 2);
        let twin = lanes.q[0][row(n, 0)];
        assert_eq!(lanes.q[0][row(n, 1)], twin);
        sheet.hot[n] = vec![-1, 2, 0, 0, 0];
        sheet.label_logit[n].fill(twin);
    })
}

/// Twins whose logits are zero: `1 + 2` is label 2 plus one, and "no label, no label logit" does not mind.
pub fn counted_twice() -> Lie {
    static CASE: OnceLock<Case> = OnceLock::new();
    let case = CASE.get_or_init(|| {
        let mut rng = StdRng::seed_from_u64(1);
        let network = net(&mut rng);
        let mut weights = network.weights().clone();
        let dense = weights.layers.last_mut().unwrap();
        for run in dense.terms[0].chunks_mut(5).chain([&mut dense.bias[..]]) {
            run[..2].fill(0);
        }
        let network = Network::new(network.architecture().clone(), weights).unwrap();
        Case::of(network, &mut rng)
    });
    let lie = sheet_of(case, |sheet, _| {
        assert_eq!(case.labels[2], 2);
        sheet.hot[2] = vec![1, 1, 0, 0, 0];
        sheet.label_logit[2].fill(0);
    });
    assert_eq!(lie.counts.valid as usize, LABELLED + 1);
    lie
}

pub fn high_label_logit() -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| rank(lanes, n) > 0);
        sheet.label_logit[n].fill(HIGH);
    })
}

pub fn moving_label_logit() -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| rank(lanes, n) > 0);
        let label = usize::from(Case::get().labels[n]);
        let own = sheet.label_logit[n][label];
        sheet.label_logit[n].fill(HIGH);
        sheet.label_logit[n][label] = own;
    })
}

/// A class that wins or loses against the label of its sample counts this much.
pub fn beats(wins: bool, counts: i64) -> Lie {
    sheet(|sheet, lanes| {
        let beats = |n: usize, j: usize| lanes.y[3][row(n, j)] == 1;
        // With a rank of 1 either change of it moves a total.
        let n = sample(|n| rank(lanes, n) == 1);
        let j = (0..5).find(|&j| beats(n, j) == wins).unwrap();
        sheet.beats.insert((n, j), counts);
    })
}

/// The first bit of a sample that is first, or is not.
pub fn first(is: bool, bit: i64) -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| (rank(lanes, n) == 0) == is && rank(lanes, n) < 2);
        sheet.first.insert(n, bit);
    })
}

/// The within bit of a sample that is within the first two but not first, or is not.
pub fn within(is: bool, bit: i64) -> Lie {
    sheet(|sheet, lanes| {
        let n = sample(|n| rank(lanes, n) > 0 && (rank(lanes, n) < 2) == is);
        sheet.within.insert(n, bit);
    })
}

/// Labels that win, every one.
pub fn other_labels() -> Lie {
    let case = Case::get();
    let (honest, _) = case.honest();
    let labels: Vec<u16> = (0..LABELLED).map(|n| winner(&honest, n) as u16).collect();
    let shard = samples(&case.images, &labels);
    let phase_1 = Lanes::run(case.layout(), &case.network, &shard).unwrap();
    assert_eq!(phase_1.1.top1 as usize, LABELLED);
    Lie::new(case, phase_1)
}

fn one_more(total: Running, mut counts: Counts) -> Counts {
    match total {
        Running::Valid => counts.valid += 1,
        Running::Top1 => counts.top1 += 1,
        _ => counts.topk += 1,
    }
    counts
}

/// The honest witness for one more than it shows.
pub fn other_statement(total: Running) -> Lie {
    let (lanes, counts) = Case::get().honest();
    Lie::new(Case::get(), (lanes, one_more(total, counts)))
}

pub fn top1_moves_up() -> Lie {
    let mut lie = other_statement(Running::Top1);
    let row = Case::get().layout().score().expose();
    lie.witness.lanes.y[0][row + 1] += 1;
    lie
}

pub fn topk_moves_up() -> Lie {
    let mut lie = other_statement(Running::Topk);
    let row = Case::get().layout().score().expose();
    lie.witness.lanes.y[1][row + 1] += 1;
    lie.witness.lanes.y[0][row + 2] += 1;
    lie
}
