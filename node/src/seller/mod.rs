//! The seller's node: offers one registered model over HTTP, and sees every agreement through to its end.

mod deal;
pub mod event;
mod http;
pub mod model;
pub mod policy;

use std::{future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use crypto_box::SecretKey;
use tokio::{net::TcpListener, sync::Mutex, sync::Notify};
use zknode_circuit::prove::Prover;
use zknode_protocol::{
    chain::{key::Key, Chain},
    value::AgreementId,
};

use self::{
    deal::{advance, Deal, Next},
    event::Event,
    model::OwnModel,
    policy::Policy,
};
use crate::{
    card::ModelCard,
    home::Home,
    output::Output,
    progress::Progress,
    store::{Store, Table},
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
    /// What people see while they wait.
    pub progress: Progress,
    /// What happened.
    pub output: Output,
    /// One proof at a time.
    pub proving: Mutex<()>,
    /// Rung when something arrived over HTTP.
    pub bell: Notify,
}

/// Serves until `shutdown`; a proof under way is then given up and made again after the next start.
pub async fn serve<C: Chain>(
    seller: Seller<C>,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let seller = Arc::new(seller);
    let server = axum::serve(listener, http::routes(seller.clone()));
    tokio::select! {
        outcome = server => outcome.context("the HTTP interface stopped"),
        () = work(&seller) => Ok(()),
        () = shutdown => Ok(()),
    }
}

impl<C: Chain> Seller<C> {
    /// Says what happened. Where nobody listens any more, the work goes on.
    fn tell(&self, event: Event) {
        if self.output.json {
            let _ = self.output.print(&event, "");
        }
        self.progress.say(event.to_string());
    }
}

/// Looks after all agreements, for ever.
async fn work<C: Chain>(seller: &Seller<C>) {
    let mut pause = POLL;
    loop {
        match round(seller).await {
            Ok(()) => pause = POLL,
            Err(error) => {
                // Nothing is lost: every step is taken again from what is stored.
                seller.progress.say(format!("{error:#}; trying again"));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = seller.bell.notified() => {}
        }
    }
}

/// Takes every agreement as far as it goes now. One that fails does not hold up the others.
async fn round<C: Chain>(seller: &Seller<C>) -> anyhow::Result<()> {
    let mut failed = None;
    for (_, deal) in seller.store.all::<Deal>(Table::Deals)? {
        let id: AgreementId = deal.offer.agreement;
        if deal.over {
            continue;
        }
        loop {
            match advance(seller, id).await {
                Ok(Next::Again) => {}
                Ok(Next::Wait | Next::Over) => break,
                Err(error) => {
                    failed = Some(error.context(format!("agreement {id}")));
                    break;
                }
            }
        }
    }
    failed.map_or(Ok(()), Err)
}
