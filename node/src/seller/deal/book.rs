//! What is stored of agreements, and what the seller has promised in them.

use std::io::ErrorKind;

use zknode_protocol::{
    agreement::{Mode, State},
    chain::{AgreementSummary, Chain, RoundChain},
    value::{AgreementId, Amount},
};

use super::{Deal, VERSION};
use crate::{
    delivery::Part,
    seller::{
        model::openings_left,
        policy::{received_by, Facts},
        schedule::Duty,
        Seller,
    },
    store::Table,
};

/// What is promised to others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promised {
    /// Proofs that may have to come to the chain, at worst.
    pub proofs: u32,
    /// Those of them that are still to be made.
    pub duties: Vec<Duty>,
}

impl<C: RoundChain> Seller<C> {
    /// What the policy must know at `now`, agreement `but` left out of what is promised to others.
    pub(super) async fn facts(&self, but: AgreementId, now: u64) -> anyhow::Result<Facts> {
        let chain = self.wallet.chain();
        let promised = self.promised(Some(but), now).await?;
        let left = openings_left(&self.store, &self.model.record)?;
        Ok(Facts {
            model: self.card.model,
            shard_size: self.model.layout.options().samples,
            openings_left: left.saturating_sub(promised.proofs),
            promised: promised.proofs,
            duties: promised.duties,
            balance: chain.balance(chain.account()).await?,
            now,
            gas_price: self.price_of_gas().await?,
        })
    }

    /// What agreements but for `but`, rounds and retrievals still ask for at `now`.
    pub(crate) async fn promised(
        &self,
        but: Option<AgreementId>,
        now: u64,
    ) -> anyhow::Result<Promised> {
        let proofs = self.promised_batches()?;
        let proofs = proofs.saturating_add(self.promised_retrievals()?);
        let mut duties = self.round_duties(now).await?;
        duties.extend(self.retrieval_duties(now)?);
        let mut promised = Promised { proofs, duties };
        for (id, deal) in self.active()? {
            if Some(id) == but || deal.refused.is_some() {
                continue;
            }
            let Some(agreement) = self.wallet.agreement(id).await? else {
                continue;
            };
            let accepted = match agreement.state {
                // On its way to the chain.
                State::Open => self.wallet.was_sent(&accept_purpose(id))?,
                state => (State::Accepted..=State::Delivered).contains(&state),
            };
            if accepted {
                promised.proofs = promised.proofs.saturating_add(agreement.missing());
                promised.duties.extend(self.duty(id, &agreement, now)?);
            }
        }
        Ok(promised)
    }

    /// When an accepted agreement's proofs are owed that are not made yet; `None` past its deadline.
    fn duty(
        &self,
        id: AgreementId,
        agreement: &AgreementSummary,
        now: u64,
    ) -> anyhow::Result<Option<Duty>> {
        let terms = &agreement.terms;
        let delivered = agreement.state == State::Delivered;
        let (from, proofs) = match (delivered, terms.mode) {
            (false, _) => (received_by(terms).max(now), terms.shards),
            (true, Mode::Eager) => (now, agreement.missing()),
            (true, Mode::Optimistic) => {
                let mut missing = 0;
                for index in 0..terms.shards {
                    missing += u32::from(!self.has_proof(id, index)?);
                }
                (now, missing)
            }
        };
        let late = now > agreement.deadline;
        let duty = || Duty::by(format!("agreement {id}"), proofs, from, terms.claim_by);
        Ok((!late).then(duty))
    }
}

impl<C: Chain> Seller<C> {
    /// What gas costs, in the money it is paid in: as the owner says, else as the chain asks now.
    pub(crate) async fn price_of_gas(&self) -> anyhow::Result<Amount> {
        match self.gas_price {
            Some(price) => Ok(price),
            None => Ok(self.wallet.chain().market().await?.price()),
        }
    }

    /// The agreements about the model on offer that are not over.
    pub fn active(&self) -> anyhow::Result<Vec<(AgreementId, Deal)>> {
        let all = self.store.all::<Deal>(Table::Deals)?.into_iter();
        Ok(all
            .filter(|(_, deal)| !deal.over && deal.offer.terms.model == self.card.model)
            .map(|(_, deal)| (deal.offer.agreement, deal))
            .collect())
    }

    /// The test set of an agreement that is over is nobody's business any more, whether it was noted or not.
    pub(super) fn forget_delivery(&self, id: AgreementId) {
        for part in [Part::Preview, Part::Rest] {
            let path = self.home.received(id, part);
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    let says = format!("{} stays: {error}", path.display());
                    self.progress.say(says);
                }
                _ => {}
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
}

/// What an acceptance is sent for.
pub(super) fn accept_purpose(id: AgreementId) -> String {
    format!("accept {id}")
}
