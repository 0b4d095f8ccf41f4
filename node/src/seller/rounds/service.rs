//! What the seller remembers of a round.

use std::collections::BTreeSet;

use anyhow::{anyhow, ensure};
use serde::{Deserialize, Serialize};
use zknode_protocol::{
    chain::Chain,
    round::{message::RoundOffer, RoundId, RoundState},
    value::Signature,
};

use crate::{
    seller::{deal::FORGET_AFTER, Seller},
    store::Table,
};

/// What the seller remembers of a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    version: u16,
    /// As the buyer offered it.
    pub offer: RoundOffer,
    /// The bond is, or may be, locked.
    pub accepted: bool,
    /// Batches answered; the answers are stored beside.
    pub served: u32,
    /// The newest voucher.
    pub voucher: Option<(u32, Signature)>,
    /// The buyer is content with so many.
    pub approval: Option<(u32, Signature)>,
    /// Batches the buyer wants a proof of.
    pub audits: BTreeSet<u32>,
    /// Why the seller will not accept it.
    pub refused: Option<String>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Service`].
const VERSION: u16 = 1;

impl Service {
    /// A round just heard of.
    pub fn new(offer: RoundOffer) -> Self {
        Self {
            version: VERSION,
            offer,
            accepted: false,
            served: 0,
            voucher: None,
            approval: None,
            audits: BTreeSet::new(),
            refused: None,
            over: false,
        }
    }

    /// Whether it can come to nothing any more, `state` being the chain's: it was never accepted, and the time is over.
    pub(super) fn is_dead(&self, state: Option<RoundState>, now: u64) -> bool {
        let accept_by = self.offer.terms.accept_by;
        now > accept_by.saturating_add(FORGET_AFTER)
            && match state {
                None => self.served == 0,
                Some(state) => state == RoundState::Open,
            }
    }

    /// The voucher or approval that is worth more is kept; for the approval of no batch at all there is nothing to keep.
    pub(super) fn keep(kept: &mut Option<(u32, Signature)>, count: u32, signature: Signature) {
        if count > kept.map_or(0, |(count, _)| count) {
            *kept = Some((count, signature));
        }
    }

    /// The approval that ends the service: of everything served and paid for. To one of less there is no hurry.
    pub(super) fn ending(&self) -> Option<(u32, Signature)> {
        let paid = self.voucher.map_or(0, |(count, _)| count);
        let least = paid.max(self.served);
        self.approval.filter(|(count, _)| *count >= least)
    }
}

impl<C: Chain> Seller<C> {
    /// The rounds about the model on offer that are not over.
    pub fn services(&self) -> anyhow::Result<Vec<(RoundId, Service)>> {
        let all = self.store.all::<Service>(Table::Rounds)?.into_iter();
        let model = self.card.model;
        Ok(all
            .filter(|(_, service)| !service.over && service.offer.terms.model == model)
            .map(|(_, service)| (service.offer.round, service))
            .collect())
    }

    /// A stored round.
    pub fn service(&self, id: RoundId) -> anyhow::Result<Option<Service>> {
        let service: Option<Service> = self.store.get(Table::Rounds, &id.to_string())?;
        if let Some(service) = &service {
            ensure!(
                service.version == VERSION,
                "round {id} is stored with version {}, this build reads {VERSION}",
                service.version
            );
        }
        Ok(service)
    }

    /// Changes a stored round in one transaction.
    pub fn change_service(
        &self,
        id: RoundId,
        change: impl FnOnce(&mut Service),
    ) -> anyhow::Result<()> {
        let missing = || anyhow!("round {id} is unknown");
        self.store
            .change(Table::Rounds, &id.to_string(), missing, change)?
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use zknode_protocol::{
        round::{message::Domain, RoundTerms},
        value::{Address, Amount, Bytes, ModelId},
    };

    pub fn service() -> Service {
        let terms = RoundTerms {
            model: ModelId(Bytes([1; 32])),
            token: Address::ZERO,
            batches: 9,
            price: Amount(1),
            bond: Amount(1),
            contest_fee: Amount(0),
            accept_by: 1000,
            serve_by: 2000,
            window: 10,
            prove_time: 10,
        };
        let domain = Domain {
            chain_id: 1,
            contract: Bytes([2; 20]),
        };
        let nonce = Bytes([3; 32]);
        Service::new(RoundOffer::new(domain, Bytes([4; 20]), nonce, terms))
    }

    #[test]
    fn what_was_never_accepted_is_forgotten() {
        let mut service = service();
        let last = 1000 + FORGET_AFTER;
        for state in [None, Some(RoundState::Open)] {
            assert!(!service.is_dead(state, last));
            assert!(service.is_dead(state, last + 1));
        }
        for state in [RoundState::Serving, RoundState::Closed, RoundState::Slashed] {
            assert!(!service.is_dead(Some(state), u64::MAX));
        }
        // A chain that does not know it now knew it once: the bond is there.
        service.served = 1;
        assert!(!service.is_dead(None, u64::MAX));
    }

    #[test]
    fn a_lesser_approval_neither_replaces_nor_ends() {
        let signature = |byte| Bytes([byte; 65]);
        let mut service = service();
        (service.served, service.voucher) = (3, Some((2, signature(0))));
        let keep = |service: &mut Service, count, byte| {
            Service::keep(&mut service.approval, count, signature(byte));
        };
        keep(&mut service, 2, 2);
        assert_eq!(service.ending(), None, "one batch more was served");
        keep(&mut service, 3, 3);
        keep(&mut service, 1, 1);
        assert_eq!(service.ending(), Some((3, signature(3))));
        service.served = 4;
        assert_eq!(service.ending(), None);
    }
}
