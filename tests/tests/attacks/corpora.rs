//! Corpora whose owner could hide items: a requester asks nothing of them, so nothing is at stake; nor does a responder's node
//! serve them.

use halo2curves::{
    bn256::G1,
    group::{Curve, Group},
};
use serde_json::{json, Value};
use zknode::{
    buyer::{reopen, CheckedModel, Client},
    home::Home,
    progress::Progress,
};
use zknode_circuit::{
    commitment::{Commitment, Seed},
    corpus::{commit_item, Item},
};
use zknode_tests::{corpus::Scene, tiny};

/// What is said of a corpus that is not proven to be one.
const REFUSED: &str = "may hide items";

fn items(manifest: &Value) -> Vec<Commitment> {
    serde_json::from_value(manifest["items"].clone()).unwrap()
}

/// The last commitment of the first shard, made so that the shard's sum is that of a shard of blank images: a proof of its
/// count would be true, and say that nothing matches.
fn cancelling(model: &CheckedModel, manifest: &Value) -> Value {
    let (layout, srs) = (&model.layout, &model.srs);
    let sum = |commitments: &[Commitment]| -> G1 {
        let points = commitments.iter().map(|item| item.point().unwrap());
        points.fold(G1::identity(), |sum, point| sum + point)
    };
    let seed = Seed::new([1; 32]);
    let blank = |place| Item {
        place,
        pixels: &[0; 25],
        seed: &seed,
    };
    let blank: Vec<_> = (0..tiny::SHARD)
        .map(|place| commit_item(layout, srs, blank(place)).unwrap())
        .collect();
    let mut items = items(manifest);
    let (last, others) = items[..tiny::SHARD].split_last_mut().unwrap();
    *last = (sum(&blank) - sum(others)).to_affine().into();
    assert!(sum(&items[..tiny::SHARD]) == sum(&blank));
    let mut manifest = manifest.clone();
    manifest["items"] = json!(items);
    manifest
}

/// Everything a dishonest owner could publish in place of an honest manifest, and what the requester says of it.
fn lies(model: &CheckedModel, honest: &Value) -> Vec<(&'static str, Value, &'static str)> {
    let change = |change: &dyn Fn(&mut Value)| {
        let mut manifest = honest.clone();
        change(&mut manifest);
        manifest
    };
    vec![
        ("they cancel", cancelling(model, honest), REFUSED),
        (
            "two are swapped",
            change(&|manifest| manifest["items"].as_array_mut().unwrap().swap(1, 2)),
            REFUSED,
        ),
        (
            "one is left out, the others move up",
            change(&|manifest| drop(manifest["items"].as_array_mut().unwrap().remove(3))),
            REFUSED,
        ),
        (
            "one is nothing",
            change(&|manifest| manifest["items"][4] = json!(Commitment::new([0; 64]))),
            REFUSED,
        ),
        (
            "the proof is none",
            change(&|manifest| manifest["apart"] = json!(format!("0x{:0384}", 0))),
            REFUSED,
        ),
        (
            "there is no proof, as before there were any",
            change(&|manifest| {
                manifest["version"] = json!(1);
                manifest.as_object_mut().unwrap().remove("apart");
            }),
            "expected a corpus manifest of version 2, found 1",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_that_may_hide_items_is_asked_nothing() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (serving, url) = scene.serve().await?;
    let card = Client::new(&url)?.model().await?;
    let home = Home::open(scene.stage.buyer.home())?;
    let chain_id = card.seller.domain.chain_id;
    let model = reopen(card, chain_id, &home, &Progress::new())?;
    let honest = scene.file()?["manifest"].clone();
    let (class, _) = scene.wanted();
    let (before, funds) = spent(&scene).await?;
    for (lie, manifest, says) in lies(&model, &honest) {
        println!("{lie}");
        let owner = scene.publish(&url, &manifest).await?;
        let mut asking = scene.stage.buyer.start(scene.ask(&owner, class, &[]))?;
        let answer: Value = asking.next().await?;
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(says), "{lie}: {answer}");
        assert_eq!(spent(&scene).await?, (before, funds), "{lie}");
        assert!(!scene.out().exists());
    }
    assert_eq!(scene.held().await?, 0);
    // The honest manifest by the same way: it is taken, and a retrieval is open.
    let owner = scene.publish(&url, &honest).await?;
    let mut asking = scene.stage.buyer.start(scene.ask(&owner, class, &[]))?;
    asking.until_it_says(": open, class").await?;
    asking.stop().await?;
    serving.stop().await
}

/// Transactions of the requester, and what it has.
async fn spent(scene: &Scene) -> anyhow::Result<(u64, u128)> {
    let (stage, account) = (&scene.stage, scene.stage.buyer_account);
    let funds = stage.anvil.balance(account).await?;
    Ok((stage.transactions(account).await?, funds.0))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_does_not_serve_a_corpus_that_nobody_would_take() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let honest = scene.file()?;
    let refused = async |change: &dyn Fn(&mut Value), says: &str| {
        let mut file = honest.clone();
        change(&mut file);
        scene.replace_file(&file)?;
        let error = scene.serve().await.err();
        let error = error.map_or(String::new(), |error| format!("{error:#}"));
        assert!(error.contains(says), "{error}");
        anyhow::Ok(())
    };
    let swap = |file: &mut Value| {
        let items = file["manifest"]["items"].as_array_mut();
        items.unwrap().swap(1, 2);
    };
    refused(&swap, REFUSED).await?;
    let old = |file: &mut Value| {
        file["version"] = json!(1);
        file["manifest"]["version"] = json!(1);
    };
    refused(&old, "its items and its root stay").await?;
    scene.replace_file(&honest)?;
    let (serving, _) = scene.serve().await?;
    serving.stop().await
}
