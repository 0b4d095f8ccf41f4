//! Claims of single cells, as a tile sees its own and its neighbours'.
//!
//! Let `x[Y, X]` be a cell in the tile `(Y, X)` of a sample. Slot `(Y, n, X)` has the weight `zeta^i` of its index `i`. A
//! tap that lands `(dy, dx)` tiles away reads
//!
//! ```text
//! X_(dy,dx) = sum over slots (Y, n, X) of zeta^i x[Y + dy, X + dx]        0 where that tile is outside of the image
//! ```
//!
//! * `dx` in the lanes: tiles side by side are lanes of one row, so each `dx` has a claim column of its own
//!   ([`ClaimColumn::Beside`]).
//! * `dy > 0` in the lanes: rows of tiles are rows of the chain, and the chain's value `dy` rows further down *is* the sum.
//! * `dy < 0` in the lanes: the chain without its last rows, `zeta^(m d) (C[0] - zeta^(m (R-d)) C[R-d])`.
//! * in the data column, one slot a row: a difference of two values of the chain for every row of tiles.
//!
//! Outside of the image a border reads its padding value instead: that value times the weights of the slots that have no
//! such neighbour.

use super::build::{cell, grid, Builder, Source, ZERO};
use super::{CellRef, ClaimColumn, Step};

/// Rows and columns of tiles between a tile and the one that is read.
pub(super) type Shift = (isize, isize);

/// Where no slot has a tile.
const NOWHERE: Shift = (isize::MAX, isize::MAX);

/// Claims that take rows of the program, so that they are computed once.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    /// A cell of a tensor, or of the lanes' cells of the layer that makes it.
    Cell(usize, usize, Shift),
    /// The same with a border.
    Bordered(usize, usize, Shift, u8),
    /// Weights of the slots without such a neighbour.
    Outside(Shift),
    /// The same times a byte.
    Border(Shift, u8),
}

impl Builder<'_> {
    fn once(&mut self, key: Key, make: impl FnOnce(&mut Self) -> CellRef) -> CellRef {
        if let Some(&known) = self.memo.get(&key) {
            return known;
        }
        if self.full {
            return ZERO;
        }
        let made = make(self);
        self.memo.insert(key, made);
        made
    }

    /// The claim of the cell at `(y, x)` from a tile's corner, which may lie in another tile or outside of the image.
    pub(super) fn read(
        &mut self,
        tensor: usize,
        channel: usize,
        (y, x): (isize, isize),
        border: u8,
    ) -> CellRef {
        let shape = self.layout.tiles()[tensor].shape;
        let (height, width) = (shape.height as isize, shape.width as isize);
        let shift = (y.div_euclid(height), x.div_euclid(width));
        let (y, x) = (y.rem_euclid(height), x.rem_euclid(width));
        let index = ((channel as isize * height + y) * width + x) as usize;
        let inside = self.claim(tensor, index, shift);
        if border == 0 || shift == (0, 0) {
            return inside.unwrap_or(ZERO);
        }
        match inside {
            None => self.border(NOWHERE, border),
            Some(inside) => self.once(Key::Bordered(tensor, index, shift, border), |builder| {
                let outside = builder.border(shift, border);
                builder.horner(builder.one, &[inside, outside])
            }),
        }
    }

    /// The claim of a cell of the own tile.
    pub(super) fn own_claim(&mut self, tensor: usize, index: usize) -> CellRef {
        self.claim(tensor, index, (0, 0)).unwrap_or(ZERO)
    }

    /// The claim of a cell of the tile at `shift`; `None` where no tile has such a neighbour.
    pub(super) fn claim(&mut self, tensor: usize, index: usize, shift: Shift) -> Option<CellRef> {
        let tiles = self.layout.options().grid;
        if shift.0.unsigned_abs() >= tiles.rows || shift.1.unsigned_abs() >= tiles.columns {
            return None;
        }
        Some(match &self.sources[tensor] {
            Source::Whole(cells) => cells[index],
            &Source::Same(input) => return self.claim(input, index, shift),
            &Source::Lanes(start) => {
                let first = start + index * self.layout.rows_per_cell();
                self.lanes((tensor, index), first, shift)
            }
            Source::Image => self.pixel(index, shift),
            &Source::Greatest {
                input,
                stride,
                steps,
                start,
            } => self.once(Key::Cell(tensor, index, shift), |builder| {
                builder.greatest((tensor, index), (input, stride), (steps, start), shift)
            }),
            &Source::Sums {
                input,
                kernel,
                stride,
            } => self.once(Key::Cell(tensor, index, shift), |builder| {
                builder.window(tensor, index, (input, kernel, stride), shift)
            }),
        })
    }

    fn window(
        &mut self,
        tensor: usize,
        index: usize,
        (input, kernel, stride): (usize, (usize, usize), (usize, usize)),
        shift: Shift,
    ) -> CellRef {
        let (to, from) = (
            self.layout.tiles()[tensor].shape,
            self.layout.tiles()[input].shape,
        );
        let (channel, y, x) = to.place(index);
        let mut cells = vec![];
        for (dy, dx) in grid(kernel) {
            let (y, x) = (y * stride.0 + dy, x * stride.1 + dx);
            let index = (channel * from.height + y) * from.width + x;
            cells.extend(self.claim(input, index, shift));
        }
        self.horner(self.one, &cells)
    }

    /// The claim of a cell whose rows in the lanes start at `first`.
    pub(super) fn lanes(
        &mut self,
        (tensor, index): (usize, usize),
        first: usize,
        (dy, dx): Shift,
    ) -> CellRef {
        let (rows, lanes) = (self.layout.rows_per_cell(), self.layout.options().lanes);
        let column = match dx {
            0 => ClaimColumn::Activation,
            _ => ClaimColumn::Beside(dx as i8),
        };
        if dy >= 0 {
            return cell(column, first + dy.unsigned_abs());
        }
        self.once(Key::Cell(tensor, index, (dy, dx)), |builder| {
            let up = dy.unsigned_abs();
            let (shifted, all) = (
                builder.zeta_power(lanes * up),
                builder.zeta_power(lanes * rows),
            );
            builder.difference(
                (shifted, cell(column, first)),
                (all, cell(column, first + rows - up)),
            )
        })
    }

    fn pixel(&mut self, index: usize, shift: Shift) -> CellRef {
        let slots = self.layout.slots();
        let at = move |slot: usize| cell(ClaimColumn::Data, index * slots + slot);
        match shift {
            (0, 0) => at(0),
            _ => self.once(Key::Cell(0, index, shift), |builder| {
                builder.shifted_pixel(at, shift)
            }),
        }
    }

    /// For each row of tiles of each sample, the slots `from..to` whose pixels are read, at the weights of who reads them.
    fn shifted_pixel(&mut self, at: impl Fn(usize) -> CellRef, (dy, dx): Shift) -> CellRef {
        let tiles = self.layout.options().grid;
        let (samples, columns) = (self.layout.options().samples, tiles.columns);
        let span = |size: usize, by: isize| {
            (
                by.max(0).unsigned_abs()..size - by.min(0).unsigned_abs(),
                by.min(0).unsigned_abs(),
            )
        };
        let ((lines, line), (places, place)) = (span(tiles.rows, dy), span(columns, dx));
        let (length, step) = (self.zeta_power(places.len()), self.zeta_power(columns));
        let rows = lines.start * samples..lines.end * samples;
        let mut steps = vec![];
        for row in rows.clone() {
            steps.push(Step::Horner(at(row * columns + places.start), self.one));
            let after = row * columns + places.end;
            if after < self.layout.slots() {
                steps.push(Step::Less(length, at(after)));
            }
            let more = if row + 1 < rows.end { step } else { ZERO };
            steps.push(Step::Horner(ZERO, more));
        }
        let sum = self.run(steps);
        match line * samples * columns + place {
            0 => sum,
            first => {
                let weight = self.zeta_power(first);
                self.dot(&[(weight, sum)])
            }
        }
    }

    fn border(&mut self, shift: Shift, value: u8) -> CellRef {
        self.once(Key::Border(shift, value), |builder| {
            let (constant, outside) = (builder.constant(value), builder.outside(shift));
            builder.dot(&[(constant, outside)])
        })
    }

    /// `sum of zeta^i` over the slots that have no tile at `shift`.
    fn outside(&mut self, shift: Shift) -> CellRef {
        let (layout, tiles) = (self.layout, self.layout.options().grid);
        let has = |at: usize, by: isize, size: usize| {
            (0..size as isize).contains(&(at as isize).saturating_add(by))
        };
        let inside = |slot: usize| {
            let (_, (y, x)) = layout.tile_of(slot);
            has(y, shift.0, tiles.rows) && has(x, shift.1, tiles.columns)
        };
        if !(0..layout.slots()).any(inside) {
            return self.ones;
        }
        self.once(Key::Outside(shift), |builder| {
            let (one, zeta) = (builder.one, builder.zeta);
            let terms: Vec<_> = (0..layout.slots())
                .map(|slot| if inside(slot) { ZERO } else { one })
                .collect();
            builder.horner(zeta, &terms)
        })
    }
}
