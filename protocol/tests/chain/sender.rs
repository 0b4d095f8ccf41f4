//! What can go wrong with a transaction between its signing and the depth at which it is believed.

mod depth;
mod fees;
mod journal;

use std::time::Duration;

use zknode_protocol::{
    agreement::State,
    chain::{fake::FakeChain, journal::Patience, sender::Sender, Call, Chain, ChainError, Order},
    value::{AgreementId, Amount},
};

use crate::scene::{fake, Scene};

/// Long enough for a pool that takes everything at once, short enough to run out of.
const SHORT: Patience = Patience {
    poll: Duration::from_millis(5),
    limit: Duration::from_millis(120),
    depth: 0,
};

fn accept(id: AgreementId) -> Call {
    let value = Amount(500);
    Call::Accept { id, value }
}

async fn nonce(scene: &Scene<FakeChain>) -> u64 {
    scene.seller.chain.next_nonce().await.unwrap()
}

/// A block every few milliseconds, as a chain makes them.
fn blocks(chain: &FakeChain) -> tokio::task::JoinHandle<()> {
    let chain = chain.clone();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(Duration::from_millis(10)).await;
            chain.advance(1);
        }
    })
}

/// The seller's acceptance is signed and saved, and never reaches a block; then the node dies.
async fn lost_acceptance(chain: &FakeChain, scene: &mut Scene<FakeChain>) -> AgreementId {
    let id = scene.open(8).await;
    chain.hold();
    let lost = scene.seller.execute("accept X", &accept(id), SHORT).await;
    assert!(matches!(lost, Err(ChainError::NotMined { .. })), "{lost:?}");
    chain.drop_pool();
    chain.release();
    scene.seller.restart();
    id
}

#[tokio::test]
async fn what_is_no_longer_wanted_does_not_block_the_account() {
    let (chain, mut scene) = fake().await;
    let first = nonce(&scene).await;
    let id = lost_acceptance(&chain, &mut scene).await;
    scene.buyer.run(Call::Cancel(id)).await.unwrap();

    let other = scene.open(9).await;
    let seller = &mut scene.seller;
    seller
        .execute("accept Y", &accept(other), SHORT)
        .await
        .unwrap();
    assert_eq!(scene.state(other).await, State::Previewed);
    assert_eq!(nonce(&scene).await, first + 2);

    // Asked for again, it is judged anew, and nothing is signed for it.
    let again = scene.seller.execute("accept X", &accept(id), SHORT).await;
    assert!(matches!(again, Err(ChainError::Revert { .. })), "{again:?}");
    assert_eq!(scene.seller.journal.entry("accept X"), None);
    assert_eq!(scene.seller.journal.pending().len(), 0);
}

/// All are in the pool before the first is waited for, and one that is refused holds up none.
#[tokio::test]
async fn what_is_sent_together_waits_together() {
    let (chain, mut scene) = fake().await;
    let [one, cancelled, two] = [
        scene.open(8).await,
        scene.open(8).await,
        scene.open(8).await,
    ];
    scene.buyer.run(Call::Cancel(cancelled)).await.unwrap();
    let calls: Vec<_> = [
        ("accept A", one),
        ("accept B", cancelled),
        ("accept C", two),
    ]
    .map(|(purpose, id)| Order {
        purpose: purpose.to_owned(),
        contract: scene.seller.chain.contracts().escrow,
        call: accept(id),
    })
    .into();
    let first = nonce(&scene).await;
    chain.hold();
    let party = &mut scene.seller;
    let mut sender = Sender::new(&party.chain, &mut party.journal, SHORT, |_| Ok(()));
    let outcomes = sender.execute_all(&calls).await.unwrap();
    assert!(
        matches!(outcomes[..], [Err(ChainError::NotMined { .. })]),
        "{outcomes:?}"
    );
    let nonces: Vec<_> = chain.pool().iter().map(|tx| tx.nonce).collect();
    assert_eq!(nonces, [first, first + 1]);

    // After a crash what was signed is seen through, and told of.
    scene.seller.restart();
    chain.release();
    let party = &mut scene.seller;
    let mut sender = Sender::new(&party.chain, &mut party.journal, SHORT, |_| Ok(()));
    let outcomes = sender.execute_all(&calls).await.unwrap();
    assert!(
        matches!(outcomes[..], [Ok(_), Err(ChainError::Revert { .. }), Ok(_)]),
        "{outcomes:?}"
    );
    for id in [one, two] {
        assert_eq!(scene.state(id).await, State::Previewed);
    }
    assert_eq!(nonce(&scene).await, first + 2);
    assert_eq!(scene.seller.journal.pending().len(), 0);
}

/// Far more blocks are undone than were asked for on top, and no pool has anything back: what was done is sent again, in its
/// order, before anything new.
#[tokio::test]
async fn a_reorganization_deeper_than_the_depth_is_made_good() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 2, ..SHORT };
    let ids = [
        scene.open(8).await,
        scene.open(8).await,
        scene.open(8).await,
    ];
    let [one, two, three] = ids;
    let before = chain.head().await.unwrap().number;
    let first = nonce(&scene).await;
    let ticks = blocks(&chain);
    for (purpose, id) in [("accept 1", one), ("accept 2", two)] {
        let done = scene.seller.execute(purpose, &accept(id), deep).await;
        assert!(done.unwrap().succeeded);
    }
    ticks.abort();
    let _ = ticks.await;
    scene.seller.restart();
    chain.hold();
    let undone = chain.head().await.unwrap().number - before;
    assert!(undone > deep.depth);
    chain.reorganize(undone as usize);
    chain.drop_pool();
    chain.release();
    assert_eq!(nonce(&scene).await, first);
    for id in [one, two] {
        assert_eq!(scene.state(id).await, State::Open);
    }

    let ticks = blocks(&chain);
    let done = scene.seller.execute("accept 3", &accept(three), deep).await;
    assert!(done.unwrap().succeeded);
    for id in ids {
        assert_eq!(scene.state(id).await, State::Previewed);
    }
    assert_eq!(nonce(&scene).await, first + 3);
    // Asked for again, they are done.
    for (purpose, id) in [("accept 1", one), ("accept 2", two)] {
        let again = scene.seller.execute(purpose, &accept(id), deep).await;
        assert!(again.unwrap().succeeded);
    }
    ticks.abort();
    assert_eq!(nonce(&scene).await, first + 3);
}

/// What did nothing is forgotten, and signed for anew: undone, it must not be done as well. Nothing takes its place.
#[tokio::test]
async fn what_did_nothing_and_is_undone_leaves_no_gap() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 2, ..SHORT };
    let id = lost_acceptance(&chain, &mut scene).await;
    let first = scene.seller.journal.entry("accept X").unwrap().nonce();
    scene.buyer.run(Call::Cancel(id)).await.unwrap();
    let other = scene.open(9).await;
    let before = chain.head().await.unwrap().number;
    let ticks = blocks(&chain);
    let withdrawn = scene.seller.execute("accept X", &accept(id), deep).await;
    assert!(
        matches!(withdrawn, Err(ChainError::Withdrawn { .. })),
        "{withdrawn:?}"
    );
    ticks.abort();
    let _ = ticks.await;
    chain.hold();
    let undone = chain.head().await.unwrap().number - before;
    assert!(undone > deep.depth);
    chain.reorganize(undone as usize);
    chain.drop_pool();
    chain.release();
    assert_eq!(Some(nonce(&scene).await), first);

    let ticks = blocks(&chain);
    let seller = &mut scene.seller;
    let done = seller.execute("accept Y", &accept(other), deep).await;
    ticks.abort();
    assert!(done.unwrap().succeeded);
    assert_eq!(scene.state(other).await, State::Previewed);
    assert_eq!(Some(nonce(&scene).await), first.map(|first| first + 2));
}

#[tokio::test]
async fn what_is_still_wanted_goes_first() {
    let (chain, mut scene) = fake().await;
    let id = lost_acceptance(&chain, &mut scene).await;
    let other = scene.open(9).await;
    let seller = &mut scene.seller;
    seller
        .execute("accept Y", &accept(other), SHORT)
        .await
        .unwrap();
    assert_eq!(scene.state(id).await, State::Previewed);
    assert_eq!(scene.state(other).await, State::Previewed);
}

/// The withdrawal and the original race: the original, which another server still had, is executed.
#[tokio::test]
async fn whichever_of_the_two_is_executed_decides() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 2, ..SHORT };
    let id = lost_acceptance(&chain, &mut scene).await;
    let original = scene.seller.journal.entry("accept X").unwrap().attempts[0].clone();
    scene.buyer.run(Call::Cancel(id)).await.unwrap();
    let other = scene.open(9).await;
    chain.hold();
    let seller = &mut scene.seller;
    let waits = seller.execute("accept Y", &accept(other), deep).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    let attempts = &seller.journal.entry("accept X").unwrap().attempts;
    assert!(attempts.len() == 2 && attempts[1].withdraws, "{attempts:?}");
    assert_eq!(attempts[0].tx.nonce, attempts[1].tx.nonce);

    // The cancellation is undone by a reorganization, and the original comes first.
    chain.drop_pool();
    chain.reorganize(3);
    chain.drop_pool();
    chain.return_to_pool(original.tx.clone());
    chain.release();
    assert_eq!(scene.state(id).await, State::Previewed);
    let blocks = blocks(&chain);
    let seller = &mut scene.seller;
    let receipt = seller.execute("accept X", &accept(id), deep).await.unwrap();
    assert_eq!(receipt.tx, original.tx.hash);
    let entry = seller.journal.entry("accept X").unwrap();
    assert_eq!(entry.mined, Some(original.tx.hash));
    blocks.abort();
}

#[tokio::test]
async fn a_withdrawal_is_believed_only_at_depth() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 4, ..SHORT };
    let id = lost_acceptance(&chain, &mut scene).await;
    scene.buyer.run(Call::Cancel(id)).await.unwrap();
    let shallow = scene.seller.execute("accept X", &accept(id), deep).await;
    assert!(
        matches!(shallow, Err(ChainError::NotDeep { depth: 4, .. })),
        "{shallow:?}"
    );
    assert!(scene.seller.journal.entry("accept X").is_some());
    let blocks = blocks(&chain);
    let withdrawn = scene.seller.execute("accept X", &accept(id), deep).await;
    blocks.abort();
    // Deep by now, or found deep at once: either way it is signed for anew, which the contract refuses.
    match withdrawn {
        Err(ChainError::Withdrawn { .. } | ChainError::Revert { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(scene.seller.journal.entry("accept X"), None);
}
