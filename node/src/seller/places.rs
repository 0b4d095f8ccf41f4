//! How many requests are at work at once, of each kind that costs this node something; and whom it had no place for.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{timeout, Instant},
};
use zknode_protocol::value::AgreementId;

use super::turn::{Turn, Turns};
use crate::lock::lock;

/// Longest wait for a place: strangers that ask for much take turns with those that have a right to an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait of a delivery, by arrival: each agreement waits once only, and what is at work makes way in time
/// ([`super::receive`]).
const DELIVERY_PATIENCE: Duration = Duration::from_secs(60);
/// How long it is remembered that there was no place for a delivery. A buyer asks again far sooner.
const REMEMBERED: Duration = Duration::from_secs(600);

/// Too much is asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Busy {
    /// By all together.
    #[error(
        "this node has {most} requests of this kind at work, and others wait; ask again later"
    )]
    Full {
        /// At once.
        most: usize,
    },
    /// By the buyer of one agreement.
    #[error("a delivery of agreement {0} is on its way already; ask again when it has come, or has broken off")]
    OnItsWay(AgreementId),
}

/// Places for requests that cost time, disk, or a call to the chain.
pub struct Places {
    most: usize,
    pub(super) patience: Duration,
    pub(super) delivery_patience: Duration,
    proofs: Arc<Semaphore>,
    looks: Arc<Semaphore>,
    deliveries: Arc<Semaphore>,
    turns: Turns<AgreementId>,
    turned_away: Mutex<BTreeMap<AgreementId, Instant>>,
}

/// The place of a delivery that comes in.
pub struct DeliveryPlace {
    _turn: Turn<AgreementId>,
    _place: OwnedSemaphorePermit,
}

impl Places {
    /// `most` of each kind at once, at least one.
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let places = || Arc::new(Semaphore::new(most));
        Self {
            most,
            patience: PATIENCE,
            delivery_patience: DELIVERY_PATIENCE,
            proofs: places(),
            looks: places(),
            deliveries: places(),
            turns: Turns::default(),
            turned_away: Mutex::default(),
        }
    }

    /// A place for who asks for a proof, to be kept while it is looked up: anybody may ask.
    pub async fn proof(&self) -> Result<OwnedSemaphorePermit, Busy> {
        self.place(&self.proofs, self.patience).await
    }

    /// A place for one look at the chain on behalf of a request.
    pub async fn chain(&self) -> Result<OwnedSemaphorePermit, Busy> {
        self.place(&self.looks, self.patience).await
    }

    /// A place for a delivery that comes in, one an agreement. To be asked for once the manifest is found right, so that
    /// no stranger takes it and then sends nothing.
    pub async fn delivery(&self, id: AgreementId) -> Result<DeliveryPlace, Busy> {
        let turn = self.turns.turn(id).ok_or(Busy::OnItsWay(id))?;
        let place = self.place(&self.deliveries, self.delivery_patience).await;
        if place.is_err() {
            self.turn_away(id);
        } else {
            // From here on it is the buyer's to bring it.
            lock(&self.turned_away).remove(&id);
        }
        Ok(DeliveryPlace {
            _place: place?,
            _turn: turn,
        })
    }

    /// A delivery cannot be taken now, which is this node's trouble, and not the buyer's fault.
    pub fn turn_away(&self, id: AgreementId) {
        let (mut turned_away, now) = (lock(&self.turned_away), Instant::now());
        turned_away.retain(|_, at| now.duration_since(*at) < REMEMBERED);
        turned_away.insert(id, now);
    }

    /// Whether the last delivery was turned away, a short while ago. Not stored: after a restart all places are free.
    pub fn was_turned_away(&self, id: AgreementId) -> bool {
        let at = lock(&self.turned_away).get(&id).copied();
        at.is_some_and(|at| at.elapsed() < REMEMBERED)
    }

    async fn place(
        &self,
        places: &Arc<Semaphore>,
        patience: Duration,
    ) -> Result<OwnedSemaphorePermit, Busy> {
        let place = timeout(patience, places.clone().acquire_owned()).await;
        let busy = Busy::Full { most: self.most };
        place.map_err(|_| busy)?.map_err(|_| busy)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use zknode_protocol::value::Bytes;

    use super::*;

    fn places(most: usize) -> Places {
        let mut places = Places::new(most);
        places.patience = Duration::from_millis(200);
        places.delivery_patience = places.patience;
        places
    }

    fn agreement(number: u8) -> AgreementId {
        AgreementId(Bytes([number; 32]))
    }

    #[tokio::test]
    async fn who_finds_no_place_for_too_long_is_told() {
        let places = places(2);
        let mut held = vec![places.proof().await, places.proof().await];
        assert_eq!(places.proof().await.err(), Some(Busy::Full { most: 2 }));
        // The other kinds are not concerned.
        let others = (places.delivery(agreement(1)).await, places.chain().await);
        assert!(others.0.is_ok() && others.1.is_ok());
        let (waiting, ()) = tokio::join!(places.proof(), async { drop(held.pop()) });
        assert!(waiting.is_ok());
    }

    #[tokio::test]
    async fn an_agreement_takes_one_place_whatever_its_buyer_sends() {
        let places = places(2);
        let one = places.delivery(agreement(1)).await.unwrap();
        let second = places.delivery(agreement(1)).await;
        assert_eq!(second.err(), Some(Busy::OnItsWay(agreement(1))));
        // That is the buyer's own doing.
        assert!(!places.was_turned_away(agreement(1)));
        let _other = places.delivery(agreement(2)).await.unwrap();
        let third = places.delivery(agreement(3)).await;
        assert_eq!(third.err(), Some(Busy::Full { most: 2 }));
        assert!(places.was_turned_away(agreement(3)));
        drop(one);
        assert!(places.delivery(agreement(3)).await.is_ok());
        assert!(!places.was_turned_away(agreement(3)));
        assert!(places.delivery(agreement(1)).await.is_ok());
    }
}
