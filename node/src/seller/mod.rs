//! The seller's node: offers one registered model over HTTP, and sees every agreement through to its end.
//!
//! Four tasks: the interface ([`http`]), the clerk, who takes everything as far as it goes without a proof ([`clerk`]), the
//! prover, and one that brings what is proven to the chain ([`work`]). They meet in the database and on the chain only. The
//! clerk opens no delivery: looks at them, which may take minutes, go on beside it ([`look`]). It does wait for its own
//! transactions, many at once, until they lie deep enough; the prover waits for none.

mod attest;
pub(crate) mod clerk;
pub(crate) mod deal;
mod deliver;
pub mod door;
pub mod event;
pub(crate) mod http;
mod inspect;
pub mod look;
pub mod model;
pub mod places;
pub mod policy;
pub mod promises;
mod prove;
mod receive;
pub mod rounds;
pub mod schedule;
pub mod send;
mod slots;
mod turn;
pub mod work;

use std::{future::Future, io::ErrorKind, path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use crypto_box::SecretKey;
use tokio::{
    net::TcpListener,
    sync::{Mutex, Notify},
    task::JoinSet,
};
use zknode_circuit::prove::Prover;
use zknode_protocol::{
    chain::{key::Key, retrieval::RetrievalChain, Chain, RoundChain},
    message::Domain,
    value::{AgreementId, Amount, Hash},
};

use self::{
    clerk::clerk_round, door::Door, event::Event, look::Looks, model::OwnModel, places::Places,
    policy::Policy, rounds::Rounds,
};
use crate::{
    card::ModelCard,
    claim_trees::ClaimTrees,
    home::Home,
    output::{explain, Output},
    progress::Progress,
    retrieval::{self, responder::Responder},
    store::Store,
    wallet::Wallet,
};

/// Pause between two looks at agreements that wait for somebody else.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause after errors that follow each other, such as an RPC that is down.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything a seller's node works with.
pub struct Seller<C> {
    /// Its files.
    pub home: Home,
    /// What survives a crash.
    pub store: Arc<Store>,
    /// Its transactions.
    pub wallet: Wallet<C>,
    /// Signs receipts.
    pub key: Key,
    /// Opens deliveries.
    pub reading_key: SecretKey,
    /// What it sells.
    pub model: OwnModel,
    /// Makes the proofs.
    pub prover: Prover,
    /// What it tells buyers.
    pub card: ModelCard,
    /// Which agreements it takes.
    pub policy: Policy,
    /// What it needs to answer retrievals, if it has a corpus.
    pub responder: Option<Responder<C>>,
    /// Its predictions, where it knows a predictions contract.
    pub rounds: Option<Rounds<C>>,
    /// What gas costs, in the money it is paid in; `None`: as the chain says.
    pub gas_price: Option<Amount>,
    /// What people see while they wait.
    pub progress: Progress,
    /// What happened.
    pub output: Output,
    /// Rung when there is something to do.
    pub bell: Bell,
    /// How much is answered at once.
    pub places: Places,
    /// Most connections at once.
    pub max_connections: usize,
    /// The deliveries that are looked at.
    pub looks: Looks,
    /// What a look at a shard of a delivery takes: see [`Seller::measure_look`].
    pub look_time: Duration,
    /// Held while a proof is made: one at a time takes every core and most of the memory.
    pub proving: Mutex<()>,
    /// The trees of claims that are asked for.
    pub claim_trees: ClaimTrees<(AgreementId, Hash)>,
}

/// Wakes the clerk, the prover and who brings proofs to the chain.
#[derive(Debug, Default)]
pub struct Bell {
    clerk: Notify,
    prover: Notify,
    answers: Notify,
}

impl Bell {
    /// Something arrived, or moved on.
    pub fn ring(&self) {
        self.clerk.notify_one();
        self.prover.notify_one();
        self.answers.notify_one();
    }
}

/// Serves until `shutdown`; a proof under way is then given up and made again after the next start.
pub async fn serve<C: RetrievalChain + RoundChain>(
    seller: Seller<C>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    seller.home.sweep()?;
    let seller = Arc::new(seller);
    let mut tasks = JoinSet::new();
    let routes = http::routes(seller.clone())
        .merge(retrieval::http::routes(seller.clone()))
        .merge(rounds::http::routes(seller.clone()));
    let door = Door::new(listener, seller.max_connections);
    let server = axum::serve(door, routes);
    tasks.spawn(async move { server.await.context("the HTTP interface stopped") });
    let clerk = seller.clone();
    tasks.spawn(async move { clerk.keep_on(&clerk.bell.clerk, clerk_round).await });
    let answers = seller.clone();
    tasks.spawn(async move {
        answers
            .keep_on(&answers.bell.answers, work::bring_proofs)
            .await
    });
    tasks.spawn(async move { seller.keep_on(&seller.bell.prover, work::next).await });
    tokio::select! {
        outcome = tasks.join_next() => match outcome {
            Some(outcome) => outcome?,
            None => Ok(()),
        },
        () = shutdown => Ok(()),
    }
}

impl<C: Chain> Seller<C> {
    /// Says what happened. Where nobody listens any more, the work goes on.
    pub(crate) fn tell(&self, event: impl Into<Event>) {
        let event = event.into();
        if self.output.json {
            let _ = self.output.print(&event, "");
        }
        self.progress.say(event.to_string());
        self.bell.ring();
    }

    /// Where signatures of its agreements are good.
    pub(crate) fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            escrow: chain.contracts().escrow,
        }
    }

    /// Removes what is nobody's business any more; whether it was there or not.
    pub(crate) fn remove(&self, path: &Path) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                let says = format!("{} stays: {error}", path.display());
                self.progress.say(says);
            }
            _ => {}
        }
    }

    /// Does rounds of work for ever: at once again while there is any, else when the bell rings or after a while.
    async fn keep_on(
        self: &Arc<Self>,
        bell: &Notify,
        round: impl AsyncFn(&Arc<Self>) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut pause = POLL;
        loop {
            match round(self).await {
                Ok(true) => {
                    pause = POLL;
                    continue;
                }
                Ok(false) => pause = POLL,
                Err(error) => {
                    // Nothing is lost: every step is taken again from what is stored.
                    self.progress
                        .say(format!("{}; trying again", explain(&error)));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = bell.notified() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
