//! A corpus committed item by item, and what can then be proven of any choice of its items.
//!
//! An item has a place, which is that of a sample in a shard, and a commitment of its own: to a data column that holds
//! its pixels there, nothing else and its own salt ([`commit_item`]). Commitments add up, so items at different places
//! make up a shard whose commitment is the sum of theirs, and labels can be added in public: the label row of a place is
//! one row of the reference string's Lagrange basis ([`LabelBasis`]). A proof over such a sum says at how many of its places
//! the model ranks the wanted class first.
//!
//! An item is handed over by opening its commitment: pixels and seed ([`commit_item`] again). Where all items of a choice
//! open, their sum is what they open to, so a proof over m opened items that counts m says that each of them matches.
//!
//! Over all items of a shard, most of which nobody opens, a proof counts the matching places of the *sum*. An owner could
//! choose the last commitment as one to any shard it likes less the sum of the others: each of the others would still open,
//! and the count be that of a shard of the owner's choice. So a corpus is published with a proof that its items stand
//! [`apart`]: that each commitment is zero wherever its item has no pixels and no salt. Then what stands in the sum on an
//! item's rows is what its own commitment holds there, whoever made it: whatever the item opens to, if it opens to anything,
//! is what was counted. All rows of the column are covered: pixels of its own place are the item's, those of other places,
//! taken or not, label rows, padding and the rows after the last usable one are zero, and salt enters no result. Labels are
//! added after that, in public, on rows where nothing stands. So the count of a shard is that of the items that match, and
//! who is handed as many opened items as match has all of them.
//!
//! What is on an item's rows need not be an image: a commitment to something else counts as that, matching or not, and can
//! never be handed over. It is no item that could be hidden.
//!
//! **Openings.** Every item has `s` salt rows of its own. What is seen of its column is its commitment and one value in
//! each proof over a choice it is in, summed with the others'. A linear relation among all these values would be one,
//! restricted to an item's salt, among at most `s` evaluations of it at different points; these are independent. So each
//! item may be in `s - 1` proofs ([`openings`]), and opening one item says nothing of the others, whose salts are
//! independent of its.

pub mod apart;
mod items;
mod selection;

pub use items::{commit_item, openings, Item, LabelBasis};
pub use selection::Selection;

use crate::{layout::Layout, srs::Srs};
use thiserror::Error;

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

fn check_srs(layout: &Layout, srs: &Srs) -> Result<(), CorpusError> {
    let (expected, found) = (layout.options().k, srs.k());
    if expected == found {
        Ok(())
    } else {
        Err(CorpusError::Srs { expected, found })
    }
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
