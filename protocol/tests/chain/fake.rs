//! The fake chain: the straight road, and the journal through crashes and bad weather.

use std::time::Duration;

use zknode_protocol::{
    agreement::Terms,
    chain::{
        journal::{Journal, JournalError, Patience},
        sender::Sender,
        Call, Chain, ChainError,
    },
    value::{Amount, Bytes},
};

use crate::{
    roads::{claim, settle},
    scene::{fake, Party, PATIENCE},
};

/// Runs out before a held pool is released.
const HURRIED: Patience = Patience {
    poll: Duration::from_millis(5),
    limit: Duration::from_millis(100),
    depth: 0,
};

#[tokio::test]
async fn the_fake_settles() {
    let (_, mut scene) = fake().await;
    settle(&mut scene).await;
}

#[tokio::test]
async fn the_fake_settles_a_claim() {
    let (chain, mut scene) = fake().await;
    claim(&mut scene, async || chain.advance(1)).await;
}

#[tokio::test]
async fn a_purpose_is_paid_once_through_crashes() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let before = buyer.chain.balance(buyer.chain.account()).await.unwrap();

    // Not saved: nothing left this machine, nothing remembered.
    let full = |_: &Journal| Err("disk full".into());
    let mut sender = Sender::new(&buyer.chain, &mut buyer.journal, HURRIED, full);
    let unsaved = sender.execute("open", &open).await;
    assert!(matches!(unsaved, Err(ChainError::Journal(_))));
    assert_eq!(buyer.journal.entry("open"), None);

    // Died after saving, before or after broadcasting: the stored journal is all that is left.
    chain.hold();
    let mut stored = None;
    let keep = |journal: &Journal| {
        stored = Some(serde_json::to_string(journal).unwrap());
        Ok(())
    };
    let mut sender = Sender::new(&buyer.chain, &mut buyer.journal, HURRIED, keep);
    let waits = sender.execute("open", &open).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    chain.drop_pool();
    buyer.journal = serde_json::from_str(&stored.unwrap()).unwrap();
    assert_eq!(buyer.journal.pending().len(), 1);
    let other = Call::Open(Terms {
        price: Amount(2_000),
        ..scene_terms(&open)
    });
    for _ in 0..2 {
        let waits = buyer.execute("open", &other, HURRIED).await;
        assert!(
            matches!(waits, Err(ChainError::NotMined { .. })),
            "{waits:?}"
        );
    }
    // Passed over by a block: replaced under the same nonce; one of the two is executed.
    chain.advance(1);
    let waits = buyer.execute("open", &other, HURRIED).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    let entry = buyer.journal.entry("open").unwrap();
    assert_eq!(entry.attempts.len(), 2);
    assert_eq!(entry.attempts[0].tx.nonce, entry.attempts[1].tx.nonce);
    assert!(entry.attempts[1].tx.max_fee > entry.attempts[0].tx.max_fee);
    chain.release();
    let deep = Patience {
        depth: 1,
        ..HURRIED
    };
    let shallow = buyer.execute("open", &open, deep).await;
    assert!(
        matches!(shallow, Err(ChainError::NotDeep { .. })),
        "{shallow:?}"
    );
    // A reorganization and another restart change nothing.
    chain.reorganize(1);
    buyer.restart();
    buyer.execute("open", &open, deep).await.unwrap();
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
    chain.hold();
    let lost = scene.buyer.execute("open", &open, HURRIED).await;
    assert!(matches!(lost, Err(ChainError::NotMined { .. })), "{lost:?}");
    chain.drop_pool();
    chain.release();
    // The same key on another machine, with a journal of its own.
    let other = Call::Open(scene.terms(9).await);
    let elsewhere = scene.buyer.chain.clone();
    Party::new(elsewhere).run(other).await.unwrap();
    let buyer = &mut scene.buyer;
    let void = ChainError::NonceTaken {
        nonce: 0,
        tx: buyer.journal.entry("open").unwrap().attempts[0].tx.hash,
    };
    assert_eq!(buyer.execute("open", &open, HURRIED).await, Err(void));
    // Asked for again, it is signed for anew, behind the other one.
    buyer.execute("open", &open, PATIENCE).await.unwrap();
    let entry = buyer.journal.entry("open").unwrap();
    assert_eq!(entry.nonce(), Some(1));
}

#[tokio::test]
async fn misuse_and_bad_weather_have_names() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let mut foreign = Journal::new(Bytes([9; 20]));
    let mut sender = Sender::new(&buyer.chain, &mut foreign, PATIENCE, |_| Ok(()));
    assert!(matches!(
        sender.execute("x", &open).await,
        Err(ChainError::Journal(JournalError::WrongAccount { .. }))
    ));

    let down = ChainError::Unreachable {
        endpoint: "http://127.0.0.1:1".into(),
        reason: "refused".into(),
    };
    chain.fail_next(down.clone());
    assert_eq!(buyer.chain.head().await, Err(down));

    // A call that was fine when signed and reverts in its block: the terms' first deadline passes in between.
    chain.hold();
    let waits = buyer.execute("open", &open, HURRIED).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    chain.advance(5_000);
    chain.release();
    let failed = chain.receipt(buyer.journal.entry("open").unwrap().attempts[0].tx.hash);
    assert!(!failed.await.unwrap().unwrap().succeeded);
    // It did nothing, so it is judged anew.
    let refused = buyer.execute("open", &open, PATIENCE).await;
    assert!(
        matches!(refused, Err(ChainError::Revert { .. })),
        "{refused:?}"
    );
    assert_eq!(buyer.journal.entry("open"), None);
}
