//! What is believed, and from what depth on.

use zknode_protocol::{
    agreement::State,
    chain::{journal::Patience, Call, Chain, ChainError},
};

use super::{accept, blocks, SHORT};
use crate::scene::fake;

/// What is in a block and waits for depth is neither replaced nor judged anew, even where the account could not pay a
/// second time.
#[tokio::test]
async fn what_is_in_a_block_is_not_replaced() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 3, ..SHORT };
    let terms = scene.terms(8).await;
    chain.fund(scene.buyer.chain.account(), terms.price);
    let open = Call::Open(terms);
    for _ in 0..2 {
        let shallow = scene.buyer.execute("open", &open, deep).await;
        assert!(
            matches!(shallow, Err(ChainError::NotDeep { .. })),
            "{shallow:?}"
        );
    }
    let entry = scene.buyer.journal.entry("open").unwrap();
    assert_eq!(entry.attempts.len(), 1);
    for _ in 0..3 {
        chain.advance(1);
    }
    let receipt = scene.buyer.execute("open", &open, deep).await.unwrap();
    assert!(receipt.succeeded);
}

#[tokio::test]
async fn a_reverted_transaction_is_believed_only_at_depth() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 3, ..SHORT };
    let id = scene.open(8).await;
    chain.hold();
    let _ = scene.seller.execute("accept", &accept(id), deep).await;
    chain.advance(5_000);
    chain.release();
    let shallow = scene.seller.execute("accept", &accept(id), deep).await;
    assert!(
        matches!(shallow, Err(ChainError::NotDeep { .. })),
        "{shallow:?}"
    );
    assert!(scene.seller.journal.entry("accept").is_some());
    let blocks = blocks(&chain);
    let failed = scene.seller.execute("accept", &accept(id), deep).await;
    blocks.abort();
    assert!(
        matches!(
            failed,
            Err(ChainError::Failed { .. } | ChainError::Revert { .. })
        ),
        "{failed:?}"
    );
    assert_eq!(scene.seller.journal.entry("accept"), None);
}

/// A server that counts and shows no receipts, for longer than ten looks: nothing is paid twice.
#[tokio::test]
async fn a_lagging_server_makes_nobody_pay_twice() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 2, ..SHORT };
    let open = Call::Open(scene.terms(8).await);
    let account = scene.buyer.chain.account();
    let before = chain.balance(account).await.unwrap();
    chain.hide_receipts(true);
    // Used in the newest block only: no sign of anything.
    let waits = scene.buyer.execute("open", &open, deep).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    // Used at depth, too, and still no receipt: void, as far as can be seen.
    let blocks = blocks(&chain);
    let void = scene.buyer.execute("open", &open, deep).await;
    blocks.abort();
    assert!(
        matches!(void, Err(ChainError::NonceTaken { .. })),
        "{void:?}"
    );
    scene.buyer.restart();
    // Compared once more before anything is signed anew: there it is.
    chain.hide_receipts(false);
    scene.buyer.execute("open", &open, deep).await.unwrap();
    let after = chain.balance(account).await.unwrap();
    assert_eq!(before.0 - after.0, 1_000);
}

/// A server that still shows the receipt of a block that is no longer of the chain is not believed.
#[tokio::test]
async fn the_receipt_of_an_orphaned_block_is_not_believed() {
    let (chain, mut scene) = fake().await;
    let deep = Patience { depth: 2, ..SHORT };
    let open = Call::Open(scene.terms(8).await);
    let shallow = scene.buyer.execute("open", &open, deep).await;
    assert!(
        matches!(shallow, Err(ChainError::NotDeep { .. })),
        "{shallow:?}"
    );
    chain.keep_receipts();
    chain.hold();
    chain.reorganize(1);
    chain.drop_pool();
    for _ in 0..2 {
        chain.advance(1);
    }
    let waits = scene.buyer.execute("open", &open, deep).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    assert!(scene.buyer.journal.entry("open").unwrap().is_pending());
}

#[tokio::test]
async fn a_receipt_no_longer_kept_is_no_reason_to_pay_again() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    scene.buyer.execute("open", &open, SHORT).await.unwrap();
    chain.hide_receipts(true);
    for _ in 0..2 {
        let asked = scene.buyer.execute("open", &open, SHORT).await;
        assert!(
            matches!(asked, Err(ChainError::NotMined { .. })),
            "{asked:?}"
        );
    }
}

/// One request tells how far an agreement came, at the depth that is believed.
#[tokio::test]
async fn an_agreement_is_read_at_depth() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    scene.accept(id).await;
    let at = |depth| scene.seller.chain.agreement_at_depth(id, depth);
    assert_eq!(at(0).await.unwrap().unwrap().state, State::Previewed);
    assert_eq!(at(1).await.unwrap().unwrap().state, State::Open);
    assert_eq!(at(2).await.unwrap(), None);
    chain.advance(1);
    assert_eq!(at(1).await.unwrap().unwrap().state, State::Previewed);
}
