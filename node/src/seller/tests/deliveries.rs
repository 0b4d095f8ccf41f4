//! Deliveries that come in over HTTP.

use std::time::Duration;

use zknode_protocol::{
    agreement::{State, Terms},
    chain::{Call, ChainError},
    message::DeliveryManifest,
    value::{AgreementId, Bytes},
};

use axum::{
    body::{Body, Bytes as Piece},
    response::IntoResponse,
};
use http_body_util::channel::Channel;

use super::scene::{Scene, TestSet, NOW};
use crate::{
    buyer::{Client, ClientError},
    card::{write_delivery, DealStatus},
    delivery::Part,
    seller::deliver::deliver,
};

/// Longer than a buyer needs to ask again.
const LONG: Duration = Duration::from_secs(300);

/// A buyer's delivery of one test set.
struct Sender {
    client: Client,
    sealed: Vec<u8>,
    manifest: DeliveryManifest,
}

impl Sender {
    async fn new(scene: &Scene, set: TestSet) -> Self {
        let client = Client::new(&scene.serve().await).unwrap();
        let nobody = AgreementId(Bytes([0; 32]));
        let (sealed, manifest) = set.seal(&scene.seller, nobody);
        Self {
            client,
            sealed,
            manifest,
        }
    }

    /// The same bytes, for this agreement.
    async fn send(&self, agreement: AgreementId) -> Result<DealStatus, ClientError> {
        let manifest = DeliveryManifest {
            agreement,
            ..self.manifest.clone()
        };
        let body = write_delivery(&manifest, &self.sealed).unwrap();
        self.client.deliver(agreement, body).await
    }

    /// The same where it is refused: with what status.
    async fn refused(&self, agreement: AgreementId) -> Option<u16> {
        match self.send(agreement).await {
            Err(ClientError::Refused { status, .. }) => Some(status),
            _ => None,
        }
    }
}

/// The escrow takes agreements about the same test set, and a buyer may send the same bytes to both: the end of one takes
/// nothing from the other.
#[tokio::test(flavor = "multi_thread")]
async fn one_ciphertext_of_two_agreements_is_kept_for_each() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let stays = scene.open(scene.terms(set.root, NOW + 2_000)).await;
    let ends = scene.open(scene.terms(set.root, NOW + 3_000)).await;
    scene.turn().await;
    let sender = Sender::new(&scene, set).await;
    for id in [stays, ends] {
        assert!(sender.send(id).await.unwrap().delivered);
    }
    let refused = seller.change(ends, |deal| deal.refused = Some("unwanted".into()));
    refused.unwrap();
    scene.until(ends, State::Declined).await;
    scene.until(stays, State::Delivered).await;
    while !seller.deal(ends).unwrap().unwrap().over {
        scene.turn().await;
    }
    assert!(!seller.home.received(ends, Part::Rest).exists());
    let opens = || {
        let deal = seller.deal(stays).unwrap().unwrap();
        let terms = &deal.offer.terms;
        seller.open_delivery(terms, &deal.manifest.unwrap()).is_ok()
    };
    assert!(opens());
    // Where the file is lost all the same, it is said to be, and taken anew.
    std::fs::remove_file(seller.home.received(stays, Part::Rest)).unwrap();
    assert!(!sender.client.status(stays).await.unwrap().delivered);
    assert!(sender.send(stays).await.unwrap().delivered);
    assert!(opens());
}

/// What was refused while it waited is not read, and nothing of it stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_that_waited_is_judged_again() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let id = scene.open(scene.terms(set.root, NOW + 2_000)).await;
    scene.turn().await;
    let (_, manifest) = set.seal(seller, id);
    let (mut bytes, body) = Channel::<Piece, std::io::Error>::new(1);
    let place = seller.places.delivery(AgreementId(Bytes([1; 32])));
    let place = place.await.unwrap();
    let (answer, read) = tokio::join!(
        async {
            let answer = deliver(seller, Part::Rest, id, Body::new(body)).await;
            answer.into_response().status().as_u16()
        },
        async {
            let head = Piece::from(write_delivery(&manifest, &[]).unwrap());
            bytes.send_data(head).await.unwrap();
            // One piece lies in the channel; the other is taken only if somebody reads.
            bytes.send_data(Piece::from_static(b"a")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let refused = seller.change(id, |deal| deal.refused = Some("unwanted".into()));
            refused.unwrap();
            drop(place);
            bytes.send_data(Piece::from_static(b"b")).await.is_ok()
        }
    );
    assert_eq!((answer, read), (409, false));
    assert!(seller.deal(id).unwrap().unwrap().manifest.is_none());
    assert!(!seller.home.received(id, Part::Rest).exists());
}

/// Others hold all places, the buyer says on chain that it delivered: that is this node's trouble. A buyer that sent nothing
/// is denied.
#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_that_finds_no_place_is_not_denied() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let terms = |root| Terms {
        response_time: 1_000,
        claim_by: NOW + 8_000,
        ..scene.terms(root, NOW + 2_000)
    };
    let honest = scene.open(terms(set.root)).await;
    let silent = scene.open(terms(Bytes([9; 32]))).await;
    scene.turn().await;
    let sender = Sender::new(&scene, set).await;
    let place = seller.places.delivery(AgreementId(Bytes([1; 32])));
    let place = place.await.unwrap();
    assert_eq!(sender.refused(honest).await, Some(503));
    for id in [honest, silent] {
        let ciphertext = sender.manifest.ciphertext_hash;
        scene.send(Call::Send { id, ciphertext }).await;
    }
    scene.fake.advance(2_800);
    seller.places.has_answered_for(LONG);
    scene.turn().await;
    assert_eq!(scene.state(silent).await, State::Denied);
    assert_eq!(scene.state(honest).await, State::RestSent);
    drop(place);
    assert!(sender.send(honest).await.unwrap().delivered);
    scene.until(honest, State::Delivered).await;
}

/// The node comes back in the last quarter of the time to answer, or its chain does: before a buyer that says on chain that
/// it delivered is denied, it has time to ask again.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_that_was_away_denies_nobody() {
    let scene = Scene::new().await;
    let (seller, set) = (&scene.seller, TestSet::new(&scene));
    let terms = |root| Terms {
        response_time: 1_000,
        claim_by: NOW + 8_000,
        ..scene.terms(root, NOW + 2_000)
    };
    let tried = scene.open(terms(set.root)).await;
    let silent = scene.open(terms(Bytes([9; 32]))).await;
    scene.turn().await;
    let sender = Sender::new(&scene, set).await;
    for id in [tried, silent] {
        let ciphertext = sender.manifest.ciphertext_hash;
        scene.send(Call::Send { id, ciphertext }).await;
    }
    scene.fake.advance(2_800);
    let after_a_turn = async || {
        scene.turn().await;
        [scene.state(tried).await, scene.state(silent).await]
    };
    assert_eq!(after_a_turn().await, [State::RestSent; 2]);
    // It was here, and its chain was not.
    seller.places.has_answered_for(LONG);
    scene.fake.fail_next(ChainError::Unreachable {
        endpoint: "here".into(),
        reason: "down".into(),
    });
    assert_eq!(sender.refused(tried).await, Some(503));
    assert_eq!(after_a_turn().await, [State::RestSent; 2]);
    // So many looked at the chain that there was no place for this one.
    seller.places.has_answered_for(LONG);
    let place = seller.places.chain().await.unwrap();
    assert_eq!(sender.refused(tried).await, Some(503));
    drop(place);
    let states = [State::RestSent, State::Denied];
    assert_eq!(after_a_turn().await, states);
    // The deadline declines, at the same price.
    scene.fake.advance(300);
    scene.until(tried, State::Declined).await;
}
