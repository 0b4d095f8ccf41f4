//! The clerk and the interface on a chain in memory.
#![allow(clippy::unwrap_used)]

mod buyers;
mod corpora;
mod deliveries;
mod scene;
mod together;

use zknode_protocol::{
    agreement::{State, Terms},
    chain::Call,
    value::{Address, AgreementId, Bytes, ModelId},
};

use self::scene::{Scene, TestSet, NOW};
use super::{
    promises::{Offered, Unkept},
    *,
};
use crate::{
    buyer::{
        challenge::{Buyer, Challenge},
        reopen, Client,
    },
    delivery::Part,
    store::Table,
};

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

/// An agreement about one shard, delivered.
async fn delivered(scene: &Scene) -> AgreementId {
    let (seller, set) = (&scene.seller, TestSet::new(scene));
    let id = scene.open(scene.terms(set.root, NOW + 2_000)).await;
    scene.turn().await;
    let (sealed, manifest) = set.seal(seller, id);
    let path = seller.home.received(id, Part::Rest);
    std::fs::write(path, sealed).unwrap();
    let noted = seller.change(id, |deal| deal.manifest = Some(manifest));
    noted.unwrap();
    scene.until(id, State::Delivered).await;
    id
}

/// Claims without a proof.
async fn claim(scene: &Scene, id: AgreementId) {
    let claim = Call::Claim {
        id,
        node: Bytes([1; 32]),
        top1: 1,
        topk: 1,
    };
    scene.seller.wallet.execute("claim", &claim).await.unwrap();
}

/// Until nothing may be contested any more, ether and time are kept back for bringing the proof to the chain.
#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_contested_is_promised_to_the_end() {
    let scene = Scene::new().await;
    let promised = async || {
        let now = scene.seller.wallet.chain().head().await.unwrap().time;
        let promised = scene.seller.promised(None, now).await.unwrap();
        let (duties, answers) = (promised.duties.len(), promised.answers.len());
        [
            promised.proofs as usize,
            duties,
            promised.on_chain as usize,
            answers,
        ]
    };
    assert_eq!(promised().await, [0, 0, 0, 0]);
    let id = delivered(&scene).await;
    assert_eq!(promised().await, [1, 1, 1, 1]);
    claim(&scene, id).await;
    assert_eq!(promised().await, [0, 0, 1, 1]);
    scene.contest(id).await;
    assert_eq!(scene.state(id).await, State::Contested);
    assert_eq!(promised().await, [0, 0, 1, 1]);
    // Past the deadline there is nothing more to bring.
    scene.fake.advance(201);
    assert_eq!(promised().await, [0, 0, 0, 0]);
}

/// Started with another model, the node would let an agreement pass its deadlines: it says so instead, until that is over.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_promised_about_another_model_is_named_before_the_start() {
    let scene = Scene::new().await;
    let seller = &scene.seller;
    let open = scene.open(scene.terms(Bytes([9; 32]), NOW + 2_000)).await;
    let unkept = async |model| {
        let offered = Offered {
            model,
            predictions: None,
            corpus: None,
        };
        let unkept = promises::unkept(&seller.store, &seller.wallet, &offered).await;
        Unkept(unkept.unwrap())
    };
    let (own, other) = (seller.card.model, ModelId(Bytes([1; 32])));
    assert_eq!(unkept(other).await.0, []);
    scene.turn().await;
    assert_eq!(scene.state(open).await, State::Previewed);
    assert_eq!(unkept(own).await.0, []);
    let words = unkept(other).await.to_string();
    assert!(
        words.contains(&format!("agreement {open} (--model {own}")),
        "{words}"
    );
    assert!(words.contains("--abandon-promises"), "{words}");
    scene.fake.advance(3_000);
    scene.until(open, State::Forfeited).await;
    assert_eq!(unkept(other).await.0, []);
}

/// What is opened for next to nothing costs no request of every turn for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_accepted_is_looked_at_no_more() {
    let scene = Scene::new().await;
    let terms = |root: u8, bond| Terms {
        bond: Amount(bond),
        ..scene.terms(Bytes([root; 32]), NOW + 2_000)
    };
    let refused = scene.open(terms(8, 2_000)).await;
    scene.turn().await;
    assert!(scene.seller.active().unwrap().is_empty());
    let late = scene.open(terms(9, 50)).await;
    scene.fake.advance(101);
    scene.turn().await;
    assert!(scene.seller.active().unwrap().is_empty());
    for (id, words) in [
        (refused, "a bond of at most"),
        (late, "time to accept is over"),
    ] {
        let deal = scene.seller.deal(id).unwrap().unwrap();
        let reason = deal.refused.unwrap();
        assert!(deal.over && reason.contains(words), "{reason}");
        assert_eq!(scene.state(id).await, State::Open);
    }
}

/// With all places taken, who asks for a proof is told to come back, and when.
#[tokio::test(flavor = "multi_thread")]
async fn a_busy_seller_says_when_to_come_back() {
    let scene = Scene::new().await;
    let seller = &scene.seller;
    let id = delivered(&scene).await;
    claim(&scene, id).await;

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
    // Of these, 48 s are for the way to the chain.
    let first = scene.open(terms(8, 2_158)).await;
    scene.turn().await;
    assert_eq!(scene.state(first).await, State::Previewed);
    let second = scene.open(terms(9, 2_168)).await;
    scene.turn().await;
    assert_eq!(scene.state(second).await, State::Open);
    let words = scene.seller.deal(second).unwrap().unwrap().refused.unwrap();
    let expected = format!("agreement {first} would miss its deadline 1002110 by 10 s");
    assert!(words.contains(&expected), "{words}");
}

/// Looks at the later one's delivery may be begun first, and are not interrupted.
#[tokio::test(flavor = "multi_thread")]
async fn an_agreement_whose_look_would_make_another_late_is_refused() {
    let mut scene = Scene::new().await;
    // A look takes 20 s beside a proof, an answer may wait 36 s for its turn and then for a block.
    Arc::get_mut(&mut scene.seller).unwrap().look_time = Duration::from_secs(10);
    let terms = |root: u8, response_time| Terms {
        response_time,
        claim_by: NOW + 8_000,
        ..scene.terms(Bytes([root; 32]), NOW + 2_000)
    };
    let first = scene.open(terms(8, 76)).await;
    scene.turn().await;
    assert_eq!(scene.state(first).await, State::Previewed);
    let second = scene.open(terms(9, 1_000)).await;
    scene.turn().await;
    assert_eq!(scene.state(second).await, State::Open);
    let words = scene.seller.deal(second).unwrap().unwrap().refused.unwrap();
    assert!(words.contains("at least 88 s"), "{words}");
    assert!(words.contains("got 76 s"), "{words}");
}

/// Resumed in a home that uses another contract by now, or has another key, it would be paid for once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_challenge_is_opened_at_no_other_contract_and_by_no_other_account() {
    let scene = Scene::new().await;
    let (seller, root) = (&scene.seller, Bytes([9; 32]));
    let progress = Progress::new();
    let model = reopen(seller.card.clone(), 31_337, &seller.home, &progress).unwrap();
    let client = Client::new("http://127.0.0.1:1").unwrap();
    let chain = seller.wallet.chain();
    let sent = chain.next_nonce().await.unwrap();
    let resume = async |escrow: Address, account: Address| {
        let terms = scene.terms(root, NOW + 2_000);
        let mut challenge = Challenge::new(&client, &model, terms, vec![]);
        challenge.buyer = Some(account);
        let key = root.to_string();
        seller
            .store
            .put(Table::Challenges, &key, &challenge)
            .unwrap();
        let buyer = Buyer {
            home: seller.home.clone(),
            store: seller.store.clone(),
            wallet: seller.wallet.over(escrow),
            key: seller.key.clone(),
            progress,
        };
        let refused = buyer.see_through(root, &model).await;
        refused.unwrap_err().to_string()
    };
    let (other, account) = (Bytes([3; 20]), chain.account());
    let words = resume(other, account).await;
    assert!(words.contains("is of escrow"), "{words}");
    let words = resume(chain.contracts().escrow, other).await;
    assert!(words.contains("is of account"), "{words}");
    assert_eq!(chain.next_nonce().await.unwrap(), sent);
}
