//! Max pooling: steps to the greatest cell of a window ([`crate::network::MaxPool`]).
//!
//! For the steps `d_i` of a window, committed in the lanes like activations, with accumulators `z_i`
//!
//! ```text
//! z_i = 2^s (v_i - m_(i-1) + offset)      m_0 = v_0,  m_i = m_(i-1) + d_i
//! ```
//!
//! holds between claims for all slots at once; one identity in `t` covers all windows and steps of a layer:
//!
//! ```text
//! sum_j t^j Z_j  =  2^s sum_j t^j V_j  -  2^s sum_j t^j M_j  +  2^s offset sum_j t^j sum_i zeta^i
//! ```
//!
//! Its degree in `t` is below J, the cells of the output times the steps of a window, where a linear layer's is below
//! P: it holds by chance with probability at most (slots + J) / |F|. Each `j` takes rows of its own here, so that all
//! the J of a layout and their slots stay below 2^24 where there are 2^22 rows: 2^24 / 2^254.
//!
//! Pinned by: `Z` and `D` are claims of the same lanes, the clip lookup makes `d_i = relu(v_i - m_(i-1))`.

use super::{
    build::{cell, Builder, Source, T, ZERO},
    claims::{Key, Shift},
    CellRef, ClaimColumn, Step,
};
use crate::network::MaxPool;

impl Builder<'_> {
    pub(super) fn max_pool(&mut self, tensor: usize, pool: &MaxPool) -> Source {
        let layout = self.layout;
        let to = layout.tiles()[tensor].shape;
        let start = layout.activation_start(tensor).unwrap_or_default();
        let (mut accumulators, mut cells, mut greatest) = (vec![], vec![], vec![]);
        for index in 0..to.cells() {
            let mut climbed = self.window_cell(index, tensor, pool, 0);
            for step in 1..=pool.steps() {
                let row = start + ((step - 1) * to.cells() + index) * layout.rows_per_cell();
                accumulators.push(cell(ClaimColumn::Accumulator, row));
                cells.push(self.window_cell(index, tensor, pool, step));
                greatest.push(climbed);
                let gained = cell(ClaimColumn::Activation, row);
                climbed = self.horner(self.one, &[climbed, gained]);
            }
            self.memo.insert(Key::Cell(tensor, index, (0, 0)), climbed);
        }
        let left = self.horner(T, &accumulators);
        let (cells, greatest) = (self.horner(T, &cells), self.horner(T, &greatest));
        let ones = self.horner(T, &vec![self.ones; accumulators.len()]);
        let bits = layout.architecture().fraction_bits as usize;
        let scale = self.two_power(bits);
        let offset = self.two_power(bits + layout.architecture().range_bits as usize - 1);
        let right = self.run([
            Step::Dot(scale, cells),
            Step::Dot(offset, ones),
            Step::Less(scale, greatest),
            Step::Horner(ZERO, ZERO),
        ]);
        self.glue.equal.push((left, right));
        Source::Greatest {
            input: pool.input.0,
            stride: pool.stride,
            steps: pool.steps(),
            start,
        }
    }

    /// Cell `tap` of the window of output `index`.
    fn window_cell(&mut self, index: usize, tensor: usize, pool: &MaxPool, tap: usize) -> CellRef {
        let to = self.layout.tiles()[tensor].shape;
        let (channel, y, x) = to.place(index);
        let (ky, kx) = (tap / pool.kernel.1, tap % pool.kernel.1);
        let y = (y * pool.stride.0 + ky) as isize - pool.padding.top as isize;
        let x = (x * pool.stride.1 + kx) as isize - pool.padding.left as isize;
        self.read(pool.input.0, channel, (y, x), 0)
    }

    /// The greatest cell of a window in the tile at `shift`, whose windows stay within it.
    pub(super) fn greatest(
        &mut self,
        (tensor, index): (usize, usize),
        (input, stride): (usize, (usize, usize)),
        (steps, start): (usize, usize),
        shift: Shift,
    ) -> CellRef {
        let tiles = self.layout.tiles();
        let (to, from) = (tiles[tensor].shape, tiles[input].shape);
        let (channel, y, x) = to.place(index);
        let corner = (channel * from.height + y * stride.0) * from.width + x * stride.1;
        let mut climbed: Vec<_> = self.claim(input, corner, shift).into_iter().collect();
        for step in 0..steps {
            let first = start + (step * to.cells() + index) * self.layout.rows_per_cell();
            // Numbered after the tensor's own cells.
            let number = (step + 1) * to.cells() + index;
            climbed.push(self.lanes((tensor, number), first, shift));
        }
        self.horner(self.one, &climbed)
    }
}
