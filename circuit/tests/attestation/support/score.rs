//! The score region as a cheating prover fills it: every cell follows from the others as the gates demand, but for what
//! is set here against them.

use super::Case;
use std::collections::BTreeMap;
use zknode_circuit::{
    layout::Layout,
    witness::lanes::{Counts, Lanes},
};

/// The cells that run from row to row, in the order of [`Sheet::write`]'s state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    Seen,
    Rank,
    Label,
    Valid,
    Top1,
    Topk,
}

pub struct Sheet {
    /// Hot bits by sample and class.
    pub hot: Vec<Vec<i64>>,
    /// Label logits by sample and row, the summary last.
    pub label_logit: Vec<Vec<i64>>,
    /// Beats bits that are not what the comparison gives, by sample and class.
    pub beats: BTreeMap<(usize, usize), i64>,
    /// First bits that are not what the rank gives.
    pub first: BTreeMap<usize, i64>,
    /// Within bits that are not what the rank gives.
    pub within: BTreeMap<usize, i64>,
    /// Added to a running cell on a row, and carried on from there.
    pub jumps: Vec<(Running, usize, i64)>,
}

/// `bit ? value : -value - 1` for any bit; 0, the best there is, where it is out of the limbs' range.
fn size(bit: i64, value: i64, bits: u32) -> i64 {
    let size = bit * (2 * value + 1) - value - 1;
    if (0..1 << bits).contains(&size) {
        size
    } else {
        0
    }
}

impl Sheet {
    pub fn honest(case: &Case, lanes: &Lanes) -> Self {
        let score = case.layout().score();
        let mut sheet = Self {
            hot: vec![vec![0; score.classes]; score.samples],
            label_logit: vec![vec![0; score.classes + 1]; score.samples],
            beats: BTreeMap::new(),
            first: BTreeMap::new(),
            within: BTreeMap::new(),
            jumps: vec![],
        };
        for (n, &label) in case.labels.iter().enumerate() {
            let label = usize::from(label);
            sheet.pick(n, label, lanes.q[0][score.class(n, label)]);
        }
        sheet
    }

    /// Sample `n` has this label, or would like to, and this label logit on all rows.
    pub fn pick(&mut self, n: usize, label: usize, logit: i64) {
        self.hot[n].fill(0);
        self.hot[n][label] = 1;
        self.label_logit[n].fill(logit);
    }

    /// Fills the score region of `lanes`, whose logits are kept, and counts the lookups again.
    pub fn write(&self, layout: &Layout, lanes: &mut Lanes) -> Counts {
        let (score, bits) = (layout.score(), layout.architecture().fraction_bits);
        let (limbs, top_k) = (layout.compare_limbs(), layout.options().top_k as i64);
        let set_limbs = |lanes: &mut Lanes, row: usize, first: usize, count: usize, value: i64| {
            for limb in 0..count {
                lanes.r[first + limb][row] = value >> (bits as usize * limb) & ((1 << bits) - 1);
            }
        };
        let mut state = [0i64; 6];
        for n in 0..score.samples {
            state[..3].fill(0);
            for j in 0..=score.classes {
                let row = score.class(n, j);
                for &(cell, _, by) in self.jumps.iter().filter(|jump| jump.1 == row) {
                    state[cell as usize] += by;
                }
                let [seen, rank, label, valid, top1, topk] = state;
                lanes.q[1][row] = self.label_logit[n][j];
                (lanes.q[3][row], lanes.q[4][row], lanes.q[5][row]) = (seen, rank, label);
                (lanes.y[0][row], lanes.y[1][row], lanes.y[2][row]) = (valid, top1, topk);
                if j < score.classes {
                    let hot = self.hot[n][j];
                    let lead = lanes.q[0][row] - self.label_logit[n][j] - seen - hot;
                    let honest = i64::from(lead >= 0);
                    let beats = self.beats.get(&(n, j)).copied().unwrap_or(honest);
                    (lanes.q[2][row], lanes.y[3][row]) = (hot, beats);
                    let all_bits = bits * limbs as u32;
                    set_limbs(lanes, row, 0, limbs, size(beats, lead, all_bits));
                    state[0] += hot;
                    state[1] += beats;
                    state[2] += hot * (j as i64 + 1);
                } else {
                    let bit = |overrides: &BTreeMap<usize, i64>, honest: bool| {
                        overrides.get(&n).copied().unwrap_or(i64::from(honest))
                    };
                    let first = bit(&self.first, rank == 0);
                    let within = bit(&self.within, rank < top_k);
                    (lanes.y[4][row], lanes.y[5][row]) = (first, within);
                    set_limbs(lanes, row, 0, 2, size(first, -rank, 2 * bits));
                    set_limbs(lanes, row, 2, 2, size(within, top_k - 1 - rank, 2 * bits));
                    state[3] += seen;
                    state[4] += seen * first;
                    state[5] += seen * within;
                }
            }
        }
        let [_, _, _, valid, top1, topk] = state;
        let row = score.expose();
        (lanes.y[0][row], lanes.y[1][row], lanes.y[2][row]) = (valid, top1, topk);
        (lanes.y[0][row + 1], lanes.y[1][row + 1]) = (top1, topk);
        lanes.y[0][row + 2] = topk;
        lanes.count_lookups(layout);
        let [valid, top1, topk] = [valid, top1, topk].map(|total| total as u32);
        Counts { valid, top1, topk }
    }
}
