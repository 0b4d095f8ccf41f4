//! Retrieval, both sides as processes on a real chain: exact items for exact money, and what lies and silence cost.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use rand::{
    rngs::{OsRng, StdRng},
    Rng, SeedableRng,
};
use serde_json::{json, Value};
use zknode::{
    config::ChainConfig,
    demo::role::Running,
    home::Home,
    keys,
    output::Answer,
    retrieval::{event::RetrievalEvent, Package},
    seller::event::Event,
    store::{Store, Table},
};
use zknode_circuit::{network::import::answer, verify::Attestation};
use zknode_protocol::{
    chain::{
        ethers::EthersChain,
        retrieval::{RetrievalCall, RetrievalChain},
        Call, Chain,
    },
    claim_tree::ClaimTree,
    digest::keccak,
    retrieval::{Retrieval, RetrievalId},
};
use zknode_tests::{
    stage::{until, Stage},
    tiny,
};

/// Items of the corpus: two shards, the second not full.
const ITEMS: usize = 13;
/// Fee 70, five items at most of 100 each, bonds 30 and 530.
const MONEY: [&str; 10] = [
    "--max-items",
    "5",
    "--price-per-item",
    "100",
    "--scan-fee",
    "70",
    "--requester-bond",
    "30",
    "--contest-fee",
    "40",
];
const TIMES: [&str; 10] = [
    "--accept-within",
    "100s",
    "--claim-within",
    "10000s",
    "--window",
    "1000s",
    "--answer-within",
    "500s",
    "--receipt-within",
    "400s",
];

/// Images of two classes: every third of one, the others of another.
fn mixed(stage: &Stage) -> (Vec<Vec<u8>>, Vec<u16>) {
    let mut rng = StdRng::seed_from_u64(7);
    let mut of: [Vec<Vec<u8>>; 4] = Default::default();
    for _ in 0..200_000 {
        let (base, noise) = (rng.gen_range(0..=255u8), rng.gen_range(0..=255u8));
        let pixel = |_| base.wrapping_add(rng.gen_range(0..=noise));
        let image: Vec<u8> = (0..25).map(pixel).collect();
        let class = answer(&stage.network.run(&image).unwrap().logits);
        if of[class].len() < ITEMS {
            of[class].push(image);
        }
    }
    let mut classes: Vec<usize> = (0..4).filter(|class| of[*class].len() == ITEMS).collect();
    assert!(classes.len() >= 2, "{:?}", of.each_ref().map(Vec::len));
    classes.truncate(2);
    (0..ITEMS)
        .map(|place| classes[usize::from(place % 3 != 0)])
        .map(|class| (of[class].pop().unwrap(), class as u16))
        .unzip()
}

/// A stage with a corpus and a retrieval contract.
struct Scene {
    stage: Stage,
    images: Vec<Vec<u8>>,
    answers: Vec<u16>,
    corpus: PathBuf,
    contract: String,
}

impl Scene {
    async fn new() -> anyhow::Result<Option<Self>> {
        let Some(stage) = Stage::new().await? else {
            return Ok(None);
        };
        let folder = stage.folder.path().join("corpus");
        let (images, answers) = mixed(&stage);
        let dataset = tiny::write_images(&folder, &images)?;
        let (deployed, _): (Value, _) = stage.seller.run(["contract", "retrieval"]).await?;
        let contract = deployed["retrieval"].as_str().unwrap().to_owned();
        let known = ["contract", "retrieval", "--address", &contract];
        stage.buyer.run::<Value>(known).await?;
        let corpus = stage.folder.path().join("corpus.zkc");
        let mut commit: Vec<PathBuf> = vec!["corpus".into(), "commit".into(), dataset];
        commit.extend(["--out".into(), corpus.clone()]);
        let (committed, _): (Value, _) = stage.seller.run(commit).await?;
        assert_eq!(
            (&committed["items"], &committed["shards"]),
            (&ITEMS.into(), &2.into())
        );
        Ok(Some(Self {
            stage,
            images,
            answers,
            corpus,
            contract,
        }))
    }

    /// The class of every third item, and where those are.
    fn wanted(&self) -> (u16, Vec<usize>) {
        (self.answers[0], self.places(self.answers[0]))
    }

    fn places(&self, class: u16) -> Vec<usize> {
        let of = |place: &usize| self.answers[*place] == class;
        (0..ITEMS).filter(of).collect()
    }

    async fn serve(&self) -> anyhow::Result<(Running, String)> {
        let corpus = self.corpus.to_string_lossy();
        let wants = ["--corpus", &corpus, "--price-per-item", "100"];
        let fees = ["--fee-per-scan", "5", "--least-requester-bond", "30"];
        self.stage.serve_for(&[wants, fees].concat()).await
    }

    fn out(&self) -> PathBuf {
        self.stage.folder.path().join("found")
    }

    fn ask(&self, url: &str, class: u16, more: &[&str]) -> Vec<PathBuf> {
        let class = class.to_string();
        let mut arguments: Vec<PathBuf> = vec!["retrieve".into(), "--seller".into(), url.into()];
        arguments.extend(["--class".into(), class.into()]);
        arguments.extend(["--out".into(), self.out()]);
        let money = MONEY.iter().chain(&TIMES).chain(more);
        arguments.extend(money.map(PathBuf::from));
        let compiler = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts/bin");
        arguments.extend(["--compiler".into(), compiler.join("compile-verifier")]);
        arguments
    }

    /// What the contract holds.
    async fn held(&self) -> anyhow::Result<u128> {
        Ok(self.stage.anvil.balance(self.contract.parse()?).await?.0)
    }

    /// The items that were written are exactly those at `places`.
    fn found(&self, places: &[usize]) -> anyhow::Result<()> {
        let list = std::fs::read_to_string(self.out().join("index.csv"))?;
        let items: Vec<usize> = (list.lines().skip(1))
            .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
            .collect();
        assert_eq!(items, places, "{list}");
        // A dataset again, but for the name of the list.
        std::fs::rename(self.out().join("index.csv"), self.out().join("labels.csv"))?;
        let options = zknode_datasets::Options {
            classes: None,
            shape: None,
        };
        let written = zknode_datasets::open(&self.out(), &options)?;
        let pixels: Vec<_> = (written.samples().iter())
            .map(|sample| sample.image.pixels().to_vec())
            .collect();
        let expected: Vec<_> = places
            .iter()
            .map(|place| self.images[*place].clone())
            .collect();
        assert!(pixels == expected);
        Ok(())
    }

    /// The responder's own key on the retrieval contract.
    async fn responder(&self) -> anyhow::Result<EthersChain> {
        let home = Home::open(self.stage.seller.home())?;
        let password = self.stage.folder.path().join("seller.password");
        let key = keys::account(&home, Some(&password))?;
        let config = ChainConfig::load(&home)?;
        let chain = config.connect_checked(key).await?;
        Ok(chain.with_contracts(config.retrieval_contracts()?))
    }

    /// Runs until every proof is made, and stops the responder before it claims. Its store is open then.
    async fn proven(&self, proofs: usize) -> anyhow::Result<(Running, Lie)> {
        let (mut serving, url) = self.serve().await?;
        let (class, _) = self.wanted();
        let challenge = self.stage.buyer.start(self.ask(&url, class, &[]))?;
        let accepted = |event: &Event| match event {
            Event::Retrieval(RetrievalEvent::Accepted { retrieval, .. }) => Some(*retrieval),
            _ => None,
        };
        let id = until(&mut serving, accepted).await?;
        let made = |event: &Event| {
            matches!(event, Event::Retrieval(RetrievalEvent::Proof { .. })).then_some(())
        };
        for proof in 0..proofs {
            if proof + 1 == proofs {
                // Its honest claim is caught on the way out.
                self.stage.hold_back().await?;
            }
            until(&mut serving, made).await?;
        }
        self.stage.until_pending().await?;
        serving.stop().await?;
        let drop = self
            .stage
            .anvil
            .call("anvil_dropAllTransactions", json!([]));
        drop.await?;
        let on = self.stage.anvil.call("evm_setAutomine", json!([true]));
        on.await?;
        let store = Store::open(Home::open(self.stage.seller.home())?.database())?;
        let chain = self.responder().await?;
        let retrieval = chain.retrieval_at_depth(id, 0).await?.unwrap();
        Ok((
            challenge,
            Lie {
                chain,
                store,
                id,
                retrieval,
                home: Home::open(self.stage.seller.home())?,
            },
        ))
    }
}

/// A responder that has all proofs and its keys, and is about to claim what it likes.
struct Lie {
    chain: EthersChain,
    store: Store,
    id: RetrievalId,
    retrieval: Retrieval,
    home: Home,
}

impl Lie {
    /// The honest proof of a shard.
    fn scan(&self, shard: u32) -> Attestation {
        let key = format!("retrieval {}/{shard}/scan", self.id);
        self.store.get(Table::Proofs, &key).unwrap().unwrap()
    }

    /// Claims the counts of the stored proofs, the first raised by `more`, and these bytes as the items.
    async fn claim(self, more: i64, sealed: &[u8]) -> anyhow::Result<()> {
        let mut leaves = vec![];
        for shard in 0..self.retrieval.terms.shards {
            let proof = self.scan(shard);
            let mut claim = zknode::card::shard_claim(shard, &proof);
            if shard == 0 {
                claim.count.top1 = (i64::from(claim.count.top1) + more) as u32;
            }
            leaves.push(claim);
        }
        let top = ClaimTree::new(leaves)?.top();
        let ciphertext = keccak(sealed);
        std::fs::write(self.home.delivery(&ciphertext.to_string()), sealed)?;
        let key = self.id.to_string();
        let mut served: Value = self.store.get(Table::Retrievals, &key)?.unwrap();
        served["sealed"] = json!([ciphertext, sealed.len()]);
        self.store.put(Table::Retrievals, &key, &served)?;
        let call = RetrievalCall::Claim {
            id: self.id,
            node: top.hash,
            top1: top.sums.top1 as u32,
            topk: top.sums.topk as u32,
            ciphertext,
        };
        let call = Call::Retrieval(Box::new(call));
        let fees = self.chain.market().await?.first();
        let nonce = self.chain.next_nonce().await?;
        let tx = self.chain.sign(&call, nonce, fees).await?;
        self.chain.broadcast(&tx).await?;
        Ok(())
    }

    /// The sealed items as the honest responder made them, opened by the requester's key, changed and sealed again.
    fn tampered(&self, scene: &Scene, change: impl FnOnce(&mut Package)) -> Vec<u8> {
        let served: Value = (self.store.get(Table::Retrievals, &self.id.to_string()))
            .unwrap()
            .unwrap();
        let hash = served["sealed"][0].as_str().unwrap();
        let sealed = std::fs::read(self.home.delivery(hash)).unwrap();
        let buyer = Home::open(scene.stage.buyer.home()).unwrap();
        let key = keys::reading_key(&buyer, &mut OsRng).unwrap();
        let mut package = Package::open(&sealed, &key).unwrap();
        change(&mut package);
        let key = self.retrieval.terms.reading_key;
        package.seal(&key.0, &mut OsRng).unwrap()
    }
}

fn ended(answer: &Value) -> (&str, u64, &str) {
    let outcome = &answer["outcome"];
    let text = |field: &str| outcome[field].as_str().unwrap_or_default();
    (
        text("state"),
        outcome["items"].as_u64().unwrap_or(99),
        text("withdrawn"),
    )
}

fn over(event: &Event) -> Option<u128> {
    match event {
        Event::Retrieval(RetrievalEvent::Over { withdrawn, .. }) => Some(withdrawn.0),
        _ => None,
    }
}

fn claimed(event: &Event) -> Option<()> {
    matches!(event, Event::Retrieval(RetrievalEvent::Claimed { .. })).then_some(())
}

/// Proofs of the most frequent class: one a shard, and one more where something matches up to five items.
fn proofs(places: &[usize]) -> usize {
    let handed = &places[..places.len().min(5)];
    let first = handed.iter().any(|place| *place < tiny::SHARD);
    let second = handed.iter().any(|place| *place >= tiny::SHARD);
    2 + usize::from(first) + usize::from(second)
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_matching_items_for_exactly_their_price() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let paid = places.len().min(5);
    let ask = scene.ask(&url, class, &[]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(answer["outcome"]["matches"], places.len(), "{answer}");
    let back = (500 - 100 * paid + 30).to_string();
    assert_eq!(ended(&answer), ("Settled", paid as u64, &back[..]));
    assert_eq!(
        until(&mut serving, over).await?,
        (100 * paid + 70 + 530) as u128
    );
    scene.found(&places[..paid])?;
    assert_eq!(scene.held().await?, 0);

    // Too little for the work: refused, and everything comes back.
    std::fs::remove_dir_all(scene.out())?;
    let ask = scene.ask(&url, class, &["--scan-fee", "64"]);
    let cheap: Vec<_> = without(ask, "--scan-fee", 1);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(cheap).await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(ended(&answer), ("Cancelled", 0, "594"), "{answer}");

    // More than are paid for, and a shard's proof asked for on chain all the same, for its fee.
    let (other, there) = (scene.answers[1], scene.places(scene.answers[1]));
    assert!(there.len() > 5);
    let ask = scene.ask(&url, other, &["--contest", "1"]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(answer["outcome"]["matches"], there.len(), "{answer}");
    assert_eq!(ended(&answer), ("Settled", 5, "30"), "{answer}");
    scene.found(&there[..5])?;
    // Of the refused one the responder had nothing.
    let paid = |event: &Event| over(event).filter(|took| *took > 0);
    assert_eq!(until(&mut serving, paid).await?, 500 + 70 + 530 + 40);

    // Nothing of a class: one proof a shard, and the fee for looking.
    std::fs::remove_dir_all(scene.out())?;
    let none = (0..4u16)
        .find(|class| !scene.answers.contains(class))
        .unwrap();
    let ask = scene.ask(&url, none, &[]);
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(ask).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(ended(&answer), ("Settled", 0, "530"), "{answer}");
    assert_eq!(until(&mut serving, over).await?, 70 + 530);
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

/// The arguments without the first `name` and its value.
fn without(arguments: Vec<PathBuf>, name: &str, values: usize) -> Vec<PathBuf> {
    let at = arguments
        .iter()
        .position(|found| found == Path::new(name))
        .unwrap();
    let (head, tail) = arguments.split_at(at);
    [head, &tail[1 + values..]].concat()
}

/// Less than is there, or more: the proof of the shard is not in such a claim. The bond is lost.
async fn a_false_count_costs_the_bond(more: i64) -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (_, places) = scene.wanted();
    let (mut challenge, lie) = scene.proven(proofs(&places)).await?;
    let sealed = lie.tampered(&scene, |_| ());
    lie.claim(more, &sealed).await?;
    scene.stage.anvil.tick();
    let (serving, _) = scene.serve().await?;
    challenge.until_it_says("contested").await?;
    scene.stage.pass(501).await?;
    let answer: Value = challenge.next().await?;
    let (state, items, withdrawn) = ended(&answer);
    assert_eq!((state, items), ("Slashed", 0), "{answer}");
    // Everything deposited by both, and the fee of each contest.
    let contests: u128 = (withdrawn.parse::<u128>()? - 1_130) / 40;
    assert!((1..=2).contains(&contests), "{answer}");
    assert_eq!(withdrawn, (1_130 + 40 * contests).to_string(), "{answer}");
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_hides_a_match_loses_its_bond() -> anyhow::Result<()> {
    a_false_count_costs_the_bond(-1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_responder_that_invents_a_match_loses_its_bond() -> anyhow::Result<()> {
    a_false_count_costs_the_bond(1).await
}

/// The count is true, but what is handed over is not what matches: the requester rejects, and both lose the same.
async fn a_bad_delivery_is_rejected(
    tamper: impl FnOnce(&Scene, &Lie) -> Vec<u8>,
) -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (_, places) = scene.wanted();
    let due = 100 * places.len().min(5) as u128;
    let (mut challenge, lie) = scene.proven(proofs(&places)).await?;
    let sealed = tamper(&scene, &lie);
    lie.claim(0, &sealed).await?;
    scene.stage.anvil.tick();
    let (mut serving, _) = scene.serve().await?;
    challenge.until_it_says("rejecting the delivery").await?;
    let answer: Value = challenge.next().await?;
    let back = (500 - due).to_string();
    assert_eq!(ended(&answer), ("Rejected", 0, &back[..]), "{answer}");
    assert_eq!(until(&mut serving, over).await?, 70 + 530 - due - 30);
    assert!(!scene.out().join("index.csv").exists());
    // Burnt: nobody can take it out.
    assert_eq!(scene.held().await?, 2 * (due + 30));
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|_, _| b"garbage".to_vec()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchanged_item_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|scene, lie| {
        lie.tampered(scene, |package| package.shards[0].items[0].pixels[0] ^= 1)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_left_out_is_rejected() -> anyhow::Result<()> {
    a_bad_delivery_is_rejected(|scene, lie| {
        lie.tampered(scene, |package| drop(package.shards[0].items.pop()))
    })
    .await
}

/// After its acceptance.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_responder_loses_its_bond() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, _) = scene.wanted();
    let mut challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let accepted = |event: &Event| match event {
        Event::Retrieval(RetrievalEvent::Accepted { .. }) => Some(()),
        _ => None,
    };
    until(&mut serving, accepted).await?;
    serving.stop().await?;
    scene.stage.pass(10_200).await?;
    let answer: Value = challenge.next().await?;
    assert_eq!(ended(&answer), ("Slashed", 0, "1130"), "{answer}");
    assert_eq!(scene.held().await?, 0);
    Ok(())
}

/// After the claim; killed, and resumed when it is all over: silence has settled, and paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_requester_pays_all_the_same() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let accepted = |event: &Event| match event {
        Event::Retrieval(RetrievalEvent::Accepted { retrieval, .. }) => Some(*retrieval),
        _ => None,
    };
    let id = until(&mut serving, accepted).await?;
    challenge.stop().await?;
    until(&mut serving, claimed).await?;
    scene.stage.pass(1_001).await?;
    let paid = places.len().min(5) as u128;
    assert_eq!(until(&mut serving, over).await?, 100 * paid + 600);
    let resume = ["retrieve".to_owned(), "--resume".into(), id.to_string()];
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(&resume).await?;
    assert_eq!(verdict, Answer::No, "{answer}");
    let back = (530 - 100 * paid).to_string();
    assert_eq!(ended(&answer), ("Settled", 0, &back[..]), "{answer}");
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}

/// Killed in between and taken up again by its id.
#[tokio::test(flavor = "multi_thread")]
async fn a_retrieval_survives_crashes_of_both_sides() -> anyhow::Result<()> {
    let Some(scene) = Scene::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = scene.serve().await?;
    let (class, places) = scene.wanted();
    let challenge = scene.stage.buyer.start(scene.ask(&url, class, &[]))?;
    let proof = |event: &Event| match event {
        Event::Retrieval(RetrievalEvent::Proof { retrieval, .. }) => Some(*retrieval),
        _ => None,
    };
    let id = until(&mut serving, proof).await?;
    serving.stop().await?;
    challenge.stop().await?;
    let (mut serving, _) = scene.serve().await?;
    let resume = ["retrieve".to_owned(), "--resume".into(), id.to_string()];
    let (answer, verdict): (Value, _) = scene.stage.buyer.run(&resume).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    let paid = places.len().min(5);
    assert_eq!(until(&mut serving, over).await?, (100 * paid + 600) as u128);
    scene.found(&places[..paid])?;
    assert_eq!(scene.held().await?, 0);
    serving.stop().await
}
