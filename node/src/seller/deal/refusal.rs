//! Receipts, and what the seller does instead of giving one.

use std::{sync::Arc, time::Duration};

use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Call, Chain, ChainError},
    message::{Domain, Receipt, Version},
    value::{AgreementId, Hash},
};

use super::{Deal, Next};
use crate::seller::{
    event::Event,
    inspect::Finding,
    places::ASKS_AGAIN,
    send::{self, Due},
    Seller,
};

impl<C: Chain> Seller<C> {
    /// Nothing good was delivered, or it is not wanted. Going away from a delivery as it was agreed costs the preview
    /// fee; one that is not as agreed is the buyer's to answer for: it forfeits its bond, or says on chain that it has
    /// delivered, and is then denied.
    pub(super) fn not_going_on(
        &self,
        id: AgreementId,
        deal: &Deal,
        agreement: &AgreementSummary,
        (now, awaited): (u64, usize),
    ) -> Next {
        let sent = matches!(agreement.state, State::PreviewSent | State::RestSent);
        let send = |purpose: &str, call| {
            let order = self.wallet.order(format!("{purpose} {id}"), call);
            Next::send(Due::attempt(Some(agreement.deadline), order))
        };
        // What is said to be sent may still be on its way; all that is awaited may be said to be sent, and denied at once.
        let patience = u64::from(agreement.terms.response_time) / 4;
        let way = send::patience(send::queue(self.wallet.depth()), awaited);
        let late = now.saturating_add(patience.max(way)) > agreement.deadline;
        let missing = deal.refused.is_none();
        if deal.refused.is_some() && !deal.disputed {
            return send("decline", Call::Decline(id));
        }
        // What this node was not there for, or had no place for, is missing by its own fault. Then the deadline declines for
        // it, at the same price.
        let needed = Duration::from_secs(patience).max(ASKS_AGAIN);
        let absent = late && self.places.open_for(id) >= needed;
        if sent && (!missing || absent) {
            return send("deny", Call::Deny(id));
        }
        Next::Wait
    }

    /// Notes whether the chain answered: what is not looked up cannot be delivered.
    pub(in crate::seller) fn answered<T>(
        &self,
        answer: Result<T, ChainError>,
    ) -> Result<T, ChainError> {
        self.places.chain_answers(answer.is_ok());
        answer
    }

    /// What a look at a delivery came to; `None` while it goes on, and the bell is rung at its end.
    pub(super) fn look(
        self: &Arc<Self>,
        id: AgreementId,
        ciphertext: Hash,
        deadline: u64,
        look: impl FnOnce() -> anyhow::Result<Finding> + Send + 'static,
    ) -> anyhow::Result<Option<Finding>> {
        let this = self.clone();
        let found = self
            .looks
            .ask((id, ciphertext), deadline, look, move || this.bell.ring());
        found.transpose()
    }

    /// What a look at a delivery leads to; `None`: on with it.
    pub(super) fn weigh(
        &self,
        id: AgreementId,
        what: &str,
        finding: Finding,
    ) -> anyhow::Result<Option<Next>> {
        let (reason, disputed) = match finding {
            Finding::Good => return Ok(None),
            Finding::Unwanted(reason) => (reason, false),
            Finding::Bad(reason) => (reason, true),
        };
        self.refuse(id, format!("{what}: {reason}"), disputed)
            .map(Some)
    }

    pub(super) fn receipt(
        &self,
        id: AgreementId,
        ciphertext: Hash,
        digest: impl Fn(&Domain, AgreementId, Hash) -> Hash,
    ) -> anyhow::Result<Receipt> {
        let domain = self.domain();
        Ok(Receipt {
            version: Version,
            domain,
            agreement: id,
            ciphertext_hash: ciphertext,
            signature: self.key.sign(digest(&domain, id, ciphertext))?,
        })
    }

    /// Will not go on with an agreement. Where a bond is locked, the next step gets it back.
    pub(super) fn refuse(
        &self,
        id: AgreementId,
        reason: String,
        disputed: bool,
    ) -> anyhow::Result<Next> {
        self.change(id, |deal| {
            (deal.refused, deal.disputed) = (Some(reason.clone()), disputed);
        })?;
        self.tell(Event::Refused {
            agreement: id,
            reason,
        });
        Ok(Next::Again)
    }
}
