//! What the seller has promised in rounds, and what it must know before it promises more.

use zknode_protocol::{
    chain::{Chain, RoundChain},
    round::{Round, RoundId, RoundState},
};

use super::{policy::RoundFacts, Rounds, Service};
use crate::seller::{
    deal::book::Promised,
    model::openings_left,
    schedule::Duty,
    send::{self, answer_pace},
    Seller,
};

impl<C: Chain> Seller<C> {
    /// Proofs that accepted rounds may still ask for, at worst.
    pub(in crate::seller) fn promised_batches(&self) -> anyhow::Result<u32> {
        let accepted = self.services()?.into_iter();
        let batches = accepted
            .filter(|(_, service)| service.accepted)
            .map(|(_, service)| service.offer.terms.batches);
        Ok(batches.fold(0, u32::saturating_add))
    }
}

impl<C: RoundChain> Seller<C> {
    /// Adds when accepted rounds may ask for the proofs that are not made yet, and for those that are to come to the chain;
    /// and when they are to be closed.
    pub(in crate::seller) async fn promise_rounds(
        &self,
        promised: &mut Promised,
        now: u64,
    ) -> anyhow::Result<()> {
        let Some(rounds) = &self.rounds else {
            return Ok(());
        };
        let queue = send::queue(rounds.wallet.depth());
        for (id, service) in self.services()? {
            if !service.accepted {
                continue;
            }
            let round = rounds.wallet.chain().round_at_depth(id, 0).await?;
            let mut made = 0;
            for index in 0..service.served {
                made += u32::from(self.batch_proof(id, index)?.is_some());
            }
            let times = |reserve| (rounds.close_before, reserve, now);
            let (proving, sending) = reserves(queue, self.policy.seconds_per_shard);
            let owed = |made, reserve| owed(id, &service, round.as_ref(), made, times(reserve));
            promised.duties.extend(owed(made, proving));
            promised.answers.extend(owed(0, sending));
            let closed = (round.as_ref()).is_some_and(|round| round.state > RoundState::Serving);
            if !closed && now <= service.offer.terms.serve_by {
                let whose = format!("round {id}, to be closed,");
                let serve_by = service.offer.terms.serve_by;
                let step = closing(whose, serve_by, rounds.close_before, queue, now);
                promised.steps.push(step);
            }
        }
        Ok(())
    }

    /// What the policy must know at `now`.
    pub(super) async fn round_facts(
        &self,
        rounds: &Rounds<C>,
        now: u64,
    ) -> anyhow::Result<RoundFacts> {
        let promised = self.promised(None, now).await?;
        let chain = rounds.wallet.chain();
        let left = openings_left(&self.store, &self.model.record)?;
        Ok(RoundFacts {
            model: self.card.model,
            openings_left: left.saturating_sub(promised.proofs),
            promised: promised.on_chain,
            duties: promised.duties,
            answers: promised.answers,
            steps: [promised.steps, promised.deliveries].concat(),
            queue: send::queue(self.wallet.depth()),
            balance: chain.balance(chain.account()).await?,
            close_before: rounds.close_before,
            gas_price: self.price_of_gas().await?,
            now,
        })
    }
}

/// Seconds kept back of the time to prove: of the prover's, the way to the chain; of the way to the chain, the first proof,
/// which is made when it is asked for.
pub(super) fn reserves(queue: u64, seconds_per_proof: u64) -> (u64, u64) {
    let way = queue.saturating_add(answer_pace(queue).seconds);
    (way, queue.saturating_add(seconds_per_proof))
}

/// When a round is to be closed.
pub(super) fn closing(
    whose: String,
    serve_by: u64,
    close_before: u64,
    queue: u64,
    now: u64,
) -> Duty {
    let from = serve_by.saturating_sub(close_before).max(now);
    Duty::by(whose, 1, from, send::ready_by(serve_by, queue))
}

/// What an accepted round may ask for, `round` being the chain's and `made` of the served batches no matter any more. The
/// seller itself closes, not earlier than `close_before` seconds before the end; from then on the buyer may contest any batch
/// at any moment of the window, all at once. `reserve` seconds of the time to prove are kept back.
fn owed(
    id: RoundId,
    service: &Service,
    round: Option<&Round>,
    made: u32,
    (close_before, reserve, now): (u64, u64, u64),
) -> Vec<Duty> {
    let terms = &service.offer.terms;
    let name = || format!("round {id}");
    let within = u64::from(terms.prove_time).saturating_sub(reserve);
    let on_demand = |proofs, first: u64, last: u64| {
        let span = (first.max(now), last);
        (now <= last).then(|| Duty::on_demand(name(), proofs, span, within))
    };
    let Some(round) = round.filter(|round| round.state > RoundState::Serving) else {
        let first = terms.serve_by.saturating_sub(close_before);
        let last = terms.serve_by.saturating_add(terms.window.into());
        let proofs = terms.batches.saturating_sub(made);
        return Vec::from_iter(on_demand(proofs, first, last));
    };
    let served = service.served.saturating_sub(made);
    let more = || on_demand(served, now, round.window_end);
    match round.state {
        RoundState::Closed => Vec::from_iter(more()),
        RoundState::Contested => {
            // Which ones are contested is not known here: they may be those that are not made, and so may those that are
            // contested later.
            let deadline = round.deadline.saturating_sub(reserve);
            let due = Duty::by(name(), round.contests.min(served), now, deadline);
            let due = (now <= round.deadline).then_some(due);
            due.into_iter().chain(more()).collect()
        }
        // Nothing is owed any more.
        _ => vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seller::rounds::service::tests::service;

    fn round(state: RoundState, deadline: u64, contests: u32) -> Round {
        let offer = service().offer;
        Round {
            terms: offer.terms,
            buyer: offer.buyer,
            seller: offer.buyer,
            state,
            deadline,
            contests,
            count: 0,
            window_end: 1_955,
        }
    }

    /// 9 batches, served until 2000 and closed from 1950 on, 10 s each to contest and to prove.
    #[test]
    fn what_may_be_contested_is_owed_whenever_it_may() {
        let mut service = service();
        (service.served, service.accepted) = (5, true);
        let id = service.offer.round;
        let owed = |round: Option<Round>, made, now| {
            owed(id, &service, round.as_ref(), made, (50, 0, now))
        };
        let name = format!("round {id}");
        let all = |proofs, span| vec![Duty::on_demand(name.clone(), proofs, span, 10)];
        for state in [RoundState::Open, RoundState::Serving] {
            let found = owed(Some(round(state, 2_000, 0)), 2, 1_500);
            assert_eq!(found, all(7, (1_950, 2_010)));
        }
        assert_eq!(owed(None, 0, 1_999), all(9, (1_999, 2_010)));
        // From then on no more than was served.
        let closed = owed(Some(round(RoundState::Closed, 1_955, 0)), 2, 1_952);
        assert_eq!(closed, all(3, (1_952, 1_955)));
        let contested = |now| owed(Some(round(RoundState::Contested, 1_962, 1)), 2, now);
        let due = |now| Duty::by(name.clone(), 1, now, 1_962);
        // It may be one of the two that are made, and the three others be contested still.
        let mut both = all(3, (1_952, 1_955));
        both.insert(0, due(1_952));
        assert_eq!(contested(1_952), both);
        assert_eq!(contested(1_960), vec![due(1_960)]);
        assert_eq!(contested(1_963), vec![]);
        for state in [
            RoundState::Cancelled,
            RoundState::Settled,
            RoundState::Slashed,
        ] {
            assert_eq!(owed(Some(round(state, 0, 0)), 0, 1_500), vec![]);
        }
    }
}
