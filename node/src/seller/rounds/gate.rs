//! How much is inferred at once, however many ask.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use zknode_protocol::round::RoundId;

use crate::seller::turn::{self, Turns};

/// Batches inferred at once, of all rounds.
const SLOTS: usize = 2;

/// Lets one request of a round in at a time, and of all rounds [`SLOTS`].
pub struct Gate {
    slots: Arc<Semaphore>,
    turns: Turns<RoundId>,
}

/// A round's place, free again when this is dropped.
pub struct Turn {
    slots: Arc<Semaphore>,
    _turn: turn::Turn<RoundId>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(SLOTS)),
            turns: Turns::default(),
        }
    }
}

impl Gate {
    /// The turn of this round; `None` while another request has it.
    pub fn turn(&self, round: RoundId) -> Option<Turn> {
        self.turns.turn(round).map(|turn| Turn {
            slots: self.slots.clone(),
            _turn: turn,
        })
    }
}

impl Turn {
    /// Waits until few enough others are at work.
    pub async fn slot(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.slots.clone().acquire_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zknode_protocol::value::Bytes;

    #[tokio::test]
    async fn one_of_a_round_and_few_of_all() -> anyhow::Result<()> {
        let gate = Gate::default();
        let round = |number| RoundId(Bytes([number; 32]));
        let turns: Vec<_> = (0..3)
            .filter_map(|number| gate.turn(round(number)))
            .collect();
        let [first, second, third] = &turns[..] else {
            anyhow::bail!("{} turns", turns.len());
        };
        assert!(gate.turn(round(2)).is_none(), "a second one of a round");
        let (one, _two) = (first.slot().await?, second.slot().await?);
        let mut waits = Box::pin(third.slot());
        let soon = std::time::Duration::from_millis(10);
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err());
        drop(one);
        drop(waits.await?);
        drop(turns);
        assert!(gate.turn(round(2)).is_some(), "free again");
        Ok(())
    }
}
