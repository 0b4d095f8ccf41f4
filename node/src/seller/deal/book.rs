//! What is stored of agreements, and what the seller has promised in them.

use zknode_protocol::{
    agreement::State,
    chain::Chain,
    value::{AgreementId, Amount, Hash},
};

use super::{Deal, VERSION};
use crate::{
    seller::{model::openings_left, policy::Facts, Seller},
    store::Table,
};

impl<C: Chain> Seller<C> {
    /// What the policy must know at `now`, agreement `but` left out of what is promised to others.
    pub(super) async fn facts(&self, but: AgreementId, now: u64) -> anyhow::Result<Facts> {
        let chain = self.wallet.chain();
        let promised = self.promised(but).await?;
        let left = openings_left(&self.store, &self.model.record)?;
        Ok(Facts {
            model: self.card.model,
            shard_size: self.model.layout.options().samples,
            openings_left: left.saturating_sub(promised),
            promised,
            balance: chain.balance(chain.account()).await?,
            now,
            gas_price: self.price_of_gas().await?,
        })
    }

    /// What gas costs, in the money it is paid in: as the owner says, else as the chain asks now.
    pub(crate) async fn price_of_gas(&self) -> anyhow::Result<Amount> {
        match self.gas_price {
            Some(price) => Ok(price),
            None => Ok(self.wallet.chain().market().await?.price()),
        }
    }

    /// Proofs that other accepted agreements, and rounds and retrievals at worst, still ask for.
    pub(in crate::seller) async fn promised(&self, but: AgreementId) -> anyhow::Result<u32> {
        let mut promised = self.promised_batches()?;
        promised = promised.saturating_add(self.promised_retrievals()?);
        for (id, deal) in self.active()? {
            if id == but || deal.refused.is_some() {
                continue;
            }
            if let Some(agreement) = self.wallet.agreement(id).await? {
                if (State::Accepted..=State::Delivered).contains(&agreement.state) {
                    promised = promised.saturating_add(agreement.missing());
                }
            }
        }
        Ok(promised)
    }

    /// The agreements about the model on offer that are not over.
    pub fn active(&self) -> anyhow::Result<Vec<(AgreementId, Deal)>> {
        let all = self.store.all::<Deal>(Table::Deals)?.into_iter();
        Ok(all
            .filter(|(_, deal)| !deal.over && deal.offer.terms.model == self.card.model)
            .map(|(_, deal)| (deal.offer.agreement, deal))
            .collect())
    }

    /// The test set of an agreement that is over is nobody's business any more.
    pub(super) fn forget_delivery(&self, deal: &Deal) {
        let preview = deal.preview.as_ref().map(|preview| preview.ciphertext_hash);
        let rest = deal.manifest.as_ref().map(|rest| rest.ciphertext_hash);
        for hash in [preview, rest].into_iter().flatten() {
            let path = self.home.delivery(&hash.to_string());
            if let Err(error) = std::fs::remove_file(&path) {
                self.progress
                    .say(format!("{} stays: {error}", path.display()));
            }
        }
    }

    /// A stored agreement.
    pub fn deal(&self, id: AgreementId) -> anyhow::Result<Option<Deal>> {
        let deal: Option<Deal> = self.store.get(Table::Deals, &id.to_string())?;
        if let Some(deal) = &deal {
            anyhow::ensure!(
                deal.version == VERSION,
                "agreement {id} is stored with version {}, this build reads {VERSION}",
                deal.version
            );
        }
        Ok(deal)
    }

    /// Changes a stored agreement in one transaction.
    pub fn change(&self, id: AgreementId, change: impl FnOnce(&mut Deal)) -> anyhow::Result<()> {
        self.store
            .update(Table::Deals, &id.to_string(), |deal: Option<Deal>| {
                let mut deal = deal.ok_or_else(|| anyhow::anyhow!("agreement {id} is unknown"))?;
                change(&mut deal);
                Ok::<_, anyhow::Error>((deal, ()))
            })?
    }

    /// Whether this ciphertext is the one already stored for the agreement.
    pub fn has_delivery(&self, id: AgreementId, ciphertext: Hash) -> anyhow::Result<bool> {
        let deal = self.deal(id)?;
        Ok(deal
            .and_then(|deal| deal.manifest)
            .is_some_and(|manifest| manifest.ciphertext_hash == ciphertext))
    }
}
