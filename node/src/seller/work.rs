//! What the prover does first, of all that is owed to others, and what goes to the chain beside it.
//!
//! The prover makes one proof, then looks again: the nearest deadline comes first, whatever it belongs to, a claim of an
//! agreement or of a retrieval, or a contested prediction. Audits of predictions have no deadline on the chain and come last.
//! What is proven needs no prover any more, only the chain: claims, eager proofs and answers to contests are sent by a task of
//! its own, so that neither waits for the other.

use std::sync::Arc;

use zknode_protocol::chain::{retrieval::RetrievalChain, RoundChain};

use super::{
    prove, rounds,
    send::{send_all, Tried},
    Seller,
};
use crate::retrieval;

/// Brings to the chain what is proven and owed there, of every kind in one list: the nearest deadlines first, until nothing
/// is left that was not tried. What fails does not hold up the others.
pub async fn bring_proofs<C: RetrievalChain + RoundChain>(
    seller: &Arc<Seller<C>>,
) -> anyhow::Result<bool> {
    let (mut tried, mut failed) = (Tried::default(), None);
    loop {
        let most = tried.most();
        let mut due = vec![];
        for found in [
            prove::answers(seller, most).await,
            retrieval::answers(seller, most).await,
            rounds::answers(seller, most).await,
        ] {
            match found {
                Ok(found) => {
                    due.extend(found.due);
                    failed = found.failed.or(failed);
                }
                Err(error) => failed = Some(error),
            }
        }
        let due = tried.first(due);
        if due.is_empty() {
            return failed.map_or(Ok(false), Err);
        }
        if let Err(error) = send_all(seller, due).await {
            failed = Some(error);
        }
    }
}

/// Does the first thing there is to prove; whether there was any. What fails does not hold up the others.
pub async fn next<C: RetrievalChain + RoundChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let mut failed = None;
    let mut done = |outcome: anyhow::Result<bool>| {
        outcome.unwrap_or_else(|error| {
            failed = Some(error);
            false
        })
    };
    let deadlines = [
        prove::nearest(seller).await,
        retrieval::nearest(seller).await,
        rounds::nearest(seller).await,
    ];
    for kind in in_order(deadlines.map(|deadline| deadline.unwrap_or_default())) {
        let outcome = match kind {
            Kind::Agreement => prove::prove_next(seller).await,
            Kind::Retrieval => retrieval::prove_next(seller).await,
            Kind::Prediction => rounds::prove_next(seller, true).await,
        };
        if done(outcome) {
            return Ok(true);
        }
    }
    if done(rounds::prove_next(seller, false).await) {
        return Ok(true);
    }
    failed.map_or(Ok(false), Err)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Agreement,
    Retrieval,
    Prediction,
}

/// The nearest deadline first; what has none, or could not be looked at, last.
fn in_order(deadlines: [Option<u64>; 3]) -> [Kind; 3] {
    let [agreement, retrieval, prediction] = deadlines.map(|at| at.unwrap_or(u64::MAX));
    let mut kinds = [
        (agreement, Kind::Agreement),
        (retrieval, Kind::Retrieval),
        (prediction, Kind::Prediction),
    ];
    kinds.sort_by_key(|(at, _)| *at);
    kinds.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_deadline_comes_first_whatever_it_belongs_to() {
        use Kind::{Agreement, Prediction, Retrieval};
        let order = in_order([Some(30), Some(20), Some(10)]);
        assert_eq!(order, [Prediction, Retrieval, Agreement]);
        let order = in_order([Some(5), None, Some(10)]);
        assert_eq!(order, [Agreement, Prediction, Retrieval]);
        let order = in_order([None, Some(1), None]);
        assert_eq!(order, [Retrieval, Agreement, Prediction]);
    }
}
