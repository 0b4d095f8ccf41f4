//! Items committed one by one, and the labels that anybody can add to their sum.

use super::{check_class, check_places, check_srs, CorpusError};
use crate::{
    commitment::{Commitment, Seed},
    layout::Layout,
    srs::Srs,
    witness::instance::pixel_rows,
};
use halo2_proofs::arithmetic::{best_multiexp, Field};
use halo2curves::{
    bn256::{Fr, G1Affine, G1},
    group::{Curve, Group},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

/// An item with what opens its commitment. Secret: no `Debug`.
#[derive(Clone, Copy)]
pub struct Item<'a> {
    /// Which sample of the shard it is.
    pub place: usize,
    /// Pixels, channels first, a byte a cell.
    pub pixels: &'a [u8],
    /// Of its salt.
    pub seed: &'a Seed,
}

/// How many proofs an item may be in.
pub fn openings(layout: &Layout) -> u32 {
    layout.data_salt().len() as u32 - 1
}

/// The commitment to one item: its pixels at its place, its own salt, zero elsewhere.
pub fn commit_item(layout: &Layout, srs: &Srs, item: Item<'_>) -> Result<Commitment, CorpusError> {
    check_srs(layout, srs)?;
    check_item(layout, &item)?;
    Ok(commit_rows(srs, &rows(layout, &item)).to_affine().into())
}

/// Its rows that are not zero, but for black pixels.
pub(super) fn rows(layout: &Layout, item: &Item<'_>) -> Vec<(usize, Fr)> {
    let mut rng = ChaCha20Rng::from_seed(*item.seed.bytes());
    let salt = layout.data_salt();
    let salt = salt.map(|row| (row, Fr::random(&mut rng)));
    pixel_rows(layout, item.place, item.pixels)
        .chain(salt)
        .collect()
}

pub(super) fn commit_rows(srs: &Srs, rows: &[(usize, Fr)]) -> G1 {
    let basis = srs.lagrange();
    let (scalars, points): (Vec<Fr>, Vec<G1Affine>) = rows
        .iter()
        .filter(|(_, value)| *value != Fr::zero())
        .map(|&(row, value)| (value, basis[row]))
        .unzip();
    best_multiexp(&scalars, &points)
}

/// Lagrange points of a layout's label rows: what labels items in public.
#[derive(Clone, Debug)]
pub struct LabelBasis {
    points: Vec<G1Affine>,
    classes: usize,
}

impl LabelBasis {
    /// Of this layout.
    pub fn new(layout: &Layout, srs: &Srs) -> Result<Self, CorpusError> {
        check_srs(layout, srs)?;
        let basis = srs.lagrange();
        let places = 0..layout.options().samples;
        Ok(Self {
            points: places.map(|n| basis[layout.score().summary(n)]).collect(),
            classes: layout.architecture().classes(),
        })
    }

    /// The shard that consists of these items, each labelled `class`: what a proof over them is about. Total on any
    /// input.
    pub fn labelled(
        &self,
        items: &[(usize, Commitment)],
        class: u16,
    ) -> Result<Commitment, CorpusError> {
        check_places(items.iter().map(|(place, _)| *place), self.points.len())?;
        check_class(class, self.classes)?;
        let (mut sum, mut labels) = (G1::identity(), G1::identity());
        for &(place, commitment) in items {
            let point = commitment.point();
            sum += point.ok_or(CorpusError::NotAPoint { place })?;
            labels += self.points[place];
        }
        Ok((sum + labels * label(class)).to_affine().into())
    }
}

/// What stands on a label row.
pub(super) fn label(class: u16) -> Fr {
    Fr::from(u64::from(class) + 1)
}

pub(super) fn check_item(layout: &Layout, item: &Item<'_>) -> Result<(), CorpusError> {
    let (place, places) = (item.place, layout.options().samples);
    if place >= places {
        return Err(CorpusError::Place { place, places });
    }
    let (expected, found) = (layout.architecture().input.cells(), item.pixels.len());
    if expected != found {
        return Err(CorpusError::Pixels {
            place,
            expected,
            found,
        });
    }
    Ok(())
}
