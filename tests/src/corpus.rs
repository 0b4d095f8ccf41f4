//! A corpus, a responder that offers it and a requester; and a responder that lies.
#![allow(clippy::unwrap_used)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use axum::{http::header, routing::get, Router};
use rand::{
    rngs::{OsRng, StdRng},
    Rng, SeedableRng,
};
use serde_json::{json, Value};
use tokio::net::TcpListener;
use zknode::{
    config::ChainConfig,
    demo::role::Running,
    home::Home,
    keys,
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

use crate::{
    stage::{until, Stage},
    tiny,
};

/// Items of the corpus: two shards, the second not full.
pub const ITEMS: usize = 13;
/// Fee 70, five items at most of 100 each, bonds 250 and 750.
const MONEY: [&str; 10] = [
    "--max-items",
    "5",
    "--price-per-item",
    "100",
    "--scan-fee",
    "70",
    "--requester-bond",
    "250",
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
        if of.iter().filter(|images| images.len() == ITEMS).count() >= 2 {
            break;
        }
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
pub struct Scene {
    /// The parties and their chain.
    pub stage: Stage,
    /// The items.
    pub images: Vec<Vec<u8>>,
    /// The class of each.
    pub answers: Vec<u16>,
    corpus: PathBuf,
    contract: String,
}

impl Scene {
    /// Sets it up; `None` where [`Stage::new`] gives none.
    pub async fn new() -> anyhow::Result<Option<Self>> {
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
    pub fn wanted(&self) -> (u16, Vec<usize>) {
        (self.answers[0], self.places(self.answers[0]))
    }

    /// Where the items of a class are.
    pub fn places(&self, class: u16) -> Vec<usize> {
        let of = |place: &usize| self.answers[*place] == class;
        (0..ITEMS).filter(of).collect()
    }

    /// Starts the responder: it, and where it listens.
    pub async fn serve(&self) -> anyhow::Result<(Running, String)> {
        let corpus = self.corpus.to_string_lossy();
        let wants = ["--corpus", &corpus, "--price-per-item", "100"];
        let fees = ["--fee-per-scan", "5", "--least-requester-bond", "1"];
        self.stage.serve_for(&[wants, fees].concat()).await
    }

    /// The corpus file: its manifest, and the seeds that only the owner knows.
    pub fn file(&self) -> anyhow::Result<Value> {
        Ok(serde_json::from_slice(&std::fs::read(&self.corpus)?)?)
    }

    /// Puts another in its place.
    pub fn replace_file(&self, file: &Value) -> anyhow::Result<()> {
        Ok(std::fs::write(&self.corpus, serde_json::to_vec(file)?)?)
    }

    /// An owner that publishes this as its corpus, and the model of the responder at `real`; gone with the test. Its
    /// address.
    pub async fn publish(&self, real: &str, manifest: &Value) -> anyhow::Result<String> {
        let card = reqwest::get(format!("{real}/v1/model")).await?;
        let (card, manifest) = (card.bytes().await?, serde_json::to_vec(manifest)?);
        let says = |text: Vec<u8>| {
            let json = [(header::CONTENT_TYPE, "application/json")];
            get(move || async move { (json, text) })
        };
        let routes = Router::new()
            .route("/v1/model", says(card.to_vec()))
            .route("/v1/corpus", says(manifest));
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(url)
    }

    /// Where the requester puts what it found.
    pub fn out(&self) -> PathBuf {
        self.stage.folder.path().join("found")
    }

    /// Arguments of a request for a class.
    pub fn ask(&self, url: &str, class: u16, more: &[&str]) -> Vec<PathBuf> {
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
    pub async fn held(&self) -> anyhow::Result<u128> {
        Ok(self.stage.anvil.balance(self.contract.parse()?).await?.0)
    }

    /// The items that were written are exactly those at `places`.
    pub fn found(&self, places: &[usize]) -> anyhow::Result<()> {
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
    pub async fn proven(&self, proofs: usize) -> anyhow::Result<(Running, Lie)> {
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
pub struct Lie {
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
    pub async fn claim(self, more: i64, sealed: &[u8]) -> anyhow::Result<()> {
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
    pub fn tampered(&self, scene: &Scene, change: impl FnOnce(&mut Package)) -> Vec<u8> {
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

/// Proofs of a request for the items at `places`: one a shard, and one more where something matches up to five items.
pub fn proofs(places: &[usize]) -> usize {
    let handed = &places[..places.len().min(5)];
    let first = handed.iter().any(|place| *place < tiny::SHARD);
    let second = handed.iter().any(|place| *place >= tiny::SHARD);
    2 + usize::from(first) + usize::from(second)
}
