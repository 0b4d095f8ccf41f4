//! One retrieval, from the requester's side. What is stored and what the chain says decide the next step, so a crash at
//! any point is the same as a pause.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{ensure, Context};
use crypto_box::SecretKey;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use zknode_protocol::{
    chain::{
        key::Key,
        retrieval::{RetrievalCall, RetrievalChain},
        Call, ChainError, TxReceipt,
    },
    digest::keccak,
    message::Version,
    retrieval::{
        corpus::Manifest,
        message::{Domain, Offer},
        Retrieval, RetrievalId, State, Terms,
    },
    value::{AgreementId, Amount, Hash, Signature},
};

use super::{
    judge::{Found, Judge},
    sealed_length,
};
use crate::{
    buyer::{CheckedModel, Client, ClientError},
    card::ModelCard,
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
/// Shards without evidence that are contested at once. One false one among them ends the retrieval.
const CONTESTED_AT_ONCE: usize = 8;
/// Format of [`Asked`].
const VERSION: u16 = 1;

/// What the requester remembers of a retrieval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    version: u16,
    /// Where the responder answers.
    pub seller: String,
    /// The model as it was checked.
    pub card: ModelCard,
    /// What is asked for.
    pub terms: Terms,
    /// Under which nonce.
    pub nonce: u64,
    /// Where the items go.
    pub out: PathBuf,
    /// Shards whose proof is wanted on chain, whatever the responder hands over.
    pub contest: Vec<u32>,
    /// The claim and ciphertext that are approved, and the signature that says so. Items are written before.
    pub approval: Option<(Hash, Hash, Signature)>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it never began.
    pub not_opened: Option<String>,
}

/// How a retrieval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// A state that absorbs.
    pub state: State,
    /// Items of the corpus that match, as claimed.
    pub matches: u32,
    /// Items that were checked and written.
    pub items: u32,
    /// What the requester got back.
    pub withdrawn: Amount,
}

impl Asked {
    /// A retrieval about to be opened.
    pub fn new(
        seller: &Client,
        card: &ModelCard,
        terms: Terms,
        nonce: u64,
        out: PathBuf,
        contest: Vec<u32>,
    ) -> Self {
        Self {
            version: VERSION,
            seller: seller.url().to_owned(),
            card: card.clone(),
            terms,
            nonce,
            out,
            contest,
            approval: None,
            outcome: None,
            not_opened: None,
        }
    }
}

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

/// What stays the same while a retrieval is seen through.
struct Case<'a> {
    id: RetrievalId,
    model: &'a CheckedModel,
    published: &'a Published,
    labelled: &'a Labelled,
}

/// A shard that is not proven to this side.
struct Doubt {
    index: u32,
    /// What was handed over is false; else nothing was.
    is_false: bool,
    reason: String,
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
    pub fn unfinished(&self) -> anyhow::Result<Vec<(RetrievalId, Asked)>> {
        let all = self.store.all::<Asked>(Table::Requests)?;
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
        ensure!(
            asked.version == VERSION,
            "retrieval {id} is stored with version {}, this build reads {VERSION}",
            asked.version
        );
        Ok(asked)
    }

    /// Sees a retrieval through to its end, for as long as that takes.
    pub async fn see_through(
        &self,
        id: RetrievalId,
        model: &CheckedModel,
    ) -> anyhow::Result<Outcome> {
        let terms = self.load(id)?.terms;
        let root = terms.corpus_root;
        let manifest = self.store.get(Table::Corpora, &root.to_string())?;
        let manifest: Manifest =
            manifest.with_context(|| format!("corpus {root} is not stored"))?;
        let published = Published::new(manifest, &model.layout, &model.srs)?;
        let labelled = published.labelled(terms.wanted_class)?;
        let case = Case {
            id,
            model,
            published: &published,
            labelled: &labelled,
        };
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

    /// Takes the next step, if there is one.
    async fn advance(&self, case: &Case<'_>) -> anyhow::Result<Option<Outcome>> {
        let (id, chain) = (case.id, self.wallet.chain());
        let asked = self.load(id)?;
        if let Some(outcome) = asked.outcome {
            return Ok(Some(outcome));
        }
        let Some(retrieval) = chain.retrieval_at_depth(id, 0).await? else {
            // Not sent yet, or reorganized away: what was signed is sent again.
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
            State::Claimed => self.judge(case, &asked, &retrieval, now).await?,
            _ => {}
        }
        Ok(None)
    }

    async fn open(&self, id: RetrievalId, asked: &Asked) -> anyhow::Result<()> {
        let (terms, nonce) = (asked.terms.clone(), asked.nonce);
        let deposit = terms.deposit();
        let deposit = deposit.context("fee, price and bond add up past 2^128")?;
        let purpose = format!("open retrieval {id}");
        let (token, call) = (terms.token, RetrievalCall::Open { terms, nonce });
        let sent = async {
            self.wallet.allow(token, deposit, &id.to_string()).await?;
            self.execute(&purpose, call).await
        };
        let receipt = match sent.await {
            Err(error) if is_refusal(&error) && !self.wallet.was_sent(&purpose)? => {
                return Err(NotOpened(error).into());
            }
            outcome => outcome?,
        };
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

    /// Looks at a claim: contests what is not proven, rejects what is not handed over, approves the rest.
    async fn judge(
        &self,
        case: &Case<'_>,
        asked: &Asked,
        retrieval: &Retrieval,
        now: u64,
    ) -> anyhow::Result<()> {
        let id = case.id;
        let (claim, ciphertext) = (retrieval.claim, retrieval.ciphertext);
        if let Some((of, sealed, signature)) = asked.approval {
            if (of, sealed) == (claim, ciphertext) {
                return self.approve(id, claim, signature).await;
            }
        }
        let as_agreement = AgreementId(id.0);
        let may_contest = now <= retrieval.window_end;
        for index in asked.contest.iter().copied().filter(|_| may_contest) {
            let contested = self.wallet.chain().is_contested(as_agreement, index);
            if !contested.await? {
                return self.contest(id, retrieval, index).await;
            }
        }
        let judge = Judge {
            id,
            retrieval,
            domain: self.domain(),
            card: &asked.card,
            published: case.published,
            labelled: case.labelled,
            verifier: case.model.verifier(&self.progress)?,
            layout: &case.model.layout,
            srs: &case.model.srs,
        };
        let client = Client::new(&asked.seller)?;
        let (counts, doubts) = self.scan(&judge, &client).await?;
        let half = u64::from(retrieval.terms.window.min(retrieval.terms.receipt_time)) / 2;
        let late = now.saturating_add(half.max(1)) > retrieval.deadline;
        if may_contest && doubts.iter().any(|doubt| doubt.is_false || late) {
            return self.contest_doubts(id, retrieval, doubts, late).await;
        }
        let limit = sealed_length(
            retrieval.terms.shards,
            retrieval.paid_items(),
            case.model.layout.architecture().input.cells(),
        );
        // What is not there may come, and what came changed on the way may come unchanged; what is there as it was claimed
        // stays as it is.
        let handed = match (
            doubts.first(),
            client.items(id, usize::try_from(limit)?).await,
        ) {
            (Some(doubt), _) => Err((false, doubt.reason.clone())),
            (None, Err(error)) => Err((false, error.to_string())),
            (None, Ok(sealed)) if keccak(&sealed) != ciphertext => {
                Err((false, "other bytes came than were claimed".to_owned()))
            }
            (None, Ok(sealed)) => {
                let key = &self.reading_key;
                tokio::task::block_in_place(|| judge.open(&sealed, key, &counts))
                    .map_err(|error| (true, explain(&error)))
            }
        };
        match handed {
            Ok(found) => {
                write_items(case, asked, &found)?;
                let digest = self.domain().approval_digest(id, claim, ciphertext);
                let signature = self.key.sign(digest)?;
                // Written down first: what is signed may be brought by anyone.
                self.change(id, |asked| {
                    asked.approval = Some((claim, ciphertext, signature));
                })?;
                self.progress.say(format!(
                    "retrieval {id}: {} of {} items match, all proofs verified here, {} items opened; approving",
                    retrieval.matches,
                    retrieval.terms.samples,
                    found.len()
                ));
                self.approve(id, claim, signature).await
            }
            Err((certain, reason)) if certain || late => {
                self.progress
                    .say(format!("retrieval {id}: rejecting the delivery: {reason}"));
                let purpose = format!("reject retrieval {id}");
                self.attempt(&purpose, RetrievalCall::Reject(id)).await
            }
            Err(_) => Ok(()),
        }
    }

    /// How many items match in each shard, where that is proven to this side, and the shards where it is not.
    async fn scan(
        &self,
        judge: &Judge<'_>,
        client: &Client,
    ) -> anyhow::Result<(Vec<Option<u32>>, Vec<Doubt>)> {
        let (mut counts, mut doubts) = (vec![], vec![]);
        let mut unreachable = None;
        for index in 0..judge.retrieval.terms.shards {
            let found = match &unreachable {
                None => client.scan(judge.id, index).await,
                // One that cannot be reached hands over none of the others either.
                Some(reason) => Err(ClientError::Malformed(String::clone(reason))),
            };
            let doubt = match found {
                Ok(evidence) => {
                    let checked =
                        tokio::task::block_in_place(|| judge.check_scan(index, &evidence));
                    match checked {
                        Ok(()) => {
                            counts.push(Some(evidence.attestation.statement.top1));
                            continue;
                        }
                        Err(error) => (true, explain(&error)),
                    }
                }
                Err(error) => {
                    if matches!(error, ClientError::Unreachable { .. }) {
                        unreachable = Some(error.to_string());
                    }
                    (false, error.to_string())
                }
            };
            counts.push(None);
            let id = AgreementId(judge.id.0);
            // What the chain verified, its leaf included, is true whatever is handed over here.
            if self.wallet.chain().is_proven(id, index).await? {
                continue;
            }
            let (is_false, reason) = doubt;
            doubts.push(Doubt {
                index,
                is_false,
                reason,
            });
        }
        Ok((counts, doubts))
    }

    async fn contest_doubts(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        mut doubts: Vec<Doubt>,
        late: bool,
    ) -> anyhow::Result<()> {
        doubts.retain(|doubt| doubt.is_false || late);
        // False ones first; the others in an order the responder cannot foresee.
        doubts.shuffle(&mut rand::thread_rng());
        doubts.sort_by_key(|doubt| !doubt.is_false);
        for doubt in doubts.iter().take(CONTESTED_AT_ONCE) {
            self.progress.say(format!(
                "retrieval {id}: contesting shard {} of {}: {}",
                doubt.index, retrieval.terms.shards, doubt.reason
            ));
            self.contest(id, retrieval, doubt.index).await?;
        }
        Ok(())
    }

    async fn contest(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        index: u32,
    ) -> anyhow::Result<()> {
        let terms = &retrieval.terms;
        let purpose = format!("contest retrieval {id}/{index}");
        let (token, fee) = (terms.token, terms.contest_fee);
        self.wallet.allow(token, fee, &purpose).await?;
        let value = terms.wei(fee);
        self.attempt(&purpose, RetrievalCall::Contest { id, index, value })
            .await?;
        self.progress
            .say(format!("retrieval {id}: shard {index} contested"));
        Ok(())
    }

    async fn approve(
        &self,
        id: RetrievalId,
        claim: Hash,
        signature: Signature,
    ) -> anyhow::Result<()> {
        let call = RetrievalCall::Approve {
            id,
            signature: Some(signature),
        };
        let purpose = format!("approve retrieval {id} {claim}");
        let receipt = self.execute(&purpose, call).await?;
        self.progress.say(format!(
            "retrieval {id}: approved and settled, {} gas",
            receipt.gas
        ));
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

    async fn execute(&self, purpose: &str, call: RetrievalCall) -> Result<TxReceipt, ChainError> {
        let call = Call::Retrieval(Box::new(call));
        self.wallet.execute(purpose, &call).await
    }

    /// Sends what the other side, or a deadline, may have made impossible meanwhile.
    async fn attempt(&self, purpose: &str, call: RetrievalCall) -> anyhow::Result<()> {
        match self.execute(purpose, call).await {
            Ok(_) | Err(ChainError::Revert { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn change(&self, id: RetrievalId, change: impl FnOnce(&mut Asked)) -> anyhow::Result<()> {
        let key = id.to_string();
        self.store
            .update(Table::Requests, &key, |asked: Option<Asked>| {
                let mut asked = asked.with_context(|| format!("no retrieval {id} is stored"))?;
                change(&mut asked);
                Ok::<_, anyhow::Error>((asked, ()))
            })?
    }
}

/// Writes the items as PNG files and a list of them.
fn write_items(case: &Case<'_>, asked: &Asked, found: &[Found]) -> anyhow::Result<()> {
    let input = case.model.layout.architecture().input;
    let shape = zknode_datasets::Shape::new(input.channels, input.height, input.width);
    std::fs::create_dir_all(&asked.out).with_context(|| asked.out.display().to_string())?;
    let mut list = "filename,class,item\n".to_owned();
    for item in found {
        let name = format!("item-{:07}.png", item.index);
        let image = zknode_datasets::Image::new(shape, item.pixels.clone());
        let image = image.with_context(|| format!("item {} is no image", item.index))?;
        let png = image.png()?;
        let path = asked.out.join(&name);
        std::fs::write(&path, png).with_context(|| path.display().to_string())?;
        list += &format!("{name},{},{}\n", asked.terms.wanted_class, item.index);
    }
    let path = asked.out.join("index.csv");
    std::fs::write(&path, list).with_context(|| path.display().to_string())
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

/// The retrieval could not be opened; no money moved.
#[derive(Debug, thiserror::Error)]
#[error("the retrieval was not opened, no money moved: {0}")]
pub struct NotOpened(ChainError);
