//! Predictions by the batch: real processes, a real chain, real proofs; and who gets what.
#![allow(clippy::unwrap_used)]

use serde_json::{json, Value};
use zknode::output::Answer;
use zknode_tests::predictions::{labels, outcome, round_over, Predictions, BOND, PRICE};

/// Two batches of 8 and 5 images, both audited: settled by the buyer's approval, in one transaction after the acceptance.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_predicted_is_paid() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (order, expected) = scene.order(&url, 13, &["--audit-rate", "1"])?;
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(order).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(labels(&answer), expected);
    assert_eq!(outcome(&answer), json!(["Settled", 2, "0"]), "{answer}");
    let proven = |batch: usize| answer["batches"][batch]["proven"] == true;
    assert!(proven(0) && proven(1), "{answer}");
    assert_eq!(round_over(&mut serving).await?, 2 * PRICE + BOND);
    assert_eq!(scene.held().await?.0, 0);

    // One image in one batch, as a single request is, and no audit.
    let single = ["--audit-rate", "0", "--batch-size", "1", "--batches", "1"];
    let (order, expected) = scene.order(&url, 13, &single)?;
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(order).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(labels(&answer), expected[..1]);
    assert_eq!(round_over(&mut serving).await?, PRICE + BOND);
    assert_eq!(scene.held().await?.0, 0);
    serving.stop().await
}
