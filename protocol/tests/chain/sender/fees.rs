//! Fees: raised when blocks pass a transaction by, and only then.

use std::time::Duration;

use zknode_protocol::{
    chain::{
        journal::{Journal, Patience},
        sender::Sender,
        ChainError,
    },
    value::Amount,
};

use super::{accept, blocks, SHORT};
use crate::scene::fake;

#[tokio::test]
async fn a_risen_base_fee_is_answered_by_a_higher_one() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    chain.set_base_fee(Amount(1_000));
    chain.hold();
    let waits = scene.seller.execute("accept", &accept(id), SHORT).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    chain.drop_pool();
    chain.release();
    // Refused from now on, whatever is sent of the first attempt: answered at once, not when the wait is over.
    chain.set_base_fee(Amount(50_000));
    chain.advance(1);
    let long = Patience {
        limit: Duration::from_secs(20),
        ..SHORT
    };
    let start = std::time::Instant::now();
    let receipt = scene.seller.execute("accept", &accept(id), long).await;
    assert!(receipt.unwrap().succeeded);
    assert!(start.elapsed() < long.limit / 2);
}

#[tokio::test]
async fn no_fee_is_raised_while_no_block_is_made() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    chain.hold();
    for _ in 0..4 {
        let waits = scene.seller.execute("accept", &accept(id), SHORT).await;
        assert!(
            matches!(waits, Err(ChainError::NotMined { .. })),
            "{waits:?}"
        );
    }
    let entry = scene.seller.journal.entry("accept").unwrap();
    assert_eq!(entry.attempts.len(), 1);
}

#[tokio::test]
async fn no_fee_is_raised_behind_a_gap() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    chain.hold();
    let _ = scene.seller.execute("accept", &accept(id), SHORT).await;
    // Another chain of the same number, or a journal brought from elsewhere: the count is lower than it was.
    let stored = serde_json::to_string(&scene.seller.journal).unwrap();
    let nonce = scene
        .seller
        .journal
        .entry("accept")
        .unwrap()
        .nonce()
        .unwrap();
    let moved = stored.replace(
        &format!("\"nonce\":{nonce}"),
        &format!("\"nonce\":{}", nonce + 1),
    );
    scene.seller.journal = serde_json::from_str::<Journal>(&moved).unwrap();
    let blocks = blocks(&chain);
    let gap = scene.seller.execute("accept", &accept(id), SHORT).await;
    blocks.abort();
    let (nonce, next) = (nonce + 1, nonce);
    assert_eq!(gap, Err(ChainError::NonceGap { nonce, next }));
    let entry = scene.seller.journal.entry("accept").unwrap();
    assert_eq!(entry.attempts.len(), 1);
}

/// Blocks are made and pass it over: the fee is raised up to the ceiling, and no further.
#[tokio::test]
async fn fees_have_a_ceiling() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    chain.set_base_fee(Amount(1_000));
    chain.hold();
    let blocks = blocks(&chain);
    let mut last = None;
    for _ in 0..8 {
        let seller = &mut scene.seller;
        let mut sender =
            Sender::new(&seller.chain, &mut seller.journal, SHORT, |_| Ok(())).with_fee_ceiling(3);
        last = sender.execute("accept", &accept(id)).await.err();
    }
    blocks.abort();
    let entry = scene.seller.journal.entry("accept").unwrap();
    let highest = entry.attempts.iter().map(|a| a.tx.max_fee).max().unwrap();
    assert!(
        entry.attempts.len() > 2 && highest <= Amount(3_003),
        "{highest}"
    );
    assert!(
        matches!(
            last,
            Some(ChainError::FeeCeiling {
                ceiling: Amount(3_003),
                ..
            })
        ),
        "{last:?}"
    );
}
