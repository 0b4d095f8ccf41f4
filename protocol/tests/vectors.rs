//! The vectors the contracts are tested with, judged by this crate: same hashes, same rules, same money.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use serde::Deserialize;
use zknode_protocol::{
    agreement::{
        step, Action, Agreement, Effect, Event, Ledger, Metric, Mode, ModelFacts, Moment,
        RuleError, ShardCount, ShardFacts, Terms, Verdict, NOBODY, NOTICE_PERIOD,
    },
    chain::key::{recover, Key},
    claim_tree::{verify_opening, ClaimTree, ShardClaim},
    dataset_root::{verify_path, DatasetTree, ShardLeaf},
    digest::{agreement_id, draw_seed, keccak, model_id, points_digest, proof_context, ModelKey},
    message::Domain,
    sampling::draw_shards,
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId, Point, Signature},
};

const HASHES: &str = include_str!("../../contracts/vectors/hashes.json");
const STORIES: &str = include_str!("../../contracts/vectors/stories.json");

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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stories {
    notice_period: u64,
    scenarios: Vec<Story>,
}

#[derive(Deserialize)]
struct Story {
    name: String,
    model: StoryModel,
    terms: StoryTerms,
    dataset: Vec<u32>,
    steps: Vec<StoryStep>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoryModel {
    registered: bool,
    registered_block: u64,
    retires_at: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoryTerms {
    shards: u32,
    samples: u32,
    threshold: u32,
    metric: Metric,
    mode: Mode,
    price: u128,
    buyer_bond: u128,
    bond: u128,
    penalty: u128,
    preview_fee: u128,
    contest_fee: u128,
    accept_by: u64,
    preview_by: u64,
    deliver_by: u64,
    claim_by: u64,
    preview_shards: u32,
    response_time: u32,
    window: u32,
    prove_time: u32,
}

#[derive(Deserialize)]
struct StoryStep {
    time: u64,
    block: u64,
    actor: String,
    event: String,
    args: StoryArgs,
    expect: Expectation,
    deltas: BTreeMap<String, Money>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StoryArgs {
    value: u128,
    signer: String,
    index: u32,
    valid: u32,
    top1: u32,
    topk: u32,
    accepted: bool,
    counts: Vec<[u32; 2]>,
    rejected: Vec<u32>,
}

#[derive(Deserialize)]
struct Expectation {
    state: String,
    error: String,
}

#[derive(Deserialize, Debug, Clone, Copy, Default, PartialEq)]
struct Money {
    wallet: i128,
    credit: i128,
}

fn party(name: &str) -> Address {
    if name == "nobody" {
        return NOBODY;
    }
    let number = ["buyer", "seller", "stranger"]
        .iter()
        .position(|who| *who == name)
        .unwrap();
    Bytes([number as u8 + 1; 20])
}

fn shard_points(index: u32) -> Vec<Point> {
    vec![Bytes(
        keccak(&index.to_be_bytes()).0.repeat(2).try_into().unwrap(),
    )]
}

/// One story, told to the rules and the books.
struct Stage {
    tree: DatasetTree,
    terms: Terms,
    model: Option<ModelFacts>,
    agreement: Option<Agreement>,
    ledger: Ledger,
}

impl Stage {
    fn new(story: &Story) -> Self {
        let leaf =
            |(index, valid): (u32, &u32)| ShardLeaf::new(index, *valid, &shard_points(index));
        let tree = DatasetTree::new((0..).zip(&story.dataset).map(leaf).collect()).unwrap();
        let t = &story.terms;
        let terms = Terms {
            model: ModelId(Bytes([1; 32])),
            dataset_root: tree.root(),
            token: Address::ZERO,
            shards: t.shards,
            samples: t.samples,
            threshold: t.threshold,
            price: Amount(t.price),
            buyer_bond: Amount(t.buyer_bond),
            bond: Amount(t.bond),
            penalty: Amount(t.penalty),
            preview_fee: Amount(t.preview_fee),
            contest_fee: Amount(t.contest_fee),
            accept_by: t.accept_by,
            preview_by: t.preview_by,
            deliver_by: t.deliver_by,
            claim_by: t.claim_by,
            metric: t.metric,
            mode: t.mode,
            preview_shards: t.preview_shards,
            response_time: t.response_time,
            window: t.window,
            prove_time: t.prove_time,
        };
        let model = story.model.registered.then_some(ModelFacts {
            seller: party("seller"),
            registered_block: story.model.registered_block,
            retires_at: story.model.retires_at,
            points: Hash::ZERO,
            shard_points: 1,
        });
        Self {
            tree,
            terms,
            model,
            agreement: None,
            ledger: Ledger::default(),
        }
    }

    fn action(&self, event: &str, args: &StoryArgs) -> Action {
        let value = Amount(args.value);
        let ciphertext = keccak(b"ciphertext");
        let signer = Some(args.signer.as_str()).filter(|signer| !signer.is_empty());
        let signer = signer.map(party);
        match event {
            "open" => Action::Open {
                terms: self.terms.clone(),
                model: self.model,
                token_has_code: false,
                value,
            },
            "cancel" => Action::Cancel,
            "accept" => Action::Accept { value },
            "draw" => {
                let seed = keccak(b"seed");
                Action::Draw { seed }
            }
            "send" => Action::Send,
            "proceed" => Action::Proceed { signer },
            "acknowledge" => Action::Acknowledge { ciphertext, signer },
            "decline" => Action::Decline,
            "deny" => Action::Deny,
            "claim" => {
                let sums = self.claim(args).0;
                Action::Claim {
                    node: self.claim(args).1,
                    top1: sums[0],
                    topk: sums[1],
                }
            }
            "approve" => Action::Approve { signer },
            "contest" => Action::Contest {
                index: args.index,
                value,
            },
            "answer" => {
                let leaves = self.leaves(args);
                let leaf = leaves.get(args.index as usize).copied();
                let tree = ClaimTree::new(leaves).unwrap();
                let index = args.index;
                let count = leaf.map_or(
                    ShardCount {
                        index,
                        valid: 0,
                        top1: 0,
                        topk: 0,
                    },
                    |leaf| leaf.count,
                );
                Action::Answer {
                    shard: self.facts(count, !args.rejected.contains(&index)),
                    proof: leaf.map_or(Hash::ZERO, |leaf| leaf.proof),
                    path: tree.path(index).unwrap_or_default(),
                }
            }
            "proveShard" => {
                let count = ShardCount {
                    index: args.index,
                    valid: args.valid,
                    top1: args.top1,
                    topk: args.topk,
                };
                Action::ProveShard(self.facts(count, args.accepted))
            }
            "expire" => Action::Expire,
            other => panic!("unknown event {other}"),
        }
    }

    /// Every shard with the counts of a claim; the proofs differ where the verifier rejects them.
    fn leaves(&self, args: &StoryArgs) -> Vec<ShardClaim> {
        let leaf = |((index, [top1, topk]), shard): ((u32, &[u32; 2]), &ShardLeaf)| ShardClaim {
            count: ShardCount {
                index,
                valid: shard.valid,
                top1: *top1,
                topk: *topk,
            },
            proof: keccak(&[u8::from(args.rejected.contains(&index))]),
        };
        let counts = (0..).zip(&args.counts);
        counts.zip(self.tree.leaves()).map(leaf).collect()
    }

    /// Totals, and the top node of the tree.
    fn claim(&self, args: &StoryArgs) -> ([u32; 2], Hash) {
        let top = ClaimTree::new(self.leaves(args)).unwrap().top();
        ([top.sums.top1 as u32, top.sums.topk as u32], top.hash)
    }

    fn facts(&self, shard: ShardCount, accepted: bool) -> ShardFacts {
        ShardFacts {
            shard,
            registered_points: Hash::ZERO,
            model_points: Hash::ZERO,
            registered_length: 1,
            length: 1,
            shard_points: points_digest(&shard_points(shard.index)),
            path: self.tree.path(shard.index).unwrap_or_default(),
            verdict: if accepted {
                Verdict::Accepted
            } else {
                Verdict::Rejected
            },
        }
    }

    /// Runs one step; returns what entered or left each wallet.
    fn run(&mut self, told: &StoryStep) -> Result<Vec<(Address, i128)>, RuleError> {
        let by = party(&told.actor);
        if told.event == "withdraw" {
            let amount = self.ledger.withdraw(by, Address::ZERO)?;
            return Ok(vec![(by, amount.0 as i128)]);
        }
        let event = Event {
            by,
            action: self.action(&told.event, &told.args),
        };
        let now = Moment {
            block: told.block,
            time: told.time,
        };
        let (after, effects) = step(self.agreement.as_ref(), &event, now)?;
        self.ledger.apply(&effects)?;
        self.agreement = Some(after);
        let out = effects.iter().filter_map(|effect| match effect {
            Effect::Deposit { from, amount, .. } => Some((*from, -(amount.0 as i128))),
            Effect::Credit { .. } => None,
        });
        Ok(out.collect())
    }

    fn state(&self) -> String {
        let state = self.agreement.as_ref().map(|agreement| agreement.state);
        state.map_or("None".into(), |state| format!("{state:?}"))
    }
}

#[test]
fn stories_end_the_same_way_as_in_the_contract() {
    let stories: Stories = serde_json::from_str(STORIES).unwrap();
    assert_eq!(stories.notice_period, NOTICE_PERIOD);
    assert!(stories.scenarios.len() >= 60);
    for story in stories.scenarios {
        let mut stage = Stage::new(&story);
        for (number, told) in story.steps.iter().enumerate() {
            let place = format!(
                "{}, step {number} ({} by {})",
                story.name, told.event, told.actor
            );
            let credit =
                |stage: &Stage, who: &str| stage.ledger.credit(party(who), Address::ZERO).0 as i128;
            let before: Vec<i128> = told.deltas.keys().map(|who| credit(&stage, who)).collect();
            let outcome = stage.run(told);
            let error = outcome
                .as_ref()
                .err()
                .map(RuleError::name)
                .unwrap_or_default();
            assert_eq!(error, told.expect.error, "{place}");
            assert_eq!(stage.state(), told.expect.state, "{place}");
            let wallets = outcome.unwrap_or_default();
            for ((who, expected), before) in told.deltas.iter().zip(before) {
                let wallet = wallets
                    .iter()
                    .filter(|(whose, _)| *whose == party(who))
                    .map(|(_, sum)| sum)
                    .sum();
                let credit = credit(&stage, who) - before;
                assert_eq!(
                    Money { wallet, credit },
                    *expected,
                    "{place}: money of {who}"
                );
            }
        }
    }
}

/// Every rule has its custom error in the contract, under the same name; only an id that is
/// taken and sums past 2^128 cannot happen there.
#[test]
fn rules_are_named_after_the_contracts_errors() {
    let abi: serde_json::Value =
        serde_json::from_str(include_str!("../../contracts/artifacts/Escrow.json")).unwrap();
    let entries = abi["abi"].as_array().unwrap().iter();
    let errors: Vec<&str> = entries
        .filter(|entry| entry["type"] == "error")
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let source = include_str!("../src/agreement/rule.rs");
    let body = source
        .split_once("pub enum RuleError {")
        .unwrap()
        .1
        .split_once("\n}")
        .unwrap()
        .0;
    let is_variant =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    let name = |line: &str| line.trim().split([' ', ',']).next().unwrap().to_owned();
    let variants: Vec<String> = body.lines().filter(is_variant).map(name).collect();
    assert!(variants.len() >= 38, "{variants:?}");
    for variant in variants {
        let ours_alone = ["AgreementExists", "AmountOverflow"].contains(&variant.as_str());
        assert_eq!(errors.contains(&variant.as_str()), !ours_alone, "{variant}");
    }
}
