//! `zknode watch`

use clap::Args;
use serde_json::json;
use zknode_protocol::value::{AgreementId, Hash};

use super::Session;
use crate::{
    output::Answer,
    watch::{RoundWatcher, Watcher},
};

#[derive(Args)]
pub struct Watch {
    /// Agreements to watch besides those found on the chain.
    #[arg(value_name = "ID")]
    agreements: Vec<Hash>,
    /// Block from which on the chain is searched for agreements [default: the newest].
    #[arg(long, value_name = "BLOCK")]
    from: Option<u64>,
    /// Look once instead of for ever.
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let named = self.agreements.iter().map(|id| AgreementId(*id));
        let mut watcher = Watcher::new(&party.wallet, named, self.from).await?;
        let mut rounds = match party.predictions {
            Some(contract) => {
                Some(RoundWatcher::new(party.wallet.over(contract), self.from).await?)
            }
            None => None,
        };
        let output = session.output();
        loop {
            for ended in watcher.round().await? {
                let words = format!("agreement {}: ended, {:?}", ended.agreement, ended.state);
                output.print(
                    &json!({ "agreement": ended.agreement, "state": ended.state }),
                    words,
                )?;
            }
            if let Some(rounds) = &mut rounds {
                for (id, state) in rounds.round().await? {
                    let words = format!("round {id}: ended, {state:?}");
                    output.print(&json!({ "round": id, "state": state }), words)?;
                }
            }
            if self.once {
                return Ok(Answer::Yes);
            }
            tokio::time::sleep(Watcher::<()>::POLL).await;
        }
    }
}
