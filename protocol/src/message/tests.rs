//! Tests of the messages.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    agreement::{Metric, Mode},
    chain::key::Key,
    dataset_root::{DatasetTree, ShardLeaf},
    sampling::draw_shards,
    value::{Amount, ModelId},
};

const DOMAIN: Domain = Domain {
    chain_id: 31_337,
    escrow: Bytes([2; 20]),
};

fn key(name: &str) -> Key {
    Key::from_secret(&keccak(name.as_bytes()).0).unwrap()
}

fn manifest() -> DeliveryManifest {
    let shard = |seed: u8, valid| ManifestShard {
        valid,
        points: vec![Bytes([seed; 64])],
    };
    DeliveryManifest {
        version: Version,
        agreement: AgreementId(Hash::ZERO),
        ciphertext_hash: keccak(b"ciphertext"),
        ciphertext_bytes: 10,
        shards: vec![shard(1, 64), shard(2, 64), shard(3, 10)],
    }
}

fn terms() -> Terms {
    let leaves = (0..).zip(manifest().shards);
    let leaves = leaves.map(|(index, shard)| ShardLeaf::new(index, shard.valid, &shard.points));
    Terms {
        model: ModelId(Bytes([9; 32])),
        dataset_root: DatasetTree::new(leaves.collect()).unwrap().root(),
        token: Address::ZERO,
        shards: 3,
        samples: 138,
        threshold: 130,
        price: Amount(1_000),
        bond: Amount(500),
        penalty: Amount(200),
        buyer_bond: Amount(0),
        preview_fee: Amount(0),
        contest_fee: Amount(0),
        accept_by: 2_000,
        preview_by: 2_000 + 1,
        deliver_by: 3_000,
        claim_by: 4_000,
        metric: Metric::TopK,
        mode: Mode::Eager,
        preview_shards: 0,
        response_time: 10,
        window: 0,
        prove_time: 0,
    }
}

fn receipt() -> Receipt {
    let agreement = AgreementId(keccak(b"agreement"));
    let ciphertext_hash = keccak(b"ciphertext");
    let digest = DOMAIN.receipt_digest(agreement, ciphertext_hash);
    Receipt {
        version: Version,
        domain: DOMAIN,
        agreement,
        ciphertext_hash,
        signature: key("seller").sign(digest).unwrap(),
    }
}

#[test]
fn a_receipt_binds_signer_chain_escrow_agreement_and_ciphertext() {
    let seller = key("seller").address();
    assert_eq!(receipt().check(seller), Ok(()));
    assert!(matches!(
        receipt().check(key("buyer").address()),
        Err(MessageError::Signer { .. })
    ));
    let changes: [fn(&mut Receipt); 4] = [
        |r| r.domain.chain_id += 1,
        |r| r.domain.escrow = Bytes([3; 20]),
        |r| r.agreement = AgreementId(keccak(b"another")),
        |r| r.ciphertext_hash = keccak(b"another"),
    ];
    for change in changes {
        let mut changed = receipt();
        change(&mut changed);
        assert!(changed.check(seller).is_err());
    }
    let mut malformed = receipt();
    malformed.signature.0[64] = 0;
    assert_eq!(
        malformed.check(seller),
        Err(MessageError::Signature(KeyError::Parity { got: 0 }))
    );
}

#[test]
fn a_card_is_signed_by_the_seller_and_is_no_receipt() {
    let seller = key("seller").address();
    let reading_key = Bytes([5; 32]);
    let mut card = SellerCard {
        version: Version,
        domain: DOMAIN,
        seller,
        reading_key,
        signature: key("seller")
            .sign(DOMAIN.reading_key_digest(seller, reading_key))
            .unwrap(),
    };
    assert_eq!(card.check(), Ok(()));
    card.reading_key = Bytes([6; 32]);
    assert!(matches!(card.check(), Err(MessageError::Signer { .. })));
    assert_ne!(
        DOMAIN.reading_key_digest(seller, reading_key),
        DOMAIN.receipt_digest(AgreementId(Bytes(Word::from(seller).0)), reading_key)
    );
}

#[test]
fn an_offer_names_its_own_terms() {
    let buyer = key("buyer").address();
    let mut offer = Offer {
        version: Version,
        domain: DOMAIN,
        agreement: agreement_id(DOMAIN.chain_id, DOMAIN.escrow, buyer, 4, &terms()),
        buyer,
        nonce: 4,
        terms: terms(),
    };
    assert_eq!(offer.check(), Ok(()));
    offer.terms.price = Amount(1_001);
    assert!(matches!(offer.check(), Err(MessageError::Agreement { .. })));
}

#[test]
fn a_manifest_is_the_agreed_dataset_or_nothing() {
    assert_eq!(
        manifest().tree(&terms()).unwrap().root(),
        terms().dataset_root
    );

    let mut short = manifest();
    short.shards.pop();
    assert_eq!(
        short.tree(&terms()),
        Err(MessageError::ShardCount {
            expected: 3,
            got: 2
        })
    );
    let mut fat = manifest();
    fat.shards[2].valid += 1;
    assert_eq!(
        fat.tree(&terms()),
        Err(MessageError::SampleCount {
            expected: 138,
            got: 139
        })
    );
    let mut shifted = manifest();
    shifted.shards[0].valid += 1;
    shifted.shards[1].valid -= 1;
    assert!(matches!(
        shifted.tree(&terms()),
        Err(MessageError::Root { .. })
    ));
    let mut twice = manifest();
    twice.shards[1].points = twice.shards[0].points.clone();
    assert!(matches!(
        twice.tree(&terms()),
        Err(MessageError::Shards(RootError::Duplicate { .. }))
    ));
}

#[test]
fn messages_round_trip_and_refuse_other_versions_and_fields() {
    let json = serde_json::to_string(&manifest()).unwrap();
    assert_eq!(
        serde_json::from_str::<DeliveryManifest>(&json).unwrap(),
        manifest()
    );

    let newer = json.replacen("\"version\":1", "\"version\":2", 1);
    let refused = serde_json::from_str::<DeliveryManifest>(&newer).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("expected message version 1, got 2"),
        "{refused}"
    );

    let longer = json.replacen('{', "{\"extra\":0,", 1);
    assert!(serde_json::from_str::<DeliveryManifest>(&longer).is_err());

    let json = serde_json::to_string(&receipt()).unwrap();
    assert_eq!(serde_json::from_str::<Receipt>(&json).unwrap(), receipt());
}

#[test]
fn a_preview_is_the_drawn_shards_under_the_root() {
    let terms = Terms {
        preview_shards: 2,
        ..terms()
    };
    let leaves = (0..).zip(manifest().shards);
    let leaves = leaves.map(|(index, shard)| ShardLeaf::new(index, shard.valid, &shard.points));
    let tree = DatasetTree::new(leaves.collect()).unwrap();
    let seed = keccak(b"seed");
    let drawn = draw_shards(seed, 3, 2).unwrap();
    let shard = |index: &u32| PreviewShard {
        index: *index,
        shard: manifest().shards[*index as usize].clone(),
        path: tree.path(*index).unwrap(),
    };
    let preview = PreviewManifest {
        version: Version,
        agreement: AgreementId(Hash::ZERO),
        ciphertext_hash: keccak(b"ciphertext"),
        ciphertext_bytes: 10,
        shards: drawn.iter().map(shard).collect(),
    };
    assert_eq!(preview.check(&terms, seed), Ok(()));
    let other = (0..=255u8)
        .map(|n| keccak(&[n]))
        .find(|seed| draw_shards(*seed, 3, 2) != Ok(drawn.clone()));
    assert!(matches!(
        preview.check(&terms, other.unwrap()),
        Err(MessageError::NotDrawn { .. })
    ));
    let mut short = preview.clone();
    short.shards.pop();
    assert!(matches!(
        short.check(&terms, seed),
        Err(MessageError::NotDrawn { .. })
    ));
    let mut more = preview.clone();
    more.shards[0].shard.valid += 1;
    assert!(matches!(
        more.check(&terms, seed),
        Err(MessageError::Shards(_))
    ));
}

/// A preview's receipt is no receipt for the rest, and neither is an approval.
#[test]
fn each_signature_is_for_one_thing() {
    let (id, content) = (AgreementId(keccak(b"agreement")), keccak(b"ciphertext"));
    let digests = [
        DOMAIN.preview_digest(id, content),
        DOMAIN.receipt_digest(id, content),
        DOMAIN.approval_digest(id, content),
    ];
    assert!(digests[0] != digests[1] && digests[1] != digests[2] && digests[0] != digests[2]);
    let mut receipt = receipt();
    receipt.check(key("seller").address()).unwrap();
    assert!(receipt.check_preview(key("seller").address()).is_err());
    let digest = DOMAIN.preview_digest(receipt.agreement, receipt.ciphertext_hash);
    receipt.signature = key("seller").sign(digest).unwrap();
    receipt.check_preview(key("seller").address()).unwrap();
    assert!(receipt.check(key("seller").address()).is_err());
}
