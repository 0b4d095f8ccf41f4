//! Somebody goes away: the seller, the buyer, both.

use serde_json::{json, Value};
use zknode_tests::{
    liar::Lie,
    predictions::{
        accepted, closed, labels, outcome, predicted, round_over, Predictions, BOND, FEE, PRICE,
        TIMES,
    },
};

/// The seller answers, signs, and is never seen again: no close, no proof. Everything is the buyer's.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_vanishes_loses_its_bond() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (serving, url) = scene.serve().await?;
    let wish = [&TIMES[..], &["--audit-rate", "1"]].concat();
    let (order, _) = scene.order(&url, 8, &wish)?;
    let mut buyer = scene.stage.buyer.start(order)?;
    // The answer has arrived, and its proof is not made yet.
    buyer.until_it_says("batch 0: classes").await?;
    serving.stop().await?;
    buyer.until_it_says("cannot be reached").await?;
    // Past the end of service, then past the middle of the window.
    scene.stage.pass(700).await?;
    buyer.until_it_says("while Serving").await?;
    scene.stage.pass(600).await?;
    buyer.until_it_says("contest round").await?;
    scene.stage.pass(501).await?;
    let answer: Value = buyer.next().await?;
    let all = (PRICE + BOND + FEE).to_string();
    assert_eq!(outcome(&answer), json!(["Slashed", 0, all]), "{answer}");
    assert_eq!(scene.held().await?.0, 0);
    Ok(())
}

/// A buyer that goes away without paying for the last batch: the seller is paid for all before it, and loses one batch.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_vanishes_owes_one_batch_at_most() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    let url = scene.liar(Lie::NoVoucher, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "0", "--batch-size", "3"]].concat();
    let (order, expected) = scene.order(&url, 9, &wish)?;
    let mut buyer = scene.stage.buyer.start(order)?;
    let round = accepted(&mut serving).await?;
    predicted(&mut serving, 2).await?;
    buyer.until_it_says("trying again").await?;
    buyer.stop().await?;
    scene.stage.pass(450).await?;
    assert_eq!(closed(&mut serving).await?, 2);
    scene.stage.pass(1001).await?;
    assert_eq!(round_over(&mut serving).await?, 2 * PRICE + BOND);
    // Back again, it finds its predictions, and the price of what it did not pay for.
    let answer = scene.resume().await?;
    assert_eq!(answer["round"], round.to_string(), "{answer}");
    assert_eq!(labels(&answer), expected);
    let rest = PRICE.to_string();
    assert_eq!(outcome(&answer), json!(["Settled", 2, rest]), "{answer}");
    assert_eq!(scene.held().await?.0, 0);
    serving.stop().await
}

/// Nobody is there any more: anybody ends what is served, and then what is closed, each not before its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_ends_a_round_both_forgot() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let wish = [&TIMES[..], &["--audit-rate", "0", "--batch-size", "3"]].concat();
    let (order, expected) = scene.order(&url, 9, &wish)?;
    let buyer = scene.stage.buyer.start(order)?;
    let round = accepted(&mut serving).await?.to_string();
    predicted(&mut serving, 0).await?;
    serving.stop().await?;
    buyer.stop().await?;
    let stranger = scene.stage.stranger().await?;
    let watch = ["watch", "--once", "--from", "0"];
    let looked = stranger.command().args(watch).output().await?;
    assert!(looked.status.success() && looked.stdout.is_empty());
    for (seconds, state) in [(700, "Closed"), (1_000, "Settled")] {
        scene.stage.pass(seconds).await?;
        let (answer, _): (Value, _) = stranger.run(watch).await?;
        assert_eq!(answer, json!({ "round": round, "state": state }));
    }
    // The voucher was of no use to a seller that did not close.
    let answer = scene.resume().await?;
    assert_eq!(answer["round"], round, "{answer}");
    assert!(expected.starts_with(&labels(&answer)), "{answer}");
    let all = (3 * PRICE).to_string();
    assert_eq!(outcome(&answer), json!(["Settled", 0, all]), "{answer}");
    Ok(())
}
