//! The requester's node on a chain in memory: the corpus it asks about.

use std::time::Duration;

use axum::{routing::get, Json, Router};
use rand::{rngs::StdRng, SeedableRng};
use zknode_protocol::{
    chain::key::Key,
    retrieval::{corpus::Manifest, Terms},
    value::{Address, Amount, Bytes},
};

use super::{
    super::*,
    buyers::{checked, images, node, serve},
    scene::{Scene, NOW},
};
use crate::{
    buyer::Client,
    corpus::CorpusFile,
    retrieval::requester::{Asked, NotOpened, Requester},
    store::Table,
};

/// Makes two corpora, and resumes in this release a retrieval about the first one that an earlier release stored. Its owner
/// shows one of them now.
async fn resumed(shown: usize) -> (anyhow::Result<()>, bool) {
    let scene = Scene::new().await;
    let (folder, buyer) = node(&scene, 0);
    let (model, progress) = (checked(&scene), Progress::new());
    let mut rng = StdRng::seed_from_u64(1);
    let mut corpora = vec![];
    for _ in 0..2 {
        let (source, of) = (images(folder.path(), 9), scene.seller.card.model);
        let (layout, srs) = (&model.layout, &model.srs);
        let file = CorpusFile::commit(source, of, layout, srs, &mut rng, &progress).unwrap();
        corpora.push(file.manifest);
    }
    let (manifest, answer) = (corpora[0].clone(), corpora[shown].clone());
    let url = serve(Router::new().route("/v1/corpus", get(async move || Json(answer)))).await;
    let terms = Terms {
        model: scene.seller.card.model,
        corpus_root: manifest.root().unwrap(),
        dataset_root: Bytes([2; 32]),
        reading_key: Bytes([3; 32]),
        token: Address::ZERO,
        shards: 2,
        samples: 9,
        wanted_class: 0,
        max_items: 9,
        price_per_item: Amount(1),
        scan_fee: Amount(1),
        requester_bond: Amount(5),
        bond: Amount(14),
        contest_fee: Amount(1),
        accept_by: NOW + 100,
        claim_by: NOW + 200,
        window: 100,
        prove_time: 100,
        receipt_time: 100,
    };
    let client = Client::new(&url).unwrap();
    let out = folder.path().join("out");
    let asked = Asked::new(&client, &model.card, terms, 0, out, vec![]);
    let requester = Requester {
        store: buyer.store.clone(),
        wallet: buyer.wallet,
        key: Key::from_secret(&[8; 32]).unwrap(),
        reading_key: SecretKey::generate(&mut rng),
        progress,
    };
    let id = requester.begin(&manifest, &asked).unwrap();
    let root = manifest.root().unwrap().to_string();
    let mut old = serde_json::to_value(&manifest).unwrap();
    old["version"] = 1.into();
    old.as_object_mut().unwrap().remove("apart").unwrap();
    requester.store.put(Table::Corpora, &root, &old).unwrap();

    let seen = requester.see_through(id, &model);
    let ended = tokio::time::timeout(Duration::from_secs(10), seen).await;
    let ended = match ended {
        Ok(ended) => ended.map(drop),
        Err(_) => Ok(()),
    };
    let stored: Option<Manifest> = requester
        .store
        .get(Table::Corpora, &root)
        .unwrap_or_default();
    (ended, stored == Some(manifest))
}

/// It lacks the proof that its items stand apart; the owner has it by now. The chain of this test has no contract for
/// retrievals: to be refused by it is to have got that far.
#[tokio::test(flavor = "multi_thread")]
async fn a_corpus_that_an_earlier_release_stored_is_asked_for_again() {
    let (ended, stored) = resumed(0).await;
    let ended = ended.unwrap_err();
    assert!(ended.is::<NotOpened>(), "{ended}");
    assert!(stored);
}

/// Nothing is asked about it, as its owner may be about to mend that.
#[tokio::test(flavor = "multi_thread")]
async fn another_corpus_does_not_take_its_place() {
    let (ended, stored) = resumed(1).await;
    ended.unwrap();
    assert!(!stored);
}
