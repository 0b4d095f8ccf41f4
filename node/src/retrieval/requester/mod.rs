//! One retrieval, from the requester's side. What is stored and what the chain says decide the next step, so a crash at
//! any point is the same as a pause.

mod record;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use anyhow::{anyhow, ensure, Context};
use crypto_box::SecretKey;
use tokio::time::timeout;
use zknode_protocol::{
    chain::{
        key::Key,
        retrieval::{RetrievalCall, RetrievalChain},
        Call, ChainError, TxReceipt,
    },
    message::Version,
    retrieval::{
        corpus::Manifest,
        message::{Domain, Offer},
        Retrieval, RetrievalId, State,
    },
};

pub use self::record::{Asked, Outcome};
use crate::{
    buyer::{CheckedModel, Client, Seen},
    corpus::{Labelled, Published},
    output::explain,
    progress::Progress,
    store::{Store, Table},
    wallet::Wallet,
};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(500);
/// Longest pause after errors that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Everything a requester's retrieval works with. The wallet is the account at the retrieval contract.
pub struct Requester<C> {
    /// What survives a crash.
    pub store: Arc<Store>,
    /// Its transactions.
    pub wallet: Wallet<C>,
    /// Signs approvals.
    pub key: Key,
    /// Opens what is sealed to it.
    pub reading_key: SecretKey,
    /// What people see.
    pub progress: Progress,
}

/// A corpus that was checked, and what is asked about it.
pub(super) struct Corpus {
    pub published: Published,
    pub labelled: Labelled,
}

impl Corpus {
    /// Checks that this is the one `asked` is about, and that it hides nothing.
    fn new(manifest: Manifest, asked: &Asked, model: &CheckedModel) -> anyhow::Result<Self> {
        let (root, expected) = (manifest.root()?, asked.terms.corpus_root);
        ensure!(
            root == expected,
            "the corpus has root {root}, expected {expected}"
        );
        let published = Published::new(manifest, &model.layout, &model.srs)?;
        let labelled = published.labelled(asked.terms.wanted_class)?;
        Ok(Self {
            published,
            labelled,
        })
    }
}

/// What stays the same while a retrieval is seen through.
pub(super) struct Case<'a> {
    pub id: RetrievalId,
    pub model: &'a CheckedModel,
    /// Once it is there.
    pub corpus: &'a OnceLock<Corpus>,
    pub seen: &'a Mutex<Seen>,
}

impl<C: RetrievalChain> Requester<C> {
    /// Contract and chain.
    pub fn domain(&self) -> Domain {
        let chain = self.wallet.chain();
        Domain {
            chain_id: chain.chain_id(),
            contract: chain.contracts().escrow,
        }
    }

    /// Stores a retrieval and its corpus before anything is sent, under the id it will have.
    pub fn begin(&self, manifest: &Manifest, asked: &Asked) -> anyhow::Result<RetrievalId> {
        let Domain { chain_id, contract } = self.domain();
        let account = self.wallet.chain().account();
        let id = asked.terms.id(chain_id, contract, account, asked.nonce);
        let root = asked.terms.corpus_root.to_string();
        self.store.put(Table::Corpora, &root, manifest)?;
        self.store.put(Table::Requests, &id.to_string(), asked)?;
        Ok(id)
    }

    /// The stored retrievals that are not over.
    pub fn unfinished(store: &Store) -> anyhow::Result<Vec<(RetrievalId, Asked)>> {
        let all = store.all::<Asked>(Table::Requests)?;
        let mut open = vec![];
        for (key, asked) in all {
            if asked.outcome.is_none() && asked.not_opened.is_none() {
                open.push((RetrievalId(key.parse()?), asked));
            }
        }
        Ok(open)
    }

    /// A stored retrieval.
    pub fn load(&self, id: RetrievalId) -> anyhow::Result<Asked> {
        let found: Option<Asked> = self.store.get(Table::Requests, &id.to_string())?;
        let asked = found.with_context(|| format!("no retrieval {id} is stored"))?;
        asked.check_version(id)?;
        Ok(asked)
    }

    /// Sees a retrieval through to its end, for as long as that takes.
    pub async fn see_through(
        &self,
        id: RetrievalId,
        model: &CheckedModel,
    ) -> anyhow::Result<Outcome> {
        let asked = self.load(id)?;
        // Elsewhere it would be opened once more.
        let Domain { chain_id, contract } = self.domain();
        let account = self.wallet.chain().account();
        let here = asked.terms.id(chain_id, contract, account, asked.nonce);
        ensure!(
            here == id,
            "retrieval {id} is of another contract, chain or account than {contract} on chain {chain_id}: \
             see `zknode contract retrieval`"
        );
        let (corpus, seen) = (OnceLock::new(), Mutex::default());
        let case = Case {
            id,
            model,
            corpus: &corpus,
            seen: &seen,
        };
        match self.stored_corpus(&asked, model) {
            Ok(found) => drop(corpus.set(found)),
            Err(error) => self.progress.say(format!(
                "retrieval {id}: {}; its owner will be asked for the corpus again",
                explain(&error)
            )),
        }
        let mut pause = POLL;
        loop {
            match self.advance(&case).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => pause = POLL,
                Err(error) if error.is::<NotOpened>() => {
                    let reason = error.to_string();
                    self.change(id, |asked| asked.not_opened = Some(reason))?;
                    return Err(error);
                }
                Err(error) => {
                    let says = explain(&error);
                    self.progress.say(format!("{says}; trying again"));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn stored_corpus(&self, asked: &Asked, model: &CheckedModel) -> anyhow::Result<Corpus> {
        let root = asked.terms.corpus_root;
        let manifest = self.store.get(Table::Corpora, &root.to_string());
        let manifest: Option<Manifest> =
            manifest.with_context(|| format!("corpus {root} as it is stored"))?;
        let manifest = manifest.with_context(|| format!("corpus {root} is not stored"))?;
        tokio::task::block_in_place(|| Corpus::new(manifest, asked, model))
    }

    /// The corpus; where an earlier release stored it without what this one checks, its owner is asked for it, for no longer
    /// than `time`.
    pub(super) async fn corpus<'a>(
        &self,
        case: &Case<'a>,
        asked: &Asked,
        time: Duration,
    ) -> anyhow::Result<&'a Corpus> {
        if let Some(found) = case.corpus.get() {
            return Ok(found);
        }
        let client = Client::new(&asked.seller)?;
        let manifest = timeout(time, client.corpus()).await;
        let manifest = manifest.context("the corpus does not come in time")??;
        let root = asked.terms.corpus_root.to_string();
        let found = tokio::task::block_in_place(|| {
            let found = Corpus::new(manifest, asked, case.model)?;
            let manifest = &found.published.manifest;
            self.store.put(Table::Corpora, &root, manifest)?;
            Ok::<_, anyhow::Error>(found)
        })?;
        Ok(case.corpus.get_or_init(|| found))
    }

    /// Takes the next step, if there is one.
    async fn advance(&self, case: &Case<'_>) -> anyhow::Result<Option<Outcome>> {
        let (id, chain) = (case.id, self.wallet.chain());
        let asked = self.load(id)?;
        if let Some(outcome) = asked.outcome {
            return Ok(Some(outcome));
        }
        let Some(retrieval) = chain.retrieval_at_depth(id, 0).await? else {
            // Not sent yet, or reorganized away: what was signed is sent again. Nothing is asked of a corpus that may hide items.
            self.corpus(case, &asked, LONGEST_PAUSE).await?;
            self.open(id, &asked).await?;
            return Ok(None);
        };
        if retrieval.state.is_terminal() {
            let depth = self.wallet.depth();
            let settled = chain.retrieval_at_depth(id, depth).await?;
            if settled.is_none_or(|settled| settled.state != retrieval.state) {
                return Ok(None);
            }
            return self.close(id, &asked, &retrieval).await.map(Some);
        }
        let now = chain.head().await?.time;
        if retrieval.is_overdue(now) {
            let (state, deadline) = (retrieval.state, retrieval.deadline);
            self.progress.say(format!(
                "retrieval {id}: the deadline passed while {state:?}; ending it"
            ));
            let purpose = format!("overdue retrieval {id} {state:?} {deadline}");
            self.attempt(&purpose, RetrievalCall::Expire(id)).await?;
            return Ok(None);
        }
        match retrieval.state {
            State::Open => self.offer(id, &asked).await?,
            // While the window is open, more may be contested.
            State::Contested if now > retrieval.window_end => {}
            State::Claimed | State::Contested => self.judge(case, &asked, &retrieval, now).await?,
            _ => {}
        }
        Ok(None)
    }

    async fn open(&self, id: RetrievalId, asked: &Asked) -> anyhow::Result<()> {
        let (terms, nonce) = (asked.terms.clone(), asked.nonce);
        let deposit = terms.deposit();
        let deposit = deposit.context("fee, price and bond add up past 2^128")?;
        let (deposit, occasion) = ((terms.token, deposit), id.to_string());
        let purpose = format!("open retrieval {id}");
        let call = Call::Retrieval(Box::new(RetrievalCall::Open { terms, nonce }));
        let sent = self.wallet.deposit(deposit, &occasion, &purpose, &call);
        let receipt = sent.await?.map_err(NotOpened)?;
        self.progress.say(format!(
            "retrieval {id}: open, class {} of {} items in {} shards, {} gas",
            asked.terms.wanted_class, asked.terms.samples, asked.terms.shards, receipt.gas
        ));
        Ok(())
    }

    async fn offer(&self, id: RetrievalId, asked: &Asked) -> anyhow::Result<()> {
        let offer = Offer {
            version: Version,
            domain: self.domain(),
            id,
            requester: self.wallet.chain().account(),
            nonce: asked.nonce,
            terms: asked.terms.clone(),
        };
        let status = Client::new(&asked.seller)?.offer_retrieval(&offer).await?;
        if let Some(reason) = status.refused {
            self.progress
                .say(format!("retrieval {id}: the responder refuses: {reason}"));
            let purpose = format!("cancel retrieval {id}");
            self.attempt(&purpose, RetrievalCall::Cancel(id)).await?;
        }
        Ok(())
    }

    async fn close(
        &self,
        id: RetrievalId,
        asked: &Asked,
        retrieval: &Retrieval,
    ) -> anyhow::Result<Outcome> {
        let token = retrieval.terms.token;
        let purpose = format!("retrieval {id}");
        let withdrawn = self.wallet.withdraw(token, &purpose).await?;
        let outcome = Outcome {
            state: retrieval.state,
            matches: retrieval.matches,
            items: asked.approval.map_or(0, |_| retrieval.paid_items()),
            withdrawn,
        };
        self.change(id, |asked| asked.outcome = Some(outcome))?;
        Ok(outcome)
    }

    pub(super) async fn execute(
        &self,
        purpose: &str,
        call: RetrievalCall,
    ) -> Result<TxReceipt, ChainError> {
        let call = Call::Retrieval(Box::new(call));
        self.wallet.execute(purpose, &call).await
    }

    /// Sends what the other side, or a deadline, may have made impossible meanwhile.
    pub(super) async fn attempt(&self, purpose: &str, call: RetrievalCall) -> anyhow::Result<()> {
        let call = Call::Retrieval(Box::new(call));
        self.wallet.attempt(purpose, &call).await?;
        Ok(())
    }

    pub(super) fn change(
        &self,
        id: RetrievalId,
        change: impl FnOnce(&mut Asked),
    ) -> anyhow::Result<()> {
        let missing = || anyhow!("no retrieval {id} is stored");
        self.store
            .change(Table::Requests, &id.to_string(), missing, change)?
    }
}

/// The retrieval could not be opened; no money moved.
#[derive(Debug, thiserror::Error)]
#[error("the retrieval was not opened, no money moved: {0}")]
pub struct NotOpened(ChainError);
