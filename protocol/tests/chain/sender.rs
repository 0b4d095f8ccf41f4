//! What can go wrong with a transaction between its signing and the depth at which it is believed.

use std::time::Duration;

use zknode_protocol::{
    agreement::State,
    chain::{
        fake::FakeChain,
        journal::{Journal, Patience},
        sender::Sender,
        Call, Chain, ChainError, Order,
    },
    value::{AgreementId, Amount, Hash},
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

#[tokio::test]
async fn the_journal_keeps_no_bytes_of_what_is_done() {
    let (_, mut scene) = fake().await;
    let id = scene.open(8).await;
    scene
        .seller
        .execute("accept", &accept(id), SHORT)
        .await
        .unwrap();
    let entry = scene.seller.journal.entry("accept").unwrap();
    assert!(entry.mined.is_some() && entry.attempts[0].tx.raw.0.is_empty());
    // And gives the same receipt.
    let receipt = scene.seller.execute("accept", &accept(id), SHORT).await;
    assert_eq!(receipt.unwrap().tx, entry_hash(&scene.seller.journal));
}

fn entry_hash(journal: &Journal) -> Hash {
    journal.entry("accept").unwrap().mined.unwrap()
}

#[test]
fn a_journal_of_the_first_format_is_read() {
    let tx = |byte: u8, nonce: u64| {
        format!(
            r#"{{"hash":"0x{0}","from":"0x{1}","nonce":{nonce},"max_fee":"3","priority_fee":"1","raw":"0x0102"}}"#,
            format!("{byte:02x}").repeat(32),
            "aa".repeat(20),
        )
    };
    let text = format!(
        r#"{{"account":"0x{}","entries":[
            {{"purpose":"done","attempts":[{},{}],"mined":"0x{}"}},
            {{"purpose":"waits","attempts":[{}],"mined":null}}]}}"#,
        "aa".repeat(20),
        tx(1, 4),
        tx(2, 4),
        "02".repeat(32),
        tx(3, 5),
    );
    let journal: Journal = serde_json::from_str(&text).unwrap();
    let done = journal.entry("done").unwrap();
    assert_eq!((done.attempts.len(), done.nonce()), (1, Some(4)));
    assert!(done.attempts[0].tx.raw.0.is_empty());
    let [waits] = journal.pending()[..] else {
        panic!("{journal:?}")
    };
    assert_eq!(waits.attempts[0].tx.raw.0, [1, 2]);
    assert_eq!(journal.next_nonce(0), 6);

    let again = serde_json::to_string(&journal).unwrap();
    assert_eq!(serde_json::from_str::<Journal>(&again).unwrap(), journal);
    let later = again.replace("\"version\":2", "\"version\":3");
    let refused = serde_json::from_str::<Journal>(&later).unwrap_err();
    assert!(refused.to_string().contains("version 3"), "{refused}");
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
