//! The buyer's node on a chain in memory, against sellers that answer as no seller should.

use std::{
    future::Future,
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::{
    body::Bytes as Body,
    routing::{get, put},
    Json, Router,
};
use serde_json::json;
use zknode_circuit::commitment::Seed;
use zknode_protocol::{
    agreement::{State, Terms},
    chain::{fake::FakeChain, journal::Patience, key::Key, Call, RoundCall, RoundChain},
    digest::keccak,
    message::{Receipt, Version},
    round::{
        message::{Domain as RoundDomain, RoundOffer, SignedPrediction},
        RoundTerms,
    },
    value::{Address, AgreementId, Amount, Bytes, Hash},
};

use super::{
    super::*,
    scene::{Scene, BUYER, NOW, PATIENCE},
};
use crate::{
    buyer::{
        challenge::{Buyer, Challenge},
        order::{Order, OrderedBatch, Verdict},
        reopen, CheckedModel, Client,
    },
    card::DealStatus,
    home::write_new,
    store::Table,
    testset::Source,
};

/// By when the tests' agreements are delivered.
const DELIVER_BY: u64 = NOW + 2_000;
const SEALED: &[u8] = b"the whole test set";

/// A buyer in the middle of an agreement.
struct Buying {
    _folder: tempfile::TempDir,
    buyer: Buyer<FakeChain>,
    model: CheckedModel,
    root: Hash,
}

impl Buying {
    /// The test set is sealed; the seller is to be had under `url`.
    fn new(scene: &Scene, id: AgreementId, terms: Terms, url: &str) -> Self {
        let (folder, buyer) = node(scene, 0);
        let (home, store) = (&buyer.home, &buyer.store);
        let model = checked(scene);
        let (root, hash) = (terms.dataset_root, keccak(SEALED));
        write_new(&home.delivery(&hash.to_string()), SEALED).unwrap();
        let mut challenge = Challenge::new(&Client::new(url).unwrap(), &model, terms, vec![]);
        (challenge.buyer, challenge.agreement) = (Some(BUYER), Some(id));
        challenge.sealed = Some((hash, SEALED.len() as u64));
        let key = root.to_string();
        store.put(Table::Challenges, &key, &challenge).unwrap();
        let committed = json!({
            "version": 1,
            "source": { "path": "x", "from": 0, "to": null },
            "layout": scene.seller.card.layout,
            "shards": [],
            "root": root,
        });
        store.put(Table::Datasets, &key, &committed).unwrap();
        Self {
            _folder: folder,
            buyer,
            model,
            root,
        }
    }

    /// Sees it through until it is in this state, within a minute.
    async fn until(&self, scene: &Scene, id: AgreementId, wanted: State) {
        let arrived = async {
            while scene.state(id).await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let limit = Duration::from_secs(60);
        tokio::select! {
            ended = self.buyer.see_through(self.root, &self.model) => unreachable!("{:?}", ended),
            arrived = tokio::time::timeout(limit, arrived) => arrived.unwrap(),
        }
    }
}

pub(super) fn checked(scene: &Scene) -> CheckedModel {
    let (card, progress) = (scene.seller.card.clone(), Progress::new());
    reopen(card, 31_337, &scene.seller.home, &progress).unwrap()
}

/// A buyer's node that believes a block under so many others.
pub(super) fn node(scene: &Scene, depth: u64) -> (tempfile::TempDir, Buyer<FakeChain>) {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::open(&folder.path().join("buyer")).unwrap();
    let store = Arc::new(Store::open(home.database()).unwrap());
    let chain = scene.buyer.chain().clone();
    let patience = Patience { depth, ..PATIENCE };
    let buyer = Buyer {
        home,
        wallet: Wallet::new(chain, store.clone(), patience),
        store,
        key: Key::from_secret(&[8; 32]).unwrap(),
        progress: Progress::new(),
    };
    (folder, buyer)
}

pub(super) async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    url
}

/// Longer than any test.
fn never() -> impl Future<Output = ()> {
    tokio::time::sleep(Duration::from_secs(3_500))
}

fn status(receipt: Option<Receipt>) -> DealStatus {
    DealStatus {
        version: Version,
        state: State::Previewed,
        proven: 0,
        shards: 1,
        previewed: true,
        preview_receipt: None,
        delivered: receipt.is_some(),
        receipt,
        refused: None,
    }
}

/// An agreement whose test set is to be delivered.
async fn previewed(scene: &Scene) -> (AgreementId, Terms) {
    let terms = scene.terms(Bytes([9; 32]), DELIVER_BY);
    let id = scene.open(terms.clone()).await;
    scene.turn().await;
    assert_eq!(scene.state(id).await, State::Previewed);
    (id, terms)
}

/// So many seconds before the end of the chain's `deadline`.
async fn before(scene: &Scene, deadline: u64, seconds: u64) {
    let now = scene.buyer.chain().head().await.unwrap().time;
    scene.fake.advance(deadline - seconds - now);
}

/// Not late at first, as the receipts come.
async fn is_told_in_spite_of(tamper: impl Fn(&mut Receipt, &Key)) {
    let scene = Scene::new().await;
    let (id, terms) = previewed(&scene).await;
    let domain = scene.seller.card.seller.domain;
    let key = &scene.seller.key;
    let ciphertext_hash = keccak(SEALED);
    let mut receipt = Receipt {
        version: Version,
        domain,
        agreement: id,
        ciphertext_hash,
        signature: key
            .sign(domain.receipt_digest(id, ciphertext_hash))
            .unwrap(),
    };
    receipt.check(key.address()).unwrap();
    tamper(&mut receipt, key);
    let answers = Arc::new(AtomicUsize::new(0));
    let (given, status) = (answers.clone(), status(Some(receipt)));
    let answer = get(move || {
        given.fetch_add(1, Ordering::Relaxed);
        let status = status.clone();
        async move { Json(status) }
    });
    let url = serve(Router::new().route("/v1/agreements/{id}", answer)).await;
    let buying = Buying::new(&scene, id, terms, &url);
    let late = async {
        while answers.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        before(&scene, DELIVER_BY, 40).await;
    };
    tokio::join!(buying.until(&scene, id, State::RestSent), late);
}

/// A receipt that the chain would not take must not keep the buyer from saying that it delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_about_something_else_counts_as_none() {
    is_told_in_spite_of(|receipt, _| receipt.agreement = AgreementId(Bytes([9; 32]))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_nobody_signed_counts_as_none() {
    is_told_in_spite_of(|receipt, _| receipt.signature = Bytes([1; 65])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_somebody_else_signed_counts_as_none() {
    is_told_in_spite_of(|receipt, _| {
        let digest = receipt
            .domain
            .receipt_digest(receipt.agreement, receipt.ciphertext_hash);
        let other = Key::from_secret(&[6; 32]).unwrap();
        receipt.signature = other.sign(digest).unwrap();
    })
    .await;
}

/// Near the deadline the chain is told before the seller is asked anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_never_answers_does_not_outlast_the_deadline() {
    let scene = Scene::new().await;
    let (id, terms) = previewed(&scene).await;
    let url = serve(Router::new().route("/v1/agreements/{id}", get(never))).await;
    let buying = Buying::new(&scene, id, terms, &url);
    before(&scene, DELIVER_BY, 40).await;
    let told = buying.until(&scene, id, State::RestSent);
    let soon = tokio::time::timeout(Duration::from_secs(15), told).await;
    soon.expect("before any answer of the seller's");
}

/// The delivery is on its way when it gets late.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_is_never_answered_does_not_outlast_the_deadline() {
    let scene = Scene::new().await;
    let (id, terms) = previewed(&scene).await;
    let arrived = Arc::new(AtomicUsize::new(0));
    let noted = arrived.clone();
    let answer = put(move |body: Body| {
        noted.store(body.len(), Ordering::Relaxed);
        never()
    });
    let status = status(None);
    let routes = Router::new()
        .route("/v1/agreements/{id}/delivery", answer)
        .route("/v1/agreements/{id}", get(async move || Json(status)));
    let url = serve(routes).await;
    let buying = Buying::new(&scene, id, terms, &url);
    // It is late in 3 s.
    before(&scene, DELIVER_BY, 53).await;
    let late = async {
        while arrived.load(Ordering::Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        scene.fake.advance(10);
    };
    tokio::join!(buying.until(&scene, id, State::RestSent), late);
    assert!(arrived.load(Ordering::Relaxed) > SEALED.len());
}

/// The window is not spent on waiting for proofs: what did not come is contested in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_answers_slowly_does_not_outlast_the_window() {
    let scene = Scene::new().await;
    let terms = Terms {
        shards: 66,
        samples: 66,
        ..scene.terms(Bytes([9; 32]), DELIVER_BY)
    };
    let id = scene.open(terms.clone()).await;
    for call in [
        Call::Accept {
            id,
            value: terms.bond,
        },
        Call::Acknowledge {
            id,
            ciphertext: keccak(SEALED),
            signature: None,
        },
        Call::Claim {
            id,
            node: Bytes([1; 32]),
            top1: 66,
            topk: 66,
        },
    ] {
        let purpose = format!("{call:?}");
        let sent = scene.seller.wallet.execute(&purpose, &call).await;
        sent.unwrap();
    }
    let claimed = scene.buyer.agreement(id).await.unwrap().unwrap();
    assert_eq!(claimed.state, State::Claimed);
    // Too slow to be believed, in time for the patience of one request.
    let slow = get(|| tokio::time::sleep(Duration::from_secs(25)));
    let routes = Router::new().route("/v1/agreements/{id}/shards/{index}", slow);
    let buying = Buying::new(&scene, id, terms, &serve(routes).await);
    before(&scene, claimed.window_end, 40).await;
    buying.until(&scene, id, State::Contested).await;
    // Together, in the order nobody foresees.
    let contested = scene.buyer.agreement(id).await.unwrap().unwrap();
    assert!(contested.unanswered >= 1, "{contested:?}");
}

/// So many images of two pixels, in a file.
pub(super) fn images(folder: &Path, count: u8) -> Source {
    let [path, labels] =
        ["x-images-idx3-ubyte", "x-labels-idx1-ubyte"].map(|name| folder.join(name));
    let head = [0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 1, 0, 0, 0, 2];
    std::fs::write(&path, Vec::from_iter(head.into_iter().chain(0..2 * count))).unwrap();
    let head = [0, 0, 8, 1, 0, 0, 0, count];
    let zeros = std::iter::repeat_n(0, count.into());
    std::fs::write(labels, Vec::from_iter(head.into_iter().chain(zeros))).unwrap();
    Source {
        path,
        from: 0,
        to: None,
        label_offset: 0,
    }
}

/// In the last quarter of the window all that is doubted is contested, before any contest is believed: no block comes of
/// itself here.
#[tokio::test(flavor = "multi_thread")]
async fn the_contests_of_a_round_do_not_wait_for_each_other() {
    const BATCHES: u8 = 20;
    let scene = Scene::new().await;
    let (folder, buyer) = node(&scene, 2);
    let terms = RoundTerms {
        model: scene.seller.card.model,
        token: Address::ZERO,
        batches: BATCHES.into(),
        price: Amount(10),
        bond: Amount(50),
        contest_fee: Amount(1),
        accept_by: NOW + 100,
        serve_by: NOW + 200,
        window: 1_000,
        prove_time: 1_000,
    };
    let domain = RoundDomain {
        chain_id: 31_337,
        contract: scene.buyer.chain().contracts().escrow,
    };
    let offer = RoundOffer::new(domain, BUYER, Bytes([4; 32]), terms.clone());
    let (id, nonce) = (offer.round, offer.nonce);
    let (value, signature) = (terms.bond, None);
    let round = |call| Call::Round(Box::new(call));
    scene.send(round(RoundCall::Open { nonce, terms })).await;
    for call in [
        RoundCall::Accept { id, value },
        RoundCall::Close {
            id,
            count: 0,
            signature,
        },
    ] {
        let purpose = format!("{call:?}");
        let sent = scene.seller.wallet.execute(&purpose, &round(call)).await;
        sent.unwrap();
    }
    let batches = (0..BATCHES).map(|index| {
        let mut answer = SignedPrediction {
            version: Version,
            round: id,
            index: index.into(),
            labels: vec![0],
            points: vec![Bytes([index; 64])],
            signature: Bytes([0; 65]),
        };
        let digest = domain.prediction_digest(id, &answer.prediction());
        answer.signature = scene.seller.key.sign(digest).unwrap();
        OrderedBatch {
            inputs: 1,
            seed: Seed::new([1; 32]),
            answer: Some(answer),
            audit: true,
            verdict: Some(Verdict::Doubted("no proof".into())),
        }
    });
    let source = images(folder.path(), BATCHES);
    let (url, card) = ("http://127.0.0.1:1".into(), scene.seller.card.clone());
    let order = Order::new(url, card, offer, source, batches.collect(), 1.0);
    buyer.begin_round(&order).unwrap();
    let look = async || {
        let round = scene.buyer.chain().round_at_depth(id, 0).await;
        round.unwrap().unwrap()
    };
    before(&scene, look().await.window_end, 200).await;
    let model = checked(&scene);
    let limit = Duration::from_secs(40);
    let all = async {
        while look().await.contests < 16 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while look().await.contests < BATCHES.into() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            scene.fake.advance(1);
        }
    };
    tokio::select! {
        ended = buyer.see_round_through(id, &model) => unreachable!("{:?}", ended.err()),
        all = tokio::time::timeout(limit, all) => all.unwrap(),
    }
}
