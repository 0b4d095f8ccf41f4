//! A seller and a buyer, real processes on a real chain: the exact count decides who is paid.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use zknode::output::Answer;
use zknode_tests::stage::{over, until, Stage};

/// 13 samples in two shards. Of the second test set the seller sees, before its bond is at stake, that it would fall one
/// answer short: it declines, and nobody has lost anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_exact_count_decides() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;

    let arguments = stage.challenge(&url, 13, 9, &["--threshold", "9"])?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes);
    let outcome = &answer["outcome"];
    assert_eq!(
        (&outcome["correct"], &outcome["valid"]),
        (&9.into(), &13.into()),
        "{answer}"
    );
    // Price and bond.
    assert_eq!(until(&mut serving, over).await?, 1_002_000);
    assert_eq!(outcome["proven"], 0, "{answer}");

    // Every shard on the chain: the same count, without a claim.
    let arguments = stage.challenge(&url, 13, 9, &["--threshold", "9", "--eager"])?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes);
    assert_eq!(answer["outcome"]["proven"], 2, "{answer}");
    assert_eq!(until(&mut serving, over).await?, 1_002_000);

    // One contested shard: its proof on the chain earns the fee.
    let contest = ["--threshold", "9", "--contest", "1", "--contest-fee", "500"];
    let arguments = stage.challenge(&url, 13, 9, &contest)?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes);
    assert_eq!(answer["outcome"]["proven"], 1, "{answer}");
    assert_eq!(until(&mut serving, over).await?, 1_002_500);

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
