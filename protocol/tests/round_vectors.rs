//! predictions.json, which the contract is tested with, judged by this crate: the same ids, contexts and signatures.
#![allow(clippy::unwrap_used)]

use serde::Deserialize;
use zknode_protocol::{
    chain::key::{recover, Key},
    round::{
        message::{Domain, PredictRequest, RoundMessageError, RoundOffer, SignedPrediction},
        prediction_context, round_id, Prediction, RoundId, RoundTerms,
    },
    value::{Address, Amount, Bytes, Hash, ModelId, Signature},
};

const VECTORS: &str = include_str!("../../contracts/vectors/predictions.json");

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vectors {
    chain_id: u64,
    contract: Address,
    buyer: Address,
    buyer_key: Hash,
    seller: Address,
    seller_key: Hash,
    round: RoundVector,
    contexts: Vec<ContextVector>,
    domain_separator: Hash,
    voucher: Signed,
    approval: Signed,
    request: Signed,
    audit: Signed,
    prediction: Signed,
}

#[derive(Deserialize)]
struct RoundVector {
    nonce: Hash,
    terms: TermsVector,
    id: RoundId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TermsVector {
    model_id: ModelId,
    token: Address,
    batches: u32,
    price: Amount,
    bond: Amount,
    contest_fee: Amount,
    accept_by: u64,
    serve_by: u64,
    window: u32,
    prove_time: u32,
}

#[derive(Deserialize)]
struct ContextVector {
    index: u32,
    payee: Address,
    context: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Signed {
    #[serde(default)]
    count: u32,
    #[serde(default)]
    index: u32,
    #[serde(default)]
    valid: u32,
    #[serde(default)]
    ciphertext_hash: Hash,
    #[serde(default)]
    shard_points_hash: Hash,
    digest: Hash,
    signature: Signature,
}

fn read() -> (Vectors, RoundTerms, Domain) {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    let terms = &vectors.round.terms;
    let terms = RoundTerms {
        model: terms.model_id,
        token: terms.token,
        batches: terms.batches,
        price: terms.price,
        bond: terms.bond,
        contest_fee: terms.contest_fee,
        accept_by: terms.accept_by,
        serve_by: terms.serve_by,
        window: terms.window,
        prove_time: terms.prove_time,
    };
    let (chain_id, contract) = (vectors.chain_id, vectors.contract);
    (vectors, terms, Domain { chain_id, contract })
}

#[test]
fn ids_and_contexts_agree() {
    let (vectors, terms, domain) = read();
    let Domain { chain_id, contract } = domain;
    let nonce = vectors.round.nonce;
    let id = round_id(chain_id, contract, vectors.buyer, nonce, &terms);
    assert_eq!(id, vectors.round.id);
    assert_eq!(vectors.contexts.len(), 3);
    for context in &vectors.contexts {
        let found = prediction_context(chain_id, contract, id, context.index, context.payee);
        assert_eq!(Bytes(found), context.context);
    }
    let mut offer = RoundOffer::new(domain, vectors.buyer, nonce, terms);
    assert_eq!(offer.check(), Ok(()));
    offer.terms.price = Amount(1);
    assert!(matches!(
        offer.check(),
        Err(RoundMessageError::Round { .. })
    ));
}

#[test]
fn signatures_agree() {
    let (vectors, _, domain) = read();
    let id = vectors.round.id;
    assert_eq!(domain.separator(), vectors.domain_separator);
    let prediction = Prediction {
        index: vectors.prediction.index,
        valid: vectors.prediction.valid,
        points: vectors.prediction.shard_points_hash,
    };
    let request = &vectors.request;
    let digests = [
        (
            domain.voucher_digest(id, vectors.voucher.count),
            &vectors.voucher,
            true,
        ),
        (
            domain.approval_digest(id, vectors.approval.count),
            &vectors.approval,
            true,
        ),
        (
            domain.request_digest(id, request.index, request.ciphertext_hash),
            request,
            true,
        ),
        (
            domain.audit_digest(id, vectors.audit.index),
            &vectors.audit,
            true,
        ),
        (
            domain.prediction_digest(id, &prediction),
            &vectors.prediction,
            false,
        ),
    ];
    for (digest, signed, by_buyer) in digests {
        assert_eq!(digest, signed.digest);
        let (account, key) = match by_buyer {
            true => (vectors.buyer, vectors.buyer_key),
            false => (vectors.seller, vectors.seller_key),
        };
        let key = Key::from_secret(&key.0).unwrap();
        assert_eq!(key.sign(digest), Ok(signed.signature));
        assert_eq!(recover(digest, &signed.signature), Ok(account));
    }
}

/// A message that was changed, or is about something else, is not its signer's.
#[test]
fn messages_are_checked() {
    let (vectors, _, domain) = read();
    let (id, buyer, seller) = (vectors.round.id, vectors.buyer, vectors.seller);
    let key = Key::from_secret(&vectors.buyer_key.0).unwrap();
    let hash = vectors.request.ciphertext_hash;
    let request = PredictRequest {
        version: zknode_protocol::message::Version,
        round: id,
        index: 3,
        ciphertext_hash: hash,
        ciphertext_bytes: 9,
        signature: key.sign(domain.request_digest(id, 3, hash)).unwrap(),
        voucher: key.sign(domain.voucher_digest(id, 3)).unwrap(),
    };
    assert_eq!(request.check(domain, buyer), Ok(()));
    let refused = |changed: PredictRequest| {
        let answer = changed.check(domain, buyer);
        assert!(
            matches!(answer, Err(RoundMessageError::Signer { .. })),
            "{answer:?}"
        );
    };
    refused(PredictRequest {
        index: 4,
        ..request.clone()
    });
    refused(PredictRequest {
        round: RoundId(hash),
        ..request.clone()
    });
    refused(PredictRequest {
        ciphertext_hash: Hash::ZERO,
        ..request.clone()
    });
    // The voucher for one batch fewer, or an approval in its place.
    for digest in [domain.voucher_digest(id, 2), domain.approval_digest(id, 3)] {
        let voucher = key.sign(digest).unwrap();
        refused(PredictRequest {
            voucher,
            ..request.clone()
        });
    }

    let key = Key::from_secret(&vectors.seller_key.0).unwrap();
    let mut answer = SignedPrediction {
        version: zknode_protocol::message::Version,
        round: id,
        index: 3,
        labels: vec![1, 2],
        points: vec![Bytes([5; 64])],
        signature: Bytes([0; 65]),
    };
    answer.signature = key
        .sign(domain.prediction_digest(id, &answer.prediction()))
        .unwrap();
    assert_eq!(answer.check(domain, seller, id, 3), Ok(()));
    let index = answer.check(domain, seller, id, 4);
    assert!(matches!(index, Err(RoundMessageError::Index { .. })));
    let round = answer.check(domain, seller, RoundId(hash), 3);
    assert!(matches!(round, Err(RoundMessageError::Round { .. })));
    for change in [
        |answer: &mut SignedPrediction| answer.labels.push(3),
        |answer: &mut SignedPrediction| answer.points.push(Bytes([5; 64])),
        |answer: &mut SignedPrediction| answer.points[0].0[63] ^= 1,
    ] {
        let mut changed = answer.clone();
        change(&mut changed);
        let refused = changed.check(domain, seller, id, 3);
        assert!(matches!(refused, Err(RoundMessageError::Signer { .. })));
    }
}
