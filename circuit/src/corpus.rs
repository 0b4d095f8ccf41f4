//! A corpus committed item by item, and what can then be proven of any choice of its items.
//!
//! An item has a place, which is that of a sample in a shard, and a commitment of its own: to a data column that holds
//! its pixels there, nothing else and its own salt ([`commit_item`]). Commitments add up, so items at different places
//! make up a shard whose commitment is the sum of theirs, and labels can be added in public: the label row of a place is
//! one row of the reference string's Lagrange basis ([`LabelBasis`]). A proof over such a sum says at how many of its places
//! the model ranks the wanted class first.
//!
//! An item is handed over by opening its commitment: pixels and seed ([`commit_item`] again). Where all items of a choice
//! open, their sum is what they open to, so a proof over m opened items that counts m says that each of them matches. That is
//! sound for any commitments.
//!
//! Over all items of a shard, most of which nobody opens, a proof counts the matching places of the *sum*. That is how many of
//! the items match if each commitment was made as [`commit_item`] makes it. It need not be: nothing shows that a commitment
//! holds nothing at other places, and an owner may choose the last one as a commitment to any shard it likes less the sum of
//! the others. Each of the others still opens, and the count is that of a shard of the owner's choice. So the count is
//! complete only for commitments made honestly. What would mend it: one commitment a shard, and items opened by a multi-point
//! opening of their rows in it.
//!
//! **Openings.** Every item has `s` salt rows of its own. What is seen of its column is its commitment and one value in
//! each proof over a choice it is in, summed with the others'. A linear relation among all these values would be one,
//! restricted to an item's salt, among at most `s` evaluations of it at different points; these are independent. So each
//! item may be in `s - 1` proofs ([`openings`]), and opening one item says nothing of the others, whose salts are
//! independent of its.

use crate::{
    commitment::{CommitError, Commitment, SaltedColumn, Seed},
    layout::Layout,
    network::{Network, Trace},
    srs::Srs,
    witness::{
        instance::{pixel_rows, ShardError},
        lanes::{Counts, Lanes},
    },
};
use halo2_proofs::{arithmetic::best_multiexp, arithmetic::Field};
use halo2curves::{
    bn256::{Fr, G1Affine, G1},
    group::{Curve, Group},
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rayon::prelude::*;
use thiserror::Error;

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

/// Items, places or classes that make up nothing.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CorpusError {
    /// No item.
    #[error("expected one item at least, found none")]
    Empty,
    /// A place the layout does not have.
    #[error("a shard has the places 0..{places}, found place {place}")]
    Place {
        /// The place.
        place: usize,
        /// Samples of the layout.
        places: usize,
    },
    /// Two items, or one twice, in one place.
    #[error("place {place} is taken twice; name every item once")]
    Doubled {
        /// The place.
        place: usize,
    },
    /// An image of another size.
    #[error("the item at place {place}: expected {expected} pixels, found {found}")]
    Pixels {
        /// Its place.
        place: usize,
        /// Pixels of the architecture's input.
        expected: usize,
        /// Pixels given.
        found: usize,
    },
    /// A class the network does not have.
    #[error("class {class} is not one of the {classes} classes")]
    Class {
        /// The class.
        class: u16,
        /// Classes of the architecture.
        classes: usize,
    },
    /// A commitment that is no point.
    #[error("the commitment at place {place} is not a point of BN254 G1")]
    NotAPoint {
        /// Its place.
        place: usize,
    },
    /// A reference string of another size.
    #[error("the circuit has 2^{expected} rows, the reference string 2^{found}; use one of the same size")]
    Srs {
        /// k of the layout.
        expected: u32,
        /// k of the string.
        found: u32,
    },
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
fn rows(layout: &Layout, item: &Item<'_>) -> Vec<(usize, Fr)> {
    let mut rng = ChaCha20Rng::from_seed(*item.seed.bytes());
    let salt = layout.data_salt();
    let salt = salt.map(|row| (row, Fr::random(&mut rng)));
    pixel_rows(layout, item.place, item.pixels)
        .chain(salt)
        .collect()
}

fn commit_rows(srs: &Srs, rows: &[(usize, Fr)]) -> G1 {
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

/// Some items of a shard with the label they are asked for, as one column. Secret but for its commitment.
pub struct Selection {
    /// Pixels by place; `None`: nothing there.
    images: Vec<Option<Vec<u8>>>,
    class: u16,
    column: SaltedColumn,
}

impl Selection {
    /// Puts the column together; `items` at places of their own.
    pub fn new(
        layout: &Layout,
        srs: &Srs,
        items: &[Item<'_>],
        class: u16,
    ) -> Result<Self, CorpusError> {
        check_srs(layout, srs)?;
        let places = layout.options().samples;
        check_places(items.iter().map(|item| item.place), places)?;
        check_class(class, layout.architecture().classes())?;
        let mut values = vec![Fr::zero(); layout.usable()];
        let mut images = vec![None; places];
        for item in items {
            check_item(layout, item)?;
            for (row, value) in rows(layout, item) {
                values[row] += value;
            }
            values[layout.score().summary(item.place)] = label(class);
            images[item.place] = Some(item.pixels.to_vec());
        }
        let rows: Vec<_> = values.iter().copied().enumerate().collect();
        let commitment = commit_rows(srs, &rows).to_affine().into();
        let salt_rows = layout.data_salt().len();
        Ok(Self {
            images,
            class,
            column: SaltedColumn::assembled(values, commitment, salt_rows),
        })
    }

    /// The column.
    pub fn column(&self) -> &SaltedColumn {
        &self.column
    }

    /// Phase 1 and the counts; where there is no item a blank image without a label.
    pub(crate) fn run(
        &self,
        layout: &Layout,
        network: &Network,
    ) -> Result<(Lanes, Counts), CommitError> {
        if network.architecture() != layout.architecture() {
            return Err(ShardError::OtherArchitecture.into());
        }
        let blank = vec![0; layout.architecture().input.cells()];
        let trace = |(index, image): (usize, &Option<Vec<u8>>)| {
            let pixels = image.as_ref().unwrap_or(&blank);
            network.run(pixels).map_err(|_| ShardError::Pixels {
                index,
                expected: blank.len(),
                found: pixels.len(),
            })
        };
        let traces: Vec<Trace> = (self.images.par_iter().enumerate())
            .map(trace)
            .collect::<Result<_, _>>()?;
        let labels: Vec<_> = (self.images.iter())
            .map(|image| image.as_ref().map(|_| self.class))
            .collect();
        Ok(Lanes::from_labels(layout, &labels, &traces))
    }
}

/// What stands on a label row.
fn label(class: u16) -> Fr {
    Fr::from(u64::from(class) + 1)
}

fn check_srs(layout: &Layout, srs: &Srs) -> Result<(), CorpusError> {
    let (expected, found) = (layout.options().k, srs.k());
    if expected == found {
        Ok(())
    } else {
        Err(CorpusError::Srs { expected, found })
    }
}

fn check_item(layout: &Layout, item: &Item<'_>) -> Result<(), CorpusError> {
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

fn check_places(
    found: impl ExactSizeIterator<Item = usize>,
    places: usize,
) -> Result<(), CorpusError> {
    if found.len() == 0 {
        return Err(CorpusError::Empty);
    }
    let mut taken = vec![false; places];
    for place in found {
        let seen = taken.get_mut(place);
        let seen = seen.ok_or(CorpusError::Place { place, places })?;
        if std::mem::replace(seen, true) {
            return Err(CorpusError::Doubled { place });
        }
    }
    Ok(())
}

fn check_class(class: u16, classes: usize) -> Result<(), CorpusError> {
    if usize::from(class) < classes {
        Ok(())
    } else {
        Err(CorpusError::Class { class, classes })
    }
}
