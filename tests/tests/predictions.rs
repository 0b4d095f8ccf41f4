//! Predictions by the batch: real processes, a real chain, real proofs; and who gets what.
#![allow(clippy::unwrap_used)]

use rand::rngs::OsRng;
use serde_json::{json, Value};
use zknode::{
    card::{write_delivery, ModelCard},
    delivery::{seal, Sample, ShardOpening},
    demo::role::Running,
    output::Answer,
    seller::event::Event,
};
use zknode_circuit::commitment::Seed;
use zknode_protocol::{
    chain::key::Key,
    digest::keccak,
    message::Version,
    round::{
        message::{AuditRequest, Payment, PredictRequest},
        RoundId, RoundState,
    },
};
use zknode_tests::{
    liar::Lie,
    predictions::{accepted, labels, outcome, round_over, Predictions, BOND, FEE, PRICE},
    stage::until,
};

/// 10 s to accept, about 600 s to serve, 1,000 s to contest, 500 s to prove.
const TIMES: [&str; 8] = [
    "--accept-within",
    "10s",
    "--serve-within",
    "600s",
    "--window",
    "1000s",
    "--answer-within",
    "500s",
];

/// Waits until this batch is answered.
async fn predicted(serving: &mut Running, wanted: u32) -> anyhow::Result<()> {
    until(serving, |event| match event {
        Event::Predicted { batch, .. } if *batch == wanted => Some(()),
        _ => None,
    })
    .await
}

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
    let closed = until(&mut serving, |event| match event {
        Event::RoundClosed { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(closed.await?, 1);
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
    let closed = until(&mut serving, |event| match event {
        Event::RoundClosed { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(closed.await?, 1);
    scene.stage.pass(510).await?;
    buyer.until_it_says("no proof in time").await?;
    let answer: Value = buyer.next().await?;
    assert_eq!(labels(&answer), honest);
    assert_eq!(outcome(&answer), json!(["Settled", 1, "0"]), "{answer}");
    assert_eq!(answer["good"], true, "{answer}");
    assert_eq!(round_over(&mut serving).await?, PRICE + BOND + FEE);
    serving.stop().await
}

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
    let closed = until(&mut serving, |event| match event {
        Event::RoundClosed { count, .. } => Some(*count),
        _ => None,
    });
    assert_eq!(closed.await?, 2);
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

/// What is not the buyer's, not of this round or not in order is refused, and costs the seller nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_buyer_asks_and_only_in_order() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    // The last voucher never arrives: the round stays as it is.
    let url = scene.liar(Lie::NoVoucher, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "0"]].concat();
    let (order, _) = scene.order(&url, 8, &wish)?;
    let buyer = scene.stage.buyer.start(order)?;
    let round = accepted(&mut serving).await?;
    predicted(&mut serving, 0).await?;
    buyer.stop().await?;

    let key = scene.buyer_key()?;
    let chain = scene.chain(key.clone()).await?;
    let domain = scene.domain(&chain);
    let card: ModelCard = reqwest::get(format!("{real}/v1/model"))
        .await?
        .json()
        .await?;
    let opening = ShardOpening {
        seed: Seed::new([7; 32]),
        samples: vec![Sample {
            pixels: vec![9; 25],
            label: 0,
        }],
    };
    let sealed = seal(&[opening], &card.seller.reading_key.0, &mut OsRng)?;
    let hash = keccak(&sealed);
    let request = |index: u32, key: &Key, of: RoundId| -> anyhow::Result<PredictRequest> {
        Ok(PredictRequest {
            version: Version,
            round,
            index,
            ciphertext_hash: hash,
            ciphertext_bytes: sealed.len() as u64,
            signature: key.sign(domain.request_digest(round, index, hash))?,
            voucher: key.sign(domain.voucher_digest(of, index))?,
        })
    };
    let post = async |path: &str, body: Vec<u8>| -> anyhow::Result<u16> {
        let url = format!("{real}/v1/rounds/{path}");
        let sent = reqwest::Client::new().post(url).body(body).send().await?;
        Ok(sent.status().as_u16())
    };
    let path = format!("{round}/predict");
    let ask = async |request: PredictRequest, sealed: &[u8]| {
        post(&path, write_delivery(&request, sealed)?).await
    };
    let other = RoundId(keccak(b"another round"));
    let thief = scene.seller_key()?;
    // Other inputs for a batch that was answered; beyond the round; somebody else's; another round's voucher.
    assert_eq!(ask(request(0, &key, round)?, &sealed).await?, 422);
    assert_eq!(ask(request(1, &key, round)?, &sealed).await?, 409);
    assert_eq!(ask(request(0, &thief, round)?, &sealed).await?, 403);
    assert_eq!(ask(request(0, &key, other)?, &sealed).await?, 403);
    // Cut short on the way, of a round nobody knows, and no request at all.
    assert_eq!(ask(request(0, &key, round)?, &sealed[1..]).await?, 400);
    let body = write_delivery(&request(0, &key, round)?, &sealed)?;
    assert_eq!(post(&format!("{other}/predict"), body).await?, 404);
    for junk in [vec![], vec![255; 4], vec![0; 3000], vec![b'{'; 50]] {
        assert_eq!(post(&path, junk).await?, 400);
    }
    assert_eq!(post(&path, vec![0; 100_000]).await?, 413);
    // More than was served; an approval by the seller itself; a proof for a stranger, or of a batch never served.
    let payment = |count, digest, key: &Key| -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Payment {
            version: Version,
            count,
            signature: key.sign(digest)?,
        })?)
    };
    let much = payment(2, domain.voucher_digest(round, 2), &key)?;
    assert_eq!(post(&format!("{round}/voucher"), much).await?, 409);
    let own = payment(1, domain.approval_digest(round, 1), &thief)?;
    assert_eq!(post(&format!("{round}/approval"), own).await?, 403);
    let audit = |index, key: &Key| -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&AuditRequest {
            version: Version,
            signature: key.sign(domain.audit_digest(round, index))?,
        })?)
    };
    let proof = format!("{round}/batches/0/proof");
    assert_eq!(post(&proof, audit(0, &thief)?).await?, 403);
    let proof = format!("{round}/batches/1/proof");
    assert_eq!(post(&proof, audit(1, &key)?).await?, 404);
    assert_eq!(scene.round(&chain, round).await?.state, RoundState::Serving);
    serving.stop().await
}
