//! Kill -9 at any point: after a restart the agreement ends as it would have, and nothing is sent twice.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use zknode::{
    output::Answer,
    seller::event::Event,
    store::{Store, Table},
};
use zknode_circuit::verify::Attestation;
use zknode_tests::stage::{over, until, Stage};

/// Nine of 13 samples are right, in two shards.
const WISH: [&str; 2] = ["--threshold", "9"];
/// Two contracts, the verifier, the model; then accept, draw, proceed, acknowledge, claim, withdraw.
const SELLER_TRANSACTIONS: u64 = 4 + 6;
/// Opens, approves, and finds nothing to withdraw.
const BUYER_TRANSACTIONS: u64 = 2;
/// Of the ten things a seller tells before the end. A kill may come after the next one was done and before it was told,
/// and then that one is never told; two in a row are not lost that way.
const LEAST_TOLD: usize = 5;

async fn ends_right(stage: &Stage, answer: &Value, verdict: Answer) -> anyhow::Result<()> {
    assert_eq!(verdict, Answer::Yes);
    assert_eq!(answer["outcome"]["correct"], 9, "{answer}");
    assert_eq!(answer["outcome"]["valid"], 13, "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    let seller = stage.transactions(stage.seller_account).await?;
    let buyer = stage.transactions(stage.buyer_account).await?;
    assert_eq!((seller, buyer), (SELLER_TRANSACTIONS, BUYER_TRANSACTIONS));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_killed_after_everything_it_tells() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    let mut told = vec![];
    loop {
        let event: Event = serving.next().await?;
        let paid = over(&event);
        told.push(event);
        if let Some(paid) = paid {
            assert_eq!(paid, 1_002_000);
            break;
        }
        serving.stop().await?;
        (serving, _) = stage.serve().await?;
    }
    // Offered, accepted, drawn, preview, proceeded, delivered, acknowledged, two proofs, claimed.
    assert!(told.len() >= LEAST_TOLD, "{told:?}");
    let answer: Value = challenge.next().await?;
    ends_right(&stage, &answer, Answer::Yes).await
}

/// Both at once, after everything the seller tells; the buyer's node then knows no more than its database and the chain.
#[tokio::test(flavor = "multi_thread")]
async fn both_killed_after_everything_the_seller_tells() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    let mut told = 0;
    let paid = loop {
        let event: Event = serving.next().await?;
        if let Some(paid) = over(&event) {
            break paid;
        }
        told += 1;
        serving.stop().await?;
        // It may have seen the end of the agreement before the seller told of it.
        challenge.stop().await.ok();
        (serving, _) = stage.serve().await?;
        challenge = stage.start_resume()?;
    };
    assert_eq!(paid, 1_002_000);
    assert!(told >= LEAST_TOLD, "{told}");
    let answer: Value = challenge.next().await?;
    // Already over when it was killed last, or seen to its end now.
    if let Some(ended) = answer["challenges"].get(0) {
        assert_eq!(ended["outcome"]["correct"], 9, "{answer}");
        assert_eq!(ended["outcome"]["state"], "Settled", "{answer}");
    }
    assert_eq!(stage.held().await?.0, 0);
    let seller = stage.transactions(stage.seller_account).await?;
    let buyer = stage.transactions(stage.buyer_account).await?;
    assert_eq!((seller, buyer), (SELLER_TRANSACTIONS, BUYER_TRANSACTIONS));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_killed_while_it_proves() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    for shard in ["proving shard 0", "proving shard 1"] {
        serving.until_it_says(shard).await?;
        serving.stop().await?;
        (serving, _) = stage.serve().await?;
    }
    assert_eq!(until(&mut serving, over).await?, 1_002_000);
    let answer: Value = challenge.next().await?;
    ends_right(&stage, &answer, Answer::Yes).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seller_killed_while_its_transactions_wait() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    challenge.until_it_says("open, 13 samples").await?;
    // Accept, draw, proceed, acknowledge, claim.
    for _ in 0..5 {
        stage.hold_back().await?;
        stage.until_pending().await?;
        serving.stop().await?;
        (serving, _) = stage.serve().await?;
        stage.mine().await?;
        // Mined: the next one is held back in time, since proving or polling lies between.
    }
    assert_eq!(until(&mut serving, over).await?, 1_002_000);
    let answer: Value = challenge.next().await?;
    ends_right(&stage, &answer, Answer::Yes).await
}

/// A stored proof that the chain would refuse, as a failing disk or another model's node may leave it, is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_stored_proof_that_does_not_fit_is_made_anew() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    challenge.until_it_says("open, 13 samples").await?;
    let id = until(&mut serving, |event| match event {
        Event::Acknowledged { agreement } => Some(*agreement),
        _ => None,
    })
    .await?;
    until(&mut serving, |event| {
        matches!(event, Event::Proof { .. }).then_some(())
    })
    .await?;
    serving.stop().await?;
    {
        let store = Store::open(stage.seller.home().join("zknode.redb"))?;
        let stored: Option<Attestation> = store.get(Table::Proofs, &format!("{id}/0"))?;
        let stored = stored.ok_or_else(|| anyhow::anyhow!("no proof is stored"))?;
        store.put(Table::Proofs, &format!("{id}/1"), &stored)?;
    }
    (serving, _) = stage.serve().await?;
    serving
        .until_it_says("the stored proof of shard 1 is of no use")
        .await?;
    assert_eq!(until(&mut serving, over).await?, 1_002_000);
    let answer: Value = challenge.next().await?;
    assert_eq!(answer["outcome"]["correct"], 9, "{answer}");
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_killed_while_it_opens_delivers_and_approves() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    stage.hold_back().await?;
    let challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &WISH)?)?;
    stage.until_pending().await?;
    challenge.stop().await?;
    stage.mine().await?;

    let resume = stage.start_resume()?;
    until(&mut serving, |event| {
        matches!(event, Event::Delivered { .. }).then_some(())
    })
    .await?;
    resume.stop().await?;
    until(&mut serving, |event| {
        matches!(event, Event::Claimed { .. }).then_some(())
    })
    .await?;
    // Killed once more while its approval waits.
    stage.hold_back().await?;
    let resume = stage.start_resume()?;
    stage.until_pending().await?;
    resume.stop().await?;
    stage.mine().await?;
    assert_eq!(until(&mut serving, over).await?, 1_002_000);

    let (answer, verdict) = stage.resume().await?;
    ends_right(&stage, &answer, verdict).await
}
