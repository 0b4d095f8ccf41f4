//! Places that are handed out by deadline, not by arrival.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use crate::lock::lock;

/// Some places, and who waits for one.
#[derive(Clone)]
pub struct Slots(Arc<Mutex<Waiting>>);

struct Waiting {
    free: usize,
    /// By deadline, and of the same one by arrival.
    queue: BTreeMap<(u64, u64), oneshot::Sender<Slot>>,
    arrived: u64,
    /// Since when there is a free one, while there is.
    free_since: Option<Instant>,
}

/// A place, free again when this is dropped.
pub struct Slot(Option<Slots>);

impl Slots {
    /// So many places, all of them free.
    pub fn new(free: usize) -> Self {
        Self(Arc::new(Mutex::new(Waiting {
            free,
            queue: BTreeMap::new(),
            arrived: 0,
            free_since: Some(Instant::now()),
        })))
    }

    /// Waits for a place. The nearest deadline (Unix seconds) gets the next one. Who goes away leaves its place to the next.
    pub async fn take(&self, deadline: u64) -> Slot {
        let turn = {
            let mut waiting = self.waiting();
            if waiting.free > 0 {
                waiting.free -= 1;
                if waiting.free == 0 {
                    waiting.free_since = None;
                }
                return Slot(Some(self.clone()));
            }
            let (sender, turn) = oneshot::channel();
            let place = (deadline, waiting.arrived);
            waiting.arrived += 1;
            waiting.queue.insert(place, sender);
            turn
        };
        match turn.await {
            Ok(slot) => slot,
            // The sender is kept until it is used.
            Err(_) => std::future::pending().await,
        }
    }

    /// For how long there has been a free place without a break; zero while there is none.
    pub fn free_for(&self) -> Duration {
        let since = self.waiting().free_since;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.0)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.0.take() else {
            return;
        };
        loop {
            let mut waiting = slots.waiting();
            let Some((_, next)) = waiting.queue.pop_first() else {
                waiting.free += 1;
                waiting.free_since.get_or_insert_with(Instant::now);
                return;
            };
            drop(waiting);
            match next.send(Self(Some(slots.clone()))) {
                Ok(()) => return,
                // Gone away.
                Err(mut slot) => slot.0 = None,
            }
        }
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

    #[tokio::test]
    async fn who_goes_away_takes_no_place_along() {
        let slots = Slots::new(1);
        assert!(slots.waiting().free_since.is_some());
        let first = slots.take(1).await;
        assert_eq!(slots.free_for(), Duration::ZERO);
        let mut waits = Box::pin(slots.take(2));
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err());
        // It is given the place, and does not look any more.
        drop(first);
        assert_eq!(slots.waiting().free, 0);
        drop(waits);
        assert_eq!(slots.waiting().free, 1);
        tokio::time::sleep(soon).await;
        assert!(slots.free_for() >= soon);
    }
}
