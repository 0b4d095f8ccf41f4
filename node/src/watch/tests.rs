#![allow(clippy::unwrap_used)]

use std::fmt;

use zknode_protocol::{
    chain::{fake::FakeChain, journal::Patience},
    value::{Amount, Bytes},
};

use super::*;
use crate::wallet::tests::{Scene, BUYER, PATIENCE, SELLER};

/// An agreement of which the chain had not heard when its block was searched.
#[tokio::test]
async fn blocks_are_searched_again_after_a_reorganization() {
    let scene = Scene::new(false).await;
    let deep = Patience {
        depth: 3,
        ..PATIENCE
    };
    let wallet = scene.patient(SELLER, deep);
    let mut watcher: Watcher<_, AgreementId> = Watcher::new(wallet, &[], None).await.unwrap();
    let (fake, buyer) = (&scene.fake, scene.wallet(BUYER));
    buyer
        .allow(scene.terms(9).token, Amount(9), "open")
        .await
        .unwrap();
    fake.hold();
    let open = Call::Open(scene.terms(9));
    assert!(buyer.execute("open", &open).await.is_err());
    let waiting = fake.pool();
    fake.drop_pool();
    fake.advance(1);
    fake.advance(1);
    fake.release();
    watcher.round().await.unwrap();
    assert!(watcher.watched.is_empty());
    assert_eq!(waiting.len(), 1);
    fake.return_to_pool(waiting[0].clone());
    fake.reorganize(2);
    watcher.round().await.unwrap();
    assert_eq!(watcher.watched.len(), 1);
}

/// The first cannot be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fragile(u8);

impl fmt::Display for Fragile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Watched<FakeChain> for Fragile {
    const NAME: &'static str = "fragile";
    type State = u8;

    fn named(id: Hash) -> Self {
        Self(id.0[0])
    }

    fn opened(_: &ChainEvent) -> Option<Self> {
        None
    }

    async fn stands(self, chain: &FakeChain, _: u64) -> Result<Option<Standing<u8>>, ChainError> {
        if self.0 == 1 {
            return Err(ChainError::NoCode {
                address: chain.contracts().escrow,
            });
        }
        Ok(Some(Standing {
            state: self.0,
            is_over: false,
            deadline: 0,
            last_block: None,
        }))
    }

    fn expire(self) -> Call {
        Call::Nothing
    }
}

#[tokio::test]
async fn one_that_cannot_be_looked_at_holds_up_no_other() {
    let scene = Scene::new(false).await;
    let named = [1, 2, 3].map(|byte| Bytes([byte; 32]));
    let wallet = scene.wallet(SELLER);
    let mut watcher: Watcher<_, Fragile> = Watcher::new(wallet, &named, None).await.unwrap();
    let ended = watcher.round().await.unwrap();
    let ended: Vec<_> = ended
        .into_iter()
        .map(|(id, end)| (id.0, end.ok()))
        .collect();
    assert_eq!(ended, [(1, None), (2, Some(2)), (3, Some(3))]);
}
