//! One agreement, from the buyer's side. As on the seller's, what is stored and what the chain says decide the next
//! step, so a crash at any point is the same as a pause.

use std::{sync::Arc, time::Duration};

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::{State, Terms},
    chain::{AgreementSummary, Call, Chain, ChainError, ChainEvent},
    digest::keccak,
    message::{DeliveryManifest, Domain, Offer, Receipt, Version},
    value::{AgreementId, Amount, Hash},
};

use super::{CheckedModel, Client};
use crate::{
    card::{write_delivery, ModelCard},
    delivery,
    home::{read_file, write_file, Home},
    output::explain,
    progress::Progress,
    store::{Store, Table},
    testset::CommittedSet,
    wallet::{overdue, Wallet},
};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause after errors that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Seconds of block time after which the buyer brings the seller's receipt to the chain itself.
const RECEIPT_PATIENCE: u64 = 60;
/// Longest sealed test set that is read back.
const MAX_SEALED: u64 = 1 << 32;

/// What the buyer remembers of an agreement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    version: u16,
    /// Where the seller answers.
    pub seller: String,
    /// The model as it was checked.
    pub card: ModelCard,
    /// What is agreed.
    pub terms: Terms,
    /// Its id, once open.
    pub agreement: Option<AgreementId>,
    /// The escrow nonce it was opened with.
    pub nonce: Option<u64>,
    /// The sealed test set, which lies in the home under its hash.
    pub sealed: Option<(Hash, u64)>,
    /// The seller's word that it has the test set.
    pub receipt: Option<Receipt>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it never began.
    pub not_opened: Option<String>,
}

/// Format of [`Challenge`].
const VERSION: u16 = 1;

/// How an agreement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// A state that absorbs.
    pub state: State,
    /// Correct answers proven.
    pub correct: u64,
    /// Samples proven.
    pub valid: u64,
    /// Whether the threshold was reached.
    pub passed: bool,
    /// What the buyer got back.
    pub withdrawn: Amount,
}

impl Challenge {
    /// An agreement about to be opened.
    pub fn new(seller: &Client, model: &CheckedModel, terms: Terms) -> Self {
        Self {
            version: VERSION,
            seller: seller.url().to_owned(),
            card: model.card.clone(),
            terms,
            agreement: None,
            nonce: None,
            sealed: None,
            receipt: None,
            outcome: None,
            not_opened: None,
        }
    }
}

/// Everything a buyer's agreement works with.
pub struct Buyer<C> {
    /// Its files.
    pub home: Home,
    /// What survives a crash.
    pub store: Arc<Store>,
    /// Its transactions.
    pub wallet: Wallet<C>,
    /// What people see.
    pub progress: Progress,
}

impl<C: Chain> Buyer<C> {
    /// Stores a new agreement and its test set before anything is sent. The root names both.
    pub fn begin(&self, set: &CommittedSet, challenge: &Challenge) -> anyhow::Result<()> {
        let key = set.root.to_string();
        self.store.put(Table::Datasets, &key, set)?;
        self.store.put(Table::Challenges, &key, challenge)?;
        Ok(())
    }

    /// The stored agreements that are not over.
    pub fn unfinished(&self) -> anyhow::Result<Vec<(Hash, Challenge)>> {
        let all = self.store.all::<Challenge>(Table::Challenges)?;
        let mut open = vec![];
        for (_, challenge) in all {
            ensure!(
                challenge.version == VERSION,
                "a challenge is stored with version {}, this build reads {VERSION}",
                challenge.version
            );
            if challenge.outcome.is_none() && challenge.not_opened.is_none() {
                open.push((challenge.terms.dataset_root, challenge));
            }
        }
        Ok(open)
    }

    /// Sees an agreement through to its end, for as long as that takes.
    pub async fn see_through(&self, root: Hash, model: &CheckedModel) -> anyhow::Result<Outcome> {
        let mut pause = POLL;
        loop {
            match self.advance(root, model).await {
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
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes the next step, if there is one.
    async fn advance(&self, root: Hash, model: &CheckedModel) -> anyhow::Result<Option<Outcome>> {
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
        let now = chain.head().await?.time;
        if agreement.state.is_terminal() {
            return match self.wallet.ended(id).await? {
                Some(ended) => Ok(Some(self.close(root, id, &ended).await?)),
                None => Ok(None),
            };
        }
        if let Some(call) = overdue(id, agreement.state, &agreement.terms, now) {
            self.progress.say(format!(
                "agreement {id}: the deadline passed while {:?}; taking the money back",
                agreement.state
            ));
            self.wallet
                .execute(&format!("overdue {id} {:?}", agreement.state), &call)
                .await?;
            return Ok(None);
        }
        match agreement.state {
            State::Open => self.offer(id, &challenge).await?,
            State::Accepted => self.deliver(root, id, &challenge, model, now).await?,
            _ => {}
        }
        Ok(None)
    }

    async fn open(&self, root: Hash, challenge: &Challenge) -> anyhow::Result<()> {
        let (token, price) = (challenge.terms.token, challenge.terms.price);
        let call = Call::Open(challenge.terms.clone());
        let purpose = format!("open {root}");
        let sent = async {
            self.wallet.allow(token, price, &root.to_string()).await?;
            self.wallet.execute(&purpose, &call).await
        };
        let receipt = match sent.await {
            Err(error) if is_refusal(&error) && !self.wallet.was_sent(&purpose)? => {
                return Err(NotOpened(error).into());
            }
            outcome => outcome?,
        };
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

    async fn deliver(
        &self,
        root: Hash,
        id: AgreementId,
        challenge: &Challenge,
        model: &CheckedModel,
        now: u64,
    ) -> anyhow::Result<()> {
        let client = Client::new(&challenge.seller)?;
        let set: CommittedSet = self
            .store
            .get(Table::Datasets, &root.to_string())?
            .with_context(|| format!("the test set {root} is not in the store"))?;
        let sealed = match challenge.sealed {
            Some((hash, length)) => read_file(&self.home.delivery(&hash.to_string()), length)?,
            None => self.seal(root, challenge, &set, model)?,
        };
        let status = match client.status(id).await {
            Ok(status) if status.delivered || status.refused.is_some() => status,
            _ => {
                let manifest = DeliveryManifest {
                    version: Version,
                    agreement: id,
                    ciphertext_hash: keccak(&sealed),
                    ciphertext_bytes: sealed.len() as u64,
                    shards: set.manifest(),
                };
                client
                    .deliver(id, write_delivery(&manifest, &sealed)?)
                    .await?
            }
        };
        let Some(receipt) = status.receipt else {
            return Ok(());
        };
        if challenge.receipt.is_none() {
            receipt.check(challenge.card.seller.seller)?;
            ensure!(
                receipt.agreement == id && receipt.domain == self.domain(),
                "the seller's receipt is about agreement {}",
                receipt.agreement
            );
            self.change(root, |challenge| challenge.receipt = Some(receipt.clone()))?;
        }
        // The seller acknowledges by itself; one that only signs is helped along, well before the deadline.
        if now.saturating_add(RECEIPT_PATIENCE) > challenge.terms.deliver_by {
            let call = Call::AcknowledgeBySignature {
                id,
                ciphertext: receipt.ciphertext_hash,
                signature: receipt.signature,
            };
            self.wallet.execute(&format!("receipt {id}"), &call).await?;
        }
        Ok(())
    }

    /// Seals the test set once: sent again, it is the same ciphertext.
    fn seal(
        &self,
        root: Hash,
        challenge: &Challenge,
        set: &CommittedSet,
        model: &CheckedModel,
    ) -> anyhow::Result<Vec<u8>> {
        let key = challenge.card.seller.reading_key;
        let sealed = tokio::task::block_in_place(|| {
            let openings = set.openings(&model.layout, &model.srs)?;
            let sealed = delivery::seal(&openings, &key.0, &mut StdRng::from_entropy())?;
            Ok::<_, anyhow::Error>(sealed)
        })?;
        ensure!(
            sealed.len() as u64 <= MAX_SEALED,
            "the sealed test set has {} bytes, expected at most {MAX_SEALED}",
            sealed.len()
        );
        let hash = keccak(&sealed);
        write_file(&self.home.delivery(&hash.to_string()), |file| {
            std::io::Write::write_all(file, &sealed)
        })?;
        let length = sealed.len() as u64;
        self.change(root, |challenge| challenge.sealed = Some((hash, length)))?;
        Ok(sealed)
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
            valid: agreement.valid,
            passed: agreement.state == State::Settled && agreement.passed(),
            withdrawn,
        };
        self.change(root, |challenge| challenge.outcome = Some(outcome))?;
        Ok(outcome)
    }

    fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            escrow: chain.contracts().escrow,
        }
    }

    fn load(&self, root: Hash) -> anyhow::Result<Challenge> {
        let found = self.store.get(Table::Challenges, &root.to_string())?;
        found.with_context(|| format!("no challenge with root {root} is stored"))
    }

    fn change(&self, root: Hash, change: impl FnOnce(&mut Challenge)) -> anyhow::Result<()> {
        self.store.update(
            Table::Challenges,
            &root.to_string(),
            |challenge: Option<Challenge>| {
                let mut challenge =
                    challenge.with_context(|| format!("challenge {root} is unknown"))?;
                change(&mut challenge);
                Ok::<_, anyhow::Error>((challenge, ()))
            },
        )?
    }
}

/// Whether the contract or the account's balance says no, rather than the way there.
fn is_refusal(error: &ChainError) -> bool {
    matches!(
        error,
        ChainError::Revert { .. }
            | ChainError::InsufficientFunds { .. }
            | ChainError::NoCode { .. }
            | ChainError::Allowance { .. }
    )
}

/// Whether waiting cannot help: the agreement was never opened, since the contract refuses its terms or the account
/// cannot pay the price. Nothing moved then. Once it is open, every error passes or a deadline ends it.
fn is_final(error: &anyhow::Error) -> bool {
    error.is::<NotOpened>()
}

/// The agreement could not be opened; no money moved.
#[derive(Debug, thiserror::Error)]
#[error("the agreement was not opened, no money moved: {0}")]
pub struct NotOpened(ChainError);
