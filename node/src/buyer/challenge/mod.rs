//! One agreement, from the buyer's side. As on the seller's, what is stored and what the chain says decide the next
//! step, so a crash at any point is the same as a pause.

mod record;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{anyhow, ensure, Context};
use zknode_protocol::{
    agreement::{Mode, State, Terms},
    chain::{key::Key, AgreementSummary, Call, Chain, ChainError, ChainEvent},
    message::{Domain, Offer, Version},
    value::{AgreementId, Hash},
};

pub use self::record::{Challenge, Outcome, SealedPreview};
use super::{case::Case, scan::Seen, CheckedModel, Client};
use crate::{
    home::Home,
    output::explain,
    progress::Progress,
    store::{Store, Table},
    testset::CommittedSet,
    wallet::Wallet,
};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause after errors that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything a buyer's agreement works with.
pub struct Buyer<C> {
    /// Its files.
    pub home: Home,
    /// What survives a crash.
    pub store: Arc<Store>,
    /// Its transactions.
    pub wallet: Wallet<C>,
    /// Signs approvals.
    pub key: Key,
    /// What people see.
    pub progress: Progress,
}

impl<C: Chain> Buyer<C> {
    /// Stores a new agreement and its test set before anything is sent. The root names both.
    pub fn begin(&self, set: &CommittedSet, mut challenge: Challenge) -> anyhow::Result<()> {
        let key = set.root.to_string();
        challenge.buyer = Some(self.wallet.chain().account());
        self.store.put(Table::Datasets, &key, set)?;
        self.store.put(Table::Challenges, &key, &challenge)?;
        Ok(())
    }

    /// The stored agreements that are not over, of any version.
    pub fn unfinished(&self) -> anyhow::Result<Vec<(Hash, Challenge)>> {
        let all = self.store.all::<Challenge>(Table::Challenges)?;
        let open = all
            .into_iter()
            .filter(|(_, challenge)| challenge.outcome.is_none() && challenge.not_opened.is_none());
        Ok(open
            .map(|(_, challenge)| (challenge.terms.dataset_root, challenge))
            .collect())
    }

    /// Sees an agreement through to its end, for as long as that takes.
    pub async fn see_through(&self, root: Hash, model: &CheckedModel) -> anyhow::Result<Outcome> {
        let challenge = self.load(root)?;
        self.check_place(root, &challenge)?;
        let longest = longest_pause(&challenge.terms);
        let (mut pause, mut told, seen) = (POLL, None, Mutex::default());
        loop {
            match self.advance(root, model, &mut told, &seen).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => pause = POLL,
                Err(error) if is_final(&error) => {
                    let reason = error.to_string();
                    self.change(root, |challenge| challenge.not_opened = Some(reason))?;
                    return Err(error);
                }
                Err(error) => {
                    self.progress
                        .say(format!("{}; trying again", explain(&error)));
                    pause = (pause * 2).min(longest);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes the next step, if there is one. People are told of each state once, `told` is the last.
    async fn advance(
        &self,
        root: Hash,
        model: &CheckedModel,
        told: &mut Option<State>,
        seen: &Mutex<Seen>,
    ) -> anyhow::Result<Option<Outcome>> {
        let challenge = self.load(root)?;
        if let Some(outcome) = challenge.outcome {
            return Ok(Some(outcome));
        }
        let Some(id) = challenge.agreement else {
            self.open(root, &challenge).await?;
            return Ok(None);
        };
        let chain = self.wallet.chain();
        let Some(agreement) = self.wallet.agreement(id).await? else {
            // Reorganized away: what was signed is sent again.
            self.open(root, &challenge).await?;
            return Ok(None);
        };
        let head = chain.head().await?;
        if agreement.state.is_terminal() {
            return match self.wallet.ended(id).await? {
                Some(ended) => Ok(Some(self.close(root, id, &ended).await?)),
                None => Ok(None),
            };
        }
        if agreement.is_overdue(head.time, head.number.saturating_add(1)) {
            self.progress.say(format!(
                "agreement {id}: the deadline passed while {:?}; ending it",
                agreement.state
            ));
            self.wallet
                .execute(
                    &format!("overdue {id} {:?} {}", agreement.state, agreement.deadline),
                    &Call::Expire(id),
                )
                .await?;
            return Ok(None);
        }
        if told.replace(agreement.state) != Some(agreement.state) {
            let left = agreement.deadline.saturating_sub(head.time);
            let state = agreement.state;
            self.progress
                .say(format!("agreement {id}: {state:?}, for {left} s at most"));
        }
        let case = Case {
            buyer: self,
            root,
            id,
            challenge: &challenge,
            model,
            agreement: &agreement,
            seen,
        };
        match agreement.state {
            State::Open => self.offer(id, &challenge).await?,
            State::Accepted => case.draw(head.number).await?,
            State::Drawn | State::PreviewSent => case.preview().await?,
            State::Previewed | State::RestSent => case.deliver().await?,
            State::Claimed => case.judge().await?,
            _ => {}
        }
        Ok(None)
    }

    async fn open(&self, root: Hash, challenge: &Challenge) -> anyhow::Result<()> {
        let token = challenge.terms.token;
        let price = challenge.terms.deposit();
        let price = price.context("price and buyer's bond add up past 2^128")?;
        let call = Call::Open(challenge.terms.clone());
        let purpose = format!("open {root}");
        let (deposit, occasion) = ((token, price), root.to_string());
        let sent = self.wallet.deposit(deposit, &occasion, &purpose, &call);
        let receipt = sent.await?.map_err(NotOpened)?;
        let opened = receipt.events.iter().find_map(|event| match event {
            ChainEvent::Opened { id, nonce, .. } => Some((*id, *nonce)),
            _ => None,
        });
        let (id, nonce) =
            opened.context("the agreement is in a block, but the escrow logged nothing")?;
        self.change(root, |challenge| {
            challenge.agreement = Some(id);
            challenge.nonce = Some(nonce);
        })?;
        self.progress.say(format!(
            "agreement {id}: open, {} samples in {} shards, {} gas",
            challenge.terms.samples, challenge.terms.shards, receipt.gas
        ));
        Ok(())
    }

    async fn offer(&self, id: AgreementId, challenge: &Challenge) -> anyhow::Result<()> {
        let offer = Offer {
            version: Version,
            domain: self.domain(),
            agreement: id,
            buyer: self.wallet.chain().account(),
            nonce: challenge
                .nonce
                .context("the agreement's nonce is missing")?,
            terms: challenge.terms.clone(),
        };
        let status = Client::new(&challenge.seller)?.offer(&offer).await?;
        if let Some(reason) = status.refused {
            self.progress
                .say(format!("agreement {id}: the seller refuses: {reason}"));
            let purpose = format!("cancel {id}");
            self.wallet.execute(&purpose, &Call::Cancel(id)).await?;
        }
        Ok(())
    }

    async fn close(
        &self,
        root: Hash,
        id: AgreementId,
        agreement: &AgreementSummary,
    ) -> anyhow::Result<Outcome> {
        let token = agreement.terms.token;
        let withdrawn = self.wallet.withdraw(token, &id.to_string()).await?;
        let outcome = Outcome {
            state: agreement.state,
            correct: agreement.correct,
            valid: match agreement.terms.mode {
                Mode::Eager => agreement.valid,
                Mode::Optimistic => agreement.terms.samples.into(),
            },
            proven: agreement.proven,
            passed: agreement.state == State::Settled && agreement.passed(),
            withdrawn,
        };
        self.change(root, |challenge| challenge.outcome = Some(outcome))?;
        Ok(outcome)
    }

    pub(super) fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            escrow: chain.contracts().escrow,
        }
    }

    /// Elsewhere it would be opened once more.
    fn check_place(&self, root: Hash, challenge: &Challenge) -> anyhow::Result<()> {
        let (expected, here) = (challenge.card.seller.domain, self.domain());
        ensure!(
            expected == here,
            "challenge {root} is of escrow {} on chain {}, this home now uses {} on chain {}: see `zknode contract use`",
            expected.escrow,
            expected.chain_id,
            here.escrow,
            here.chain_id
        );
        let account = self.wallet.chain().account();
        let expected = challenge.buyer.unwrap_or(account);
        ensure!(
            expected == account,
            "challenge {root} is of account {expected}, this home now has {account}"
        );
        Ok(())
    }

    fn load(&self, root: Hash) -> anyhow::Result<Challenge> {
        let found: Option<Challenge> = self.store.get(Table::Challenges, &root.to_string())?;
        let found = found.with_context(|| format!("no challenge with root {root} is stored"))?;
        found.check_version()?;
        Ok(found)
    }

    pub(super) fn change(
        &self,
        root: Hash,
        change: impl FnOnce(&mut Challenge),
    ) -> anyhow::Result<()> {
        let missing = || anyhow!("challenge {root} is unknown");
        self.store
            .change(Table::Challenges, &root.to_string(), missing, change)?
    }
}

/// A pause in which no deadline is missed: the shortest time in which something is to be done is many of them.
fn longest_pause(terms: &Terms) -> Duration {
    let shortest = match terms.mode {
        Mode::Eager => terms.response_time,
        Mode::Optimistic => terms.response_time.min(terms.window),
    };
    Duration::from_secs((shortest / 8).into()).clamp(POLL, LONGEST_PAUSE)
}

/// Whether waiting cannot help: the agreement was never opened, since the contract refuses its terms or the account
/// cannot pay the price. Nothing moved then. Once it is open, every error passes or a deadline ends it.
fn is_final(error: &anyhow::Error) -> bool {
    error.is::<NotOpened>()
}

/// The agreement could not be opened; no money moved.
#[derive(Debug, thiserror::Error)]
#[error("the agreement was not opened, no money moved: {0}")]
pub struct NotOpened(#[from] ChainError);
