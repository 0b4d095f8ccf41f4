//! Items of a shard put together: what the prover works on.

use super::{
    check_class, check_places, check_srs,
    items::{check_item, commit_rows, label, rows},
    CorpusError, Item,
};
use crate::{
    commitment::{CommitError, SaltedColumn},
    layout::Layout,
    network::{Network, Trace},
    srs::Srs,
    witness::{
        instance::ShardError,
        lanes::{Counts, Lanes},
    },
};
use halo2curves::{bn256::Fr, group::Curve};
use rayon::prelude::*;

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
