//! A round of predictions, from the buyer's side: opens it ([`opening`]), sends batch after batch with a voucher for those
//! before ([`batch`]), audits a random share of the answers ([`audit`]), contests what is not proven and approves what is
//! ([`contest`]). What is stored and what the chain says decide the next step, so a crash at any point is the same as a pause.

mod audit;
mod batch;
mod contest;
mod opening;

use std::time::Duration;

use anyhow::{anyhow, ensure, Context};
use zknode_protocol::{
    chain::{Call, RoundCall, RoundChain},
    message::Version,
    round::{
        message::{Domain, Payment},
        Round, RoundId, RoundState,
    },
    value::Hash,
};

use super::{
    challenge::{Buyer, NotOpened},
    order::{Order, OrderedBatch},
    CheckedModel, Client,
};
use crate::{delivery::Sample, output::explain, store::Table};

/// Pause between two looks.
const POLL: Duration = Duration::from_millis(300);
/// Longest pause after errors that follow each other.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

impl<C: RoundChain> Buyer<C> {
    /// Stores a new round before anything is sent.
    pub fn begin_round(&self, order: &Order) -> anyhow::Result<()> {
        let key = order.id().to_string();
        Ok(self.store.put(Table::Orders, &key, order)?)
    }

    /// A stored round.
    pub fn order(&self, id: RoundId) -> anyhow::Result<Order> {
        let found: Option<Order> = self.store.get(Table::Orders, &id.to_string())?;
        let order = found.with_context(|| format!("no round {id} is stored here"))?;
        order.check_version()?;
        Ok(order)
    }

    /// The stored rounds that are not over, of any version.
    pub fn unfinished_rounds(&self) -> anyhow::Result<Vec<(RoundId, Order)>> {
        let mut open = vec![];
        for (_, order) in self.store.all::<Order>(Table::Orders)? {
            if order.outcome.is_none() && order.not_opened.is_none() {
                open.push((order.id(), order));
            }
        }
        Ok(open)
    }

    /// Sees a round through to its end, for as long as that takes. The wallet's escrow is the predictions contract.
    pub async fn see_round_through(
        &self,
        id: RoundId,
        model: &CheckedModel,
    ) -> anyhow::Result<Order> {
        let order = self.order(id)?;
        let chain = self.wallet.chain();
        let (expected, here) = (order.offer.domain, chain.contracts().escrow);
        // Elsewhere it would be opened once more.
        ensure!(
            (expected.chain_id, expected.contract) == (chain.chain_id(), here),
            "round {id} is of contract {} on chain {}, expected {here} on chain {}: see `zknode contract predictions`",
            expected.contract,
            expected.chain_id,
            chain.chain_id()
        );
        let inputs = tokio::task::block_in_place(|| order.source.read(&model.layout))?;
        let wanted: u64 = order
            .batches
            .iter()
            .map(|batch| u64::from(batch.inputs))
            .sum();
        ensure!(
            wanted <= inputs.len() as u64,
            "{}: fewer images than when the round was opened; restore the file",
            order.source.path.display()
        );
        let mut pause = POLL;
        loop {
            match self.advance_round(id, model, &inputs).await {
                Ok(Step::Over) => return self.order(id),
                Ok(Step::Again) => {
                    pause = POLL;
                    continue;
                }
                Ok(Step::Wait) => pause = POLL,
                Err(error) if error.is::<NotOpened>() => {
                    let reason = error.to_string();
                    self.change_order(id, |order| order.not_opened = Some(reason))?;
                    return Err(error);
                }
                Err(error) => {
                    let words = explain(&error);
                    self.progress.say(format!("{words}; trying again"));
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn change_order(&self, id: RoundId, change: impl FnOnce(&mut Order)) -> anyhow::Result<()> {
        let missing = || anyhow!("round {id} is unknown");
        self.store
            .change(Table::Orders, &id.to_string(), missing, change)?
    }

    /// Takes the next step.
    async fn advance_round(
        &self,
        id: RoundId,
        model: &CheckedModel,
        inputs: &[Sample],
    ) -> anyhow::Result<Step> {
        let order = self.order(id)?;
        if order.outcome.is_some() {
            return Ok(Step::Over);
        }
        let chain = self.wallet.chain();
        let Some(round) = chain.round_at_depth(id, 0).await? else {
            // Not opened yet, or reorganized away: what was signed is sent again.
            self.open_round(&order).await?;
            return Ok(Step::Wait);
        };
        let now = chain.head().await?.time;
        let case = RoundCase {
            buyer: self,
            id,
            order: &order,
            model,
            inputs,
            round: &round,
            now,
            client: Client::new(&order.seller)?,
        };
        if round.state.is_terminal() {
            return case.close().await;
        }
        if round.is_overdue(now) {
            self.progress.say(format!(
                "round {id}: the deadline passed while {:?}; ending it",
                round.state
            ));
            let purpose = format!("overdue round {id} {:?} {}", round.state, round.deadline);
            return case.attempt(&purpose, RoundCall::Expire(id)).await;
        }
        match round.state {
            RoundState::Open => case.offer().await,
            RoundState::Serving => case.ask().await,
            RoundState::Closed | RoundState::Contested => case.judge().await,
            _ => Ok(Step::Wait),
        }
    }
}

/// What to do after a step.
enum Step {
    /// Something happened: look again at once.
    Again,
    /// The other side, the chain or a deadline must move first.
    Wait,
    /// It ended, and all money is withdrawn.
    Over,
}

/// One round, at one moment.
struct RoundCase<'a, C> {
    buyer: &'a Buyer<C>,
    id: RoundId,
    order: &'a Order,
    model: &'a CheckedModel,
    inputs: &'a [Sample],
    round: &'a Round,
    now: u64,
    client: Client,
}

impl<C: RoundChain> RoundCase<'_, C> {
    fn domain(&self) -> Domain {
        self.order.offer.domain
    }

    fn payment(&self, count: u32, digest: Hash) -> anyhow::Result<Payment> {
        Ok(Payment {
            version: Version,
            count,
            signature: self.buyer.key.sign(digest)?,
        })
    }

    /// Sends what the seller may have done in the meantime.
    async fn attempt(&self, purpose: &str, call: RoundCall) -> anyhow::Result<Step> {
        let call = Call::Round(Box::new(call));
        let Some(receipt) = self.buyer.wallet.attempt(purpose, &call).await? else {
            return Ok(Step::Wait);
        };
        self.say(format!("{purpose}: done, {} gas", receipt.gas));
        Ok(Step::Again)
    }

    fn say(&self, words: impl AsRef<str>) {
        self.buyer.progress.say(words);
    }

    fn change(&self, change: impl FnOnce(&mut Order)) -> anyhow::Result<()> {
        self.buyer.change_order(self.id, change)
    }

    fn change_batch(
        &self,
        index: usize,
        change: impl FnOnce(&mut OrderedBatch),
    ) -> anyhow::Result<()> {
        self.change(|order| {
            if let Some(batch) = order.batches.get_mut(index) {
                change(batch);
            }
        })
    }
}
