//! Places that are handed out by deadline, not by arrival.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::sync::oneshot;

use crate::lock::lock;

/// Some places, and who waits for one.
#[derive(Clone)]
pub struct Slots(Arc<Mutex<Waiting>>);

struct Waiting {
    free: usize,
    /// By deadline, and of the same one by arrival.
    queue: BTreeMap<(u64, u64), oneshot::Sender<()>>,
    arrived: u64,
}

/// A place, free again when this is dropped.
pub struct Slot(Slots);

impl Slots {
    /// So many places, all of them free.
    pub fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            free,
            queue: BTreeMap::new(),
            arrived: 0,
        })))
    }

    /// Waits for a place. The nearest deadline (Unix seconds) gets the next one. To be waited for to the end: who goes away
    /// in the moment in which it is given a place takes it along.
    pub async fn take(&self, deadline: u64) -> Slot {
        let turn = {
            let mut waiting = self.waiting();
            if waiting.free > 0 {
                waiting.free -= 1;
                None
            } else {
                let (sender, turn) = oneshot::channel();
                let place = (deadline, waiting.arrived);
                waiting.arrived += 1;
                waiting.queue.insert(place, sender);
                Some(turn)
            }
        };
        if let Some(turn) = turn {
            // The sender is kept until it is used.
            let _ = turn.await;
        }
        Slot(self.clone())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut waiting = self.0.waiting();
        while let Some((_, next)) = waiting.queue.pop_first() {
            if next.send(()).is_ok() {
                return;
            }
        }
        waiting.free += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_nearest_deadline_gets_the_next_place() -> anyhow::Result<()> {
        let slots = Slots::new(1);
        let first = slots.take(900).await;
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for deadline in [300, 100, 200, 100] {
            let (slots, sender) = (slots.clone(), sender.clone());
            tokio::spawn(async move {
                let _slot = slots.take(deadline).await;
                sender.send(deadline)
            });
        }
        // One that does not wait any more is passed over.
        let gone = tokio::spawn({
            let slots = slots.clone();
            async move { drop(slots.take(50).await) }
        });
        while slots.waiting().queue.len() < 5 {
            tokio::task::yield_now().await;
        }
        gone.abort();
        assert!(gone.await.is_err());
        drop(first);
        let mut served = vec![];
        while served.len() < 4 {
            served.extend(order.recv().await);
        }
        assert_eq!(served, [100, 100, 200, 300]);
        while slots.waiting().free == 0 {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
