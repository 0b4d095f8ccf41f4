//! `zknode buyer resume`

use std::{collections::HashMap, future::Future, sync::Arc};

use anyhow::Context;
use rand::rngs::OsRng;
use serde_json::{json, Value};
use tokio::task::{block_in_place, Id, JoinSet};
use zknode_protocol::{
    chain::{ethers::EthersChain, Chain},
    value::Hash,
};

use super::{buyer, predict, retrieve, Party, Session};
use crate::{
    buyer::{challenge::Buyer, reopen},
    config::ChainConfig,
    keys,
    output::{explain, Answer},
    retrieval::requester::Requester,
    wallet::Wallet,
};

/// How something ended: whether well, for programs, and in words.
type Ended = anyhow::Result<(bool, Value, String)>;

/// What can be interrupted: its name, that of a list of them, and that of its id.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Kind {
    one: &'static str,
    all: &'static str,
    id: &'static str,
}

const CHALLENGE: Kind = Kind {
    one: "challenge",
    all: "challenges",
    id: "dataset_root",
};
const ROUND: Kind = Kind {
    one: "round",
    all: "rounds",
    id: "round",
};
const RETRIEVAL: Kind = Kind {
    one: "retrieval",
    all: "retrievals",
    id: "retrieval",
};

/// Goes on with all challenges, rounds of predictions and retrievals side by side: one that hangs or fails does not hold
/// up the others.
pub async fn resume(session: &Session) -> anyhow::Result<Answer> {
    let mut tasks = Tasks::default();
    tasks.spawn_all(session, session.party().await?)?;
    let (mut good, mut failed, mut count) = (true, 0, 0);
    let mut answer = json!({});
    for kind in [CHALLENGE, ROUND, RETRIEVAL] {
        answer[kind.all] = json!([]);
    }
    while let Some((kind, id, ended)) = tasks.next().await {
        count += 1;
        let (json, words) = match ended {
            Ok((is_good, json, words)) => {
                good &= is_good;
                (json, words)
            }
            Err(error) => {
                failed += 1;
                let error = explain(&error);
                (json!({ kind.id: id, "error": error }), error)
            }
        };
        session.progress.say(format!("{} {id}: {words}", kind.one));
        if let Some(list) = answer[kind.all].as_array_mut() {
            list.push(json);
        }
    }
    session.output().print(
        &answer,
        format!(
            "{count} challenges, rounds and retrievals were unfinished, {failed} of them failed"
        ),
    )?;
    Ok(if failed > 0 {
        Answer::Failed
    } else {
        good.into()
    })
}

#[derive(Default)]
struct Tasks {
    running: JoinSet<Ended>,
    /// What each is about.
    about: HashMap<Id, (Kind, Hash)>,
}

impl Tasks {
    fn spawn(&mut self, kind: Kind, id: Hash, work: impl Future<Output = Ended> + Send + 'static) {
        let task = self.running.spawn(work);
        self.about.insert(task.id(), (kind, id));
    }

    /// The next that ended, whatever it was about; `None` when all have. One that broke off has failed, and goes on when it
    /// is resumed again.
    async fn next(&mut self) -> Option<(Kind, Hash, Ended)> {
        let (task, ended) = match self.running.join_next_with_id().await? {
            Ok((task, ended)) => (task, ended),
            Err(error) => (error.id(), Err(error).context("it broke off")),
        };
        let (kind, id) = self.about.remove(&task)?;
        Some((kind, id, ended))
    }

    /// What is stored of a kind; a list that cannot be read is a failure of its own.
    fn listed<T>(&mut self, kind: Kind, stored: anyhow::Result<Vec<T>>) -> Vec<T> {
        stored.unwrap_or_else(|error| {
            self.spawn(kind, Hash::ZERO, async move { Err(error) });
            vec![]
        })
    }

    fn spawn_all(&mut self, session: &Session, party: Party) -> anyhow::Result<()> {
        let config = ChainConfig::load(&party.home)?;
        let chain_id = party.wallet.chain().chain_id();
        let progress = session.progress;
        let buyer = |wallet: Wallet<EthersChain>| Buyer {
            home: party.home.clone(),
            store: party.store.clone(),
            wallet,
            key: party.key.clone(),
            progress,
        };
        let over = |contract| party.wallet.over(contract);

        let predictions = config.contracts.predictions.map(over);
        let predictions = predictions.map(|wallet| Arc::new(buyer(wallet)));
        let retrieval = config.retrieval.map(over);
        let reading_key = keys::reading_key(&party.home, &mut OsRng)?;
        let requester = retrieval.map(|wallet| Requester {
            store: party.store.clone(),
            wallet,
            key: party.key.clone(),
            reading_key,
            progress,
        });
        let requester = requester.map(Arc::new);
        let home = party.home.clone();
        let escrow = Arc::new(buyer(party.wallet.over(config.contracts.escrow)));
        for (root, challenge) in self.listed(CHALLENGE, escrow.unfinished()) {
            let (buyer, home) = (escrow.clone(), home.clone());
            self.spawn(CHALLENGE, root, async move {
                let token = challenge.terms.token;
                let model = block_in_place(|| reopen(challenge.card, chain_id, &home, &progress))?;
                let outcome = buyer.see_through(root, &model).await?;
                Ok(buyer::summary(root, token, outcome))
            });
        }
        for (id, order) in self.listed(ROUND, escrow.unfinished_rounds()) {
            let (buyer, home) = (predictions.clone(), home.clone());
            self.spawn(ROUND, id.0, async move {
                let buyer = buyer.context(predict::NO_CONTRACT)?;
                let model = block_in_place(|| reopen(order.card, chain_id, &home, &progress))?;
                predict::summary(&buyer.see_round_through(id, &model).await?)
            });
        }
        let asked = Requester::<EthersChain>::unfinished(&party.store);
        for (id, asked) in self.listed(RETRIEVAL, asked) {
            let (requester, home) = (requester.clone(), home.clone());
            self.spawn(RETRIEVAL, id.0, async move {
                let requester = requester.context(retrieve::NO_CONTRACT)?;
                let model = block_in_place(|| reopen(asked.card, chain_id, &home, &progress))?;
                let outcome = requester.see_through(id, &model).await?;
                Ok(retrieve::summary(id, &asked.terms, &outcome))
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_that_breaks_off_does_not_end_the_others() {
        let mut tasks = Tasks::default();
        let [broken, whole] = [Hash::ZERO, zknode_protocol::value::Bytes([1; 32])];
        tasks.spawn(ROUND, broken, async { unreachable!("broken") });
        tasks.spawn(CHALLENGE, whole, async {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            Ok((true, json!({}), "well".into()))
        });
        let mut ended = vec![];
        while let Some((_, id, outcome)) = tasks.next().await {
            ended.push((id, outcome.is_ok()));
        }
        assert_eq!(ended, [(broken, false), (whole, true)]);
    }
}
