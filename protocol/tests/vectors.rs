//! The vectors the contracts are tested with, judged by this crate: same hashes, same rules, same money.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use serde::Deserialize;
use zknode_protocol::{
    agreement::{agreement_id, Metric, Mode, Terms},
    chain::key::{recover, Key},
    claim_tree::{verify_opening, ClaimTree, ShardClaim, ShardCount},
    dataset_root::{verify_path, DatasetTree, ShardLeaf},
    digest::{draw_seed, model_id, points_digest, proof_context, ModelKey},
    message::Domain,
    sampling::draw_shards,
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId, Point, Signature},
};

const HASHES: &str = include_str!("../../contracts/vectors/hashes.json");

fn points(hex_text: &str) -> Vec<Point> {
    let bytes = hex::decode(hex_text.strip_prefix("0x").unwrap()).unwrap();
    bytes
        .chunks(64)
        .map(|chunk| Bytes(chunk.try_into().unwrap()))
        .collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hashes {
    chain_id: u64,
    registry: Address,
    escrow: Address,
    model: HashedModel,
    trees: Vec<HashedTree>,
    agreement: HashedAgreement,
    contexts: Vec<HashedContext>,
    signed: HashedSignatures,
    draw: HashedSeed,
    draws: Vec<HashedDraw>,
    claims: Vec<HashedClaim>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedModel {
    seller: Address,
    nonce: u64,
    architecture: Hash,
    verifier: Address,
    model_points: String,
    model_points_hash: Hash,
    shard_points: u16,
    model_id: ModelId,
}

#[derive(Deserialize)]
struct HashedTree {
    root: Hash,
    shards: Vec<HashedShard>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedShard {
    index: u32,
    valid: u32,
    shard_points: String,
    leaf: Hash,
    merkle_proof: Vec<Hash>,
}

#[derive(Deserialize)]
struct HashedAgreement {
    buyer: Address,
    nonce: u64,
    terms: HashedTerms,
    id: AgreementId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedTerms {
    model_id: ModelId,
    dataset_root: Hash,
    token: Address,
    shards: u32,
    samples: u32,
    threshold: u32,
    price: Amount,
    buyer_bond: Amount,
    bond: Amount,
    penalty: Amount,
    preview_fee: Amount,
    contest_fee: Amount,
    accept_by: u64,
    preview_by: u64,
    deliver_by: u64,
    claim_by: u64,
    metric: u8,
    mode: u8,
    preview_shards: u32,
    response_time: u32,
    window: u32,
    prove_time: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedContext {
    shard_index: u32,
    payee: Address,
    context: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedSignatures {
    domain_separator: Hash,
    signer_key: Bytes<32>,
    preview: HashedSignature,
    receipt: HashedSignature,
    approval: HashedSignature,
}

#[derive(Deserialize)]
struct HashedSignature {
    content: Hash,
    digest: Hash,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedSeed {
    block_hash: Hash,
    seed: Hash,
}

#[derive(Deserialize)]
struct HashedDraw {
    seed: Hash,
    available: u32,
    wanted: u32,
    shards: Vec<u32>,
}

#[derive(Deserialize)]
struct HashedClaim {
    leaves: Vec<HashedLeaf>,
    node: Hash,
    root: Hash,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedLeaf {
    index: u32,
    valid: u32,
    top1: u32,
    topk: u32,
    proof_hash: Hash,
    hash: Hash,
    path: Vec<Hash>,
    sums: Vec<Hash>,
}

fn hashes() -> Hashes {
    serde_json::from_str(HASHES).unwrap()
}

#[test]
fn model_and_agreement_ids_are_the_contracts() {
    let vectors = hashes();
    let model = vectors.model;
    let key = ModelKey {
        chain_id: vectors.chain_id,
        registry: vectors.registry,
        seller: model.seller,
        nonce: model.nonce,
        architecture: model.architecture,
        verifier: model.verifier,
        points: points_digest(&points(&model.model_points)),
        shard_points: model.shard_points,
    };
    assert_eq!(key.points, model.model_points_hash);
    assert_eq!(model_id(&key), model.model_id);

    let HashedAgreement {
        buyer,
        nonce,
        terms,
        id,
    } = vectors.agreement;
    let terms = Terms {
        model: terms.model_id,
        dataset_root: terms.dataset_root,
        token: terms.token,
        shards: terms.shards,
        samples: terms.samples,
        threshold: terms.threshold,
        price: terms.price,
        buyer_bond: terms.buyer_bond,
        bond: terms.bond,
        penalty: terms.penalty,
        preview_fee: terms.preview_fee,
        contest_fee: terms.contest_fee,
        accept_by: terms.accept_by,
        preview_by: terms.preview_by,
        deliver_by: terms.deliver_by,
        claim_by: terms.claim_by,
        metric: [Metric::Top1, Metric::TopK][usize::from(terms.metric)],
        mode: [Mode::Optimistic, Mode::Eager][usize::from(terms.mode)],
        preview_shards: terms.preview_shards,
        response_time: terms.response_time,
        window: terms.window,
        prove_time: terms.prove_time,
    };
    assert_eq!(
        agreement_id(vectors.chain_id, vectors.escrow, buyer, nonce, &terms),
        id
    );
    assert_ne!(
        agreement_id(vectors.chain_id, vectors.escrow, buyer, nonce + 1, &terms),
        id
    );

    assert!(!vectors.contexts.is_empty());
    for HashedContext {
        shard_index,
        payee,
        context,
    } in vectors.contexts
    {
        let got = proof_context(vectors.chain_id, vectors.escrow, id, shard_index, payee);
        assert_eq!(Bytes(got), context);
    }
}

#[test]
fn trees_and_paths_are_the_contracts() {
    let vectors = hashes();
    assert!(vectors.trees.len() >= 6);
    for tree in vectors.trees {
        let leaf = |s: &HashedShard| ShardLeaf::new(s.index, s.valid, &points(&s.shard_points));
        let ours = DatasetTree::new(tree.shards.iter().map(leaf).collect()).unwrap();
        assert_eq!(ours.root(), tree.root);
        for shard in &tree.shards {
            assert_eq!(leaf(shard).hash(), shard.leaf);
            assert_eq!(ours.path(shard.index).unwrap(), shard.merkle_proof);
            let count = tree.shards.len() as u32;
            assert_eq!(
                verify_path(tree.root, count, &leaf(shard), &shard.merkle_proof),
                Ok(())
            );
        }
    }
}

#[test]
fn signatures_are_the_contracts() {
    let vectors = hashes();
    let signed = vectors.signed;
    let domain = Domain {
        chain_id: vectors.chain_id,
        escrow: vectors.escrow,
    };
    assert_eq!(domain.separator(), signed.domain_separator);
    let key = Key::from_secret(&signed.signer_key.0).unwrap();
    assert_eq!(key.address(), vectors.model.seller);
    let id = vectors.agreement.id;
    for (told, digest) in [
        (
            &signed.preview,
            domain.preview_digest(id, signed.preview.content),
        ),
        (
            &signed.receipt,
            domain.receipt_digest(id, signed.receipt.content),
        ),
        (
            &signed.approval,
            domain.approval_digest(id, signed.approval.content),
        ),
    ] {
        assert_eq!(digest, told.digest);
        assert_eq!(key.sign(digest).unwrap(), told.signature);
        assert_eq!(recover(digest, &told.signature).unwrap(), key.address());
    }
}

#[test]
fn draws_are_the_contracts() {
    let vectors = hashes();
    let seed = draw_seed(vectors.draw.block_hash, vectors.agreement.id);
    assert_eq!(seed, vectors.draw.seed);
    assert!(vectors.draws.len() >= 5);
    for draw in vectors.draws {
        let drawn = draw_shards(draw.seed, draw.available, draw.wanted);
        assert_eq!(drawn, Ok(draw.shards));
    }
}

#[test]
fn claims_are_the_contracts() {
    for claim in hashes().claims {
        let leaf = |told: &HashedLeaf| ShardClaim {
            count: ShardCount {
                index: told.index,
                valid: told.valid,
                top1: told.top1,
                topk: told.topk,
            },
            proof: told.proof_hash,
        };
        let tree = ClaimTree::new(claim.leaves.iter().map(leaf).collect()).unwrap();
        assert_eq!((tree.top().hash, tree.root()), (claim.node, claim.root));
        for told in &claim.leaves {
            assert_eq!(leaf(told).leaf().hash, told.hash);
            let path = tree.path(told.index).unwrap();
            let hashes: Vec<Hash> = path.iter().map(|node| node.hash).collect();
            let sums: Vec<Hash> = path.iter().map(|node| Bytes(node.sums_word())).collect();
            assert_eq!((&hashes, &sums), (&told.path, &told.sums));
            let shards = claim.leaves.len() as u32;
            assert_eq!(
                verify_opening(claim.root, shards, &leaf(told), &path),
                Ok(())
            );
        }
    }
}
