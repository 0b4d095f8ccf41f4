//! What the journal keeps.

use zknode_protocol::{
    chain::{
        fake::FakeChain,
        journal::{Journal, KEPT},
        Chain,
    },
    value::Hash,
};

use super::{accept, SHORT};
use crate::scene::{fake, Scene};

#[tokio::test]
async fn the_journal_keeps_no_bytes_of_what_is_done() {
    let (chain, mut scene) = fake().await;
    let id = scene.open(8).await;
    scene
        .seller
        .execute("accept", &accept(id), SHORT)
        .await
        .unwrap();
    let number = chain.head().await.unwrap().number;
    let kept = |scene: &Scene<FakeChain>| {
        let entry = scene.seller.journal.entry("accept").unwrap();
        assert!(entry.mined.is_some());
        !entry.attempts[0].tx.raw.0.is_empty()
    };
    assert!(kept(&scene));
    // Until it is sure to stay; which is looked at when something else is done.
    for (blocks, expected) in [(KEPT - 1, true), (1, false)] {
        for _ in 0..blocks {
            chain.advance(1);
        }
        let head = chain.head().await.unwrap().number;
        scene.seller.journal.drop_buried(head);
        assert_eq!(kept(&scene), expected, "{head} {number}");
    }
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
