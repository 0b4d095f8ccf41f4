//! `zknode seller` and `zknode buyer`

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use anyhow::{bail, ensure, Context};
use clap::{Args, Subcommand, ValueEnum};
use rand::rngs::OsRng;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinSet};
use zknode_circuit::prove::Prover;
use zknode_protocol::{
    agreement::Metric,
    chain::Chain,
    message::{Domain, SellerCard, Version},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

use super::{source, value, DatasetArgs, Party, Session};
use crate::{
    buyer::{
        challenge::{Buyer, Challenge, Outcome},
        check, reopen, CheckedModel, Client, Deadlines, Threshold, Wish,
    },
    card::ModelCard,
    keys,
    output::{explain, Answer},
    seller::{
        event::Event,
        model::{registered, OwnModel},
        policy::Policy,
        serve, Bell, Seller,
    },
    setup,
    testset::{point, CommittedSet},
};

#[derive(Subcommand)]
pub enum SellerCommand {
    /// Offers a registered model over HTTP, accepts agreements, proves and is paid.
    Serve(Box<Serve>),
}

#[derive(Args)]
pub struct Serve {
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:7711")]
    listen: SocketAddr,
    /// Which registered model [default: the only one].
    #[arg(long)]
    model: Option<Hash>,
    /// Be paid in this ERC-20 token, amounts in its least unit [default: ether].
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Least price of a sample.
    #[arg(long, value_parser = value::amount)]
    price_per_sample: Amount,
    /// Largest bond to put at stake.
    #[arg(long, default_value = "1ether", value_parser = value::amount)]
    max_bond: Amount,
    /// Most samples in one agreement.
    #[arg(long, default_value_t = 100_000)]
    max_samples: u32,
    /// Wei to keep in the account for bringing each promised shard's proof to the chain (about 1,000,000 gas).
    #[arg(long, default_value = "0.02ether", value_parser = value::amount)]
    gas_per_shard: Amount,
    /// Longest wait for a test set, the bond locked.
    #[arg(long, default_value = "7d", value_parser = value::duration)]
    longest_wait: std::time::Duration,
    /// Time to ask for, for each shard's proof.
    #[arg(long, default_value = "3m", value_parser = value::duration)]
    time_per_shard: std::time::Duration,
}

impl SellerCommand {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let Self::Serve(arguments) = self;
        arguments.run(session).await
    }
}

impl Serve {
    async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let mut models = registered(&party.store)?;
        if let Some(wanted) = self.model {
            models.retain(|(id, _)| id.0 == wanted);
        }
        let (model, record) = match models.len() {
            0 => bail!("there is no such registered model here; use `zknode model register` first"),
            1 => models.remove(0),
            several => bail!("{several} models are registered; say which one with --model"),
        };
        let chain = party.wallet.chain();
        let here = (chain.chain_id(), chain.contracts().registry);
        if record.registry != here {
            bail!(
                "model {model} was registered with registry {} on chain {}, this home now uses {} on chain {}",
                record.registry.1, record.registry.0, here.1, here.0
            );
        }
        let network = OwnModel::network(&party.home, &record)?;
        let layout = setup::layout(network.architecture(), &record.layout)?;
        let k = layout.options().k;
        let chain_id = Some(chain.chain_id());
        let srs = setup::reference_string(&party.home, k, chain_id, &session.progress)?;
        let own = OwnModel::load(&party.home, record, layout.clone(), &srs)?;
        let prover = setup::keys(srs, layout, &session.progress)?;
        check_registered(&party, model, &prover).await?;
        let reading_key = keys::reading_key(&party.home, &mut OsRng)?;
        let card = card(&party, model, &own, *reading_key.public_key().as_bytes())?;
        let listener = TcpListener::bind(self.listen)
            .await
            .with_context(|| format!("cannot listen on {}", self.listen))?;
        let url = format!("http://{}", listener.local_addr()?);
        let up = Event::Listening { url, model };
        session.output().print(&up, up.to_string())?;
        let Party {
            home,
            store,
            key,
            wallet,
            ..
        } = party;
        let seller = Seller {
            home,
            store,
            wallet,
            key,
            reading_key,
            model: own,
            prover,
            card,
            policy: Policy {
                token: self.token.unwrap_or(Address::ZERO),
                price_per_sample: self.price_per_sample,
                max_bond: self.max_bond,
                max_samples: self.max_samples,
                seconds_per_shard: self.time_per_shard.as_secs(),
                gas_per_shard: self.gas_per_shard,
                longest_wait: self.longest_wait.as_secs(),
            },
            progress: session.progress,
            output: session.output(),
            bell: Bell::default(),
        };
        serve(seller, listener, async {
            // Without signals there is only kill, which is as good.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
        Ok(Answer::Yes)
    }
}

/// What is on chain must be what this build proves: else every proof would be refused, and every bond lost. Agreements
/// about other models are named, since only serving those models goes on with them.
async fn check_registered(party: &Party, model: ModelId, prover: &Prover) -> anyhow::Result<()> {
    let chain = party.wallet.chain();
    let registered = chain.model(model).await?;
    let registered = registered.with_context(|| format!("model {model} is not in the registry"))?;
    let digest = Bytes(prover.verifier().digest());
    ensure!(
        digest == registered.architecture,
        "this build makes proofs for the verifying key {digest}, model {model} is registered with {}: \
         use the release that registered it, or register it again",
        registered.architecture
    );
    let live = chain.code_hash(registered.verifier).await?;
    ensure!(
        live == Some(registered.verifier_code),
        "there is other code at the verifier's address {} than at registration",
        registered.verifier
    );
    Ok(())
}

fn card(
    party: &Party,
    model: ModelId,
    own: &OwnModel,
    reading_key: [u8; 32],
) -> anyhow::Result<ModelCard> {
    let chain = party.wallet.chain();
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let (seller, reading_key) = (party.key.address(), Bytes(reading_key));
    let signature = party
        .key
        .sign(domain.reading_key_digest(seller, reading_key))?;
    Ok(ModelCard {
        version: Version,
        seller: SellerCard {
            version: Version,
            domain,
            seller,
            reading_key,
            signature,
        },
        model,
        architecture: own.network.architecture().clone(),
        layout: own.layout.options().clone(),
        points: vec![point(&own.record.commitment)],
    })
}

#[derive(Subcommand)]
pub enum BuyerCommand {
    /// Checks a seller's model, opens an agreement about a test set and sees it through.
    Challenge(Box<ChallengeArgs>),
    /// Goes on with everything that was interrupted.
    Resume,
}

/// What counts as correct.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MetricArg {
    /// The label ranks first.
    Top1,
    /// The label ranks among the first k.
    Topk,
}

#[derive(Args)]
pub struct ChallengeArgs {
    /// Where the seller answers, such as http://host:port.
    #[arg(long)]
    seller: String,
    #[command(flatten)]
    dataset: DatasetArgs,
    /// Fewest correct answers for which the seller is paid: 190, or 98.5%.
    #[arg(long)]
    threshold: Threshold,
    /// What counts as correct.
    #[arg(long, value_enum, default_value_t = MetricArg::Top1)]
    metric: MetricArg,
    /// Pay in this ERC-20 token, amounts in its least unit [default: ether].
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// What the seller is paid.
    #[arg(long, value_parser = value::amount)]
    price: Amount,
    /// What the seller puts at stake.
    #[arg(long, value_parser = value::amount)]
    bond: Amount,
    /// What the seller loses of it when it falls short.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    penalty: Amount,
    /// Time for the seller to accept.
    #[arg(long, default_value = "10m", value_parser = value::duration)]
    accept_within: std::time::Duration,
    /// Time for the test set to arrive, from then on.
    #[arg(long, default_value = "30m", value_parser = value::duration)]
    deliver_within: std::time::Duration,
    /// Time for the last proof, from then on.
    #[arg(long, default_value = "1d", value_parser = value::duration)]
    prove_within: std::time::Duration,
    /// The model it must be [default: whatever the seller offers].
    #[arg(long)]
    model: Option<Hash>,
    /// The pinned compiler [default: contracts/bin/compile-verifier].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
    compiler: Option<PathBuf>,
}

impl BuyerCommand {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        match self {
            Self::Challenge(arguments) => arguments.run(session).await,
            Self::Resume => resume(session).await,
        }
    }
}

/// Goes on with all challenges side by side: one that hangs or fails does not hold up the others.
async fn resume(session: &Session) -> anyhow::Result<Answer> {
    let buyer = Arc::new(buyer(session, session.party().await?));
    let mut tasks = JoinSet::new();
    for (root, challenge) in buyer.unfinished()? {
        let (buyer, progress) = (buyer.clone(), session.progress);
        tasks.spawn(async move {
            let ended = async {
                let chain_id = buyer.wallet.chain().chain_id();
                let model = reopen(challenge.card, chain_id, &buyer.home, &progress)?;
                buyer.see_through(root, &model).await
            };
            (root, ended.await)
        });
    }
    let (mut passed, mut failed, mut all) = (true, 0, vec![]);
    while let Some(ended) = tasks.join_next().await {
        let (root, ended) = ended?;
        match ended {
            Ok(outcome) => {
                passed &= outcome.passed;
                session.progress.say(words(&outcome));
                all.push(json!({ "dataset_root": root, "outcome": outcome }));
            }
            Err(error) => {
                failed += 1;
                let error = explain(&error);
                session.progress.say(format!("challenge {root}: {error}"));
                all.push(json!({ "dataset_root": root, "error": error }));
            }
        }
    }
    let count = all.len();
    session.output().print(
        &json!({ "challenges": all }),
        format!("{count} challenges were unfinished, {failed} of them failed"),
    )?;
    ensure!(failed == 0, "{failed} of {count} challenges failed");
    Ok(passed.into())
}

impl ChallengeArgs {
    async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let source = source(&self.dataset.dataset, self.dataset.samples)?;
        let client = Client::new(&self.seller)?;
        let card = client.model().await?;
        if let Some(expected) = self.model {
            if card.model.0 != expected {
                bail!(
                    "the seller offers model {}, expected {expected}",
                    card.model
                );
            }
        }
        let buyer = buyer(session, party);
        let model = checked(session, &buyer, card, self.compiler.clone()).await?;
        let set = CommittedSet::new(
            source,
            &model.layout,
            &model.srs,
            &mut OsRng,
            &session.progress,
        )?;
        let wish = Wish {
            threshold: self.threshold,
            metric: match self.metric {
                MetricArg::Top1 => Metric::Top1,
                MetricArg::Topk => Metric::TopK,
            },
            token: self.token.unwrap_or(Address::ZERO),
            price: self.price,
            bond: self.bond,
            penalty: self.penalty,
            deadlines: Deadlines {
                accept: self.accept_within,
                deliver: self.deliver_within,
                prove: self.prove_within,
            },
        };
        let now = buyer.wallet.chain().head().await?.time;
        let shards = set.shards.len() as u32;
        let terms = wish.terms(model.card.model, set.root, shards, set.samples(), now)?;
        let challenge = Challenge::new(&client, &model, terms);
        buyer.begin(&set, &challenge)?;
        let outcome = buyer.see_through(set.root, &model).await?;
        Ok(report(session, set.root, outcome)?.into())
    }
}

fn buyer(session: &Session, party: Party) -> Buyer<zknode_protocol::chain::ethers::EthersChain> {
    Buyer {
        home: party.home,
        store: party.store,
        wallet: party.wallet,
        progress: session.progress,
    }
}

async fn checked<C: Chain>(
    session: &Session,
    buyer: &Buyer<C>,
    card: ModelCard,
    compiler: Option<PathBuf>,
) -> anyhow::Result<CheckedModel> {
    let chain = buyer.wallet.chain();
    check(
        card,
        chain,
        &buyer.home,
        compiler.as_deref(),
        &session.progress,
    )
    .await
}

fn report(session: &Session, root: Hash, outcome: Outcome) -> anyhow::Result<bool> {
    session.output().print(
        &json!({ "dataset_root": root, "outcome": outcome }),
        words(&outcome),
    )?;
    Ok(outcome.passed)
}

fn words(outcome: &Outcome) -> String {
    format!(
        "{:?}: {} of {} correct, threshold {}; {} came back",
        outcome.state,
        outcome.correct,
        outcome.valid,
        if outcome.passed {
            "reached"
        } else {
            "not reached"
        },
        outcome.withdrawn
    )
}
