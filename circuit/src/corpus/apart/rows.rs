//! The public polynomials of the argument: the places' weights on their pixels, and the rows that must be empty.

use crate::layout::Layout;
use halo2_proofs::arithmetic::Field;
use halo2curves::{
    bn256::Fr,
    ff::{BatchInvert, PrimeField},
};
use rayon::prelude::*;
use std::ops::Range;

/// Rows whose inverses are made together.
const CHUNK: usize = 1 << 12;

/// Rows of the data column that hold pixels: the first ones.
pub(super) fn pixels(layout: &Layout) -> usize {
    let cells = layout.tiles().first().map_or(0, |tile| tile.shape.cells());
    cells * layout.slots()
}

/// A generator of the domain of `2^k` rows, halo2's.
pub(super) fn generator(k: u32) -> Fr {
    (k..Fr::S).fold(Fr::ROOT_OF_UNITY, |root, _| root.square())
}

/// `generator^row` for these rows.
pub(super) fn nodes(generator: Fr, rows: Range<usize>) -> impl Iterator<Item = Fr> {
    let first = generator.pow_vartime([rows.start as u64]);
    std::iter::successors(Some(first), move |node| Some(*node * generator)).take(rows.len())
}

/// The challenge r by position: `r^i` is that of a shard, `r^(N s)`, times that of a place, `r^j`.
pub(super) struct Weights {
    places: Vec<Fr>,
    /// Of each slot, that of the place whose tile it is.
    slots: Vec<Fr>,
    /// `r^N`.
    shard: Fr,
}

impl Weights {
    pub(super) fn new(layout: &Layout, r: Fr) -> Self {
        let samples = layout.options().samples;
        let powers = std::iter::successors(Some(Fr::ONE), |power| Some(*power * r));
        let places: Vec<_> = powers.take(samples).collect();
        let slots = (0..layout.slots()).map(|slot| places[layout.tile_of(slot).0]);
        Self {
            slots: slots.collect(),
            shard: r.pow_vartime([samples as u64]),
            places,
        }
    }

    /// Of a position: of its shard, and of its place.
    pub(super) fn at(&self, position: u32) -> (Fr, Fr) {
        let (shard, place) = split(self.places.len(), position);
        (self.shard.pow_vartime([shard]), self.places[place])
    }

    /// rho on a row with pixels.
    pub(super) fn on(&self, row: usize) -> Fr {
        self.slots[row % self.slots.len()]
    }
}

/// Shard and place of a position.
pub(super) fn split(samples: usize, position: u32) -> (u64, usize) {
    let position = position as usize;
    ((position / samples) as u64, position % samples)
}

/// The public polynomials at a point.
pub(super) struct View {
    /// The point: no row.
    pub(super) z: Fr,
    /// `rho(z)`.
    pub(super) rho: Fr,
    /// `Z(z)`.
    pub(super) empty: Fr,
    /// `z^(n-1)`.
    pub(super) high: Fr,
}

impl View {
    /// From the first challenge that is no row; one in 2^231 is one.
    pub(super) fn from_challenge(
        layout: &Layout,
        weights: &Weights,
        mut challenge: impl FnMut() -> Fr,
    ) -> Self {
        loop {
            if let Some(view) = Self::at(layout, weights, challenge()) {
                return view;
            }
        }
    }

    /// `None` on a row.
    pub(super) fn at(layout: &Layout, weights: &Weights, z: Fr) -> Option<Self> {
        let (k, pixels) = (layout.options().k, pixels(layout));
        let generator = generator(k);
        let high = z.pow_vartime([(1u64 << k) - 1]);
        let vanishing = high * z - Fr::ONE;
        let salt: Fr = nodes(generator, layout.data_salt())
            .map(|node| z - node)
            .product();
        // The Lagrange polynomial of row i is (z^n - 1) / n * w^i / (z - w^i).
        let chunk = |chunk: usize| -> Fr {
            let rows = chunk * CHUNK..pixels.min((chunk + 1) * CHUNK);
            let nodes: Vec<_> = nodes(generator, rows.clone()).collect();
            let mut inverses: Vec<_> = nodes.iter().map(|node| z - node).collect();
            inverses.iter_mut().batch_invert();
            let terms = rows.zip(nodes).zip(inverses);
            terms
                .map(|((row, node), inverse)| weights.on(row) * node * inverse)
                .sum()
        };
        let chunks = (0..pixels.div_ceil(CHUNK)).into_par_iter().map(chunk);
        let sum = chunks.reduce(|| Fr::ZERO, |a, b| a + b);
        let salt_inverse = Option::<Fr>::from(salt.invert()).filter(|_| vanishing != Fr::ZERO)?;
        Some(Self {
            z,
            rho: vanishing * Fr::TWO_INV.pow_vartime([u64::from(k)]) * sum,
            empty: vanishing * salt_inverse,
            high,
        })
    }
}

/// Coefficients of the polynomial that is zero at these points and no other, the highest one 1.
pub(super) fn vanishing(roots: impl Iterator<Item = Fr>) -> Vec<Fr> {
    let mut coefficients = vec![Fr::ONE];
    for root in roots {
        // Times X - root.
        coefficients.push(Fr::ZERO);
        for degree in (0..coefficients.len()).rev() {
            let below = degree
                .checked_sub(1)
                .map_or(Fr::ZERO, |at| coefficients[at]);
            coefficients[degree] = below - coefficients[degree] * root;
        }
    }
    coefficients
}
