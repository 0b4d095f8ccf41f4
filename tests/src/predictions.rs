//! A stage with a predictions contract: what a buyer asks for, and what came of it.

use std::path::PathBuf;

use serde_json::{json, Value};
use zknode::{config::ChainConfig, demo::role::Running, home::Home, keys, seller::event::Event};
use zknode_protocol::{
    chain::{ethers::EthersChain, key::Key, Chain, RoundChain},
    round::{message::Domain, Round, RoundId},
    value::{Address, Amount},
};

use crate::{
    stage::{until, Stage},
    tiny,
};

/// What a batch costs, what the seller puts at stake, what a contest costs.
pub const PRICE: u128 = 1_000;
/// The seller's bond.
pub const BOND: u128 = 50_000;
/// The contest fee.
pub const FEE: u128 = 70;

/// 10 s to accept, about 600 s to serve, 1,000 s to contest, 500 s to prove.
pub const TIMES: [&str; 8] = [
    "--accept-within",
    "10s",
    "--serve-within",
    "600s",
    "--window",
    "1000s",
    "--answer-within",
    "500s",
];

/// The stage.
pub struct Predictions {
    /// Contracts, seller, buyer.
    pub stage: Stage,
    /// The predictions contract.
    pub contract: Address,
}

impl Predictions {
    /// Sets it up; `None` as [`Stage::new`].
    pub async fn new() -> anyhow::Result<Option<Self>> {
        let Some(stage) = Stage::new().await? else {
            return Ok(None);
        };
        let (deployed, _): (Value, _) = stage.seller.run(["contract", "predictions"]).await?;
        let contract = deployed["predictions"].as_str().unwrap_or_default();
        let known = ["contract", "predictions", contract];
        stage.buyer.run::<Value>(known).await?;
        let contract = contract.parse()?;
        Ok(Some(Self { stage, contract }))
    }

    /// Starts the seller's node with predictions on offer.
    pub async fn serve(&self) -> anyhow::Result<(Running, String)> {
        self.serve_for(&[]).await
    }

    /// The same with more arguments.
    pub async fn serve_for(&self, more: &[&str]) -> anyhow::Result<(Running, String)> {
        let price = PRICE.to_string();
        let policy = ["--price-per-batch", &price, "--close-before", "200s"];
        self.stage.serve_for(&[&policy, more].concat()).await
    }

    /// Arguments of a buyer that wants `images` predicted, and the classes the model gives them.
    pub fn order(
        &self,
        url: &str,
        images: usize,
        more: &[&str],
    ) -> anyhow::Result<(Vec<PathBuf>, Vec<u16>)> {
        let folder = self.stage.folder.path().join(format!("images-{images}"));
        let dataset = tiny::write_dataset(&self.stage.network, &folder, images, images)?;
        let labels = std::fs::read(folder.join("tiny-labels-idx1-ubyte"))?;
        let labels = labels
            .iter()
            .skip(8)
            .map(|label| u16::from(*label))
            .collect();
        let mut arguments: Vec<PathBuf> = vec!["buyer".into(), "predict".into()];
        arguments.extend(["--seller".into(), url.into(), "--images".into(), dataset]);
        let money = [PRICE, BOND, FEE].map(|amount| amount.to_string());
        for (name, amount) in ["--price", "--bond", "--contest-fee"].iter().zip(&money) {
            arguments.extend([PathBuf::from(name), PathBuf::from(amount)]);
        }
        arguments.extend(more.iter().map(PathBuf::from));
        arguments.extend(self.stage.compiler());
        Ok((arguments, labels))
    }

    /// Goes on with the one round the buyer left unfinished.
    pub async fn resume(&self) -> anyhow::Result<Value> {
        let resume = ["buyer", "resume"];
        let (mut answer, _): (Value, _) = self.stage.buyer.run(resume).await?;
        Ok(answer["rounds"][0].take())
    }

    /// The seller's key, as a thief or a liar would use it.
    pub fn seller_key(&self) -> anyhow::Result<Key> {
        let password = self.stage.folder.path().join("seller.password");
        Ok(keys::account(&self.seller_home()?, Some(&password))?)
    }

    /// The buyer's.
    pub fn buyer_key(&self) -> anyhow::Result<Key> {
        let password = self.stage.folder.path().join("buyer.password");
        let home = Home::open(self.stage.buyer.home())?;
        Ok(keys::account(&home, Some(&password))?)
    }

    /// The seller's files.
    pub fn seller_home(&self) -> anyhow::Result<Home> {
        Ok(Home::open(self.stage.seller.home())?)
    }

    /// Where signatures of these rounds are good.
    pub fn domain(&self, chain: &EthersChain) -> Domain {
        Domain {
            chain_id: chain.chain_id(),
            contract: self.contract,
        }
    }

    /// The chain as `key` sees it, the predictions contract in the escrow's place.
    pub async fn chain(&self, key: Key) -> anyhow::Result<EthersChain> {
        let config = ChainConfig::load(&self.seller_home()?)?;
        let chain = config.connect_checked(key).await?;
        let mut contracts = chain.contracts();
        contracts.escrow = self.contract;
        Ok(chain.with_contracts(contracts))
    }

    /// A round as the newest block has it.
    pub async fn round(&self, chain: &EthersChain, id: RoundId) -> anyhow::Result<Round> {
        let found = chain.round_at_depth(id, 0).await?;
        found.ok_or_else(|| anyhow::anyhow!("there is no round {id}"))
    }

    /// What the contract holds: nothing, once everybody has withdrawn.
    pub async fn held(&self) -> anyhow::Result<Amount> {
        self.stage.anvil.balance(self.contract).await
    }
}

/// The round the seller accepts next.
pub async fn accepted(serving: &mut Running) -> anyhow::Result<RoundId> {
    until(serving, |event| match event {
        Event::RoundAccepted { round } => Some(*round),
        _ => None,
    })
    .await
}

/// Waits until this batch is answered.
pub async fn predicted(serving: &mut Running, wanted: u32) -> anyhow::Result<()> {
    until(serving, |event| match event {
        Event::Predicted { batch, .. } if *batch == wanted => Some(()),
        _ => None,
    })
    .await
}

/// How many batches the seller says are paid for as it closes.
pub async fn closed(serving: &mut Running) -> anyhow::Result<u32> {
    until(serving, |event| match event {
        Event::RoundClosed { count, .. } => Some(*count),
        _ => None,
    })
    .await
}

/// What the seller took in the end.
pub async fn round_over(serving: &mut Running) -> anyhow::Result<u128> {
    until(serving, |event| match event {
        Event::RoundOver { withdrawn, .. } => Some(withdrawn.0),
        _ => None,
    })
    .await
}

/// All classes of a buyer's answer, batch after batch.
pub fn labels(answer: &Value) -> Vec<u16> {
    let batches = answer["batches"].as_array().cloned().unwrap_or_default();
    let labels = batches.iter().flat_map(|batch| {
        let labels = batch["labels"].as_array().cloned().unwrap_or_default();
        labels.into_iter().filter_map(|label| label.as_u64())
    });
    labels.map(|label| label as u16).collect()
}

/// Of an outcome: state, batches paid, what came back.
pub fn outcome(answer: &Value) -> Value {
    let outcome = &answer["outcome"];
    json!([outcome["state"], outcome["count"], outcome["withdrawn"]])
}
