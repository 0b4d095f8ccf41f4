//! How much is inferred at once, however many ask.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use zknode_protocol::round::RoundId;

/// Batches inferred at once, of all rounds.
const SLOTS: usize = 2;

/// Lets one request of a round in at a time, and of all rounds [`SLOTS`].
pub struct Gate {
    slots: Arc<Semaphore>,
    busy: Arc<Busy>,
}

#[derive(Default)]
struct Busy(Mutex<BTreeSet<RoundId>>);

impl Busy {
    fn rounds(&self) -> MutexGuard<'_, BTreeSet<RoundId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A round's place, free again when this is dropped.
pub struct Turn {
    busy: Arc<Busy>,
    slots: Arc<Semaphore>,
    round: RoundId,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(SLOTS)),
            busy: Arc::default(),
        }
    }
}

impl Gate {
    /// The turn of this round; `None` while another request has it.
    pub fn turn(&self, round: RoundId) -> Option<Turn> {
        let first = self.busy.rounds().insert(round);
        first.then(|| Turn {
            busy: self.busy.clone(),
            slots: self.slots.clone(),
            round,
        })
    }
}

impl Turn {
    /// Waits until few enough others are at work.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.slots.clone().acquire_owned().await
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.busy.rounds().remove(&self.round);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zknode_protocol::value::Bytes;

    #[tokio::test]
    async fn one_of_a_round_and_few_of_all() -> anyhow::Result<()> {
        let gate = Gate::default();
        let turns: Vec<_> = (0..3)
            .filter_map(|round| gate.turn(RoundId(Bytes([round; 32]))))
            .collect();
        let [first, second, third] = &turns[..] else {
            anyhow::bail!("{} turns", turns.len());
        };
        assert!(gate.turn(third.round).is_none(), "a second one of a round");
        let (one, _two) = (first.slot().await?, second.slot().await?);
        let mut waits = Box::pin(third.slot());
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err());
        drop(one);
        drop(waits.await?);
        let round = third.round;
        drop(turns);
        assert!(gate.turn(round).is_some(), "free again");
        Ok(())
    }
}
