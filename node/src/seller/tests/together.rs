//! Transactions that are owed together.

use std::time::Duration;

use zknode_protocol::{
    agreement::{Mode, State, Terms},
    chain::{Call, Chain},
    value::{AgreementId, Amount, Bytes},
};

use super::{
    scene::{Scene, TestSet, NOW},
    work,
};
use crate::delivery::Part;

/// As long as a seller must have been there.
const LONG: Duration = Duration::from_secs(300);

/// Agreements of which nothing is delivered, though the buyer says so of all at once, more than go out together.
#[tokio::test(flavor = "multi_thread")]
async fn many_silent_agreements_are_all_denied() {
    const MANY: u8 = 20;
    let scene = Scene::deep(2).await;
    let terms = |root: u8| Terms {
        buyer_bond: Amount(21),
        preview_fee: Amount(20),
        accept_by: NOW + 5_000,
        preview_by: NOW + 5_001,
        response_time: 300,
        prove_time: 1_000,
        claim_by: NOW + 20_000,
        ..scene.terms(Bytes([root; 32]), NOW + 9_000)
    };
    let mut ids: Vec<AgreementId> = vec![];
    for root in 1..=MANY {
        ids.push(scene.open(terms(root)).await);
    }
    let (fake, head) = (scene.fake.clone(), scene.seller.wallet.chain().clone());
    let blocks = move || {
        let fake = fake.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(40)).await;
                fake.advance(12);
            }
        })
    };
    let ticking = blocks();
    scene.turn().await;
    ticking.abort();
    for id in &ids {
        assert_eq!(scene.state(*id).await, State::Previewed);
    }
    let now = head.head().await.unwrap().time;
    scene.fake.advance(NOW + 8_950 - now);
    for id in ids.iter().copied() {
        let ciphertext = Bytes([1; 32]);
        scene.send(Call::Send { id, ciphertext }).await;
    }
    // It was here all the while, and its chain was.
    scene.seller.places.has_answered_for(LONG);
    let ticking = blocks();
    let all = async {
        for id in &ids {
            scene.until(*id, State::Denied).await;
        }
    };
    let denied = tokio::time::timeout(Duration::from_secs(30), all).await;
    ticking.abort();
    assert!(denied.is_ok(), "some were not denied in time");
}

/// The prover waits for no block: what it made, eager proofs and claims, goes out together beside it.
#[tokio::test(flavor = "multi_thread")]
async fn the_prover_sends_nothing() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let terms = |mode, claim_by| Terms {
        mode,
        claim_by: NOW + claim_by,
        window: if mode == Mode::Eager { 0 } else { 100 },
        prove_time: if mode == Mode::Eager { 0 } else { 100 },
        ..scene.terms(set.root, NOW + claim_by / 2)
    };
    let eager = scene.open(terms(Mode::Eager, 4_000)).await;
    let claimed = scene.open(terms(Mode::Optimistic, 3_000)).await;
    scene.turn().await;
    let (sealed, manifest) = set.seal(seller, eager);
    for id in [eager, claimed] {
        std::fs::write(seller.home.received(id, Part::Rest), &sealed).unwrap();
        let mut manifest = manifest.clone();
        manifest.agreement = id;
        let noted = seller.change(id, |deal| deal.manifest = Some(manifest));
        noted.unwrap();
        scene.until(id, State::Delivered).await;
    }
    let chain = seller.wallet.chain();
    let sent = chain.next_nonce().await.unwrap();
    let mut proofs = 0;
    while work::next(seller).await.unwrap() {
        proofs += 1;
    }
    assert_eq!((proofs, chain.next_nonce().await.unwrap()), (2, sent));
    for id in [eager, claimed] {
        assert_eq!(scene.state(id).await, State::Delivered);
    }
    work::bring_proofs(seller).await.unwrap();
    assert_eq!(chain.next_nonce().await.unwrap(), sent + 2);
    assert_eq!(scene.state(eager).await, State::Settled);
    assert_eq!(scene.state(claimed).await, State::Claimed);
    // The nearer deadline first.
    let first = chain.count_at(chain.head().await.unwrap().number - 1);
    assert_eq!(first.await.unwrap(), sent + 1);
}
