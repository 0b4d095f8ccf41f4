//! What a layer reads of one channel: the sum over all positions, once for every tap of its window.
//!
//! ```text
//! E[ky,kx] = sum_{y,x} t^(W y + x) X[sy y + ky, sx x + kx]        y < H, x < W
//! ```
//!
//! Tap by tap that is `H W` rows for each. Taps that lie a stride apart read almost the same cells, so one sum slides into
//! the next; along a line, with `u = t`,
//!
//! ```text
//! L[k] = sum_x u^x X[s x + k]  =  X[k] + u (L[k+s] - u^(W-1) X[k + s W])
//! ```
//!
//! which is two rows for every tap but the last of its residue modulo the stride. A window is lines that slide along `x`,
//! then their sums along `y` with `u = t^W`: for a 3x3 window on 32x32 positions 1,332 rows in place of 9,216. Where that
//! is dearer (few positions), tap by tap it is.

use super::build::{cell, grid, Builder, T, ZERO};
use super::{CellRef, ClaimColumn, Step};
use crate::network::{Shape, Term};

/// Taps of one axis, and the positions they are summed over.
#[derive(Clone, Copy)]
struct Axis {
    taps: usize,
    stride: usize,
    positions: usize,
}

impl Axis {
    fn of(term: &Term, to: Shape) -> [Self; 2] {
        let axis = |taps, stride, positions| Self {
            taps,
            stride,
            positions,
        };
        [
            axis(term.kernel.0, term.stride.0, to.height),
            axis(term.kernel.1, term.stride.1, to.width),
        ]
    }

    /// Cells that are read. Where strides leave cells out, those that are read are numbered without them.
    fn cells(self) -> usize {
        let strides = (self.positions - 1).saturating_mul(self.packed_stride());
        strides.saturating_add(self.taps)
    }

    /// From a tap to the same tap of the next position, among the cells that are read.
    fn packed_stride(self) -> usize {
        self.stride.min(self.taps)
    }

    /// Where a cell that is read stands on the axis.
    fn place(self, cell: usize) -> usize {
        match self.stride < self.taps {
            true => cell,
            false => cell / self.taps * self.stride + cell % self.taps,
        }
    }

    /// Rows of a sum over all positions: none where there is a single one.
    fn sum_rows(self) -> usize {
        match self.positions {
            1 => 0,
            more => more,
        }
    }

    /// Whether so many taps a stride apart are cheaper as sums that slide.
    fn slides(self, taps: usize) -> bool {
        taps > 1 && self.positions > 2
    }

    /// Rows of the sums of all taps.
    fn rows(self) -> usize {
        let residue = |taps: usize| match self.slides(taps) {
            true => self.positions.saturating_add((taps - 1).saturating_mul(2)),
            false => self.sum_rows().saturating_mul(taps),
        };
        let (each, more) = (self.taps / self.stride, self.taps % self.stride);
        let less = self.stride.min(self.taps) - more.min(self.stride.min(self.taps));
        let more_rows = more.saturating_mul(residue(each + 1));
        let less_rows = match each {
            0 => 0,
            _ => less.saturating_mul(residue(each)),
        };
        more_rows.saturating_add(less_rows)
    }
}

/// Rows of a window tap by tap, and of one that slides.
fn choices(term: &Term, to: Shape) -> [usize; 2] {
    let [y, x] = Axis::of(term, to);
    let positions = match to.positions() {
        1 => 0,
        more => more,
    };
    let each = y.taps.saturating_mul(x.taps).saturating_mul(positions);
    let lines = y.cells().saturating_mul(x.rows());
    [each, lines.saturating_add(x.taps.saturating_mul(y.rows()))]
}

/// Rows that [`Builder::windows`] takes for a channel, but for the claims it reads.
pub(super) fn rows(term: &Term, to: Shape) -> usize {
    let [each, sliding] = choices(term, to);
    each.min(sliding)
}

impl Builder<'_> {
    /// `E` of a channel for every tap, row by row; `to` is the output's tile.
    pub(super) fn windows(&mut self, term: &Term, channel: usize, to: Shape) -> Vec<CellRef> {
        let [each, sliding] = choices(term, to);
        let [y, x] = Axis::of(term, to);
        let corner = (term.padding.top as isize, term.padding.left as isize);
        let read = |builder: &mut Self, (y, x): (usize, usize)| {
            let place = (y as isize - corner.0, x as isize - corner.1);
            builder.read(term.input.0, channel, place, term.padding.value)
        };
        if each <= sliding {
            return grid(term.kernel)
                .map(|(ky, kx)| {
                    let positions = grid((to.height, to.width));
                    let cells: Vec<_> = positions
                        .map(|(py, px)| read(self, (py * y.stride + ky, px * x.stride + kx)))
                        .collect();
                    self.over_positions(&cells)
                })
                .collect();
        }
        // lines[kx][r]: the line r folded along x for the tap kx.
        let mut lines = vec![Vec::with_capacity(y.cells()); x.taps];
        for row in 0..y.cells() {
            let cells: Vec<_> = (0..x.cells())
                .map(|cell| read(self, (y.place(row), x.place(cell))))
                .collect();
            for (line, sum) in lines.iter_mut().zip(self.slide(&cells, x, T)) {
                line.push(sum);
            }
        }
        // A single position takes no step.
        let step = match y.positions {
            1 => T,
            _ => self.power(T, to.width),
        };
        let columns: Vec<_> = lines.iter().map(|line| self.slide(line, y, step)).collect();
        grid(term.kernel).map(|(ky, kx)| columns[kx][ky]).collect()
    }

    /// `sum_x step^x cells[s x + k]` for every tap `k` of an axis, given the cells of it that are read.
    fn slide(&mut self, cells: &[CellRef], axis: Axis, step: CellRef) -> Vec<CellRef> {
        let (taps, stride, positions) = (axis.taps, axis.packed_stride(), axis.positions);
        let mut sums = vec![ZERO; taps];
        for first in 0..stride {
            let residue: Vec<usize> = (first..taps).step_by(stride).collect();
            let sum =
                |k: usize| -> Vec<_> { (0..positions).map(|x| cells[k + x * stride]).collect() };
            if !axis.slides(residue.len()) {
                for k in residue {
                    sums[k] = match sum(k)[..] {
                        [single] => single,
                        ref several => self.horner(step, several),
                    };
                }
                continue;
            }
            let top = self.power(step, positions - 1);
            let (&last, before) = residue.split_last().unwrap_or((&first, &[]));
            let mut steps = vec![];
            for &k in before {
                steps.push(Step::Horner(cells[k], step));
                steps.push(Step::Less(top, cells[k + stride * positions]));
            }
            let whole = sum(last);
            steps.extend(
                whole
                    .iter()
                    .enumerate()
                    .map(|(x, &a)| Step::Horner(a, if x + 1 < positions { step } else { ZERO })),
            );
            let start = self.run(steps);
            for (i, k) in residue.into_iter().enumerate() {
                sums[k] = cell(ClaimColumn::E, start.row as usize + 2 * i);
            }
        }
        sums
    }
}
