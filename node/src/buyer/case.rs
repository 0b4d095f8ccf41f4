//! What a buyer does about an agreement of its own until there is a claim ([`super::claim`]): hands over what it owes, and says
//! so on chain where the seller gives no receipt.

use std::{sync::Mutex, time::Duration};

use anyhow::{anyhow, ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use tokio::time::timeout;
use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Call, Chain},
    digest::keccak,
    message::{DeliveryManifest, PreviewManifest, Receipt, Version},
    sampling::draw_shards,
    value::{AgreementId, Hash},
};

use super::{
    challenge::{Buyer, Challenge, SealedPreview},
    scan::Seen,
    CheckedModel, Client,
};
use crate::{
    card::{write_delivery, DealStatus},
    delivery::{self, Part, ShardOpening},
    home::{read_file, write_bytes},
    output::explain,
    store::Table,
    testset::CommittedSet,
};

/// Blocks the seller is left to record the draw.
const DRAW_PATIENCE: u64 = 50;
/// Longest sealed test set that is read back.
const MAX_SEALED: u64 = 1 << 32;

/// One agreement, at one moment.
pub(super) struct Case<'a, C> {
    pub buyer: &'a Buyer<C>,
    pub root: Hash,
    pub id: AgreementId,
    pub challenge: &'a Challenge,
    pub model: &'a CheckedModel,
    pub agreement: &'a AgreementSummary,
    /// What was proven to this side of its claim.
    pub seen: &'a Mutex<Seen>,
}

impl<C: Chain> Case<'_, C> {
    /// The seller records the draw; where it does not, the buyer does.
    pub async fn draw(&self, head: u64) -> anyhow::Result<()> {
        if head < self.agreement.draw_block.saturating_add(DRAW_PATIENCE) {
            return Ok(());
        }
        let (id, purpose) = (self.id, format!("draw {}", self.id));
        self.attempt(&purpose, &Call::Draw(id)).await
    }

    /// Hands over the drawn shards.
    pub async fn preview(&self) -> anyhow::Result<()> {
        let wallet = &self.buyer.wallet;
        // A draw that a reorganization could replace would show other shards too.
        let settled = wallet.settled(self.id).await?;
        let seed = self.agreement.seed;
        if settled.is_none_or(|settled| settled.seed != seed) {
            return Ok(());
        }
        let terms = &self.agreement.terms;
        let drawn = draw_shards(seed, terms.shards, terms.preview_shards)?;
        let stored = self.challenge.preview.filter(|stored| stored.seed == seed);
        let sealed = match stored {
            Some(stored) => self.read(stored.hash, stored.bytes)?,
            None => {
                let sealed = self.seal(|openings| {
                    let drawn = drawn.iter().map(|index| *index as usize);
                    drawn
                        .filter_map(|index| openings.get(index).cloned())
                        .collect()
                })?;
                let (hash, bytes) = (keccak(&sealed), sealed.len() as u64);
                let preview = SealedPreview { seed, hash, bytes };
                self.buyer.change(self.root, |challenge| {
                    challenge.preview = Some(preview);
                })?;
                sealed
            }
        };
        let ciphertext = (keccak(&sealed), sealed.len() as u64);
        self.hand_over(Part::Preview, ciphertext.0, || {
            let manifest = PreviewManifest {
                version: Version,
                agreement: self.id,
                ciphertext_hash: ciphertext.0,
                ciphertext_bytes: ciphertext.1,
                shards: self.set()?.preview(&drawn)?,
            };
            Ok(write_delivery(&manifest, &sealed)?)
        })
        .await
    }

    /// Hands over everything.
    pub async fn deliver(&self) -> anyhow::Result<()> {
        let sealed = match self.challenge.sealed {
            Some((hash, length)) => self.read(hash, length)?,
            None => {
                let sealed = self.seal(|openings| openings)?;
                let (hash, length) = (keccak(&sealed), sealed.len() as u64);
                self.buyer.change(self.root, |challenge| {
                    challenge.sealed = Some((hash, length));
                })?;
                sealed
            }
        };
        let ciphertext = (keccak(&sealed), sealed.len() as u64);
        self.hand_over(Part::Rest, ciphertext.0, || {
            let manifest = DeliveryManifest {
                version: Version,
                agreement: self.id,
                ciphertext_hash: ciphertext.0,
                ciphertext_bytes: ciphertext.1,
                shards: self.set()?.manifest(),
            };
            Ok(write_delivery(&manifest, &sealed)?)
        })
        .await
    }

    /// Hands over what is sealed until the seller gives a receipt. Near the deadline the chain is told instead, first of all and
    /// whatever the seller answers: the bond hangs on it.
    async fn hand_over(
        &self,
        part: Part,
        ciphertext: Hash,
        body: impl FnOnce() -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<()> {
        let stored = match part {
            Part::Preview => &self.challenge.preview_receipt,
            Part::Rest => &self.challenge.receipt,
        };
        // One about an earlier draw says nothing of this one.
        let stored = stored.clone();
        let stored = stored.filter(|receipt| receipt.ciphertext_hash == ciphertext);
        // To seal took its time.
        let now = self.now().await?;
        if self.is_late(now) && self.tell(part, ciphertext, stored.clone()).await? {
            return Ok(());
        }
        let answer = timeout(self.patience(now), self.send(part, body)).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow!("the seller does not answer in time")));
        let checked = answer.and_then(|status| self.receipt(part, status));
        if let (Ok(Some(receipt)), None) = (&checked, &stored) {
            self.buyer.change(self.root, |challenge| match part {
                Part::Preview => challenge.preview_receipt = Some(receipt.clone()),
                Part::Rest => challenge.receipt = Some(receipt.clone()),
            })?;
        }
        if !self.is_late(self.now().await?) {
            return checked.map(drop);
        }
        let receipt = checked.unwrap_or_else(|error| {
            self.buyer.progress.say(explain(&error));
            None
        });
        self.tell(part, ciphertext, receipt.or(stored)).await?;
        Ok(())
    }

    /// Sends the seller what it does not have.
    async fn send(
        &self,
        part: Part,
        body: impl FnOnce() -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<DealStatus> {
        let client = Client::new(&self.challenge.seller)?;
        if let Ok(status) = client.status(self.id).await {
            let arrived = match part {
                Part::Preview => status.previewed,
                Part::Rest => status.delivered,
            };
            if arrived || status.refused.is_some() {
                return Ok(status);
            }
        }
        let body = body()?;
        Ok(match part {
            Part::Preview => client.preview(self.id, body).await,
            Part::Rest => client.deliver(self.id, body).await,
        }?)
    }

    /// The seller's receipt, if it gave one. Fails for one that the chain would not take.
    fn receipt(&self, part: Part, status: DealStatus) -> anyhow::Result<Option<Receipt>> {
        let found = match part {
            Part::Preview => status.preview_receipt,
            Part::Rest => status.receipt,
        };
        let Some(receipt) = found else {
            return Ok(None);
        };
        ensure!(
            receipt.agreement == self.id && receipt.domain == self.buyer.domain(),
            "the seller's receipt is about agreement {}, expected {}: it counts as none",
            receipt.agreement,
            self.id
        );
        let seller = self.challenge.card.seller.seller;
        match part {
            Part::Preview => receipt.check_preview(seller),
            Part::Rest => receipt.check(seller),
        }
        .context("the seller's receipt counts as none")?;
        Ok(Some(receipt))
    }

    /// Near the deadline: brings the receipt, else puts on record that it was handed over. Whether anything was to be told.
    async fn tell(
        &self,
        part: Part,
        ciphertext: Hash,
        receipt: Option<Receipt>,
    ) -> anyhow::Result<bool> {
        let (id, wallet) = (self.id, &self.buyer.wallet);
        if let Some(receipt) = receipt {
            let (ciphertext, signature) = (receipt.ciphertext_hash, Some(receipt.signature));
            let (purpose, call) = match part {
                Part::Preview => (
                    format!("preview receipt {id}"),
                    Call::Proceed {
                        id,
                        ciphertext,
                        signature,
                    },
                ),
                Part::Rest => (
                    format!("receipt {id}"),
                    Call::Acknowledge {
                        id,
                        ciphertext,
                        signature,
                    },
                ),
            };
            match wallet.attempt(&purpose, &call).await {
                Ok(Some(_)) => return Ok(true),
                Ok(None) => {}
                Err(error) => self.buyer.progress.say(format!("{purpose}: {error}")),
            }
        }
        let state = self.agreement.state;
        if matches!(state, State::PreviewSent | State::RestSent) {
            return Ok(false);
        }
        let call = Call::Send { id, ciphertext };
        let purpose = format!("send {id} {state:?}");
        if wallet.attempt(&purpose, &call).await?.is_some() {
            self.buyer.progress.say(format!(
                "agreement {id}: no receipt came; the chain was told that the test set was handed over"
            ));
        }
        Ok(true)
    }

    /// The chain's clock.
    pub async fn now(&self) -> anyhow::Result<u64> {
        Ok(self.buyer.wallet.chain().head().await?.time)
    }

    /// What is kept back before a deadline to tell the chain.
    fn reserve(&self) -> u64 {
        u64::from(self.agreement.terms.response_time).clamp(2, 600) / 2
    }

    /// Whether so little time is left that the chain must be told.
    fn is_late(&self, now: u64) -> bool {
        now.saturating_add(self.reserve()) > self.agreement.deadline
    }

    /// How long the seller may take to answer: until it is late. Once it is, the chain was told.
    fn patience(&self, now: u64) -> Duration {
        let left = self.agreement.deadline.saturating_sub(now);
        let early = left.saturating_sub(self.reserve());
        Duration::from_secs(if self.is_late(now) { left } else { early }.max(1))
    }

    /// Sends what the seller may have done in the meantime.
    async fn attempt(&self, purpose: &str, call: &Call) -> anyhow::Result<()> {
        self.buyer.wallet.attempt(purpose, call).await?;
        Ok(())
    }

    pub fn set(&self) -> anyhow::Result<CommittedSet> {
        let root = self.root;
        let found = self.buyer.store.get(Table::Datasets, &root.to_string())?;
        found.with_context(|| format!("the test set {root} is not in the store"))
    }

    fn read(&self, hash: Hash, length: u64) -> anyhow::Result<Vec<u8>> {
        Ok(read_file(
            &self.buyer.home.delivery(&hash.to_string()),
            length,
        )?)
    }

    /// Seals a choice of shards to the seller's key and keeps the ciphertext.
    fn seal(
        &self,
        choose: impl FnOnce(Vec<ShardOpening>) -> Vec<ShardOpening>,
    ) -> anyhow::Result<Vec<u8>> {
        let key = self.challenge.card.seller.reading_key;
        let set = self.set()?;
        let sealed = tokio::task::block_in_place(|| {
            let openings = choose(set.openings(&self.model.layout, &self.model.srs)?);
            let sealed = delivery::seal(&openings, &key.0, &mut StdRng::from_entropy())?;
            Ok::<_, anyhow::Error>(sealed)
        })?;
        ensure!(
            sealed.len() as u64 <= MAX_SEALED,
            "the sealed test set has {} bytes, expected at most {MAX_SEALED}",
            sealed.len()
        );
        let path = self.buyer.home.delivery(&keccak(&sealed).to_string());
        write_bytes(&path, &sealed)?;
        Ok(sealed)
    }
}
