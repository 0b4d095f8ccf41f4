//! `zknode terms`

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{ensure, Context};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use zknode_protocol::{
    economics::{
        inequalities,
        lazy::{self, Answers},
        suggest, Costs, EconomicsError, Fix, Gas, Inequality, Settlement, Terms, Wish,
    },
    value::Amount,
};

use super::{sample_size::percent, value, Session};
use crate::{buyer::Threshold, output::Answer};

/// Version of the file and of the JSON.
const VERSION: u16 = 1;
/// Seed of the plays, so that they repeat.
const SEED: u64 = 1;

/// Gas of each transaction: what the contracts' snapshot says, rounded up, and the ceilings of those to come.
const OPEN_GAS: u128 = 302_000;
const ACCEPT_GAS: u128 = 67_000;
const ACKNOWLEDGE_GAS: u128 = 58_000;
const CLAIM_GAS: u128 = 200_000;
const APPROVE_GAS: u128 = 100_000;
const CONTEST_GAS: u128 = 100_000;
const PROVE_GAS: u128 = 840_000;

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
    /// What a labelled sample costs that nobody has seen.
    #[arg(long, value_parser = value::amount)]
    label_cost: Amount,
    /// What proving costs, a sample.
    #[arg(long, value_parser = value::amount)]
    proof_cost: Amount,
    /// What a plain inference costs.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    inference_cost: Amount,
    /// What gas costs.
    #[arg(long, value_parser = value::amount)]
    gas_price: Amount,
    /// What looking at a registered model costs a buyer.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    look_cost: Amount,
    /// What a pass is worth to the seller beyond the price.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    prize: Amount,
    /// What the answer is worth to the buyer [default: not judged].
    #[arg(long, value_parser = value::amount)]
    worth: Option<Amount>,
    /// The price [default: the least for which a good seller takes part].
    #[arg(long, value_parser = value::amount)]
    price: Option<Amount>,
    /// Every proof on chain, no claim.
    #[arg(long)]
    eager: bool,
    /// Shards shown before the seller is bound [default: those that hold 59 samples].
    #[arg(long)]
    preview_shards: Option<u32>,
    /// How far below the threshold a model may be and pass by luck.
    #[arg(long, default_value = "2.5%", value_parser = value::share)]
    error: u32,
    /// How sure the test must be of that.
    #[arg(long, default_value = "95%", value_parser = value::share)]
    confidence: u32,
    /// Chance that the buyer, or a watcher for it, is there to contest.
    #[arg(long, default_value = "99%", value_parser = value::share)]
    vigilance: u32,
    /// Yearly cost of locked money.
    #[arg(long, default_value = "5%", value_parser = value::share)]
    interest: u32,
    /// Longest time an honest party is cut off.
    #[arg(long, default_value = "6h", value_parser = value::duration)]
    outage: Duration,
    /// Time to prove a shard.
    #[arg(long, default_value = "30s", value_parser = value::duration)]
    shard_time: Duration,
    /// Time between blocks.
    #[arg(long, default_value = "12s", value_parser = value::duration)]
    block_time: Duration,
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
    let file: TermsFile = serde_json::from_str(&text).with_context(name)?;
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
        let costs = self.costs();
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

    fn costs(&self) -> Costs {
        let gas = |units: u128| Amount(self.gas_price.0.saturating_mul(units));
        Costs {
            label: self.label_cost,
            proof: self.proof_cost,
            inference: self.inference_cost,
            look: self.look_cost,
            prize: self.prize,
            worth: self.worth,
            gas: Gas {
                open: gas(OPEN_GAS),
                accept: gas(ACCEPT_GAS),
                acknowledge: gas(ACKNOWLEDGE_GAS),
                claim: gas(CLAIM_GAS),
                approve: gas(APPROVE_GAS),
                contest: gas(CONTEST_GAS),
                prove_shard: gas(PROVE_GAS),
            },
            error: self.error,
            risk: 10_000_u32.saturating_sub(self.confidence),
            vigilance: self.vigilance,
            interest: self.interest,
            outage: self.outage.as_secs(),
            seconds_per_shard: self.shard_time.as_secs(),
            block_seconds: self.block_time.as_secs(),
        }
    }
}

fn report(session: &Session, terms: &Terms, costs: &Costs) -> anyhow::Result<Answer> {
    let all = inequalities(terms, costs)?;
    let broken: Vec<_> = all.iter().filter(|one| !one.holds()).collect();
    let mut words = describe(terms);
    words.push_str(&match broken.len() {
        0 => format!("\nall {} inequalities hold", all.len()),
        count => format!("\n{count} of {} inequalities do not hold:", all.len()),
    });
    for inequality in &broken {
        words.push_str(&format!(
            "\n\n{}: {}\n  without it: {}\n  to mend it: {}",
            inequality.rule,
            inequality.words.say(value::ether),
            inequality.rule.protects_against(),
            mend(&inequality.fix, terms),
        ));
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
         price {}, seller's bond {}, penalty {} ({} to the buyer)\n\
         no receipt: seller loses {}, buyer its bond {} ({} to the seller)\n\
         shards shown before: {}, fee for declining then {} ({} to the buyer)\n\
         stake {}\n\
         settled {settlement}\n\
         windows in seconds: accept {}, preview {}, deliver {}, prove {}, contest {}, answer {}",
        terms.samples,
        terms.shards(),
        terms.shard_size,
        terms.threshold,
        percent(u32::try_from(share).unwrap_or(u32::MAX)),
        ether(terms.price),
        ether(terms.seller_bond),
        ether(terms.penalty),
        ether(terms.penalty_to_buyer),
        ether(terms.no_receipt),
        ether(terms.buyer_bond),
        ether(terms.buyer_bond_to_seller),
        terms.preview.shards,
        ether(terms.preview.fee),
        ether(terms.preview.fee_to_buyer),
        ether(terms.stake),
        windows.accept,
        windows.preview,
        windows.deliver,
        windows.prove,
        windows.contest,
        windows.answer,
    )
}

/// The change in words.
fn mend(fix: &Fix, terms: &Terms) -> String {
    match fix {
        Fix::Nothing => "no single term does it".into(),
        Fix::SettleEagerly => "settle eagerly: nobody looks at a claim".into(),
        Fix::Samples { samples, threshold } => {
            format!("{samples} samples, {threshold} of them correct")
        }
        Fix::Set(changes) => {
            let words = changes.iter().map(|change| {
                let amount = |value: u128| match change.term.is_money() {
                    true => value::ether(Amount(value)),
                    false => format!("{value} s"),
                };
                let before = terms.get(change.term);
                let verb = if change.to.0 > before {
                    "raise"
                } else {
                    "lower"
                };
                format!(
                    "{verb} {} from {} to {}",
                    change.term.name(),
                    amount(before),
                    amount(change.to.0)
                )
            });
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gas_is_no_less_than_the_contracts_need() {
        let snapshot: Value =
            serde_json::from_str(include_str!("../../../contracts/snapshots/Gas.json")).unwrap();
        for (call, gas) in [
            ("open, ether", OPEN_GAS),
            ("accept, ether", ACCEPT_GAS),
            ("acknowledge, ether", ACKNOWLEDGE_GAS),
        ] {
            let measured: u128 = snapshot[call].as_str().unwrap().parse().unwrap();
            assert!(
                measured <= gas && gas < measured + 1_000,
                "{call}: {measured}"
            );
        }
    }
}
