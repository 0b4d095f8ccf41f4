//! `zknode watch`

use clap::Args;
use serde_json::{json, Map};
use zknode_protocol::{
    chain::{ethers::EthersChain, ChainError},
    retrieval::RetrievalId,
    round::RoundId,
    value::{AgreementId, Hash},
};

use super::Session;
use crate::{
    config::ChainConfig,
    output::{explain, Answer},
    wallet::Wallet,
    watch::{Watched, Watcher, POLL},
};

#[derive(Args)]
pub struct Watch {
    /// Agreements, rounds of predictions and retrievals to watch besides those found on the chain.
    #[arg(value_name = "ID")]
    named: Vec<Hash>,
    /// Block from which on the chain is searched for more of them [default: the newest].
    #[arg(long, value_name = "BLOCK")]
    from: Option<u64>,
    /// Look once instead of for ever.
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let party = session.party().await?;
        let config = ChainConfig::load(&party.home)?;
        let at = |contract| party.wallet.over(contract);
        let predictions = config.contracts.predictions.map(at);
        let retrieval = config.retrieval.map(at);
        let mut agreements = self.watcher::<AgreementId>(Some(party.wallet)).await?;
        let mut rounds = self.watcher::<RoundId>(predictions).await?;
        let mut retrievals = self.watcher::<RetrievalId>(retrieval).await?;
        if !self.once {
            let also = match (rounds.is_some(), retrievals.is_some()) {
                (true, true) => ", rounds of predictions and retrievals",
                (true, false) => " and rounds of predictions",
                (false, true) => " and retrievals",
                (false, false) => "",
            };
            let words = format!("watching agreements{also}; what is past its deadline is ended");
            session.progress.say(words);
        }
        loop {
            let mut ended = self.look(session, &mut agreements).await?;
            ended |= self.look(session, &mut rounds).await?;
            ended |= self.look(session, &mut retrievals).await?;
            if self.once {
                if !ended {
                    let words = "nothing that is watched and known is past its deadline";
                    session.progress.say(words);
                }
                return Ok(Answer::Yes);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Of one contract, where it is known.
    async fn watcher<I: Watched<EthersChain>>(
        &self,
        wallet: Option<Wallet<EthersChain>>,
    ) -> Result<Option<Watcher<EthersChain, I>>, ChainError> {
        match wallet {
            Some(wallet) => Watcher::new(wallet, &self.named, self.from).await.map(Some),
            None => Ok(None),
        }
    }

    /// Says what was ended, and whether anything was. Who watches for ever outlasts a chain that does not answer.
    async fn look<I: Watched<EthersChain>>(
        &self,
        session: &Session,
        watcher: &mut Option<Watcher<EthersChain, I>>,
    ) -> anyhow::Result<bool> {
        let Some(watcher) = watcher else {
            return Ok(false);
        };
        let ended = match watcher.round().await {
            Err(error) if !self.once => {
                let words = explain(&error.into());
                session.progress.say(format!("{words}; trying again"));
                return Ok(false);
            }
            ended => ended?,
        };
        let (mut failed, any) = (None, !ended.is_empty());
        for (id, outcome) in ended {
            let state = match outcome {
                Ok(state) => state,
                Err(error) => {
                    let error = anyhow::Error::from(error).context(format!("{} {id}", I::NAME));
                    session.progress.say(explain(&error));
                    failed = Some(error);
                    continue;
                }
            };
            let words = format!("{} {id}: ended, {state:?}", I::NAME);
            let mut json = Map::new();
            json.insert(I::NAME.into(), json!(id.to_string()));
            json.insert("state".into(), json!(state));
            session.output().print(&json, words)?;
        }
        failed.filter(|_| self.once).map_or(Ok(any), Err)
    }
}
