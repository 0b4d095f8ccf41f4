//! The two ends of a round: its opening, and what comes back.

use anyhow::Context;
use zknode_protocol::chain::{Call, RoundCall, RoundChain};

use super::{RoundCase, Step};
use crate::buyer::{
    challenge::{Buyer, NotOpened},
    order::{Order, RoundOutcome},
};

impl<C: RoundChain> Buyer<C> {
    pub(super) async fn open_round(&self, order: &Order) -> anyhow::Result<()> {
        let (id, terms) = (order.id(), order.offer.terms.clone());
        let price = terms.deposit().context("the price is above 2^128")?;
        let purpose = format!("open round {id}");
        let call = Call::Round(Box::new(RoundCall::Open {
            nonce: order.offer.nonce,
            terms: terms.clone(),
        }));
        let deposit = (terms.token, price);
        let sent = self.wallet.deposit(deposit, &purpose, &purpose, &call);
        let receipt = sent.await?.map_err(NotOpened::from)?;
        self.progress.say(format!(
            "round {id}: open, {} batches, {} gas; after a crash: zknode buyer predict --resume {id}",
            terms.batches, receipt.gas
        ));
        Ok(())
    }
}

impl<C: RoundChain> RoundCase<'_, C> {
    pub(super) async fn offer(&self) -> anyhow::Result<Step> {
        let status = self.client.round(&self.order.offer).await?;
        let Some(reason) = status.refused else {
            return Ok(Step::Wait);
        };
        let id = self.id;
        let words = format!("round {id}: the seller refuses: {reason}");
        self.say(&words);
        self.change(|order| order.stopped = Some(words))?;
        let purpose = format!("cancel round {id}");
        self.attempt(&purpose, RoundCall::Cancel(id)).await
    }

    /// The end, once it lies deep enough.
    pub(super) async fn close(&self) -> anyhow::Result<Step> {
        let wallet = &self.buyer.wallet;
        let ended = wallet
            .chain()
            .round_at_depth(self.id, wallet.depth())
            .await?;
        let Some(round) = ended.filter(|round| round.state.is_terminal()) else {
            return Ok(Step::Wait);
        };
        let token = round.terms.token;
        let withdrawn = wallet
            .withdraw(token, &format!("round {}", self.id))
            .await?;
        let outcome = RoundOutcome {
            state: round.state,
            count: round.count,
            withdrawn,
        };
        self.change(|order| order.outcome = Some(outcome))?;
        Ok(Step::Over)
    }
}
