//! What a buyer does about an agreement of its own until there is a claim ([`super::claim`]): hands over what it owes, and says
//! so on chain where the seller gives no receipt.

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
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
    CheckedModel, Client, ClientError,
};
use crate::{
    card::{write_delivery, DealStatus},
    delivery::{self, ShardOpening},
    home::{read_file, write_bytes},
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
    pub now: u64,
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
        let client = Client::new(&self.challenge.seller)?;
        let status = match client.status(self.id).await {
            Ok(status) if status.previewed || status.refused.is_some() => Ok(status),
            _ => {
                let manifest = PreviewManifest {
                    version: Version,
                    agreement: self.id,
                    ciphertext_hash: keccak(&sealed),
                    ciphertext_bytes: sealed.len() as u64,
                    shards: self.set()?.preview(&drawn)?,
                };
                let body = write_delivery(&manifest, &sealed)?;
                client.preview(self.id, body).await
            }
        };
        let receipt = self.handed_over(status, |status| status.preview_receipt)?;
        let Some(receipt) = receipt else {
            return self.insist(keccak(&sealed)).await;
        };
        receipt.check_preview(self.challenge.card.seller.seller)?;
        if self.challenge.preview_receipt.is_none() {
            self.buyer.change(self.root, |challenge| {
                challenge.preview_receipt = Some(receipt.clone());
            })?;
        }
        if !self.is_late() {
            return Ok(());
        }
        let call = Call::Proceed {
            id: self.id,
            ciphertext: receipt.ciphertext_hash,
            signature: Some(receipt.signature),
        };
        self.attempt(&format!("preview receipt {}", self.id), &call)
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
        let client = Client::new(&self.challenge.seller)?;
        let status = match client.status(self.id).await {
            Ok(status) if status.delivered || status.refused.is_some() => Ok(status),
            _ => {
                let manifest = DeliveryManifest {
                    version: Version,
                    agreement: self.id,
                    ciphertext_hash: keccak(&sealed),
                    ciphertext_bytes: sealed.len() as u64,
                    shards: self.set()?.manifest(),
                };
                let body = write_delivery(&manifest, &sealed)?;
                client.deliver(self.id, body).await
            }
        };
        let receipt = self.handed_over(status, |status| status.receipt)?;
        let Some(receipt) = receipt else {
            return self.insist(keccak(&sealed)).await;
        };
        receipt.check(self.challenge.card.seller.seller)?;
        if self.challenge.receipt.is_none() {
            self.buyer.change(self.root, |challenge| {
                challenge.receipt = Some(receipt.clone())
            })?;
        }
        if !self.is_late() {
            return Ok(());
        }
        let call = Call::Acknowledge {
            id: self.id,
            ciphertext: receipt.ciphertext_hash,
            signature: Some(receipt.signature),
        };
        self.attempt(&format!("receipt {}", self.id), &call).await
    }

    /// The seller's answer to a delivery: its receipt, if it gave one about this agreement. That it cannot be reached is
    /// no reason to do nothing: a deadline runs.
    fn handed_over(
        &self,
        status: Result<DealStatus, ClientError>,
        receipt: impl Fn(DealStatus) -> Option<Receipt>,
    ) -> anyhow::Result<Option<Receipt>> {
        let status = match status {
            Ok(status) => status,
            Err(error) if self.is_late() => {
                self.buyer.progress.say(error.to_string());
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(receipt) = receipt(status) else {
            return Ok(None);
        };
        ensure!(
            receipt.agreement == self.id && receipt.domain == self.buyer.domain(),
            "the seller's receipt is about agreement {}",
            receipt.agreement
        );
        Ok(Some(receipt))
    }

    /// Whether so little time is left that the chain must be told.
    fn is_late(&self) -> bool {
        let patience = u64::from(self.agreement.terms.response_time).clamp(2, 600) / 2;
        self.now.saturating_add(patience) > self.agreement.deadline
    }

    /// Without a receipt, near the deadline: puts on record that it was handed over.
    async fn insist(&self, ciphertext: Hash) -> anyhow::Result<()> {
        let sent = matches!(self.agreement.state, State::PreviewSent | State::RestSent);
        if sent || !self.is_late() {
            return Ok(());
        }
        let id = self.id;
        let call = Call::Send { id, ciphertext };
        let purpose = format!("send {id} {:?}", self.agreement.state);
        self.attempt(&purpose, &call).await?;
        self.buyer.progress.say(format!(
            "agreement {id}: no receipt came; the chain was told that the test set was handed over"
        ));
        Ok(())
    }

    /// Sends what the seller may have done in the meantime.
    async fn attempt(&self, purpose: &str, call: &Call) -> anyhow::Result<()> {
        self.buyer.wallet.attempt(purpose, call).await?;
        Ok(())
    }

    pub(super) fn set(&self) -> anyhow::Result<CommittedSet> {
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
