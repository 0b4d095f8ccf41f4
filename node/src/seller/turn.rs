//! One at a time of each: of a round the batches, of an agreement the deliveries.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use crate::lock::lock;

/// Whose turn it is now.
pub struct Turns<K>(Arc<Mutex<BTreeSet<K>>>);

/// The turn of one, over when this is dropped.
pub struct Turn<K: Ord> {
    whose: K,
    turns: Arc<Mutex<BTreeSet<K>>>,
}

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Ord + Clone> Turns<K> {
    /// The turn of this one; `None` while it has it already.
    pub fn turn(&self, whose: K) -> Option<Turn<K>> {
        let first = lock(&self.0).insert(whose.clone());
        first.then(|| Turn {
            whose,
            turns: self.0.clone(),
        })
    }
}

impl<K: Ord> Drop for Turn<K> {
    fn drop(&mut self) {
        lock(&self.turns).remove(&self.whose);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_of_each() {
        let turns = Turns::default();
        let one = turns.turn(1);
        assert!(one.is_some() && turns.turn(2).is_some());
        assert!(turns.turn(1).is_none(), "a second one of the same");
        drop(one);
        assert!(turns.turn(1).is_some(), "free again");
    }
}
