//! A seller that signs a false output, or keeps its proof back or the buyer waiting.

use serde_json::{json, Value};
use zknode::seller::event::Event;
use zknode_tests::{
    liar::Lie,
    predictions::{
        accepted, closed, labels, outcome, round_over, Predictions, BOND, FEE, PRICE, TIMES,
    },
    stage::until,
};

/// A false output, signed: the buyer audits it, contests it, and gets everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_false_output_costs_everything() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    let url = scene.liar(Lie::Label, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "1"]].concat();
    let (order, honest) = scene.order(&url, 8, &wish)?;
    let mut buyer = scene.stage.buyer.start(order)?;
    accepted(&mut serving).await?;
    buyer.until_it_says("other inputs or outputs").await?;
    // Near the end of service the seller closes, with the voucher it got before the proof was looked at.
    scene.stage.pass(450).await?;
    assert_eq!(closed(&mut serving).await?, 1);
    buyer.until_it_says("contest round").await?;
    scene.stage.pass(501).await?;
    let answer: Value = buyer.next().await?;
    assert_ne!(labels(&answer), honest);
    let all = (PRICE + BOND + FEE).to_string();
    assert_eq!(outcome(&answer), json!(["Slashed", 1, all]), "{answer}");
    assert_eq!(answer["good"], false, "{answer}");
    assert_eq!(round_over(&mut serving).await?, 0);
    assert_eq!(scene.held().await?.0, 0);
    serving.stop().await
}

/// A proof that is withheld is asked for on chain: there the real verifier takes it, and the fee is the seller's.
#[tokio::test(flavor = "multi_thread")]
async fn a_withheld_proof_appears_on_chain() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    let url = scene.liar(Lie::NoProof, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "1"]].concat();
    let (order, honest) = scene.order(&url, 8, &wish)?;
    let mut buyer = scene.stage.buyer.start(order)?;
    accepted(&mut serving).await?;
    buyer.until_it_says("is not proven").await?;
    scene.stage.pass(450).await?;
    let gas = until(&mut serving, |event| match event {
        Event::PredictionProven { gas, .. } => Some(*gas),
        _ => None,
    });
    let gas = gas.await?;
    assert!(gas > 300_000, "a real verifier ran: {gas} gas");
    let answer: Value = buyer.next().await?;
    assert_eq!(labels(&answer), honest);
    // The buyer had stopped paying when no proof came.
    let price = PRICE.to_string();
    assert_eq!(outcome(&answer), json!(["Settled", 0, price]), "{answer}");
    assert_eq!(answer["good"], true, "{answer}");
    assert_eq!(round_over(&mut serving).await?, BOND + FEE);
    assert_eq!(scene.held().await?.0, 0);
    serving.stop().await
}

/// A seller that keeps the buyer waiting for a proof does not keep it from asking for it on chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_tarpit_does_not_outlast_the_window() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    let url = scene.liar(Lie::Tarpit, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "1"]].concat();
    let (order, honest) = scene.order(&url, 8, &wish)?;
    let mut buyer = scene.stage.buyer.start(order)?;
    accepted(&mut serving).await?;
    // By then it has paid: a proof is not due before the window.
    buyer.until_it_says("slow to hand over").await?;
    scene.stage.pass(450).await?;
    assert_eq!(closed(&mut serving).await?, 1);
    scene.stage.pass(510).await?;
    buyer.until_it_says("no proof in time").await?;
    let answer: Value = buyer.next().await?;
    assert_eq!(labels(&answer), honest);
    assert_eq!(outcome(&answer), json!(["Settled", 1, "0"]), "{answer}");
    assert_eq!(answer["good"], true, "{answer}");
    assert_eq!(round_over(&mut serving).await?, PRICE + BOND + FEE);
    serving.stop().await
}
