//! Looks at deliveries beside everything else: a large test set takes minutes to open, and deadlines do not wait for it.
//! Nothing of this is stored: after a crash a delivery is looked at again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anyhow::Context;
use zknode_protocol::value::{AgreementId, Hash};

use super::{inspect::Finding, slots::Slots};
use crate::lock::lock;

/// Deliveries that are opened at once; each is held in memory meanwhile.
const SLOTS: usize = 2;

/// A ciphertext that came for an agreement.
type Delivery = (AgreementId, Hash);

enum Look {
    UnderWay,
    Found(Finding),
    Failed(anyhow::Error),
}

/// The looks under way, and what those came to that may still be asked for.
pub struct Looks {
    slots: Slots,
    looks: Arc<Mutex<BTreeMap<Delivery, Look>>>,
}

impl Default for Looks {
    fn default() -> Self {
        Self {
            slots: Slots::new(SLOTS),
            looks: Arc::default(),
        }
    }
}

impl Looks {
    /// What a look at this delivery came to, kept until it is forgotten. `None` while it is under way: one is begun where
    /// there is none, and `done` is called at its end. Of those that wait, the nearest `deadline` (Unix seconds) is begun first.
    /// An error is trouble of this node, told once: asked again, it is looked at again.
    pub(super) fn ask(
        &self,
        delivery: Delivery,
        deadline: u64,
        look: impl FnOnce() -> anyhow::Result<Finding> + Send + 'static,
        done: impl FnOnce() + Send + 'static,
    ) -> Option<anyhow::Result<Finding>> {
        let mut looks = lock(&self.looks);
        if let Some(Look::Found(found)) = looks.get(&delivery) {
            return Some(Ok(found.clone()));
        }
        match looks.insert(delivery, Look::UnderWay) {
            Some(Look::Failed(error)) => {
                looks.remove(&delivery);
                return Some(Err(error));
            }
            Some(_) => return None,
            None => drop(looks),
        }
        let (slots, looks) = (self.slots.clone(), self.looks.clone());
        tokio::spawn(async move {
            let found = async {
                let _slot = slots.take(deadline).await;
                let looked = tokio::task::spawn_blocking(look).await;
                looked.context("the look at the delivery broke off")?
            };
            let found = found.await;
            // Unless it was forgotten meanwhile.
            if let Some(look) = lock(&looks).get_mut(&delivery) {
                *look = found.map_or_else(Look::Failed, Look::Found);
            }
            done();
        });
        None
    }

    /// Nobody asks any more: a receipt is stored, or the agreement is over.
    pub(super) fn forget(&self, agreement: AgreementId) {
        lock(&self.looks).retain(|(of, _), _| *of != agreement);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{channel, Sender};

    use tokio::sync::Notify;
    use zknode_protocol::value::Bytes;

    use super::*;

    fn delivery(number: u8) -> Delivery {
        (AgreementId(Bytes([number; 32])), Hash::ZERO)
    }

    struct Desk {
        looks: Looks,
        bell: Arc<Notify>,
    }

    impl Desk {
        fn ask(
            &self,
            number: u8,
            look: impl FnOnce() -> anyhow::Result<Finding> + Send + 'static,
        ) -> Option<anyhow::Result<Finding>> {
            let bell = self.bell.clone();
            self.looks
                .ask(delivery(number), 0, look, move || bell.notify_one())
        }

        /// A look that lasts until something is sent, or the sender dropped.
        fn ask_slow(&self, number: u8) -> (Sender<()>, bool) {
            let (sender, receiver) = channel::<()>();
            let found = self.ask(number, move || {
                let _ = receiver.recv();
                Ok(Finding::Good)
            });
            (sender, found.is_none())
        }
    }

    #[tokio::test]
    async fn a_slow_look_holds_up_nobody_and_is_kept_until_it_is_forgotten() -> anyhow::Result<()> {
        let desk = Desk {
            looks: Looks::default(),
            bell: Arc::default(),
        };
        let (slow, asked) = desk.ask_slow(1);
        assert!(asked);
        let quick = || desk.ask(2, || Ok(Finding::Bad("no".into())));
        assert!(quick().is_none());
        desk.bell.notified().await;
        assert_eq!(quick().transpose()?, Some(Finding::Bad("no".into())));
        // Asked while it goes on, it is not begun again.
        let again = || desk.ask(1, || anyhow::bail!("a second look"));
        assert!(again().is_none());
        drop(slow);
        desk.bell.notified().await;
        // Whoever could not make use of it is told again.
        for _ in 0..2 {
            assert_eq!(again().transpose()?, Some(Finding::Good));
        }
        desk.looks.forget(delivery(1).0);
        // Trouble is told, and then it is looked at once more.
        assert!(again().is_none());
        desk.bell.notified().await;
        assert!(again().is_some_and(|found| found.is_err()));
        let (good, asked) = desk.ask_slow(1);
        assert!(asked);
        // What nobody wants to know any more is not kept.
        desk.looks.forget(delivery(1).0);
        drop(good);
        desk.bell.notified().await;
        desk.looks.forget(delivery(2).0);
        assert!(lock(&desk.looks.looks).is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn not_more_than_two_are_opened_at_once() -> anyhow::Result<()> {
        let desk = Desk {
            looks: Looks::default(),
            bell: Arc::default(),
        };
        let (one, _) = desk.ask_slow(1);
        let (_two, _) = desk.ask_slow(2);
        let third = || desk.ask(3, || Ok(Finding::Good));
        assert!(third().is_none());
        let soon = std::time::Duration::from_millis(50);
        let waits = tokio::time::timeout(soon, desk.bell.notified()).await;
        assert!(waits.is_err());
        drop(one);
        desk.bell.notified().await;
        desk.bell.notified().await;
        assert_eq!(third().transpose()?, Some(Finding::Good));
        Ok(())
    }
}
