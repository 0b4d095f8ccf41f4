//! `zknode terms`

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{ensure, Context};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use zknode_protocol::{
    economics::{
        inequalities,
        lazy::{self, Answers},
        suggest, Costs, EconomicsError, Inequality, Settlement, Terms, Wish,
    },
    value::Amount,
};

use super::{costs::CostArgs, sample_size::percent, value, Session};
use crate::{
    buyer::{share_out, Threshold},
    costs::{failing, ANSWER_WITH_PROOF_GAS},
    output::Answer,
};

/// Version of the file and of the JSON.
const VERSION: u16 = 2;
/// Seed of the plays, so that they repeat.
const SEED: u64 = 1;

#[derive(Subcommand)]
pub enum Command {
    /// Finds the least terms under which nobody gains by cheating or by staying away.
    Suggest(Box<SuggestArgs>),
    /// Judges terms, as `suggest --out` wrote them and people changed them; exit code 1 if an inequality fails.
    Check {
        /// The file.
        #[arg(value_name = "FILE")]
        terms: PathBuf,
    },
    /// Plays sellers who guess some of their answers: how often they are paid, measured and computed.
    Lazy {
        /// The file.
        #[arg(value_name = "FILE")]
        terms: PathBuf,
        /// How good the model's own answers are.
        #[arg(long, value_parser = value::share)]
        accuracy: u32,
        /// How good a guess is: 10% for ten classes, or the accuracy of a smaller model.
        #[arg(long, value_parser = value::share)]
        guess: u32,
        /// Plays of each share.
        #[arg(long, default_value_t = 1_000)]
        runs: u32,
    },
}

/// Amounts are in the money of the agreement, such as 0.00002ether.
#[derive(Args)]
pub struct SuggestArgs {
    /// Samples of the test set.
    #[arg(long)]
    samples: u32,
    /// Samples a proof covers.
    #[arg(long)]
    shard_size: u32,
    /// Fewest correct answers for which the seller is paid: 190, or 98.5%.
    #[arg(long)]
    threshold: Threshold,
    /// The price [default: the least for which a good seller takes part].
    #[arg(long, value_parser = value::amount)]
    price: Option<Amount>,
    /// Every proof on chain, no claim.
    #[arg(long)]
    eager: bool,
    /// Shards shown before the seller is bound [default: those that hold 59 samples].
    #[arg(long)]
    preview_shards: Option<u32>,
    #[command(flatten)]
    costs: CostArgs,
    /// Gas of bringing a contested proof, as `model inspect` estimates it and 120,000 more.
    #[arg(long, default_value_t = ANSWER_WITH_PROOF_GAS)]
    answer_gas: u128,
    /// Writes terms and costs here, to be changed and checked.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Terms and the costs they are judged by.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TermsFile {
    version: u16,
    terms: Terms,
    costs: Costs,
}

impl Command {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        match self {
            Self::Suggest(arguments) => arguments.run(session),
            Self::Check { terms } => {
                let TermsFile { terms, costs, .. } = read(terms)?;
                report(session, &terms, &costs)
            }
            Self::Lazy {
                terms,
                accuracy,
                guess,
                runs,
            } => {
                let TermsFile { terms, costs, .. } = read(terms)?;
                // Judged first: what makes no sense cannot be played.
                inequalities(&terms, &costs)?;
                let fraction = |points: u32| f64::from(points) / 10_000.0;
                let answers = Answers {
                    model: fraction(*accuracy),
                    guess: fraction(*guess),
                };
                let shares = lazy::SHARES;
                let points = lazy::accuracy(&terms, answers, &shares, *runs, SEED)?;
                let rows: Vec<_> = points
                    .iter()
                    .map(|point| {
                        json!({
                            "guessed": point.share, "runs": point.runs, "paid": point.paid,
                            "declined": point.declined, "chance": point.exact, "bound": point.bound,
                        })
                    })
                    .collect();
                session.output().print(
                    &json!({ "version": VERSION, "seed": SEED, "points": rows }),
                    lazy::table("guessed", &points),
                )?;
                Ok(Answer::Yes)
            }
        }
    }
}

fn read(path: &Path) -> anyhow::Result<TermsFile> {
    let name = || path.display().to_string();
    let text = fs::read_to_string(path).with_context(name)?;
    let file: TermsFile = serde_json::from_str(&text).with_context(|| {
        format!(
            "{} is no file of terms, as `terms suggest --out` writes them",
            name()
        )
    })?;
    let got = file.version;
    ensure!(
        got == VERSION,
        "{}: expected terms of version {VERSION}, got {got}",
        name()
    );
    Ok(file)
}

impl SuggestArgs {
    fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let wish = Wish {
            samples: self.samples,
            shard_size: self.shard_size,
            threshold: self.threshold.of(self.samples),
            eager: self.eager,
            preview_shards: self.preview_shards,
            price: self.price,
        };
        let costs = self.costs()?;
        let terms = match suggest(&wish, &costs) {
            Ok(terms) => terms,
            Err(error @ EconomicsError::NoTerms { .. }) => {
                let words = error.to_string();
                let value = json!({ "version": VERSION, "safe": false, "reason": words });
                session.output().print(&value, words)?;
                return Ok(Answer::No);
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(path) = &self.out {
            let file = TermsFile {
                version: VERSION,
                terms,
                costs,
            };
            let text = serde_json::to_string_pretty(&file)?;
            fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
        }
        report(session, &terms, &costs)
    }

    /// There is no chain to ask for a price of gas, and maybe no price yet to share out.
    fn costs(&self) -> anyhow::Result<Costs> {
        let gas_price = self
            .costs
            .gas_price
            .context("say what gas costs with --gas-price, such as 1gwei")?;
        let shared = self.price.map(|price| share_out(price, self.samples));
        let label = self.costs.label_cost.or(shared);
        let label = label.context("say what a label costs with --label-cost, or name a --price that is shared out among the samples")?;
        Ok(self.costs.costs(label, gas_price, self.answer_gas))
    }
}

fn report(session: &Session, terms: &Terms, costs: &Costs) -> anyhow::Result<Answer> {
    let all = inequalities(terms, costs)?;
    let broken: Vec<_> = all.iter().filter(|one| !one.holds()).collect();
    let mut words = describe(terms);
    words.push_str(&match broken.len() {
        0 => format!("\nall {} inequalities hold", all.len()),
        count => format!("\n{count} of {} inequalities fail:", all.len()),
    });
    for inequality in &broken {
        words.push_str(&format!("\n\n{}", failing(inequality, terms)));
    }
    let list: Vec<_> = all.iter().map(judged).collect();
    let safe = broken.is_empty();
    session.output().print(
        &json!({
            "version": VERSION, "safe": safe, "terms": terms, "costs": costs, "inequalities": list,
        }),
        words,
    )?;
    Ok(safe.into())
}

fn judged(inequality: &Inequality) -> Value {
    json!({
        "rule": inequality.rule, "holds": inequality.holds(),
        "numbers": inequality.words.say(|amount| amount.to_string()),
        "protects_against": inequality.rule.protects_against(), "fix": inequality.fix,
    })
}

fn describe(terms: &Terms) -> String {
    let share = u64::from(terms.threshold) * 10_000 / u64::from(terms.samples.max(1));
    let settlement = match terms.settlement {
        Settlement::Eager => "every proof on chain".into(),
        Settlement::Claim {
            contest_fee,
            blind_contests,
        } => format!(
            "by claim; contest fee {}, blind contests: {blind_contests}",
            value::ether(contest_fee)
        ),
    };
    let windows = &terms.windows;
    let ether = value::ether;
    format!(
        "{} samples in {} shards of {}, {} ({}) needed\n\
         price {}, seller's bond {}, penalty {}\n\
         shards shown first: {}, preview fee {}, buyer's bond {}\n\
         stake {}\n\
         settled {settlement}\n\
         windows in seconds: accept {}, preview {}, deliver {}, respond {}, prove {}, contest {}, answer {}",
        terms.samples,
        terms.shards(),
        terms.shard_size,
        terms.threshold,
        percent(u32::try_from(share).unwrap_or(u32::MAX)),
        ether(terms.price),
        ether(terms.seller_bond),
        ether(terms.penalty),
        terms.preview_shards,
        ether(terms.preview_fee),
        ether(terms.buyer_bond),
        ether(terms.stake),
        windows.accept,
        windows.preview,
        windows.deliver,
        windows.respond,
        windows.prove,
        windows.contest,
        windows.answer,
    )
}
