//! What is stored of agreements, and what the seller has promised in them.

use zknode_protocol::{
    agreement::{Mode, State},
    chain::{AgreementSummary, Chain, RoundChain},
    value::{AgreementId, Amount},
};

use super::{Deal, Next, VERSION};
use crate::{
    delivery::Part,
    seller::{
        event::Event,
        model::openings_left,
        policy::{answered, last_contest, look_seconds, received_by, Facts},
        schedule::Duty,
        send, Seller,
    },
    store::Table,
};

/// What is promised to others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Promised {
    /// Proofs that may still have to be made, at worst.
    pub proofs: u32,
    /// When those are owed.
    pub duties: Vec<Duty>,
    /// Proofs that may still have to come to the chain, at worst: of contested shards long after they were made.
    pub on_chain: u32,
    /// When those may be asked for.
    pub answers: Vec<Duty>,
    /// When the clerk may have to send something.
    pub steps: Vec<Duty>,
    /// When it may have to answer deliveries, those looked at last.
    pub deliveries: Vec<Duty>,
    /// Shards of deliveries that may still have to be looked at.
    pub looks: u32,
    /// Least time, in seconds, that one of those agreements leaves for it, if there is any.
    pub look_within: Option<u32>,
}

impl Promised {
    /// So many proofs more.
    pub(crate) fn add(&mut self, proofs: u32, on_chain: u32) {
        self.proofs = self.proofs.saturating_add(proofs);
        self.on_chain = self.on_chain.saturating_add(on_chain);
    }
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
            promised: promised.on_chain,
            duties: promised.duties,
            answers: promised.answers,
            steps: promised.steps,
            deliveries: promised.deliveries,
            looks: promised.looks,
            look_within: promised.look_within.unwrap_or(u32::MAX),
            look_time: self.look_time,
            queue: send::queue(self.wallet.depth()),
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
        let mut promised = Promised::default();
        let batches = self.promised_batches()?;
        promised.add(batches, batches);
        self.promise_rounds(&mut promised, now).await?;
        self.promise_retrievals(&mut promised, now)?;
        let queue = send::queue(self.wallet.depth());
        let mut awaited = vec![];
        for (id, deal) in self.active()? {
            if Some(id) == but || deal.refused.is_some() {
                continue;
            }
            let Some(agreement) = self.wallet.agreement(id).await? else {
                continue;
            };
            let state = agreement.state;
            // On its way to the chain, where it is still open there.
            let accepted = state > State::Open || self.wallet.was_sent(&accept_purpose(id))?;
            // Past these deadlines the bond is lost, and nothing can be brought any more.
            let bound = matches!(state, State::Delivered | State::Contested);
            let lost = bound && now > agreement.deadline;
            if !accepted || state.is_terminal() || lost {
                continue;
            }
            let from = received_by(&agreement.terms).max(now);
            let answers = answers(id, &agreement, (now, from), queue);
            promised.answers.extend(answers);
            if state > State::Delivered {
                promised.add(0, agreement.missing());
                continue;
            }
            promised.add(agreement.missing(), agreement.missing());
            promised.duties.push(self.duty(id, &agreement, now, queue)?);
            if state < State::Delivered {
                if deal.receipt.is_none() {
                    let within = agreement.terms.response_time;
                    let least = promised
                        .look_within
                        .map_or(within, |least| least.min(within));
                    promised.looks = promised.looks.saturating_add(agreement.terms.shards);
                    promised.look_within = Some(least);
                }
                awaited.push((id, agreement.terms));
            }
        }
        let looks = look_seconds(self.look_time, promised.looks);
        for (id, terms) in awaited {
            let whose = format!("agreement {id}, delivered,");
            let step = answered(whose, &terms, now, looks, queue);
            promised.deliveries.push(step);
        }
        Ok(promised)
    }

    /// When an accepted agreement's proofs are owed that are not made yet.
    fn duty(
        &self,
        id: AgreementId,
        agreement: &AgreementSummary,
        now: u64,
        queue: u64,
    ) -> anyhow::Result<Duty> {
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
        let whose = format!("agreement {id}");
        let proven_by = send::ready_by(terms.claim_by, queue);
        Ok(Duty::by(whose, proofs, from, proven_by))
    }
}

/// When an accepted agreement's proofs may be asked for on the chain, where an answer may wait `queue` seconds for its turn:
/// all of them at once, at any moment from now to the end of the window; in eager mode all after the delivery, which may
/// come as late as `received`.
fn answers(
    id: AgreementId,
    agreement: &AgreementSummary,
    (now, received): (u64, u64),
    queue: u64,
) -> Vec<Duty> {
    let terms = &agreement.terms;
    if terms.mode == Mode::Eager {
        let delivered = agreement.state == State::Delivered;
        let from = if delivered { now } else { received };
        let by = terms.claim_by.saturating_sub(queue);
        let whose = format!("agreement {id}, on the chain,");
        return vec![Duty::by(whose, agreement.missing(), from, by)];
    }
    let whose = || format!("agreement {id}, contested,");
    let (due, last) = match agreement.state {
        State::Claimed => (0, agreement.window_end),
        State::Contested => (agreement.unanswered, agreement.window_end),
        _ => (0, last_contest(terms)),
    };
    let mut answers = vec![];
    if due > 0 {
        let deadline = agreement.deadline.saturating_sub(queue);
        answers.push(Duty::by(whose(), due, now, deadline));
    }
    let more = agreement.missing().saturating_sub(due);
    if more > 0 && now <= last {
        let within = u64::from(terms.prove_time).saturating_sub(queue);
        answers.push(Duty::on_demand(whose(), more, (now, last), within));
    }
    answers
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
            self.remove(&self.home.received(id, part));
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
        let missing = || anyhow::anyhow!("agreement {id} is unknown");
        self.store
            .change(Table::Deals, &id.to_string(), missing, change)?
    }

    /// Nothing is at stake, and nothing will be: it is not looked at any more.
    pub(super) fn never_accepted(&self, id: AgreementId) -> anyhow::Result<Next> {
        self.change(id, |deal| {
            let late = || "the time to accept is over".to_owned();
            deal.refused.get_or_insert_with(late);
            deal.over = true;
        })?;
        self.tell(Event::Over {
            agreement: id,
            state: State::Open,
            correct: 0,
            withdrawn: Amount::ZERO,
        });
        Ok(Next::Over)
    }
}

/// What an acceptance is sent for.
pub(in crate::seller) fn accept_purpose(id: AgreementId) -> String {
    format!("accept {id}")
}
