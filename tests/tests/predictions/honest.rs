//! Both sides keep to it, in ether and in tokens, and whatever crashes.

use serde_json::{json, Value};
use zknode::output::Answer;
use zknode_tests::predictions::{
    accepted, labels, outcome, predicted, round_over, Predictions, BOND, PRICE,
};

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
    serving.stop().await?;

    // A seller that takes no risk wants what a proof on chain costs for a contest, and a buyer that names no fee offers it.
    let price = PRICE.to_string();
    let policy = ["--price-per-batch", &price];
    let (serving, url) = scene.stage.serve_rationally(&policy).await?;
    let (order, _) = scene.order(&url, 13, &single)?;
    let cheap = scene.stage.buyer.run::<Value>(order.clone());
    let (answer, _) = cheap.await?;
    assert_eq!(outcome(&answer), json!(["Cancelled", 0, price]), "{answer}");
    let stopped = answer["stopped"].as_str().unwrap_or_default();
    assert!(stopped.contains("what a proof on chain costs"), "{answer}");
    let fee = order
        .iter()
        .position(|word| word.as_os_str() == "--contest-fee");
    let mut unnamed = order;
    unnamed.drain(fee.unwrap()..fee.unwrap() + 2);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(unnamed).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    serving.stop().await
}

/// The same in tokens; a round in ether is not what this seller takes, and its price comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_pays_for_predictions_too() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let token = scene.stage.token(100_000).await?;
    let name = token.to_string();
    let (mut serving, url) = scene.serve_for(&["--token", &name]).await?;
    let (order, _) = scene.order(&url, 8, &["--audit-rate", "0"])?;
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(order).await?;
    assert_eq!(verdict, Answer::No);
    let price = PRICE.to_string();
    assert_eq!(outcome(&answer), json!(["Cancelled", 0, price]), "{answer}");

    let (order, expected) = scene.order(&url, 8, &["--audit-rate", "0", "--token", &name])?;
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(order).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(labels(&answer), expected);
    // The first to end is the round in ether.
    assert_eq!(round_over(&mut serving).await?, 0);
    assert_eq!(round_over(&mut serving).await?, PRICE + BOND);
    let seller = scene
        .stage
        .tokens(token, scene.stage.seller_account)
        .await?;
    let buyer = scene.stage.tokens(token, scene.stage.buyer_account).await?;
    assert_eq!((seller, buyer), (100_000 + PRICE, 100_000 - PRICE));
    assert_eq!(scene.stage.tokens(token, scene.contract).await?, 0);
    serving.stop().await
}

/// Kill -9 of either, after an answer and while a proof is made: the round ends as it would have, and nobody signs twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_round_survives_crashes() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (order, expected) = scene.order(&url, 13, &["--audit-rate", "1"])?;
    let buyer = scene.stage.buyer.start(order)?;
    let round = accepted(&mut serving).await?;
    predicted(&mut serving, 0).await?;
    serving.stop().await?;
    buyer.stop().await?;
    let (mut serving, _) = scene.serve().await?;
    let name = round.to_string();
    let resume = ["buyer", "predict", "--resume", &name];
    let mut buyer = scene.stage.buyer.start(resume)?;
    serving.until_it_says("proving batch").await?;
    serving.stop().await?;
    let (mut serving, _) = scene.serve().await?;
    let answer: Value = buyer.next().await?;
    assert_eq!(labels(&answer), expected);
    assert_eq!(outcome(&answer), json!(["Settled", 2, "0"]), "{answer}");
    assert_eq!(round_over(&mut serving).await?, 2 * PRICE + BOND);
    assert_eq!(scene.held().await?.0, 0);
    // Open, and nothing more: the approval was brought by the seller.
    let sent = scene.stage.transactions(scene.stage.buyer_account).await?;
    assert_eq!(sent, 1);
    serving.stop().await
}
