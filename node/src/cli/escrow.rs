//! `zknode escrow`: agreements, seen and ended from the chain alone.

use anyhow::{bail, Context};
use clap::Subcommand;
use serde_json::json;
use zknode_protocol::{
    agreement::{Agreement, State},
    chain::{AgreementSummary, Call, Chain},
    value::{AgreementId, Amount, Hash},
};

use super::{value::money, Party, Session};
use crate::output::Answer;

#[derive(Subcommand)]
pub enum Command {
    /// Shows an agreement.
    Status {
        /// Its id.
        id: Hash,
    },
    /// Ends an agreement of this account whose deadline has passed, by the rules, and withdraws what is due to it.
    Settle {
        /// Its id.
        id: Hash,
    },
    /// Takes price and bond back: cancels an open agreement of this account, or ends an overdue one.
    Refund {
        /// Its id.
        id: Hash,
    },
}

impl Command {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let (Self::Status { id } | Self::Settle { id } | Self::Refund { id }) = self;
        let id = AgreementId(*id);
        if let Self::Status { .. } = self {
            // Reads the chain only: the database may be in use by the node.
            let home = session.home()?;
            let config = crate::config::ChainConfig::load(&home)?;
            let chain = config.connect_checked(session.key(&home)?).await?;
            let agreement = find(&chain, id).await?;
            let now = chain.head().await?.time;
            let credit = chain.credit(chain.account(), agreement.terms.token).await?;
            return show(session, id, &agreement, now, credit, Amount::ZERO);
        }
        let party = session.party().await?;
        let chain = party.wallet.chain();
        let agreement = find(chain, id).await?;
        let head = chain.head().await?;
        let (now, block) = (head.time, head.number.saturating_add(1));
        let account = chain.account();
        if ![agreement.buyer, agreement.seller].contains(&account) {
            bail!(
                "agreement {id} is between {} and {}, this account is {account}; past its deadline `zknode watch --once {id}` ends it, whoever's it is",
                agreement.buyer,
                agreement.seller
            );
        }
        let overdue = AgreementSummary::from(&agreement).is_overdue(now, block);
        let mut call = overdue.then_some(Call::Expire(id));
        if let Self::Refund { .. } = self {
            if agreement.buyer != account {
                bail!(
                    "only the buyer, {}, has a price to take back",
                    agreement.buyer
                );
            }
            if agreement.state == State::Open && !overdue {
                call = Some(Call::Cancel(id));
            }
        }
        match call {
            Some(call) => {
                let purpose = format!("end {id} {:?}", agreement.state);
                party.wallet.execute(&purpose, &call).await?;
            }
            None if agreement.state.is_terminal() => {}
            None => bail!("agreement {id} is not over: {}", deadline(&agreement, now)),
        }
        finish(session, &party, id).await
    }
}

async fn finish(session: &Session, party: &Party, id: AgreementId) -> anyhow::Result<Answer> {
    let chain = party.wallet.chain();
    let agreement = find(chain, id).await?;
    let token = agreement.terms.token;
    let withdrawn = party.wallet.withdraw(token, &id.to_string()).await?;
    let now = chain.head().await?.time;
    show(session, id, &agreement, now, Amount::ZERO, withdrawn)
}

async fn find<C: Chain>(chain: &C, id: AgreementId) -> anyhow::Result<Agreement> {
    let found = chain.agreement(id).await?;
    found.with_context(|| {
        format!(
            "the escrow {} on chain {} has no agreement {id}",
            chain.contracts().escrow,
            chain.chain_id()
        )
    })
}

fn deadline(agreement: &Agreement, now: u64) -> String {
    let what = match agreement.state {
        State::Open => "the seller may accept",
        State::Accepted => "the preview may be drawn",
        State::Drawn => "the drawn shards may arrive",
        State::PreviewSent | State::RestSent => "the seller may answer the delivery",
        State::Previewed => "the test set may arrive",
        State::Delivered => "the seller may claim or prove",
        State::Claimed => "the buyer may approve or contest",
        State::Contested => "the seller may prove what is contested",
        _ => return "it is over".into(),
    };
    match agreement.deadline.checked_sub(now) {
        Some(left) => format!("{what} for {left} more seconds"),
        None => format!("the time in which {what} is over, anybody may end it"),
    }
}

fn show(
    session: &Session,
    id: AgreementId,
    agreement: &Agreement,
    now: u64,
    credit: Amount,
    withdrawn: Amount,
) -> anyhow::Result<Answer> {
    let terms = &agreement.terms;
    let passed = agreement.state == State::Settled && agreement.passed();
    let money = |amount| money(amount, terms.token);
    let counted = match agreement.claim == Hash::ZERO && agreement.proven.is_empty() {
        true => "nothing counted yet".into(),
        false => format!("{} correct", agreement.correct),
    };
    let words = format!(
        "agreement {id}: {:?}\n{} of {} shards contested, {} proven on chain; {} samples, {} needed, {counted}\n\
         price {}, buyer's bond {}, bond {}, penalty {}, preview fee {}, contest fee {}\n{}\ncredited {}, withdrawn {}",
        agreement.state,
        agreement.contested.len(),
        terms.shards,
        agreement.proven.len(),
        terms.samples,
        terms.threshold,
        money(terms.price),
        money(terms.buyer_bond),
        money(terms.bond),
        money(terms.penalty),
        money(terms.preview_fee),
        money(terms.contest_fee),
        deadline(agreement, now),
        money(credit),
        money(withdrawn),
    );
    session.output().print(
        &json!({
            "id": id, "agreement": agreement, "passed": passed, "credit": credit, "withdrawn": withdrawn,
        }),
        words,
    )?;
    Ok(Answer::Yes)
}
