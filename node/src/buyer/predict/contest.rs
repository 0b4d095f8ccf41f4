//! Once a round is closed: what is not proven is contested, and where everything is, the count is approved.

use zknode_protocol::{
    chain::{Call, RoundCall, RoundChain},
    round::{message::SignedPrediction, Contest, RoundState},
};

use super::{
    audit::{all_proven, is_doubted, is_pending, shuffled},
    RoundCase, Step,
};
use crate::buyer::{contest_all, order::Verdict};

/// Contests that are open at once while there is time: one that is not answered is enough.
const FEW_CONTESTS: u32 = 8;

impl<C: RoundChain> RoundCase<'_, C> {
    /// Once the round is closed: contests what is not proven, approves where everything is.
    pub(super) async fn judge(&self) -> anyhow::Result<Step> {
        // What is doubted already does not wait for the seller.
        if let Step::Again = self.contest_doubted().await? {
            return Ok(Step::Again);
        }
        let audited = self.audit().await?;
        // The look took its time.
        let (order, chain) = (self.buyer.order(self.id)?, self.buyer.wallet.chain());
        let now = chain.head().await?.time;
        let mut found = audited.found;
        let (left, window) = (
            self.round.window_end.checked_sub(now),
            self.round.terms.window,
        );
        // From the middle of the window on, a proof that has not come is asked for on chain.
        if is_late(left, window) {
            let room = most_contests(left, window).saturating_sub(self.round.contests);
            for (index, _) in shuffled(&order, is_pending).take(room as usize) {
                self.doubt(index, "no proof in time".to_owned())?;
                found = true;
            }
        }
        if found {
            return Ok(Step::Again);
        }
        if self.round.state != RoundState::Closed || !all_proven(&order) {
            return audited.wait();
        }
        let (id, count) = (self.id, self.round.count);
        let call = RoundCall::Approve {
            id,
            count,
            signature: None,
        };
        let purpose = format!("approve round {id} {count}");
        self.attempt(&purpose, call).await
    }

    /// Contests the doubted batches that are not contested yet, any of them, as many as may be open.
    async fn contest_doubted(&self) -> anyhow::Result<Step> {
        let (domain, chain) = (self.domain(), self.buyer.wallet.chain());
        let left = self.round.window_end.checked_sub(self.now);
        let room = most_contests(left, self.round.terms.window).saturating_sub(self.round.contests);
        let (mut calls, mut proven) = (vec![], false);
        for (index, batch) in shuffled(self.order, is_doubted) {
            let Some(answer) = &batch.answer else {
                continue;
            };
            let digest = domain.prediction_digest(self.id, &answer.prediction());
            match chain.contest_of(digest).await? {
                None if calls.len() < room as usize => {
                    self.say(format!("round {}: contesting batch {index}", self.id));
                    calls.push(self.contest(index, answer));
                }
                Some(Contest::Proven) => {
                    self.say(format!(
                        "round {}: batch {index} is proven on chain",
                        self.id
                    ));
                    self.change_batch(index as usize, |batch| {
                        batch.verdict = Some(Verdict::Proven);
                    })?;
                    self.change(|order| order.stopped = None)?;
                    proven = true;
                }
                _ => {}
            }
        }
        let terms = &self.round.terms;
        let (wallet, progress) = (&self.buyer.wallet, &self.buyer.progress);
        let fee = (terms.token, terms.contest_fee);
        let arrived = contest_all(wallet, progress, fee, &calls).await?;
        Ok(if arrived || proven {
            Step::Again
        } else {
            Step::Wait
        })
    }

    fn contest(&self, index: u32, answer: &SignedPrediction) -> (String, Call) {
        let (id, terms) = (self.id, &self.round.terms);
        let call = RoundCall::Contest {
            id,
            prediction: answer.prediction(),
            signature: answer.signature,
            value: terms.wei(terms.contest_fee),
        };
        let purpose = format!("contest round {id}/{index}");
        (purpose, Call::Round(Box::new(call)))
    }
}

/// Whether a proof that has not come so far is asked for on chain, with `left` seconds of the window.
fn is_late(left: Option<u64>, window: u32) -> bool {
    left.is_some_and(|left| left <= u64::from(window) / 2)
}

/// How many contests may be open at once, with `left` seconds of the window: a few at first, as a seller that cannot answer
/// one loses all; in the last quarter any number, as none can be made later. None once the window is over.
fn most_contests(left: Option<u64>, window: u32) -> u32 {
    match left {
        None => 0,
        Some(left) if left > u64::from(window) / 4 => FEW_CONTESTS,
        Some(_) => u32::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::{is_late, most_contests, FEW_CONTESTS};

    #[test]
    fn few_contests_first_and_all_before_the_window_ends() {
        let most = |left| (is_late(left, 1000), most_contests(left, 1000));
        assert_eq!(most(Some(1000)), (false, FEW_CONTESTS));
        assert_eq!(most(Some(501)), (false, FEW_CONTESTS));
        assert_eq!(most(Some(500)), (true, FEW_CONTESTS));
        assert_eq!(most(Some(251)), (true, FEW_CONTESTS));
        assert_eq!(most(Some(250)), (true, u32::MAX));
        assert_eq!(most(Some(0)), (true, u32::MAX));
        assert_eq!(most(None), (false, 0));
    }
}
