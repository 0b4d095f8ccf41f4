//! `zknode buyer`

use std::path::PathBuf;

use anyhow::{bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use rand::rngs::OsRng;
use serde_json::{json, Value};
use zknode_circuit::layout::Layout;
use zknode_protocol::{
    agreement::{Metric, Mode, Terms},
    chain::Chain,
    economics::{self, Costs, Setting},
    value::{Address, Amount, Hash},
};

use super::{
    costs::CostArgs, offered, predict::PredictArgs, resume, value, DatasetArgs, Party, Session,
};
use crate::{
    buyer::{
        challenge::{Buyer, Challenge, Outcome},
        check, share_out, CheckedModel, Client, Deadlines, Threshold, Wanted, Wish,
    },
    card::ModelCard,
    costs::{answer_gas, broken},
    output::Answer,
    progress::Progress,
    testset::CommittedSet,
};

#[derive(Subcommand)]
pub enum BuyerCommand {
    /// Checks a seller's model, opens an agreement about a test set and sees it through.
    Challenge(Box<ChallengeArgs>),
    /// Goes on with everything that was interrupted: challenges, rounds of predictions, retrievals.
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
    /// What the buyer loses when it does not deliver [default: the least that is safe].
    #[arg(long, value_parser = value::amount)]
    buyer_bond: Option<Amount>,
    /// What the seller loses of its bond when it goes away after the draw [default: the least that is safe].
    #[arg(long, value_parser = value::amount)]
    preview_fee: Option<Amount>,
    /// What a contested proof earns the seller, paid by the buyer [default: the least that is safe].
    #[arg(long, value_parser = value::amount)]
    contest_fee: Option<Amount>,
    /// Have every shard proven on chain, instead of a claim that is approved or contested.
    #[arg(long)]
    eager: bool,
    /// Shards the seller sees before it goes on, drawn at random.
    #[arg(long, default_value_t = 1)]
    preview_shards: u32,
    /// Ask for this shard's proof on chain, whatever the seller hands over; may be repeated.
    #[arg(long, value_name = "SHARD")]
    contest: Vec<u32>,
    /// What the seller puts at stake [default: the least that is safe].
    #[arg(long, value_parser = value::amount)]
    bond: Option<Amount>,
    /// What the seller loses of it when it falls short [default: the least that is safe].
    #[arg(long, value_parser = value::amount)]
    penalty: Option<Amount>,
    /// Open the agreement even if its terms leave somebody a reason to cheat or to stay away.
    #[arg(long)]
    accept_risk: bool,
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
    #[command(flatten)]
    costs: CostArgs,
}

impl BuyerCommand {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        match self {
            Self::Challenge(arguments) => arguments.run(session).await,
            Self::Resume => resume::resume(session).await,
            Self::Predict(arguments) => arguments.run(session).await,
        }
    }
}

impl ChallengeArgs {
    async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let source = self.dataset.source()?;
        let client = Client::new(&self.seller)?;
        let card = offered(&client, self.model).await?;
        let buyer = buyer(session, party);
        let model = checked(session, &buyer, card, self.compiler.clone()).await?;
        let set = CommittedSet::new(
            source,
            &model.layout,
            &model.srs,
            &mut OsRng,
            &session.progress,
        )?;
        let chain = buyer.wallet.chain();
        let shards = set.shards.len() as u32;
        let costs = self.costs(&set, &model.layout, chain).await?;
        let wish = self.wish(&set, &model.layout, &costs)?;
        let now = chain.head().await?.time;
        let terms = wish.terms(model.card.model, set.root, shards, set.samples(), now)?;
        if let Some(index) = self.contest.iter().find(|index| **index >= shards) {
            bail!("there is no shard {index} to contest, there are {shards}");
        }
        let stake = chain.model(model.card.model).await?;
        let setting = Setting {
            shard_size: shard_size(&model.layout),
            now,
            stake: stake.map(|model| model.stake).unwrap_or_default(),
        };
        self.judge(&terms, &setting, &costs, &session.progress)?;
        let token = terms.token;
        let challenge = Challenge::new(&client, &model, terms, self.contest.clone());
        buyer.begin(&set, challenge)?;
        let outcome = buyer.see_through(set.root, &model).await?;
        let (passed, json, words) = summary(set.root, token, outcome);
        session.output().print(&json, words)?;
        Ok(passed.into())
    }
}

impl ChallengeArgs {
    /// Prices of gas are the chain's, in ether; what gas costs in a token, only the buyer knows.
    async fn costs(
        &self,
        set: &CommittedSet,
        layout: &Layout,
        chain: &impl Chain,
    ) -> anyhow::Result<Costs> {
        let gas_price = match (self.costs.gas_price, self.token) {
            (Some(price), _) => price,
            (None, None) => chain.market().await?.first().max,
            (None, Some(_)) if self.accept_risk => Amount::ZERO,
            (None, Some(token)) => bail!("what does gas cost in {token}? say it with --gas-price"),
        };
        let shared = || share_out(self.price, set.samples());
        let label = self.costs.label_cost.unwrap_or_else(shared);
        Ok(self.costs.costs(label, gas_price, answer_gas(layout)))
    }

    /// The buyer's wishes, amounts it does not name filled in.
    fn wish(&self, set: &CommittedSet, layout: &Layout, costs: &Costs) -> anyhow::Result<Wish> {
        let samples = set.samples();
        let threshold = self.threshold.of(samples);
        ensure!(
            threshold <= samples,
            "expected a threshold of at most {samples}, the number of samples, got {threshold}"
        );
        let shards = set.shards.len() as u32;
        let wanted = Wanted {
            price: self.price,
            bond: self.bond,
            penalty: self.penalty,
            buyer_bond: self.buyer_bond,
            preview_fee: self.preview_fee,
            contest_fee: self.contest_fee,
        };
        let size = economics::Wish {
            samples,
            shard_size: shard_size(layout),
            // Nothing is judged without a threshold; terms that ask for none are refused below.
            threshold: threshold.max(1),
            eager: self.eager,
            preview_shards: Some(self.preview_shards.min(shards)),
            price: Some(self.price),
        };
        Ok(Wish {
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
            money: match wanted.settle(&size, costs) {
                Ok(money) => money,
                Err(_) if self.accept_risk => wanted.as_said(),
                Err(error) => return Err(error.into()),
            },
            deadlines: Deadlines {
                accept: self.accept_within,
                preview: self.preview_within,
                respond: self.respond_within,
                deliver: self.deliver_within,
                prove: self.prove_within,
                window: self.window,
                answer: self.answer_within,
            },
        })
    }

    /// Refuses terms under which a rational party would cheat or stay away, or warns of them.
    fn judge(
        &self,
        terms: &Terms,
        setting: &Setting,
        costs: &Costs,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let broken = match broken(terms, setting, costs, |_| true) {
            Ok(broken) => broken,
            Err(error) => vec![error.to_string()],
        };
        if broken.is_empty() {
            return Ok(());
        }
        let words = format!(
            "under these terms somebody gains by cheating or by staying away; rules that do not hold: {}\n\n{}\n",
            broken.len(),
            broken.join("\n\n")
        );
        ensure!(
            self.accept_risk,
            "{words}\nnothing was opened; change the terms, say what things cost (see --help), or use --accept-risk"
        );
        progress.say(format!("warning, the risk was accepted: {words}"));
        Ok(())
    }
}

fn shard_size(layout: &Layout) -> u32 {
    u32::try_from(layout.options().samples).unwrap_or(u32::MAX)
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

/// How a challenge ended: whether the threshold was reached, for programs, and in words.
pub(super) fn summary(root: Hash, token: Address, outcome: Outcome) -> (bool, Value, String) {
    let json = json!({ "dataset_root": root, "outcome": outcome });
    (outcome.passed, json, words(&outcome, token))
}

fn words(outcome: &Outcome, token: Address) -> String {
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
        value::money(outcome.withdrawn, token)
    )
}
