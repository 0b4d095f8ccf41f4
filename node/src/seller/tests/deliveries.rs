//! Deliveries that come in over HTTP.

use std::time::Duration;

use zknode_protocol::{
    agreement::{State, Terms},
    chain::Call,
    message::DeliveryManifest,
    value::{AgreementId, Bytes},
};

use super::scene::{Scene, TestSet, NOW};
use crate::{
    buyer::{Client, ClientError},
    card::{write_delivery, DealStatus},
    delivery::Part,
};

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
    let sender = Sender::new(&scene, set).await;
    let place = seller.places.delivery(AgreementId(Bytes([1; 32])));
    let place = place.await.unwrap();
    let (status, ()) = tokio::join!(sender.refused(id), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let refused = seller.change(id, |deal| deal.refused = Some("unwanted".into()));
        refused.unwrap();
        drop(place);
    });
    assert_eq!(status, Some(409));
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
    scene.turn().await;
    assert_eq!(scene.state(silent).await, State::Denied);
    assert_eq!(scene.state(honest).await, State::RestSent);
    drop(place);
    assert!(sender.send(honest).await.unwrap().delivered);
    scene.until(honest, State::Delivered).await;
}
