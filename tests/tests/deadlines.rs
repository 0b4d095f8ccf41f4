//! A party that falls silent, at each step: the other one gets its money by the deadline, and nobody's is stuck.
#![allow(clippy::unwrap_used)]

use zknode::{demo::role::Running, output::Answer, seller::event::Event};
use zknode_protocol::value::Amount;
use zknode_tests::stage::{over, until, Stage};

/// Seconds in which each step may be taken: accept 100, preview 200 (answer 100), deliver 1000 (answer 100), claim 10000.
const WINDOWS: [&str; 24] = [
    "--preview-within",
    "200s",
    "--respond-within",
    "100s",
    "--window",
    "1000s",
    "--answer-within",
    "500s",
    "--buyer-bond",
    "70",
    "--preview-fee",
    "50",
    "--contest-fee",
    "40",
    "--preview-shards",
    "2",
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

fn is_drawn(event: &Event) -> Option<()> {
    matches!(event, Event::Drawn { .. }).then_some(())
}

fn is_acknowledged(event: &Event) -> Option<()> {
    matches!(event, Event::Acknowledged { .. }).then_some(())
}

/// A buyer that goes on finds it ended in `state`, and what is due comes back; nothing stays in the escrow.
async fn comes_back(stage: &Stage, state: &str, withdrawn: &str) -> anyhow::Result<()> {
    let (answer, verdict) = stage.resume().await?;
    assert_eq!(verdict, Answer::from(state == "Settled"), "{answer}");
    assert_eq!(ended(&answer), (state, withdrawn), "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    Ok(())
}

/// The seller, who is there, sees it end and takes `took`; a buyer that comes back later finds the rest.
async fn both_take(
    stage: &Stage,
    mut serving: Running,
    took: u128,
    (state, withdrawn): (&str, &str),
) -> anyhow::Result<()> {
    assert_eq!(until(&mut serving, over).await?, took);
    serving.stop().await?;
    comes_back(stage, state, withdrawn).await
}

/// The buyer, who is there, ends it after `seconds` and has the preview fee; a seller that comes back later finds the rest.
async fn pays_the_preview_fee(
    stage: &Stage,
    mut challenge: Running,
    seconds: u64,
) -> anyhow::Result<()> {
    challenge.until_it_says("the chain was told").await?;
    stage.pass(seconds).await?;
    let answer: serde_json::Value = challenge.next().await?;
    assert_eq!(ended(&answer), ("Declined", "1000120"), "{answer}");
    let (mut serving, _) = stage.serve().await?;
    assert_eq!(until(&mut serving, over).await?, 1_950);
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// A seller that serves and a buyer that challenges it.
async fn opened() -> anyhow::Result<Option<(Stage, Running, Running)>> {
    let Some(stage) = Stage::new().await? else {
        return Ok(None);
    };
    let (serving, url) = stage.serve().await?;
    let challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &WINDOWS)?)?;
    Ok(Some((stage, serving, challenge)))
}

/// Both sides are killed as soon as the seller holds the test set.
async fn silent_once_delivered() -> anyhow::Result<Option<Stage>> {
    let Some((stage, mut serving, challenge)) = opened().await? else {
        return Ok(None);
    };
    until(&mut serving, is_acknowledged).await?;
    serving.stop().await?;
    challenge.stop().await?;
    Ok(Some(stage))
}

/// Before it accepts.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_accepts_costs_nothing() -> anyhow::Result<()> {
    let Some((stage, serving, mut challenge)) = opened().await? else {
        return Ok(());
    };
    challenge.until_it_says("making keys").await?;
    serving.stop().await?;
    challenge.until_it_says("open, 9 samples").await?;
    challenge.stop().await?;
    stage.pass(101).await?;
    comes_back(&stage, "Cancelled", "1000070").await
}

/// After the test set is delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_proves_loses_its_bond() -> anyhow::Result<()> {
    let Some(stage) = silent_once_delivered().await? else {
        return Ok(());
    };
    stage.pass(11_501).await?;
    comes_back(&stage, "Slashed", "1002070").await
}

/// Nor does it help to retire the model meanwhile: an open agreement goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_retires_its_model_loses_its_bond_all_the_same() -> anyhow::Result<()> {
    let Some(stage) = silent_once_delivered().await? else {
        return Ok(());
    };
    let model = stage.model.to_string();
    stage
        .seller
        .run::<serde_json::Value>(["model", "retire", &model])
        .await?;
    stage.pass(11_501).await?;
    comes_back(&stage, "Slashed", "1002070").await
}

/// A seller too poor to bring its proofs to the chain notices before its bond is at stake.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_without_gas_declines() -> anyhow::Result<()> {
    let Some((stage, mut serving, mut challenge)) = opened().await? else {
        return Ok(());
    };
    until(&mut serving, is_accepted).await?;
    stage
        .anvil
        .fund(stage.seller_account, Amount(10u128.pow(16)))
        .await?;
    // It has seen the preview: going away costs the fee.
    assert_eq!(until(&mut serving, over).await?, 1_950);
    let answer: serde_json::Value = challenge.next().await?;
    assert_eq!(answer["outcome"]["state"], "Declined", "{answer}");
    assert_eq!(answer["outcome"]["withdrawn"], "1000120", "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// After the draw: the seller ends it and earns the buyer's bond.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_never_delivers_loses_its_bond() -> anyhow::Result<()> {
    let Some((stage, mut serving, mut challenge)) = opened().await? else {
        return Ok(());
    };
    challenge.until_it_says("open, 9 samples").await?;
    std::fs::remove_dir_all(stage.folder.path().join("9-9"))?;
    until(&mut serving, is_drawn).await?;
    challenge.stop().await?;
    stage.pass(301).await?;
    both_take(&stage, serving, 2_070, ("Forfeited", "1000000")).await
}

fn is_claimed(event: &Event) -> Option<()> {
    matches!(event, Event::Claimed { .. }).then_some(())
}

fn is_proceeded(event: &Event) -> Option<()> {
    matches!(event, Event::Proceeded { .. }).then_some(())
}

/// What a buyer's challenge answers, as far as money goes.
fn ended(answer: &serde_json::Value) -> (&str, &str) {
    let outcome = &answer["outcome"];
    let text = |field: &str| outcome[field].as_str().unwrap_or_default();
    (text("state"), text("withdrawn"))
}

/// Before it answers the preview: the buyer draws, says on chain that it sent, and earns the preview fee.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_silent_after_acceptance_pays_the_preview_fee() -> anyhow::Result<()> {
    let Some((stage, mut serving, challenge)) = opened().await? else {
        return Ok(());
    };
    until(&mut serving, is_accepted).await?;
    serving.stop().await?;
    stage.blocks(60).await?;
    stage.pass(200).await?;
    pays_the_preview_fee(&stage, challenge, 300).await
}

/// After the preview.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_silent_after_the_preview_loses_its_bond() -> anyhow::Result<()> {
    let Some((stage, mut serving, mut challenge)) = opened().await? else {
        return Ok(());
    };
    challenge.until_it_says("open, 9 samples").await?;
    // Sealed by then; the rest cannot be.
    until(&mut serving, |event| {
        matches!(event, Event::PreviewDelivered { .. }).then_some(())
    })
    .await?;
    challenge.stop().await?;
    until(&mut serving, is_proceeded).await?;
    stage.pass(1_401).await?;
    both_take(&stage, serving, 2_070, ("Forfeited", "1000000")).await
}

/// Before its receipt: the buyer says on chain that it sent the rest, and earns the same fee.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_silent_before_its_receipt_pays_the_preview_fee() -> anyhow::Result<()> {
    let Some((stage, mut serving, challenge)) = opened().await? else {
        return Ok(());
    };
    until(&mut serving, is_drawn).await?;
    // Gone before the rest can come.
    stage.hold_back().await?;
    stage.until_pending().await?;
    serving.stop().await?;
    stage.mine().await?;
    stage.pass(1_360).await?;
    pays_the_preview_fee(&stage, challenge, 200).await
}

/// It contested a shard and went away: the seller answers, is paid for it, and for the count once the window is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_silent_after_its_contest_pays_for_it_all_the_same() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let wish = [&WINDOWS[..], &["--contest", "0"]].concat();
    let mut challenge = stage.buyer.start(stage.challenge(&url, 9, 9, &wish)?)?;
    challenge.until_it_says("contested,").await?;
    challenge.stop().await?;
    until(&mut serving, |event| {
        matches!(event, Event::Proven { .. }).then_some(())
    })
    .await?;
    stage.pass(1_001).await?;
    both_take(&stage, serving, 1_002_040, ("Settled", "70")).await
}

/// After its receipt the buyer is not needed: the seller claims, the window passes, the count pays.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_silent_about_the_claim_pays_all_the_same() -> anyhow::Result<()> {
    let Some((stage, mut serving, challenge)) = opened().await? else {
        return Ok(());
    };
    until(&mut serving, is_acknowledged).await?;
    challenge.stop().await?;
    until(&mut serving, is_claimed).await?;
    stage.pass(1_001).await?;
    both_take(&stage, serving, 1_002_000, ("Settled", "70")).await
}

/// A claim without evidence: after half the window every shard is contested, and the bond is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_silent_after_its_claim_loses_its_bond() -> anyhow::Result<()> {
    let Some((stage, mut serving, challenge)) = opened().await? else {
        return Ok(());
    };
    until(&mut serving, is_acknowledged).await?;
    challenge.stop().await?;
    until(&mut serving, is_claimed).await?;
    serving.stop().await?;
    stage.pass(600).await?;
    let mut resumed = stage.start_resume()?;
    for _ in 0..2 {
        resumed.until_it_says("contested,").await?;
    }
    stage.pass(501).await?;
    let answer: serde_json::Value = resumed.next().await?;
    let answer = &answer["challenges"][0];
    assert_eq!(ended(answer), ("Slashed", "1002150"), "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    Ok(())
}

/// Nobody is there: anybody ends it.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_ends_what_both_forgot() -> anyhow::Result<()> {
    let Some(stage) = silent_once_delivered().await? else {
        return Ok(());
    };
    let stranger = stage.stranger().await?;
    let watch = ["watch", "--once", "--from", "0"];
    let looked = stranger.command().args(watch).output().await?;
    assert!(looked.status.success() && looked.stdout.is_empty());
    stage.pass(11_501).await?;
    let (answer, _): (serde_json::Value, _) = stranger.run(watch).await?;
    assert_eq!(answer["state"], "Slashed", "{answer}");
    comes_back(&stage, "Slashed", "1002070").await
}
