//! Writes the program: its arithmetic, and the two sides of every linear layer.

use super::{CellRef, ClaimColumn, Glue, Step};
use crate::{
    layout::Layout,
    network::{Layer, Linear, Output, Shape, Term},
};
use std::collections::{BTreeMap, HashMap};

pub(super) fn cell(column: ClaimColumn, row: usize) -> CellRef {
    CellRef {
        column,
        row: row as u32,
    }
}

pub(super) const ZERO: CellRef = CellRef {
    column: ClaimColumn::A,
    row: 0,
};
pub(super) const T: CellRef = CellRef {
    column: ClaimColumn::B,
    row: 0,
};
const ETA: CellRef = CellRef {
    column: ClaimColumn::E,
    row: 0,
};

/// Where the claims of a tensor's cells come from.
pub(super) enum Source {
    /// The data column.
    Image,
    /// The lanes, from this row on.
    Lanes(usize),
    /// Sums over windows of another tensor.
    Sums {
        input: usize,
        kernel: (usize, usize),
        stride: (usize, usize),
    },
    /// The cells of another tensor, in their order.
    Same(usize),
    /// The greatest cells of windows of a tensor: the first cell of each and the steps in the lanes, from this row on.
    Greatest {
        input: usize,
        stride: (usize, usize),
        steps: usize,
        start: usize,
    },
    /// One claim a cell: a tensor that is whole, or read by nothing.
    Whole(Vec<CellRef>),
}

pub(super) struct Builder<'a> {
    pub(super) layout: &'a Layout,
    pub(super) glue: Glue,
    /// Of every tensor, input first.
    pub(super) sources: Vec<Source>,
    pub(super) one: CellRef,
    pub(super) zeta: CellRef,
    /// `sum_i zeta^i` over the slots: a cell that is 1 in every slot.
    pub(super) ones: CellRef,
    /// `E_1` by number of positions.
    ones_by_positions: BTreeMap<usize, CellRef>,
    /// `sum_n zeta^n` over the samples: a whole cell that is 1 in every sample.
    whole_ones: Option<CellRef>,
    /// Of a cell, by exponent.
    powers: HashMap<(CellRef, usize), CellRef>,
    pub(super) memo: HashMap<super::claims::Key, CellRef>,
    constants: BTreeMap<u8, CellRef>,
    /// The program does not fit: nothing more is written, an architecture may be a stranger's.
    pub(super) full: bool,
}

impl<'a> Builder<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        let one = cell(ClaimColumn::A, layout.last());
        let zeta = cell(ClaimColumn::B, layout.last());
        let mut builder = Self {
            layout,
            glue: Glue::default(),
            sources: vec![Source::Image],
            one,
            zeta,
            ones: ZERO,
            ones_by_positions: BTreeMap::new(),
            whole_ones: None,
            powers: HashMap::new(),
            memo: HashMap::new(),
            constants: BTreeMap::from([(0, ZERO), (1, one)]),
            full: false,
        };
        builder.ones = builder.horner(zeta, &vec![one; layout.slots()]);
        builder
    }

    pub(super) fn finish(self) -> Option<Glue> {
        (!self.full).then_some(self.glue)
    }

    pub(super) fn layer(&mut self, tensor: usize, layer: &Layer) {
        let source = match layer {
            Layer::Linear(linear) => self.linear(tensor, linear),
            Layer::SumPool(pool) if self.layout.tiles()[tensor].whole => {
                Source::Whole(self.sum_over_tiles(pool.input.0))
            }
            Layer::SumPool(pool) => Source::Sums {
                input: pool.input.0,
                kernel: pool.kernel,
                stride: pool.stride,
            },
            Layer::MaxPool(pool) => self.max_pool(tensor, pool),
            // At its root: no chain of them is followed at every read.
            Layer::Flatten { input } => match self.sources[input.0] {
                Source::Same(root) => Source::Same(root),
                _ => Source::Same(input.0),
            },
        };
        self.sources.push(source);
    }

    /// Appends steps that are evaluated from their end; the first one's result.
    pub(super) fn run(&mut self, steps: impl IntoIterator<Item = Step>) -> CellRef {
        let start = self.glue.end();
        let room = self.layout.last() + 1 - start;
        self.glue.steps.extend(steps.into_iter().take(room));
        self.full |= self.glue.end() > self.layout.last();
        self.glue.runs.push(self.glue.end() - start);
        cell(ClaimColumn::E, start)
    }

    /// `sum_i terms[i] * step^i`.
    pub(super) fn horner(&mut self, step: CellRef, terms: &[CellRef]) -> CellRef {
        let last = terms.len().saturating_sub(1);
        let steps = terms.iter().enumerate().map(|(i, &a)| {
            let b = if i < last { step } else { ZERO };
            Step::Horner(a, b)
        });
        self.run(steps)
    }

    /// `sum_i left[i] * right[i]`.
    pub(super) fn dot(&mut self, pairs: &[(CellRef, CellRef)]) -> CellRef {
        let dots = pairs.iter().map(|&(a, b)| Step::Dot(a, b));
        self.run(dots.chain([Step::Horner(ZERO, ZERO)]))
    }

    /// `a*b - c*d`.
    pub(super) fn difference(
        &mut self,
        (a, b): (CellRef, CellRef),
        (c, d): (CellRef, CellRef),
    ) -> CellRef {
        self.run([Step::Dot(a, b), Step::Less(c, d), Step::Horner(ZERO, ZERO)])
    }

    /// Evaluation in `t` over positions; a single position is its own evaluation.
    pub(super) fn over_positions(&mut self, cells: &[CellRef]) -> CellRef {
        match cells {
            [single] => *single,
            _ => self.horner(T, cells),
        }
    }

    /// `step^exponent`.
    pub(super) fn power(&mut self, step: CellRef, exponent: usize) -> CellRef {
        match exponent {
            0 => return self.one,
            1 => return step,
            _ => {}
        }
        if let Some(&known) = self.powers.get(&(step, exponent)) {
            return known;
        }
        let mut terms = vec![ZERO; exponent];
        terms.push(self.one);
        let power = self.horner(step, &terms);
        self.powers.insert((step, exponent), power);
        power
    }

    /// `zeta^exponent`.
    pub(super) fn zeta_power(&mut self, exponent: usize) -> CellRef {
        self.power(self.zeta, exponent)
    }

    fn two(&mut self) -> CellRef {
        if let Some(&known) = self.constants.get(&2) {
            return known;
        }
        let one = self.one;
        let two = self.horner(one, &[one, one]);
        self.constants.insert(2, two);
        two
    }

    /// `2^exponent`.
    pub(super) fn two_power(&mut self, exponent: usize) -> CellRef {
        let two = self.two();
        self.power(two, exponent)
    }

    /// A constant.
    pub(super) fn constant(&mut self, value: u8) -> CellRef {
        if let Some(&known) = self.constants.get(&value) {
            return known;
        }
        let (one, two) = (self.one, self.two());
        let bits: Vec<_> = (0..8)
            .map(|bit| if value >> bit & 1 == 1 { one } else { ZERO })
            .collect();
        let constant = self.horner(two, &bits);
        self.constants.insert(value, constant);
        constant
    }

    fn ones_over(&mut self, tensor: usize) -> CellRef {
        let tile = self.layout.tiles()[tensor];
        if tile.whole {
            if let Some(known) = self.whole_ones {
                return known;
            }
            let terms = vec![self.one; self.layout.options().samples];
            let claim = self.horner(self.zeta, &terms);
            self.whole_ones = Some(claim);
            return claim;
        }
        let positions = tile.shape.positions();
        if let Some(&known) = self.ones_by_positions.get(&positions) {
            return known;
        }
        let claim = self.over_positions(&vec![self.ones; positions]);
        self.ones_by_positions.insert(positions, claim);
        claim
    }

    /// Claims of a global pooling: the lanes fold what it reads over samples alone.
    fn sum_over_tiles(&mut self, input: usize) -> Vec<CellRef> {
        let shape = self.layout.tiles()[input].shape;
        (0..shape.channels)
            .map(|channel| {
                let cells: Vec<_> = (channel * shape.positions()
                    ..(channel + 1) * shape.positions())
                    .map(|index| self.own_claim(input, index))
                    .collect();
                match cells[..] {
                    [single] => single,
                    _ => self.horner(self.one, &cells),
                }
            })
            .collect()
    }

    fn linear(&mut self, tensor: usize, linear: &Linear) -> Source {
        let layout = self.layout;
        let Some(runs) = layout.runs_of(tensor) else {
            return Source::Whole(vec![]);
        };
        let shape = layout.tiles()[tensor].shape;
        let bias = (self.run_claim(runs.bias), self.ones_over(tensor));
        let plain = linear.terms.iter().all(|term| term.groups == 1);
        let right = if plain {
            let mut pairs = vec![];
            for (term, &first) in linear.terms.iter().zip(&runs.terms) {
                pairs.extend(self.group(term, shape, first, 0));
            }
            pairs.push(bias);
            self.dot(&pairs)
        } else {
            let mut sums = vec![self.dot(&[bias])];
            for (term, &first) in linear.terms.iter().zip(&runs.terms) {
                let mut groups = vec![];
                for group in 0..term.groups {
                    let pairs = self.group(term, shape, first, group);
                    groups.push(self.dot(&pairs));
                }
                let step = self.power(ETA, linear.shape.channels / term.groups);
                sums.push(self.horner(step, &groups));
            }
            self.horner(self.one, &sums)
        };
        let (left, source) = self.outputs(tensor, linear);
        self.glue.equal.push((left, right));
        source
    }

    fn run_claim(&self, run: usize) -> CellRef {
        cell(ClaimColumn::Weight, self.layout.weights().runs()[run].start)
    }

    /// `(U, E)` for every channel and tap of one group; `to` is the output's tile, `first` the term's first run.
    fn group(
        &mut self,
        term: &Term,
        to: Shape,
        first: usize,
        group: usize,
    ) -> Vec<(CellRef, CellRef)> {
        let channels = self.layout.tiles()[term.input.0].shape.channels / term.groups;
        let mut run = first + group * channels * term.kernel.0 * term.kernel.1;
        let mut pairs = vec![];
        for channel in group * channels..(group + 1) * channels {
            for evaluation in self.windows(term, channel, to) {
                pairs.push((self.run_claim(run), evaluation));
                run += 1;
            }
        }
        pairs
    }

    /// The left side of the identity, and where the layer's activations are.
    fn outputs(&mut self, tensor: usize, linear: &Linear) -> (CellRef, Source) {
        let layout = self.layout;
        if linear.output == Output::Logits {
            // The score region folds its logits over classes and samples by itself.
            let left = cell(ClaimColumn::Accumulator, layout.score().start);
            return (left, Source::Whole(vec![]));
        }
        let start = layout.activation_start(tensor).unwrap_or_default();
        let positions = layout.tiles()[tensor].shape.positions();
        let mut channels = Vec::with_capacity(linear.shape.channels);
        for o in 0..linear.shape.channels {
            let cells: Vec<_> = (o * positions..(o + 1) * positions)
                .map(|index| {
                    let row = start + index * layout.rows_per_cell();
                    cell(ClaimColumn::Accumulator, row)
                })
                .collect();
            channels.push(self.over_positions(&cells));
        }
        (self.horner(ETA, &channels), Source::Lanes(start))
    }
}

/// All `(y, x)` of an area, row by row.
pub(super) fn grid(area: (usize, usize)) -> impl Iterator<Item = (usize, usize)> {
    (0..area.0).flat_map(move |y| (0..area.1).map(move |x| (y, x)))
}
