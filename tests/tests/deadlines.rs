//! A party that falls silent, at each step: the other one gets its money by the deadline, and nobody's is stuck.
#![allow(clippy::unwrap_used)]

use zknode::{output::Answer, seller::event::Event};
use zknode_protocol::value::Amount;
use zknode_tests::stage::{over, until, Stage};

/// Seconds in which each step may be taken: accept, deliver, prove.
const WINDOWS: [&str; 8] = [
    "--threshold",
    "1",
    "--accept-within",
    "100s",
    "--deliver-within",
    "1000s",
    "--prove-within",
    "10000s",
];

fn is_accepted(event: &Event) -> Option<()> {
    matches!(event, Event::Accepted { .. }).then_some(())
}

fn is_acknowledged(event: &Event) -> Option<()> {
    matches!(event, Event::Acknowledged { .. }).then_some(())
}

/// The price, and what else is due, come back to the buyer after `seconds`.
async fn comes_back(stage: &Stage, state: &str, withdrawn: &str) -> anyhow::Result<()> {
    let (answer, verdict) = stage.resume().await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(answer["outcome"]["state"], state, "{answer}");
    assert_eq!(answer["outcome"]["withdrawn"], withdrawn, "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    Ok(())
}

/// Both sides are killed as soon as the seller holds the test set.
async fn fall_silent_once_delivered(stage: &Stage) -> anyhow::Result<()> {
    let (mut serving, url) = stage.serve().await?;
    let challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &WINDOWS)?)?;
    until(&mut serving, is_acknowledged).await?;
    serving.stop().await?;
    challenge.stop().await?;
    Ok(())
}

/// Before it accepts.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_accepts_costs_nothing() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &WINDOWS)?)?;
    challenge.until_it_says("making keys").await?;
    serving.stop().await?;
    challenge.until_it_says("open, 9 samples").await?;
    challenge.stop().await?;
    stage.pass(101).await?;
    comes_back(&stage, "Cancelled", "1000000").await
}

/// After the test set is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_proves_loses_its_bond() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    fall_silent_once_delivered(&stage).await?;
    stage.pass(11_101).await?;
    comes_back(&stage, "Slashed", "1002000").await
}

/// Nor does it help to retire the model meanwhile: an open agreement goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_retires_its_model_loses_its_bond_all_the_same() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    fall_silent_once_delivered(&stage).await?;
    let model = stage.model.to_string();
    stage
        .seller
        .run::<serde_json::Value>(["model", "retire", &model])
        .await?;
    stage.pass(11_101).await?;
    comes_back(&stage, "Slashed", "1002000").await
}

/// A seller too poor to bring its proofs to the chain notices before its bond is at stake.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_without_gas_declines() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &WINDOWS)?)?;
    until(&mut serving, is_accepted).await?;
    stage
        .anvil
        .fund(stage.seller_account, Amount(10u128.pow(16)))
        .await?;
    assert_eq!(until(&mut serving, over).await?, 2_000);
    let answer: serde_json::Value = challenge.next().await?;
    assert_eq!(answer["outcome"]["state"], "Declined", "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// After the seller accepted: it takes its bond back, and the price waits for the buyer.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_never_delivers_gains_nothing() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &WINDOWS)?)?;
    challenge.until_it_says("open, 9 samples").await?;
    std::fs::remove_dir_all(stage.folder.path().join("9-9"))?;
    until(&mut serving, is_accepted).await?;
    challenge.stop().await?;
    stage.pass(1_101).await?;
    assert_eq!(until(&mut serving, over).await?, 2_000);
    serving.stop().await?;
    comes_back(&stage, "Declined", "1000000").await
}
