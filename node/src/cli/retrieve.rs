//! `zknode retrieve`

use std::{path::PathBuf, time::Duration};

use anyhow::{bail, ensure, Context};
use clap::Args;
use rand::{rngs::OsRng, RngCore};
use serde_json::{json, Value};
use zknode_protocol::{
    chain::{
        ethers::EthersChain,
        retrieval::{RetrievalCall, RetrievalChain},
        Call, Chain, Kind,
    },
    retrieval::{RetrievalId, State, Terms},
    value::{Address, Amount, Bytes, Hash},
};

use super::{offered, value, Session};
use crate::{
    buyer::{check, reopen, Client},
    config::ChainConfig,
    corpus::Published,
    costs::contest_fee,
    home::Home,
    keys,
    output::Answer,
    retrieval::requester::{Asked, Outcome, Requester},
    wallet::Wallet,
};

/// Why no retrieval can be begun or gone on with.
pub(super) const NO_CONTRACT: &str =
    "no retrieval contract is configured; run `zknode contract retrieval --address ADDRESS` first, with the seller's";

/// Arguments that say how a new retrieval is opened: one that is open already has them in its terms.
const OF_A_NEW_ONE: [&str; 17] = [
    "seller",
    "class",
    "out",
    "max_items",
    "price_per_item",
    "scan_fee",
    "requester_bond",
    "bond",
    "contest_fee",
    "token",
    "contest",
    "accept_within",
    "claim_within",
    "window",
    "answer_within",
    "receipt_within",
    "model",
];

/// Asks for the items of a seller's corpus that its model puts into a class.
#[derive(Args)]
pub struct Retrieve {
    /// Where the seller answers, such as http://host:port.
    #[arg(long, required_unless_present_any = ["resume", "end"])]
    seller: Option<String>,
    /// The class to look for.
    #[arg(long, required_unless_present_any = ["resume", "end"])]
    class: Option<u16>,
    /// Folder for the items: PNG files and index.csv.
    #[arg(
        long,
        value_name = "FOLDER",
        required_unless_present_any = ["resume", "end"]
    )]
    out: Option<PathBuf>,
    /// Goes on with a retrieval that was interrupted.
    #[arg(long, value_name = "ID", conflicts_with_all = OF_A_NEW_ONE)]
    resume: Option<Hash>,
    /// Ends a retrieval whose deadline has passed, by the rules; anybody's.
    #[arg(long, value_name = "ID", conflicts_with = "resume", conflicts_with_all = OF_A_NEW_ONE)]
    end: Option<Hash>,
    /// Most items to pay for; 0: only count them.
    #[arg(long, default_value_t = 100)]
    max_items: u32,
    /// Paid for each matching item.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    price_per_item: Amount,
    /// Paid for the search, whatever matches.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    scan_fee: Amount,
    /// Lost with the price of the items when a delivery is rejected [default: half of what all items may cost, 1 at least].
    #[arg(long, value_parser = value::amount)]
    requester_bond: Option<Amount>,
    /// What the seller puts at stake [default: the least, what all items may cost and the requester's bond].
    #[arg(long, value_parser = value::amount)]
    bond: Option<Amount>,
    /// What a contested proof earns the seller [default: in ether, twice the gas it costs now; in tokens, 0].
    #[arg(long, value_parser = value::amount)]
    contest_fee: Option<Amount>,
    /// Pay in this ERC-20 token, amounts in its least unit [default: ether].
    #[arg(long, value_name = "ADDRESS")]
    token: Option<Address>,
    /// Ask for this shard's proof on chain, whatever the seller hands over; may be repeated.
    #[arg(long, value_name = "SHARD")]
    contest: Vec<u32>,
    /// Time for the seller to accept.
    #[arg(long, default_value = "10m", value_parser = value::duration)]
    accept_within: Duration,
    /// Time for all proofs, from then on.
    #[arg(long, default_value = "1d", value_parser = value::duration)]
    claim_within: Duration,
    /// Time to look at the claim.
    #[arg(long, default_value = "1d", value_parser = value::duration)]
    window: Duration,
    /// Time for the seller to bring a contested proof.
    #[arg(long, default_value = "6h", value_parser = value::duration)]
    answer_within: Duration,
    /// Least time to judge the items once contests are answered.
    #[arg(long, default_value = "6h", value_parser = value::duration)]
    receipt_within: Duration,
    /// The model it must be [default: whatever the seller offers].
    #[arg(long)]
    model: Option<Hash>,
    /// The pinned compiler [default: contracts/bin/compile-verifier].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
    compiler: Option<PathBuf>,
}

impl Retrieve {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let config = ChainConfig::load(&party.home)?;
        let wallet = party.wallet.at(config.retrieval_contracts()?);
        wallet.chain().check_contracts(Kind::Retrieval).await?;
        if let Some(id) = self.end {
            return end(session, &wallet, RetrievalId(id)).await;
        }
        let requester = Requester {
            store: party.store.clone(),
            wallet,
            key: party.key.clone(),
            reading_key: keys::reading_key(&party.home, &mut OsRng)?,
            progress: session.progress,
        };
        let (id, outcome) = match self.resume {
            Some(id) => {
                let id = RetrievalId(id);
                let card = requester.load(id)?.card;
                let chain_id = requester.wallet.chain().chain_id();
                let model = tokio::task::block_in_place(|| {
                    reopen(card, chain_id, &party.home, &session.progress)
                })?;
                (id, requester.see_through(id, &model).await?)
            }
            None => {
                self.ask(session, &requester, &party.home, party.wallet.chain())
                    .await?
            }
        };
        let (good, json, words) = summary(id, &requester.load(id)?.terms, &outcome);
        session.output().print(&json, words)?;
        Ok(good.into())
    }

    async fn ask(
        &self,
        session: &Session,
        requester: &Requester<EthersChain>,
        home: &Home,
        chain: &EthersChain,
    ) -> anyhow::Result<(RetrievalId, Outcome)> {
        let missing = "name --seller, --class and --out";
        let client = Client::new(self.seller.as_deref().context(missing)?)?;
        let (class, out) = (
            self.class.context(missing)?,
            self.out.as_ref().context(missing)?,
        );
        ensure!(
            !out.exists() || std::fs::read_dir(out).is_ok_and(|mut folder| folder.next().is_none()),
            "{} is there already; name an empty or a new folder with --out",
            out.display()
        );
        let out = std::path::absolute(out)?;
        let card = offered(&client, self.model).await?;
        let compiler = self.compiler.as_deref();
        let model = check(card, chain, home, compiler, &session.progress).await?;
        let published = Published::new(client.corpus().await?, &model.layout, &model.srs)?;
        let labelled = published.labelled(class)?;
        let now = chain.head().await?.time;
        let seconds = |time: Duration| u32::try_from(time.as_secs()).context("a time is too long");
        let accept_by = now.saturating_add(self.accept_within.as_secs());
        let mut terms = Terms {
            model: model.card.model,
            corpus_root: published.root,
            dataset_root: labelled.tree.root(),
            reading_key: Bytes(*requester.reading_key.public_key().as_bytes()),
            token: self.token.unwrap_or(Address::ZERO),
            shards: labelled.shards.len() as u32,
            samples: published.items(),
            wanted_class: class,
            max_items: self.max_items,
            price_per_item: self.price_per_item,
            scan_fee: self.scan_fee,
            requester_bond: Amount::ZERO,
            bond: Amount::ZERO,
            contest_fee: match self.contest_fee {
                Some(fee) => fee,
                None => contest_fee(&model.layout, self.token, chain).await?,
            },
            accept_by,
            claim_by: accept_by.saturating_add(self.claim_within.as_secs()),
            window: seconds(self.window)?,
            prove_time: seconds(self.answer_within)?,
            receipt_time: seconds(self.receipt_within)?,
        };
        let half = terms.half_price();
        let half = half.context("the prices of the items add up past 2^128")?;
        terms.requester_bond = self.requester_bond.unwrap_or(half.max(Amount(1)));
        let least = terms.least_bond();
        let least = least.context("price and bond add up past 2^128")?;
        terms.bond = self.bond.unwrap_or(least);
        terms.check(now)?;
        if let Some(index) = self.contest.iter().find(|index| **index >= terms.shards) {
            bail!(
                "there is no shard {index} to contest, there are {}",
                terms.shards
            );
        }
        let nonce = OsRng.next_u64();
        let asked = Asked::new(
            &client,
            &model.card,
            terms,
            nonce,
            out,
            self.contest.clone(),
        );
        let id = requester.begin(&published.manifest, &asked)?;
        session.progress.say(format!(
            "retrieval {id}: `zknode retrieve --resume {id}` goes on with it after a crash"
        ));
        let outcome = requester.see_through(id, &model).await?;
        Ok((id, outcome))
    }
}

/// What anybody may do once a deadline is over.
async fn end(
    session: &Session,
    wallet: &Wallet<EthersChain>,
    id: RetrievalId,
) -> anyhow::Result<Answer> {
    let unknown = || format!("retrieval {id} is not known to the contract");
    let chain = wallet.chain();
    let before = chain.retrieval_at_depth(id, 0).await?;
    let before = before.with_context(unknown)?;
    if !before.state.is_terminal() {
        let (now, deadline) = (chain.head().await?.time, before.deadline);
        ensure!(
            before.is_overdue(now),
            "retrieval {id} is {:?} until {deadline}, it is {now}",
            before.state
        );
        let call = Call::Retrieval(Box::new(RetrievalCall::Expire(id)));
        let purpose = format!("end retrieval {id} {:?} {deadline}", before.state);
        wallet.execute(&purpose, &call).await?;
    }
    let state = chain.retrieval_at_depth(id, 0).await?;
    let state = state.with_context(unknown)?.state;
    let json = json!({ "retrieval": id, "state": state });
    session.output().print(&json, format!("{state:?}"))?;
    Ok(Answer::Yes)
}

/// How a retrieval ended: whether all that is due is here, for programs, and in words.
pub(super) fn summary(id: RetrievalId, terms: &Terms, outcome: &Outcome) -> (bool, Value, String) {
    let Outcome {
        state,
        matches,
        items,
        withdrawn,
    } = outcome;
    let back = value::money(*withdrawn, terms.token);
    let words = format!("{state:?}: {matches} items match, {items} are here; {back} came back");
    let json = json!({ "retrieval": id, "outcome": outcome });
    let good = *state == State::Settled && *items == (*matches).min(terms.max_items);
    (good, json, words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{error::ErrorKind, CommandFactory, Parser};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        retrieve: Retrieve,
    }

    #[test]
    fn what_an_open_retrieval_would_ignore_is_refused() {
        let id = format!("0x{}", "11".repeat(32));
        let parse = |more: &[&str]| Line::try_parse_from([&["retrieve"], more].concat());
        for old in ["--resume", "--end"] {
            assert!(parse(&[old, &id]).is_ok_and(|line| line.retrieve.seller.is_none()));
            for name in OF_A_NEW_ONE {
                let flag = format!("--{}", name.replace('_', "-"));
                let value = match name {
                    "model" => &id,
                    "token" => &id[..42],
                    name if name.ends_with("within") || name == "window" => "1h",
                    _ => "1",
                };
                let found = parse(&[old, &id, &flag, value])
                    .err()
                    .map(|error| error.kind());
                assert_eq!(found, Some(ErrorKind::ArgumentConflict), "{flag}");
            }
        }
        // Every argument is named, but for the two and the compiler, which an environment may always name.
        let all = Line::command().get_arguments().count();
        assert_eq!(all, OF_A_NEW_ONE.len() + 3);
    }
}
