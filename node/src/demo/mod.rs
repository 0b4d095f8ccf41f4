//! The whole protocol on one machine, nothing of it played: an Ethereum node, a seller and a buyer, each a process of
//! its own with its own account, database and files, meeting only over HTTP and the chain.

pub mod anvil;
mod images;
pub mod role;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{ensure, Context};
use serde::Deserialize;
use zknode_protocol::value::{Address, Amount, ModelId};

use self::{
    anvil::Anvil,
    images::test_images,
    role::{Role, Running},
};
use crate::{
    buyer::{challenge::Outcome, share_out, Threshold},
    output::Answer,
    progress::Progress,
    seller::event::Event,
};
pub use summary::Summary;

/// What the demonstration runs on.
pub struct Demo {
    /// Everything is kept here.
    pub folder: PathBuf,
    /// The Ethereum node to run.
    pub anvil: Option<PathBuf>,
    /// The compiler of verifier contracts.
    pub compiler: Option<PathBuf>,
    /// A float model, as `model import` takes it.
    pub model: PathBuf,
    /// A test set, as `--dataset` takes it.
    pub dataset: PathBuf,
    /// The seller's images to calibrate with, as `--calibrate` takes them.
    pub calibrate_on: PathBuf,
    /// Which of them.
    pub calibration: String,
    /// How many the buyer tests with: the first of the test set, repeated where it holds fewer.
    pub images: u32,
    /// What the seller claims to reach.
    pub threshold: Threshold,
    /// Arguments that lay out the proofs, such as `--k 17`.
    pub layout: Vec<String>,
}

/// What each side brings to the chain.
const FUNDS: Amount = Amount(10 * ETHER);
const PRICE: &str = "1ether";
/// What all labels of the test set are worth. Bonds and fees follow from it.
const LABELS: u128 = ETHER / 20;
/// How far below the threshold a model may be and pass by luck: what a test set of this size can tell.
const ERROR: &str = "5%";
/// The shard whose proof the buyer wants on chain.
const CONTESTED: &str = "0";
const STAKE: &str = "0.1ether";
const ETHER: u128 = 1_000_000_000_000_000_000;

#[derive(Deserialize)]
struct Contracts {
    registry: Address,
    escrow: Address,
}

/// What `model import` answers, as far as the demonstration needs it.
#[derive(Deserialize)]
struct Import {
    float: Option<Share>,
    integer: Option<Share>,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Deserialize, serde::Serialize)]
pub struct Share {
    /// Correct answers.
    pub correct: u64,
    /// Samples.
    pub samples: u64,
}

#[derive(Deserialize)]
struct Registered {
    model: ModelId,
    verifier: Address,
    code_bytes: usize,
}

#[derive(Deserialize)]
struct Challenged {
    outcome: Outcome,
}

impl Demo {
    /// Runs it.
    pub async fn run(&self, progress: Progress) -> anyhow::Result<(Summary, Answer)> {
        let anvil = Anvil::start(&anvil::program(self.anvil.as_deref())).await?;
        anvil.tick();
        progress.say(format!("an Ethereum node listens at {}", anvil.url()));
        let program = std::env::current_exe()?;
        let (seller, seller_account) =
            Role::new("seller", &program, &self.folder, progress).await?;
        let (buyer, buyer_account) = Role::new("buyer", &program, &self.folder, progress).await?;
        for account in [seller_account, buyer_account] {
            anvil.fund(account, FUNDS).await?;
        }

        let model = self.folder.join("model.zkm");
        let import = self.import(&seller, &model).await?;
        let deploy = ["contract", "deploy", "--rpc", anvil.url()];
        let (contracts, _): (Contracts, _) = seller.run(deploy).await?;
        let registered = self.register(&seller, &model).await?;

        let serve = ["seller", "serve", "--listen", "127.0.0.1:0"];
        let serve = serve.into_iter().chain(["--price-per-sample", "1gwei"]);
        let mut serving = seller.start(serve)?;
        let Event::Listening { url, .. } = serving.next().await? else {
            anyhow::bail!("the seller did not say where it listens");
        };
        self.connect(&buyer, anvil.url(), &contracts).await?;
        let dataset = test_images(&self.dataset, self.images, &self.folder, progress)?;
        let challenge = self.challenge(&buyer, &url, registered.model, &dataset);
        let (events, challenged) = tokio::join!(watch(&mut serving), challenge);
        let (events, (challenged, answer)) = (events?, challenged?);
        serving.stop().await?;

        let balances = [
            anvil.balance(seller_account).await?,
            anvil.balance(buyer_account).await?,
        ];
        let accounts = [seller_account, buyer_account];
        let summary = Summary::new(
            (import.float, import.integer),
            (registered.verifier, registered.code_bytes),
            &events,
            challenged.outcome,
            self.threshold,
            accounts,
            balances,
        )?;
        Ok((summary, answer))
    }

    /// The seller makes its integer network.
    async fn import(&self, seller: &Role, model: &Path) -> anyhow::Result<Import> {
        let arguments = [
            "model".as_ref(),
            "import".as_ref(),
            self.model.as_os_str(),
            "--calibrate".as_ref(),
            self.calibrate_on.as_os_str(),
            "--samples".as_ref(),
            self.calibration.as_ref(),
            "--out".as_ref(),
            model.as_os_str(),
        ];
        Ok(seller.run(arguments).await?.0)
    }

    /// The seller commits to it on the chain.
    async fn register(&self, seller: &Role, model: &Path) -> anyhow::Result<Registered> {
        let mut arguments = vec!["model".into(), "register".into(), model.into()];
        arguments.extend(["--stake".into(), STAKE.into()]);
        arguments.extend(self.layout.iter().map(PathBuf::from));
        arguments.extend(self.compiler());
        Ok(seller.run(arguments).await?.0)
    }

    /// The buyer looks at the contracts.
    async fn connect(&self, buyer: &Role, rpc: &str, contracts: &Contracts) -> anyhow::Result<()> {
        let registry = contracts.registry.to_string();
        let escrow = contracts.escrow.to_string();
        let arguments = [
            "contract",
            "use",
            "--rpc",
            rpc,
            "--registry",
            &registry,
            "--escrow",
            &escrow,
        ];
        buyer.run::<Contracts>(arguments).await?;
        Ok(())
    }

    /// The buyer checks the model, commits to its own test set and sees the agreement through.
    async fn challenge(
        &self,
        buyer: &Role,
        seller: &str,
        model: ModelId,
        dataset: &Path,
    ) -> anyhow::Result<(Challenged, Answer)> {
        let (model, threshold) = (model.to_string(), self.threshold.to_string());
        let label = share_out(Amount(LABELS), self.images).0.to_string();
        let samples = format!("0..{}", self.images);
        let mut arguments: Vec<PathBuf> = [
            "buyer",
            "challenge",
            "--seller",
            seller,
            "--model",
            &model,
            "--samples",
            &samples,
            "--threshold",
            &threshold,
            "--price",
            PRICE,
            "--label-cost",
            &label,
            "--error",
            ERROR,
            "--contest",
            CONTESTED,
        ]
        .iter()
        .map(PathBuf::from)
        .collect();
        arguments.extend(["--dataset".into(), dataset.into()]);
        arguments.extend(self.compiler());
        buyer.run(arguments).await
    }

    fn compiler(&self) -> impl Iterator<Item = PathBuf> {
        let compiler = self.compiler.clone();
        compiler
            .into_iter()
            .flat_map(|path| ["--compiler".into(), path])
    }
}

/// Everything the seller tells, until its agreement is over.
async fn watch(serving: &mut Running) -> anyhow::Result<Vec<Event>> {
    let mut events = vec![];
    loop {
        let event: Event = serving.next().await.context("while the agreement ran")?;
        let over = matches!(event, Event::Over { .. });
        ensure!(
            !matches!(event, Event::Refused { .. }),
            "the seller refused its own demonstration: {event}"
        );
        events.push(event);
        if over {
            return Ok(events);
        }
    }
}
