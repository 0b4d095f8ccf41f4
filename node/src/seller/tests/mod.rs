//! The clerk and the interface on a chain in memory.
#![allow(clippy::unwrap_used)]

mod deliveries;
mod scene;

use zknode_protocol::{
    agreement::{State, Terms},
    chain::Call,
    value::Bytes,
};

use self::scene::{Scene, TestSet, NOW};
use crate::delivery::Part;

/// The file of a delivery is a pipe here, so that the look at it lasts for as long as the test likes.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_delivery_does_not_delay_anothers_deadline() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let slow = scene.open(scene.terms(set.root, NOW + 2_000)).await;
    let missed = scene.open(scene.terms(Bytes([9; 32]), NOW + 500)).await;
    scene.turn().await;
    for id in [slow, missed] {
        assert_eq!(scene.state(id).await, State::Previewed);
    }
    let (sealed, manifest) = set.seal(seller, slow);
    let pipe = seller.home.received(slow, Part::Rest);
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let noted = seller.change(slow, |deal| deal.manifest = Some(manifest));
    noted.unwrap();

    // The delivery is on its way through the pipe when the other one's buyer misses its deadline.
    scene.turn().await;
    scene.fake.advance(600);
    scene.turn().await;
    assert_eq!(scene.state(missed).await, State::Forfeited);
    assert_eq!(scene.state(slow).await, State::Previewed);

    let written = tokio::task::spawn_blocking(move || std::fs::write(pipe, sealed));
    scene.until(slow, State::Delivered).await;
    written.await.unwrap().unwrap();
    let deal = seller.deal(slow).unwrap().unwrap();
    assert!(deal.receipt.is_some() && deal.refused.is_none());
}

/// With all places taken, who asks for a proof is told to come back, and when.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_seller_says_when_to_come_back() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let id = scene.open(scene.terms(set.root, NOW + 2_000)).await;
    scene.turn().await;
    let (sealed, manifest) = set.seal(seller, id);
    let path = seller.home.received(id, Part::Rest);
    std::fs::write(path, sealed).unwrap();
    let noted = seller.change(id, |deal| deal.manifest = Some(manifest));
    noted.unwrap();
    scene.until(id, State::Delivered).await;
    let claim = Call::Claim {
        id,
        node: Bytes([1; 32]),
        top1: 1,
        topk: 1,
    };
    seller.wallet.execute("claim", &claim).await.unwrap();

    let url = scene.serve().await;
    let ask = async || {
        let shard = format!("{url}/v1/agreements/{id}/shards/0");
        let answer = reqwest::get(shard).await.unwrap();
        let retry = answer.headers().get("retry-after");
        let retry = retry.map(|seconds| seconds.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        (status, retry, answer.text().await.unwrap())
    };
    let place = seller.places.proof().await.unwrap();
    let (status, retry, words) = ask().await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")), "{words}");
    assert!(words.contains("ask again"), "{words}");
    // Others are served meanwhile.
    let status = async || {
        let status = reqwest::get(format!("{url}/v1/agreements/{id}")).await;
        status.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    drop(place);
    // As few look at the chain at once.
    let place = seller.places.chain().await.unwrap();
    assert_eq!(status().await, 503);
    drop(place);
    // The claim was made up: there are no proofs here, which is this node's trouble.
    let (status, retry, words) = ask().await;
    assert_eq!((status, retry.as_deref()), (503, Some("5")), "{words}");
    assert!(words.contains("cannot answer now"), "{words}");
}

/// What totals do not show: there is time for the proofs of both after their deliveries, but once the second's is begun, the
/// first's misses its nearer deadline.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_that_would_make_another_late_is_refused() {
    let scene = Scene::new().await;
    let terms = |root: u8, claim_by| Terms {
        claim_by: NOW + claim_by,
        ..scene.terms(Bytes([root; 32]), NOW + 2_000)
    };
    let first = scene.open(terms(8, 2_020)).await;
    scene.turn().await;
    assert_eq!(scene.state(first).await, State::Previewed);
    let second = scene.open(terms(9, 2_030)).await;
    scene.turn().await;
    assert_eq!(scene.state(second).await, State::Open);
    let words = scene.seller.deal(second).unwrap().unwrap().refused.unwrap();
    let expected = format!("agreement {first} would miss its deadline 1002020 by 10 s");
    assert!(words.contains(&expected), "{words}");
}
