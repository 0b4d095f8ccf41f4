//! The commands.

mod account;
mod bench;
mod buyer;
mod contract;
mod corpus;
mod costs;
mod dataset;
mod demo;
mod escrow;
mod import;
mod model;
mod predict;
mod prove;
mod resume;
mod retrieve;
mod sample_size;
mod seller;
mod srs;
mod terms;
pub mod value;
mod watch;

use std::{path::PathBuf, sync::Arc};

use anyhow::{bail, Context};
use clap::{Args, Parser, Subcommand};
use zknode_protocol::{
    chain::{ethers::EthersChain, key::Key},
    value::{Address, Hash},
};

use crate::{
    buyer::Client,
    card::ModelCard,
    config::ChainConfig,
    home::Home,
    keys,
    output::{Answer, Output},
    progress::Progress,
    store::Store,
    testset::Source,
    wallet::Wallet,
};

/// Proofs that a machine-learning model is as accurate as its seller says.
#[derive(Parser)]
#[command(
    name = "zknode",
    version,
    after_help = "Exit code 0: yes, or done; 1: no, such as a proof that does not verify or a threshold that was missed; 2: an error."
)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args)]
struct Shared {
    /// Folder with this party's keys, database and cached files.
    #[arg(long, global = true, env = "ZKNODE_HOME", value_name = "FOLDER")]
    home: Option<PathBuf>,
    /// File whose first line is the password of the account's key.
    #[arg(long, global = true, env = "ZKNODE_PASSWORD_FILE", value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Print the result as JSON on stdout, an error too; without it words go to stderr, as what is under way always does.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// The account's key.
    #[command(subcommand)]
    Account(account::Command),
    /// The contracts.
    #[command(subcommand)]
    Contract(contract::Command),
    /// Reference strings.
    #[command(subcommand)]
    Srs(srs::Command),
    /// Models: import, inspect, register.
    #[command(subcommand)]
    Model(model::Command),
    /// Test sets.
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Corpora that retrievals are about.
    #[command(subcommand)]
    Corpus(corpus::Command),
    /// Prove a model's accuracy on a test set, without a chain.
    Prove(prove::Prove),
    /// Verify a proof made by `prove`; knows public files only.
    Verify(prove::Verify),
    /// Agreements on the chain.
    #[command(subcommand)]
    Escrow(escrow::Command),
    /// The seller's node.
    #[command(subcommand)]
    Seller(seller::SellerCommand),
    /// The buyer's side.
    #[command(subcommand)]
    Buyer(buyer::BuyerCommand),
    /// Asks for the items of a seller's corpus that its model puts into a class, and pays by the proven item.
    Retrieve(Box<retrieve::Retrieve>),
    /// How many samples a claim about an accuracy takes.
    SampleSize(sample_size::SampleSize),
    /// Terms of an agreement: what a rational party would make of them.
    #[command(subcommand)]
    Terms(Box<terms::Command>),
    /// Ends agreements, rounds and retrievals past their deadline, anybody's.
    Watch(watch::Watch),
    /// The whole protocol on this machine: a real chain, a seller and a buyer, the bundled model and images.
    Demo(demo::Demo),
    /// Measures proving, verifying, gas and memory on this machine, and how far they are from its floor.
    Bench(bench::Bench),
}

/// A failure that was printed.
#[derive(Debug)]
pub struct Reported;

/// Reads the arguments, runs the command and prints what comes of it.
pub fn run() -> Result<Answer, Reported> {
    let cli = Cli::parse();
    let session = Session {
        shared: cli.shared,
        progress: Progress::new(),
    };
    session.run(cli.command).map_err(|error| {
        session.output().print_error(&error);
        Reported
    })
}

impl Session {
    fn run(&self, command: Command) -> anyhow::Result<Answer> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        let answer = runtime.block_on(self.dispatch(command));
        // A proof under way is made again after the next start: it is not waited for.
        runtime.shutdown_background();
        answer
    }

    async fn dispatch(&self, command: Command) -> anyhow::Result<Answer> {
        match command {
            Command::Account(command) => command.run(self),
            Command::Contract(command) => command.run(self).await,
            Command::Srs(command) => command.run(self),
            Command::Model(command) => command.run(self).await,
            Command::Dataset(command) => command.run(self),
            Command::Corpus(command) => command.run(self),
            Command::Prove(command) => command.run(self),
            Command::Verify(command) => command.run(self),
            Command::Escrow(command) => command.run(self).await,
            Command::Seller(command) => command.run(self).await,
            Command::Buyer(command) => command.run(self).await,
            Command::Retrieve(command) => command.run(self).await,
            Command::SampleSize(command) => command.run(self),
            Command::Terms(command) => command.run(self),
            Command::Watch(command) => command.run(self).await,
            Command::Demo(command) => command.run(self).await,
            Command::Bench(command) => command.run(self).await,
        }
    }
}

/// What a command has at hand.
struct Session {
    shared: Shared,
    progress: Progress,
}

/// A party with its chain.
struct Party {
    home: Home,
    store: Arc<Store>,
    key: Key,
    wallet: Wallet<EthersChain>,
    /// The predictions contract, where one is configured.
    predictions: Option<Address>,
}

impl Session {
    fn output(&self) -> Output {
        Output {
            json: self.shared.json,
        }
    }

    fn home(&self) -> anyhow::Result<Home> {
        let path = match &self.shared.home {
            Some(path) => path.clone(),
            None => std::env::home_dir()
                .context("there is no home folder; name one with --home")?
                .join(".zknode"),
        };
        Ok(Home::open(&path)?)
    }

    fn key(&self, home: &Home) -> anyhow::Result<Key> {
        Ok(keys::account(home, self.shared.password_file.as_deref())?)
    }

    fn password(&self) -> anyhow::Result<String> {
        Ok(keys::password(self.shared.password_file.as_deref())?)
    }

    /// The home's account on its configured chain, contracts checked.
    async fn party(&self) -> anyhow::Result<Party> {
        let home = self.home()?;
        let config = ChainConfig::load(&home)?;
        let key = self.key(&home)?;
        let chain = config.connect_checked(key.clone()).await?;
        let store = Arc::new(Store::open(home.database())?);
        home.sweep()?;
        let wallet = Wallet::new(chain, store.clone(), config.patience());
        Ok(Party {
            home,
            store,
            key,
            wallet,
            predictions: config.contracts.predictions,
        })
    }
}

/// Which samples of which dataset.
#[derive(Args)]
struct DatasetArgs {
    /// A test set: IDX images, CIFAR binary, a folder of images with labels.csv, or `mnist-256`, the bundled images.
    #[arg(long, value_name = "DATASET")]
    dataset: PathBuf,
    /// Samples to take, such as 56..256; all of them by default.
    #[arg(long, value_name = "FROM..TO", value_parser = value::range)]
    samples: Option<(usize, Option<usize>)>,
    /// Added to every label: 1 for networks whose class 0 is the background.
    #[arg(long, value_name = "N", default_value_t = 0)]
    label_offset: u16,
}

impl DatasetArgs {
    fn source(&self) -> anyhow::Result<Source> {
        source(&self.dataset, self.samples, self.label_offset)
    }
}

/// What a seller offers, which must be the `expected` model where one is named.
async fn offered(client: &Client, expected: Option<Hash>) -> anyhow::Result<ModelCard> {
    let card = client.model().await?;
    if let Some(expected) = expected.filter(|expected| *expected != card.model.0) {
        bail!(
            "the seller offers model {}, expected {expected}",
            card.model
        );
    }
    Ok(card)
}

/// A dataset's path made absolute, since it is read again after a restart.
fn source(
    path: &std::path::Path,
    samples: Option<(usize, Option<usize>)>,
    label_offset: u16,
) -> anyhow::Result<Source> {
    let (from, to) = samples.unwrap_or((0, None));
    let path = if path == std::path::Path::new(crate::testset::BUNDLED) {
        path.into()
    } else {
        path.canonicalize()
            .with_context(|| path.display().to_string())?
    };
    Ok(Source {
        path,
        from,
        to,
        label_offset,
    })
}
