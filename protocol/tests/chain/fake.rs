//! The fake chain: the straight road, and the journal through crashes and bad weather.

use std::time::Duration;

use zknode_protocol::{
    agreement::Terms,
    chain::{
        fake::FakeChain,
        journal::{confirm, replace, submit, Journal, JournalError, Patience},
        Call, Chain, ChainError,
    },
    value::{Amount, Bytes},
};

use crate::scene::{key, set_up, settle, Party, Scene, PATIENCE};

#[tokio::test]
async fn the_fake_settles() {
    let (_, mut scene) = fake().await;
    settle(&mut scene).await;
}

async fn fake() -> (FakeChain, Scene<FakeChain>) {
    let chain = FakeChain::new(31_337, 1_000_000, |proof| proof.proof.0 == [1]);
    let [seller, buyer] = ["seller", "buyer"].map(|name| chain.as_account(key(name).address()));
    for party in [&seller, &buyer] {
        chain.fund(party.account(), Amount(1_000_000));
    }
    let scene = set_up(seller, buyer).await;
    (chain, scene)
}

#[tokio::test]
async fn a_purpose_is_paid_once_through_crashes() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let before = buyer.chain.balance(buyer.chain.account()).await.unwrap();

    // Not saved: nothing left this machine, nothing remembered.
    let unsaved = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| {
        Err("disk full".into())
    })
    .await;
    assert!(matches!(unsaved, Err(ChainError::Journal(_))));
    assert_eq!(buyer.journal.entry("open"), None);

    // Died after saving, before or after broadcasting: the stored journal is all that is left.
    chain.hold();
    let mut stored = None;
    submit(&buyer.chain, &mut buyer.journal, "open", &open, |journal| {
        stored = Some(serde_json::to_string(journal).unwrap());
        Ok(())
    })
    .await
    .unwrap();
    chain.drop_pool();
    let mut journal: Journal = serde_json::from_str(&stored.unwrap()).unwrap();
    assert_eq!(journal.pending().count(), 1);
    let other = Call::Open(Terms {
        price: Amount(2_000),
        ..scene_terms(&open)
    });
    for _ in 0..2 {
        submit(&buyer.chain, &mut journal, "open", &other, |_| Ok(()))
            .await
            .unwrap();
    }
    // Waits too long: replaced under the same nonce; one of the two is executed.
    let entry = replace(&buyer.chain, &mut journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    assert_eq!(entry.attempts.len(), 2);
    assert_eq!(entry.attempts[0].nonce, entry.attempts[1].nonce);
    chain.release();
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
    // A reorganization and another restart change nothing.
    chain.reorganize(1);
    submit(&buyer.chain, &mut journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
    let after = buyer.chain.balance(buyer.chain.account()).await.unwrap();
    assert_eq!(before.0 - after.0, 1_000);
}

fn scene_terms(open: &Call) -> Terms {
    match open {
        Call::Open(terms) => terms.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_nonce_used_elsewhere_is_noticed() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    chain.hold();
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    chain.drop_pool();
    chain.release();
    // The same key on another machine, with a journal of its own.
    let other = Call::Open(scene.terms(9).await);
    Party::new(scene.buyer.chain.clone())
        .run(other)
        .await
        .unwrap();
    let buyer = &mut scene.buyer;
    let void = ChainError::NonceTaken {
        nonce: 0,
        tx: entry.attempts[0].hash,
    };
    assert_eq!(confirm(&buyer.chain, &entry, PATIENCE).await, Err(void));
    // Forgotten, it can be signed for anew, behind the other one.
    buyer.journal.forget("open");
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    assert_eq!(entry.attempts[0].nonce, 1);
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn misuse_and_bad_weather_have_names() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let foreign = submit(
        &buyer.chain,
        &mut Journal::new(Bytes([9; 20])),
        "x",
        &open,
        |_| Ok(()),
    )
    .await;
    assert!(matches!(
        foreign,
        Err(ChainError::Journal(JournalError::WrongAccount { .. }))
    ));
    let unknown = replace(&buyer.chain, &mut buyer.journal, "x", &open, |_| Ok(())).await;
    assert!(matches!(
        unknown,
        Err(ChainError::Journal(JournalError::UnknownPurpose(_)))
    ));

    let down = ChainError::Unreachable {
        endpoint: "http://127.0.0.1:1".into(),
        reason: "refused".into(),
    };
    chain.fail_next(down.clone());
    assert_eq!(buyer.chain.head().await, Err(down));

    // A call that was fine when signed and reverts in its block: the terms' first deadline passes in between.
    chain.hold();
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    chain.advance(5_000);
    chain.release();
    let failed = confirm(&buyer.chain, &entry, PATIENCE).await;
    assert!(
        matches!(failed, Err(ChainError::Failed { .. })),
        "{failed:?}"
    );

    let hurried = Patience {
        limit: Duration::from_millis(100),
        ..PATIENCE
    };
    chain.hold();
    let register = Call::DeployRegistry;
    let entry = submit(
        &buyer.chain,
        &mut buyer.journal,
        "deploy",
        &register,
        |_| Ok(()),
    )
    .await
    .unwrap();
    let waiting = confirm(&buyer.chain, &entry, hurried).await;
    assert!(
        matches!(waiting, Err(ChainError::Timeout { .. })),
        "{waiting:?}"
    );
}
