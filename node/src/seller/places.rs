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

use super::{
    slots::{Slot, Slots},
    turn::{Turn, Turns},
};
use crate::lock::lock;

/// Longest wait for a place: strangers that ask for much take turns with those that have a right to an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait of a delivery, by arrival: each agreement waits once only, and what is at work makes way in time
/// ([`super::receive`]).
const DELIVERY_PATIENCE: Duration = Duration::from_secs(60);
/// How long it is remembered that there was no place for a delivery: a buyer asks again within [`ASKS_AGAIN`], and then
/// waits no longer than [`DELIVERY_PATIENCE`].
const REMEMBERED: Duration = Duration::from_secs(120);
/// Within which time a buyer that was turned away, or found nobody here, has asked again.
pub(super) const ASKS_AGAIN: Duration = Duration::from_secs(60);
/// Bytes of manifests in memory, all together: of strangers, too, who need know nothing to send one.
const MANIFESTS: usize = 64 << 20;

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
    /// By all together, in bytes.
    #[error(
        "this node holds {most} bytes of manifests, and takes no more at once; ask again later"
    )]
    Manifests {
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
    deliveries: Slots,
    manifests: Room,
    turns: Turns<AgreementId>,
    turned_away: Mutex<TurnedAway>,
    /// Since when the chain has answered whatever was asked, if it does.
    answering: Mutex<Option<Instant>>,
}

/// Whom there was no place for.
#[derive(Default)]
struct TurnedAway {
    /// When last, and how many were before it.
    last: BTreeMap<AgreementId, (Instant, u64)>,
    count: u64,
}

/// The place of a delivery that comes in.
pub struct DeliveryPlace {
    _turn: Turn<AgreementId>,
    _place: Slot,
}

/// Room for so many bytes, all together.
#[derive(Clone)]
pub struct Room {
    most: usize,
    left: Arc<Semaphore>,
}

impl Room {
    /// So many bytes.
    pub fn new(most: usize) -> Self {
        let most = most.min(Semaphore::MAX_PERMITS);
        let left = Arc::new(Semaphore::new(most));
        Self { most, left }
    }

    /// Room for more, kept together with what is `held`. Whoever finds none does not wait: those that have some may wait for
    /// each other.
    pub fn grow(&self, held: &mut Option<OwnedSemaphorePermit>, bytes: usize) -> Result<(), Busy> {
        let busy = Busy::Manifests { most: self.most };
        let bytes = u32::try_from(bytes).map_err(|_| busy)?;
        let more = self.left.clone().try_acquire_many_owned(bytes);
        let more = more.map_err(|_| busy)?;
        match held {
            Some(held) => held.merge(more),
            None => *held = Some(more),
        }
        Ok(())
    }
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
            deliveries: Slots::new(most),
            manifests: Room::new(MANIFESTS),
            turns: Turns::default(),
            turned_away: Mutex::default(),
            answering: Mutex::default(),
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
    /// no stranger takes it and then sends nothing. Who was turned away goes before those that were not, in that order.
    pub async fn delivery(&self, id: AgreementId) -> Result<DeliveryPlace, Busy> {
        let turn = self.turns.turn(id).ok_or(Busy::OnItsWay(id))?;
        let before = lock(&self.turned_away).last.get(&id).copied();
        let before = before.map_or(u64::MAX, |(_, before)| before);
        let place = timeout(self.delivery_patience, self.deliveries.take(before)).await;
        let Ok(place) = place else {
            self.turn_away(id);
            return Err(Busy::Full { most: self.most });
        };
        // From here on it is the buyer's to bring it.
        lock(&self.turned_away).last.remove(&id);
        Ok(DeliveryPlace {
            _place: place,
            _turn: turn,
        })
    }

    /// Room for manifests, those of strangers too.
    pub fn manifests(&self) -> Room {
        self.manifests.clone()
    }

    /// A delivery cannot be taken now, which is this node's trouble, and not the buyer's fault.
    pub fn turn_away(&self, id: AgreementId) {
        let mut turned_away = lock(&self.turned_away);
        let TurnedAway { last, count } = &mut *turned_away;
        let now = Instant::now();
        last.retain(|_, (at, _)| now.duration_since(*at) < REMEMBERED);
        let (at, _) = last.entry(id).or_insert((now, *count));
        *at = now;
        *count += 1;
    }

    /// Notes whether the chain answered what was asked of it.
    pub fn chain_answers(&self, answers: bool) {
        let mut since = lock(&self.answering);
        *since = answers.then(|| since.unwrap_or_else(Instant::now));
    }

    /// For how long the buyer of this agreement, had it tried, could have delivered: since the chain answers, which nothing
    /// is looked up without; and where it was turned away a short while ago, only since then, and while a place is free. Not
    /// stored: after a restart it begins anew.
    pub fn open_for(&self, id: AgreementId) -> Duration {
        let answering = *lock(&self.answering);
        let open = answering.map_or(Duration::ZERO, |since| since.elapsed());
        let away = lock(&self.turned_away).last.get(&id).copied();
        match away.map(|(at, _)| at.elapsed()) {
            Some(away) if away < REMEMBERED => open.min(away).min(self.deliveries.free_for()),
            _ => open,
        }
    }

    /// As if the chain had answered for so long.
    #[cfg(test)]
    pub(super) fn has_answered_for(&self, time: Duration) {
        *lock(&self.answering) = Instant::now().checked_sub(time);
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
        let _other = places.delivery(agreement(2)).await.unwrap();
        let third = places.delivery(agreement(3)).await;
        assert_eq!(third.err(), Some(Busy::Full { most: 2 }));
        drop(one);
        assert!(places.delivery(agreement(3)).await.is_ok());
        assert!(places.delivery(agreement(1)).await.is_ok());
    }

    const SOON: Duration = Duration::from_millis(50);

    async fn pause() {
        tokio::time::sleep(SOON).await;
    }

    #[tokio::test]
    async fn who_was_turned_away_is_excused_while_no_place_is_free() {
        let places = places(1);
        places.chain_answers(true);
        let held = places.delivery(agreement(1)).await.unwrap();
        assert!(places.delivery(agreement(2)).await.is_err());
        pause().await;
        assert_eq!(places.open_for(agreement(2)), Duration::ZERO);
        // That others find no place is no excuse for one that does not ask, nor for one that has a place.
        let never_asked = places.open_for(agreement(3));
        assert!(never_asked > places.delivery_patience);
        assert!(places.delivery(agreement(1)).await.is_err());
        assert!(places.open_for(agreement(1)) > never_asked);
        // A place is free, and it does not come.
        drop(held);
        pause().await;
        let open = places.open_for(agreement(2));
        assert!(open >= SOON && open < never_asked, "{open:?}");
        // Once it had a place, it has no excuse.
        drop(places.delivery(agreement(2)).await.unwrap());
        assert!(places.open_for(agreement(2)) > never_asked);
    }

    #[tokio::test]
    async fn who_was_turned_away_goes_first() {
        let places = Arc::new(places(1));
        let held = places.delivery(agreement(1)).await.unwrap();
        for number in [2, 3] {
            assert!(places.delivery(agreement(number)).await.is_err());
        }
        let (sender, mut order) = tokio::sync::mpsc::unbounded_channel();
        for number in [4, 3, 2] {
            let (places, sender) = (places.clone(), sender.clone());
            tokio::spawn(async move {
                let _place = places.delivery(agreement(number)).await.unwrap();
                sender.send(number)
            });
            tokio::time::sleep(SOON / 5).await;
        }
        drop(held);
        let mut served = vec![];
        while served.len() < 3 {
            served.extend(order.recv().await);
        }
        assert_eq!(served, [2, 3, 4]);
    }

    #[tokio::test]
    async fn nobody_could_deliver_while_the_chain_does_not_answer() {
        let places = places(1);
        assert_eq!(places.open_for(agreement(1)), Duration::ZERO);
        places.chain_answers(true);
        pause().await;
        places.chain_answers(true);
        assert!(places.open_for(agreement(1)) >= SOON);
        places.chain_answers(false);
        assert_eq!(places.open_for(agreement(1)), Duration::ZERO);
        places.chain_answers(true);
        assert!(places.open_for(agreement(1)) < SOON);
    }

    #[test]
    fn manifests_have_so_much_room_together() {
        let room = Room::new(10);
        let (mut one, mut other) = (None, None);
        for bytes in [3, 3] {
            room.grow(&mut one, bytes).unwrap();
        }
        let busy = Err(Busy::Manifests { most: 10 });
        assert_eq!(room.grow(&mut other, 5), busy);
        room.grow(&mut other, 4).unwrap();
        drop(one);
        room.grow(&mut other, 6).unwrap();
        assert_eq!(room.grow(&mut other, 1), busy);
    }
}
