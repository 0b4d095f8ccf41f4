//! Retrieval, both sides as processes on a real chain: exact items for exact money, and what lies and silence cost.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use zknode::{output::Answer, retrieval::event::RetrievalEvent, seller::event::Event};
use zknode_protocol::retrieval::RetrievalId;
use zknode_tests::{
    corpus::{proofs, Lie, Scene},
    stage::until,
};

fn ended(answer: &Value) -> (&str, u64, &str) {
    let outcome = &answer["outcome"];
    let text = |field: &str| outcome[field].as_str().unwrap_or_default();
    (
        text("state"),
        outcome["items"].as_u64().unwrap_or(99),
        text("withdrawn"),
    )
}

fn over(event: &Event) -> Option<u128> {
    match event {
        Event::Retrieval(RetrievalEvent::Over { withdrawn, .. }) => Some(withdrawn.0),
        _ => None,
    }
}

fn claimed(event: &Event) -> Option<()> {
    matches!(event, Event::Retrieval(RetrievalEvent::Claimed { .. })).then_some(())
}

fn accepted(event: &Event) -> Option<RetrievalId> {
    match event {
        Event::Retrieval(RetrievalEvent::Accepted { retrieval, .. }) => Some(*retrieval),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_matching_items_for_exactly_their_price() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let paid = places.len().min(5);
    let ask = scene.ask(&url, class, &[]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(answer["outcome"]["matches"], places.len(), "{answer}");
    let back = (500 - 100 * paid + 250).to_string();
    assert_eq!(ended(&answer), ("Settled", paid as u64, &back[..]));
    assert_eq!(
        until(&mut serving, over).await?,
        (100 * paid + 70 + 750) as u128
    );
    scene.found(&places[..paid])?;
    assert_eq!(scene.held().await?, 0);

    // Too little for the work: refused, and everything comes back.
    std::fs::remove_dir_all(scene.out())?;
    let ask = scene.ask(&url, class, &["--scan-fee", "64"]);
    let cheap: Vec<_> = without(ask, "--scan-fee", 1);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(cheap).await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(ended(&answer), ("Cancelled", 0, "814"), "{answer}");

    // More than are paid for, and a shard's proof asked for on chain all the same, for its fee.
    let (other, there) = (scene.answers[1], scene.places(scene.answers[1]));
    assert!(there.len() > 5);
    let ask = scene.ask(&url, other, &["--contest", "1"]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(answer["outcome"]["matches"], there.len(), "{answer}");
    assert_eq!(ended(&answer), ("Settled", 5, "250"), "{answer}");
    scene.found(&there[..5])?;
    // Of the refused one the responder had nothing.
    let paid = |event: &Event| over(event).filter(|took| *took > 0);
    assert_eq!(until(&mut serving, paid).await?, 500 + 70 + 750 + 40);

    // Nothing of a class: one proof a shard, and the fee for looking.
    std::fs::remove_dir_all(scene.out())?;
    let none = (0..4u16)
        .find(|class| !scene.answers.contains(class))
        .unwrap();
    let ask = scene.ask(&url, none, &[]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(ended(&answer), ("Settled", 0, "750"), "{answer}");
    assert_eq!(until(&mut serving, over).await?, 70 + 750);
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

/// A responder that has accepted, started without its corpus, would never claim: it does not start.
#[tokio::test(flavor = "multi_thread")]
async fn a_responder_without_its_corpus_does_not_start_while_it_is_bound() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, _) = scene.wanted();
    let mut challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let id = until(&mut serving, accepted).await?;
    serving.stop().await?;
    let arguments = ["seller", "serve", "--listen", "127.0.0.1:0"];
    let arguments = arguments.into_iter().chain(["--price-per-sample", "1"]);
    let mut refused = scene
        .stage
        .seller
        .start(arguments.chain(["--accept-risk"]))?;
    let words = format!("the bonds: retrieval {id} (");
    refused.until_it_says(&words).await?;
    let (mut serving, _) = scene.serve().await?;
    until(&mut serving, over).await?;
    let answer: Value = challenge.next().await?;
    assert_eq!(ended(&answer).0, "Settled", "{answer}");
    serving.stop().await?;
    let (serving, _) = scene.stage.serve().await?;
    serving.stop().await
}

/// The arguments without the first `name` and its value.
fn without(arguments: Vec<PathBuf>, name: &str, values: usize) -> Vec<PathBuf> {
    let at = arguments
        .iter()
        .position(|found| found == Path::new(name))
        .unwrap();
    let (head, tail) = arguments.split_at(at);
    [head, &tail[1 + values..]].concat()
}

/// Less than is there, or more: the proof of the shard is not in such a claim. The bond is lost.
async fn a_false_count_costs_the_bond(more: i64) -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (_, places) = scene.wanted();
    let (mut challenge, lie) = scene.proven(proofs(&places)).await?;
    let sealed = lie.tampered(&scene, |_| ());
    lie.claim(more, &sealed).await?;
    scene.stage.anvil.tick();
    let (serving, _) = scene.serve().await?;
    challenge.until_it_says("contested").await?;
    scene.stage.pass(501).await?;
    let answer: Value = challenge.next().await?;
    let (state, items, withdrawn) = ended(&answer);
    assert_eq!((state, items), ("Slashed", 0), "{answer}");
    // Everything deposited by both, and the fee of each contest.
    let contests: u128 = (withdrawn.parse::<u128>()? - 1_570) / 40;
    assert!((1..=2).contains(&contests), "{answer}");
    assert_eq!(withdrawn, (1_570 + 40 * contests).to_string(), "{answer}");
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_hides_a_match_loses_its_bond() -> anyhow::Result<()> {
    a_false_count_costs_the_bond(-1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_invents_a_match_loses_its_bond() -> anyhow::Result<()> {
    a_false_count_costs_the_bond(1).await
}

/// The count is true, but what is handed over is not what matches: the requester rejects, and both lose the same.
async fn a_bad_delivery_is_rejected(
    tamper: impl FnOnce(&Scene, &Lie) -> Vec<u8>,
) -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (_, places) = scene.wanted();
    let due = 100 * places.len().min(5) as u128;
    let (mut challenge, lie) = scene.proven(proofs(&places)).await?;
    let sealed = tamper(&scene, &lie);
    lie.claim(0, &sealed).await?;
    scene.stage.anvil.tick();
    let (mut serving, _) = scene.serve().await?;
    challenge.until_it_says("rejecting the delivery").await?;
    let answer: Value = challenge.next().await?;
    let back = (500 - due).to_string();
    assert_eq!(ended(&answer), ("Rejected", 0, &back[..]), "{answer}");
    assert_eq!(until(&mut serving, over).await?, 70 + 750 - due - 250);
    assert!(!scene.out().join("index.csv").exists());
    // Burnt: nobody can take it out.
    assert_eq!(scene.held().await?, 2 * (due + 250));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|_, _| b"garbage".to_vec()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_item_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|scene, lie| {
        lie.tampered(scene, |package| package.shards[0].items[0].pixels[0] ^= 1)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_left_out_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|scene, lie| {
        lie.tampered(scene, |package| drop(package.shards[0].items.pop()))
    })
    .await
}

/// After its acceptance; and the requester is gone too. Whoever watches the chain ends it, not before its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_responder_loses_its_bond() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, _) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let id = until(&mut serving, accepted).await?.to_string();
    serving.stop().await?;
    challenge.stop().await?;
    let stranger = scene.stage.stranger().await?;
    // Found on the chain, or named.
    let (search, named) = (["watch", "--once", "--from", "0"], ["watch", "--once", &id]);
    let looked = stranger.command().args(search).output().await?;
    assert!(looked.status.success() && looked.stdout.is_empty());
    scene.stage.pass(10_200).await?;
    let (ended_by, _): (Value, _) = stranger.run(named).await?;
    assert_eq!(ended_by, json!({ "retrieval": id, "state": "Slashed" }));
    let resume = ["buyer", "resume"];
    let (mut answer, verdict): (Value, _) = scene.stage.buyer.run(resume).await?;
    assert_eq!(verdict, Answer::No, "{answer}");
    let answer = answer["retrievals"][0].take();
    assert_eq!(ended(&answer), ("Slashed", 0, "1570"), "{answer}");
    assert_eq!(scene.held().await?, 0);
    Ok(())
}

/// Nobody is there any more: anybody ends it, not before its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_ends_what_both_forgot() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, _) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let id = until(&mut serving, accepted).await?.to_string();
    serving.stop().await?;
    challenge.stop().await?;
    let stranger = scene.stage.stranger().await?;
    let end = ["retrieve", "--end", &id];
    assert!(stranger.run::<Value>(end).await.is_err());
    scene.stage.pass(10_200).await?;
    let (ended_by, _): (Value, _) = stranger.run(end).await?;
    assert_eq!(ended_by["state"], "Slashed", "{ended_by}");
    let resume = ["retrieve", "--resume", &id];
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(resume).await?;
    assert_eq!(verdict, Answer::No, "{answer}");
    assert_eq!(ended(&answer), ("Slashed", 0, "1570"), "{answer}");
    assert_eq!(scene.held().await?, 0);
    Ok(())
}

/// After the claim; killed, and resumed when it is all over: silence has settled, and paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_requester_pays_all_the_same() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let id = until(&mut serving, accepted).await?;
    challenge.stop().await?;
    until(&mut serving, claimed).await?;
    scene.stage.pass(1_001).await?;
    let paid = places.len().min(5) as u128;
    assert_eq!(until(&mut serving, over).await?, 100 * paid + 820);
    let resume = ["buyer", "resume"];
    let (mut answer, verdict): (Value, _) = scene.stage.buyer.run(resume).await?;
    assert_eq!(verdict, Answer::No, "{answer}");
    let answer = answer["retrievals"][0].take();
    assert_eq!(answer["retrieval"], id.to_string(), "{answer}");
    let back = (750 - 100 * paid).to_string();
    assert_eq!(ended(&answer), ("Settled", 0, &back[..]), "{answer}");
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

/// Killed in between and taken up again by its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_retrieval_survives_crashes_of_both_sides() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let proof = |event: &Event| match event {
        Event::Retrieval(RetrievalEvent::Proof { retrieval, .. }) => Some(*retrieval),
        _ => None,
    };
    let id = until(&mut serving, proof).await?;
    serving.stop().await?;
    challenge.stop().await?;
    let (mut serving, _) = scene.serve().await?;
    let resume = ["retrieve".to_owned(), "--resume".into(), id.to_string()];
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(&resume).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    let paid = places.len().min(5);
    assert_eq!(until(&mut serving, over).await?, (100 * paid + 820) as u128);
    scene.found(&places[..paid])?;
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}
