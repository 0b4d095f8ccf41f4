//! `zknode buyer`

use std::{path::PathBuf, sync::Arc};

use anyhow::{bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use rand::rngs::OsRng;
use serde_json::json;
use tokio::task::JoinSet;
use zknode_protocol::{
    agreement::{Metric, Mode},
    chain::Chain,
    value::{Address, Amount, Hash},
};

use super::{predict::PredictArgs, value, DatasetArgs, Party, Session};
use crate::{
    buyer::{
        challenge::{Buyer, Challenge, Outcome},
        check, reopen, CheckedModel, Client, Deadlines, Threshold, Wish,
    },
    card::ModelCard,
    output::{explain, Answer},
    testset::CommittedSet,
};

#[derive(Subcommand)]
pub enum BuyerCommand {
    /// Checks a seller's model, opens an agreement about a test set and sees it through.
    Challenge(Box<ChallengeArgs>),
    /// Goes on with everything that was interrupted.
    Resume,
    /// Checks a seller's model, buys its predictions of images, and audits a random share of them.
    Predict(Box<PredictArgs>),
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
    /// What the buyer loses when it does not deliver.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    buyer_bond: Amount,
    /// What the seller loses of its bond when it goes away after the draw.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    preview_fee: Amount,
    /// What a contested proof earns the seller, paid by the buyer.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    contest_fee: Amount,
    /// Have every shard proven on chain, instead of a claim that is approved or contested.
    #[arg(long)]
    eager: bool,
    /// Shards the seller sees before it goes on, drawn at random.
    #[arg(long, default_value_t = 1)]
    preview_shards: u32,
    /// Ask for this shard's proof on chain, whatever the seller hands over; may be repeated.
    #[arg(long, value_name = "SHARD")]
    contest: Vec<u32>,
    /// What the seller puts at stake.
    #[arg(long, value_parser = value::amount)]
    bond: Amount,
    /// What the seller loses of it when it falls short.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    penalty: Amount,
    /// Time for the seller to accept.
    #[arg(long, default_value = "10m", value_parser = value::duration)]
    accept_within: std::time::Duration,
    /// Time for the drawn shards to arrive, from then on.
    #[arg(long, default_value = "20m", value_parser = value::duration)]
    preview_within: std::time::Duration,
    /// Time for the seller to answer on chain what is said to be sent.
    #[arg(long, default_value = "20m", value_parser = value::duration)]
    respond_within: std::time::Duration,
    /// Time for the test set to arrive, from then on.
    #[arg(long, default_value = "30m", value_parser = value::duration)]
    deliver_within: std::time::Duration,
    /// Time to look at the claim.
    #[arg(long, default_value = "1d", value_parser = value::duration)]
    window: std::time::Duration,
    /// Time for the seller to bring a contested proof.
    #[arg(long, default_value = "6h", value_parser = value::duration)]
    answer_within: std::time::Duration,
    /// Time for all proofs, from then on.
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
            Self::Predict(arguments) => arguments.run(session).await,
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
        let source = self.dataset.source()?;
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
            mode: if self.eager {
                Mode::Eager
            } else {
                Mode::Optimistic
            },
            preview_shards: self.preview_shards,
            price: self.price,
            buyer_bond: self.buyer_bond,
            preview_fee: self.preview_fee,
            contest_fee: self.contest_fee,
            bond: self.bond,
            penalty: self.penalty,
            deadlines: Deadlines {
                accept: self.accept_within,
                preview: self.preview_within,
                respond: self.respond_within,
                deliver: self.deliver_within,
                prove: self.prove_within,
                window: self.window,
                answer: self.answer_within,
            },
        };
        let now = buyer.wallet.chain().head().await?.time;
        let shards = set.shards.len() as u32;
        let terms = wish.terms(model.card.model, set.root, shards, set.samples(), now)?;
        if let Some(index) = self.contest.iter().find(|index| **index >= shards) {
            bail!("there is no shard {index} to contest, there are {shards}");
        }
        let challenge = Challenge::new(&client, &model, terms, self.contest.clone());
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
        key: party.key,
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
