//! `zknode buyer predict`

use std::{path::PathBuf, time::Duration};

use anyhow::{ensure, Context};
use clap::Args;
use rand::{rngs::OsRng, RngCore};
use serde_json::{json, Value};
use zknode_circuit::commitment::Seed;
use zknode_protocol::{
    chain::{ethers::EthersChain, Chain, Kind},
    round::{
        message::{Domain, RoundOffer},
        RoundId,
    },
    value::{Address, Amount, Bytes, Hash},
};

use super::{offered, source, value, Session};
use crate::{
    buyer::{
        challenge::Buyer,
        check,
        order::{Order, OrderedBatch, RoundTimes, RoundWish, Verdict},
        reopen, CheckedModel, Client,
    },
    costs::contest_fee,
    output::Answer,
};

/// Why no round can be begun or gone on with.
pub(super) const NO_CONTRACT: &str =
    "no predictions contract is known: run `zknode contract predictions ADDRESS` first, with the seller's";

/// What is said when a round is begun, and holds to its end.
const BEGINS: [&str; 15] = [
    "seller",
    "images",
    "samples",
    "batch_size",
    "batches",
    "audit_rate",
    "price",
    "bond",
    "contest_fee",
    "token",
    "accept_within",
    "serve_within",
    "window",
    "answer_within",
    "model",
];

#[derive(Args)]
pub struct PredictArgs {
    /// Go on with a round that was interrupted, as it was begun: nothing else is taken then.
    #[arg(long, value_name = "ROUND", conflicts_with_all = BEGINS)]
    resume: Option<Hash>,
    /// Where the seller answers, such as http://host:port.
    #[arg(long, required_unless_present = "resume")]
    seller: Option<String>,
    /// Images: IDX, CIFAR binary, a folder with labels.csv, or `mnist-256`, the bundled ones. Their labels are not sent.
    #[arg(long, value_name = "DATASET", required_unless_present = "resume")]
    images: Option<PathBuf>,
    /// Images to take, such as 56..256; all of them by default.
    #[arg(long, value_name = "FROM..TO", value_parser = value::range)]
    samples: Option<(usize, Option<usize>)>,
    /// Images in one batch [default: as many as one proof holds].
    #[arg(long)]
    batch_size: Option<usize>,
    /// Most batches to buy [default: as many as the images fill].
    #[arg(long)]
    batches: Option<usize>,
    /// Share of the batches whose proof is looked at, between 0 and 1; drawn after each answer is signed.
    #[arg(long, default_value_t = 0.1)]
    audit_rate: f64,
    /// What the seller is paid for a batch.
    #[arg(long, value_parser = value::amount, required_unless_present = "resume")]
    price: Option<Amount>,
    /// What the seller puts at stake. A false answer pays where its gain is above audit rate times bond and price.
    #[arg(long, value_parser = value::amount, required_unless_present = "resume")]
    bond: Option<Amount>,
    /// What a contested proof earns the seller, paid by the buyer [default: in ether, twice the gas it costs now; in tokens, 0].
    #[arg(long, value_parser = value::amount)]
    contest_fee: Option<Amount>,
    /// Pay in this ERC-20 token, amounts in its least unit [default: ether].
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Time for the seller to accept.
    #[arg(long, default_value = "10m", value_parser = value::duration)]
    accept_within: Duration,
    /// Time for all batches, from then on.
    #[arg(long, default_value = "1h", value_parser = value::duration)]
    serve_within: Duration,
    /// Time to contest from the closing on, which the seller may do at any time: stay on line.
    #[arg(long, default_value = "1h", value_parser = value::at_least(300))]
    window: Duration,
    /// Time for the seller to bring contested proofs.
    #[arg(long, default_value = "6h", value_parser = value::duration)]
    answer_within: Duration,
    /// The model it must be [default: whatever the seller offers].
    #[arg(long)]
    model: Option<Hash>,
    /// The pinned compiler [default: contracts/bin/compile-verifier].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
    compiler: Option<PathBuf>,
}

impl PredictArgs {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let contract = party.predictions.context(NO_CONTRACT)?;
        let base = party.wallet;
        let buyer = Buyer {
            home: party.home,
            store: party.store,
            wallet: base.over(contract),
            key: party.key,
            progress: session.progress,
        };
        let (id, model) = match self.resume {
            Some(round) => {
                let order = buyer.order(RoundId(round))?;
                let chain_id = base.chain().chain_id();
                let (home, progress) = (&buyer.home, &session.progress);
                (
                    order.id(),
                    tokio::task::block_in_place(|| reopen(order.card, chain_id, home, progress))?,
                )
            }
            None => self.begin(&buyer, base.chain(), session).await?,
        };
        let order = buyer.see_round_through(id, &model).await?;
        report(session, &order)
    }

    /// Checks the model and stores the round.
    async fn begin(
        &self,
        buyer: &Buyer<EthersChain>,
        chain: &EthersChain,
        session: &Session,
    ) -> anyhow::Result<(RoundId, CheckedModel)> {
        ensure!(
            (0.0..=1.0).contains(&self.audit_rate),
            "expected an audit rate between 0 and 1, got {}",
            self.audit_rate
        );
        let missing = "expected --seller, --images, --price and --bond";
        let images = self.images.as_ref().context(missing)?;
        let source = source(images, self.samples, 0)?;
        let client = Client::new(self.seller.as_ref().context(missing)?)?;
        let card = offered(&client, self.model).await?;
        let compiler = self.compiler.as_deref();
        let model = check(card, chain, &buyer.home, compiler, &session.progress).await?;
        buyer
            .wallet
            .chain()
            .check_contracts(Kind::Predictions)
            .await?;
        let count = source.read(&model.layout)?.len();
        let batches = self.cut(count, model.layout.options().samples)?;
        let wish = RoundWish {
            token: self.token.unwrap_or(Address::ZERO),
            price: self.price.context(missing)?,
            bond: self.bond.context(missing)?,
            contest_fee: match self.contest_fee {
                Some(fee) => fee,
                None => contest_fee(&model.layout, self.token, chain).await?,
            },
            times: RoundTimes {
                accept: self.accept_within,
                serve: self.serve_within,
                window: self.window,
                answer: self.answer_within,
            },
        };
        let now = chain.head().await?.time;
        let terms = wish.terms(model.card.model, batches.len() as u32, now)?;
        let domain = Domain {
            chain_id: chain.chain_id(),
            contract: buyer.wallet.chain().contracts().escrow,
        };
        let mut nonce = [0; 32];
        OsRng.fill_bytes(&mut nonce);
        let offer = RoundOffer::new(domain, buyer.key.address(), Bytes(nonce), terms);
        let (url, card) = (client.url().to_owned(), model.card.clone());
        let order = Order::new(url, card, offer, source, batches, self.audit_rate);
        buyer.begin_round(&order)?;
        Ok((order.id(), model))
    }

    /// The images by the batch, each with a fresh seed.
    fn cut(&self, images: usize, most: usize) -> anyhow::Result<Vec<OrderedBatch>> {
        let size = self.batch_size.unwrap_or(most);
        ensure!(
            (1..=most).contains(&size),
            "expected 1 to {most} images a batch, got {size}"
        );
        let wanted = self.batches.unwrap_or(usize::MAX);
        ensure!(wanted > 0, "expected at least one batch");
        let count = images.div_ceil(size).min(wanted);
        let batch = |index: usize| OrderedBatch {
            inputs: size.min(images - index * size) as u32,
            seed: Seed::random(&mut OsRng),
            answer: None,
            audit: false,
            verdict: None,
        };
        Ok((0..count).map(batch).collect())
    }
}

fn report(session: &Session, order: &Order) -> anyhow::Result<Answer> {
    let (good, json, words) = summary(order)?;
    let words = format!("round {}: {words}", order.id());
    session.output().print(&json, words)?;
    Ok(good.into())
}

/// The predictions, what was audited, and what it cost: whether all went well, for programs, and in words.
pub(super) fn summary(order: &Order) -> anyhow::Result<(bool, Value, String)> {
    let outcome = order.outcome.context("the round is not over")?;
    let batch = |batch: &OrderedBatch| {
        let labels = batch.answer.as_ref().map(|answer| &answer.labels);
        json!({
            "inputs": batch.inputs,
            "labels": labels,
            "audited": batch.audit,
            "proven": batch.verdict == Some(Verdict::Proven),
            "doubt": match &batch.verdict {
                Some(Verdict::Doubted(reason)) => Some(reason),
                _ => None,
            },
        })
    };
    let batches: Vec<_> = order.batches.iter().map(batch).collect();
    let audited = order.batches.iter().filter(|batch| batch.audit).count();
    let (all, answered) = (order.batches.len(), order.answered());
    let words = format!(
        "{:?}; {answered} of {all} batches answered, {audited} audited, {} paid; {} came back{}",
        outcome.state,
        outcome.count,
        value::money(outcome.withdrawn, order.offer.terms.token),
        match &order.stopped {
            Some(reason) => format!("; stopped: {reason}"),
            None => String::new(),
        }
    );
    let json = json!({
        "round": order.id(),
        "outcome": outcome,
        "batches": batches,
        "stopped": order.stopped,
        "good": order.is_good(),
    });
    Ok((order.is_good(), json, words))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::{error::ErrorKind, Parser};

    use super::{PredictArgs, BEGINS};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        _predict: PredictArgs,
    }

    #[test]
    fn a_round_goes_on_as_it_was_begun() {
        let round = format!("0x{}", "11".repeat(32));
        let resume = ["predict", "--resume", &round];
        assert!(Line::try_parse_from(resume).is_ok());
        for name in BEGINS {
            let name = format!("--{}", name.replace('_', "-"));
            let value = match name.as_str() {
                "--samples" => "0..1",
                "--token" => &round[..42],
                "--model" => &round,
                name if name.ends_with("within") || name == "--window" => "1h",
                _ => "1",
            };
            let line = resume.into_iter().chain([name.as_str(), value]);
            let error = Line::try_parse_from(line).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::ArgumentConflict, "{name}");
        }
    }
}
