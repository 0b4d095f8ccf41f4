//! A seller and a buyer, real processes on a real chain: the exact count decides who is paid.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use zknode::output::Answer;
use zknode_tests::stage::{over, until, Stage};

/// Nine of 13 answers are right, in two shards, and nine are needed: settled for the seller, with so many shards proven on
/// the chain and so much withdrawn by the seller.
async fn settles(more: &[&str], proven: u64, withdrawn: u128) -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let wish = [&["--threshold", "9"], more].concat();
    let arguments = stage.challenge(&url, 13, 9, &wish)?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes);
    let outcome = &answer["outcome"];
    assert_eq!(outcome["correct"], 9, "{answer}");
    assert_eq!(outcome["valid"], 13, "{answer}");
    assert_eq!(outcome["proven"], proven, "{answer}");
    assert_eq!(until(&mut serving, over).await?, withdrawn);
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// Price and bond.
#[tokio::test(flavor = "multi_thread")]
async fn the_exact_count_decides() -> anyhow::Result<()> {
    settles(&[], 0, 1_002_000).await
}

/// Every shard on the chain: the same count, without a claim.
#[tokio::test(flavor = "multi_thread")]
async fn every_shard_is_proven_on_the_chain() -> anyhow::Result<()> {
    settles(&["--eager"], 2, 1_002_000).await
}

/// Its proof on the chain earns the fee.
#[tokio::test(flavor = "multi_thread")]
async fn a_contested_shard_is_proven_on_the_chain() -> anyhow::Result<()> {
    settles(&["--contest", "1", "--contest-fee", "500"], 1, 1_002_500).await
}

/// The seller sees, before its bond is at stake, that it would fall one answer short: it declines, and nobody has lost
/// anything.
#[tokio::test(flavor = "multi_thread")]
async fn one_answer_short_is_declined() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let arguments = stage.challenge(&url, 14, 9, &["--threshold", "10"])?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(answer["outcome"]["state"], "Declined", "{answer}");
    assert_eq!(answer["outcome"]["withdrawn"], "1000000", "{answer}");
    assert_eq!(until(&mut serving, over).await?, 2_000);
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// The same in tokens: no ether but for gas.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_pays_as_ether_does() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let token = stage.token(2_000_000).await?;
    let name = token.to_string();
    let (mut serving, url) = stage.serve_for(&["--token", &name]).await?;

    // An agreement in ether is not what this seller takes: the price comes back.
    let arguments = stage.challenge(&url, 9, 9, &["--threshold", "9"])?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(answer["outcome"]["state"], "Cancelled", "{answer}");
    assert_eq!(until(&mut serving, over).await?, 0);

    let arguments = stage.challenge(&url, 13, 9, &["--threshold", "9", "--token", &name])?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(until(&mut serving, over).await?, 1_002_000);
    let seller = stage.tokens(token, stage.seller_account).await?;
    let buyer = stage.tokens(token, stage.buyer_account).await?;
    assert_eq!((seller, buyer), (3_000_000, 1_000_000));
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}
