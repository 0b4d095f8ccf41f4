//! Phase 1: the lanes, the score rows and the multiplicities, as small integers.

use super::instance::{check_shard, Sample, ShardError};
use crate::{
    layout::Layout,
    network::{Layer, Network, Trace},
};
use rayon::prelude::*;

/// Phase-1 columns, `usable` rows each. Secret: no `Debug`.
#[derive(Clone)]
pub struct Lanes {
    /// Requantized values plus the clip offset; score cells on score rows.
    pub q: Vec<Vec<i64>>,
    /// Remainders; limbs on score rows.
    pub r: Vec<Vec<i64>>,
    /// Activations; score cells on score rows.
    pub y: Vec<Vec<i64>>,
    /// How often each table row is looked up.
    pub multiplicity: Vec<u64>,
}

/// The counts a shard's run ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Samples with a label.
    pub valid: u32,
    /// Samples whose label ranks first.
    pub top1: u32,
    /// Samples whose label ranks below `top_k`.
    pub topk: u32,
}

impl Lanes {
    /// Runs `network` over `samples`, pads the shard and fills every phase-1 cell.
    pub fn run(
        layout: &Layout,
        network: &Network,
        samples: &[Sample<'_>],
    ) -> Result<(Self, Counts), ShardError> {
        check_shard(layout, samples)?;
        if network.architecture() != layout.architecture() {
            return Err(ShardError::OtherArchitecture);
        }
        let blank = vec![0; layout.architecture().input.cells()];
        let traces = (0..layout.options().samples)
            .into_par_iter()
            .map(|n| {
                let pixels = samples.get(n).map_or(&blank[..], |sample| sample.pixels);
                network.run(pixels).map_err(|_| ShardError::Pixels {
                    index: n,
                    expected: blank.len(),
                    found: pixels.len(),
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self::from_traces(layout, samples, &traces))
    }

    /// Phase 1 of runs that are given, one per sample of the layout, padded ones included. Whether
    /// they are runs of any network is for the circuit to judge.
    pub fn from_traces(
        layout: &Layout,
        samples: &[Sample<'_>],
        traces: &[Trace],
    ) -> (Self, Counts) {
        let labels: Vec<_> = samples.iter().map(|sample| Some(sample.label)).collect();
        Self::from_labels(layout, &labels, traces)
    }

    /// The same where any of the samples may have no label; what lies beyond the labels has none.
    pub(crate) fn from_labels(
        layout: &Layout,
        labels: &[Option<u16>],
        traces: &[Trace],
    ) -> (Self, Counts) {
        let zeros = vec![vec![0; layout.usable()]; layout.options().lanes];
        let mut lanes = Self {
            q: zeros.clone(),
            r: zeros.clone(),
            y: zeros,
            multiplicity: vec![],
        };
        for (n, trace) in traces.iter().enumerate() {
            lanes.fill_activations(layout, n, trace);
        }
        let counts = lanes.fill_scores(layout, labels, traces);
        lanes.count_lookups(layout);
        (lanes, counts)
    }

    fn fill_activations(&mut self, layout: &Layout, n: usize, trace: &Trace) {
        let bits = layout.architecture().fraction_bits;
        let grid = layout.options().grid;
        let layers = layout.architecture().layers.iter().enumerate();
        let mut accumulators = trace.accumulators.iter();
        for (index, layer) in layers {
            let tensor = index + 1;
            if !matches!(layer, Layer::Linear(_) | Layer::MaxPool(_)) {
                continue;
            }
            let accumulators = accumulators.next().map_or(&[][..], Vec::as_slice);
            let Some(start) = layout.activation_start(tensor) else {
                continue;
            };
            let (part, full) = (
                layout.tiles()[tensor].shape.cells(),
                layout.shapes()[tensor].cells(),
            );
            let offset = layout.clip_offset() << bits;
            for tile in 0..grid.tiles() {
                let tile = (tile / grid.columns, tile % grid.columns);
                let slot = layout.slot(n, tile);
                let lane = slot % layout.options().lanes;
                let first = start + slot / layout.options().lanes;
                for cell in 0..layer.committed() * part {
                    let whole = layout.whole_index(tensor, cell % part, tile);
                    let accumulator = accumulators[cell / part * full + whole];
                    let row = first + cell * layout.rows_per_cell();
                    let z = accumulator + offset;
                    self.q[lane][row] = z >> bits;
                    self.r[lane][row] = z & ((1 << bits) - 1);
                    self.y[lane][row] = (accumulator >> bits).clamp(0, 255);
                }
            }
        }
    }

    fn fill_scores(&mut self, layout: &Layout, labels: &[Option<u16>], traces: &[Trace]) -> Counts {
        let score = layout.score();
        let (bits, top_k) = (
            layout.architecture().fraction_bits,
            layout.options().top_k as i64,
        );
        let mut totals = [0i64; 3];
        for (n, trace) in traces.iter().enumerate() {
            let label = labels.get(n).copied().flatten().map(usize::from);
            let label_logit = label.map_or(0, |label| trace.logits[label]);
            let (mut seen, mut rank, mut shown) = (0, 0, 0);
            for (j, &logit) in trace.logits.iter().enumerate() {
                let row = score.class(n, j);
                let hot = i64::from(label == Some(j));
                let lead = logit - label_logit - seen - hot;
                let beats = i64::from(lead >= 0);
                self.set_q(row, [logit, label_logit, hot, seen, rank, shown]);
                self.set_y(row, [totals[0], totals[1], totals[2], beats, 0, 0]);
                let limbs = layout.compare_limbs();
                self.set_limbs(row, 0..limbs, bits, magnitude(lead));
                seen += hot;
                rank += beats;
                shown += hot * (j as i64 + 1);
            }
            let row = score.summary(n);
            let (first, within) = (i64::from(rank == 0), i64::from(rank < top_k));
            self.set_q(row, [0, label_logit, 0, seen, rank, shown]);
            self.set_y(row, [totals[0], totals[1], totals[2], 0, first, within]);
            self.set_limbs(row, 0..2, bits, magnitude(-rank));
            self.set_limbs(row, 2..4, bits, magnitude(top_k - 1 - rank));
            for (total, gain) in totals.iter_mut().zip([seen, seen * first, seen * within]) {
                *total += gain;
            }
        }
        let [valid, top1, topk] = totals;
        let row = score.expose();
        self.set_y(row, [valid, top1, topk, 0, 0, 0]);
        self.set_y(row + 1, [top1, topk, 0, 0, 0, 0]);
        self.set_y(row + 2, [topk, 0, 0, 0, 0, 0]);
        Counts {
            valid: valid as u32,
            top1: top1 as u32,
            topk: topk as u32,
        }
    }

    fn set_q(&mut self, row: usize, cells: [i64; 6]) {
        for (column, cell) in self.q.iter_mut().zip(cells) {
            column[row] = cell;
        }
    }

    fn set_y(&mut self, row: usize, cells: [i64; 6]) {
        for (column, cell) in self.y.iter_mut().zip(cells) {
            column[row] = cell;
        }
    }

    fn set_limbs(&mut self, row: usize, range: std::ops::Range<usize>, bits: u32, value: i64) {
        for (limb, column) in self.r[range].iter_mut().enumerate() {
            column[row] = value >> (bits as usize * limb) & ((1 << bits) - 1);
        }
    }

    /// Counts every lookup at its table row. A tuple that is not in the table (only a forged
    /// witness has one) is left out, and the running sum will not close.
    pub fn count_lookups(&mut self, layout: &Layout) {
        let bits = layout.architecture().fraction_bits;
        let (clip_rows, side) = (layout.clip_rows() as i64, 1i64 << bits);
        let score = layout.score();
        let score_rows = score.rows();
        let mut multiplicity = vec![0; layout.usable()];
        for row in 0..layout.last() {
            for pair in self.r.chunks(2) {
                let (low, high) = (pair[0][row], pair.get(1).map_or(0, |r| r[row]));
                if (0..side).contains(&low) && (0..side).contains(&high) {
                    multiplicity[(clip_rows + low + side * high) as usize] += 1;
                }
            }
            if score_rows.contains(&row) {
                continue;
            }
            for (q, y) in self.q.iter().zip(&self.y) {
                let (q, y) = (q[row], y[row]);
                if (0..clip_rows).contains(&q) && clip(layout, q) == y {
                    multiplicity[q as usize] += 1;
                }
            }
        }
        self.multiplicity = multiplicity;
    }
}

/// The clip table: `y` of a stored `q`.
pub(crate) fn clip(layout: &Layout, q: i64) -> i64 {
    (q - layout.clip_offset()).clamp(0, 255)
}

/// `value` if it is not negative, `-value - 1` if it is.
fn magnitude(value: i64) -> i64 {
    if value >= 0 {
        value
    } else {
        -value - 1
    }
}
