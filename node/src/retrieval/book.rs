//! What a responder has promised and not proven yet.

use zknode_circuit::verify::Attestation;
use zknode_protocol::{
    chain::Chain,
    retrieval::{RetrievalId, Terms},
};

use super::{
    prove::key,
    responder::{active, Served},
};
use crate::{
    seller::{deal::book::Promised, schedule::Duty, send, Seller},
    store::{Store, Table},
};

impl<C: Chain> Seller<C> {
    /// Adds what accepted retrievals still ask for at `now`.
    pub(crate) fn promise_retrievals(
        &self,
        promised: &mut Promised,
        now: u64,
    ) -> anyhow::Result<()> {
        let Some(responder) = &self.responder else {
            return Ok(());
        };
        let queue = send::queue(responder.wallet.depth());
        for (id, served) in active(self)? {
            if !served.is_promised() {
                continue;
            }
            let terms = &served.offer.terms;
            promised.add(served.proofs_left(), terms.shards);
            if served.sealed.is_none() && now <= terms.claim_by {
                let proofs = missing(&self.store, id, &served)?;
                let whose = format!("retrieval {id}");
                let duty = Duty::by(whose, proofs, now, send::ready_by(terms.claim_by, queue));
                promised.duties.push(duty);
            }
            promised.answers.extend(answers(id, terms, now, queue));
        }
        Ok(())
    }
}

/// When the proofs of an accepted retrieval may be asked for on the chain, where an answer may wait `queue` seconds for its
/// turn: all of them at once, at any moment from now on until nothing may be contested any more, and those contested last
/// after it.
fn answers(id: RetrievalId, terms: &Terms, now: u64, queue: u64) -> Option<Duty> {
    let prove_time = u64::from(terms.prove_time);
    let last = last_contest(terms);
    let whose = format!("retrieval {id}, contested,");
    let within = prove_time.saturating_sub(queue);
    let duty = || Duty::on_demand(whose, terms.shards, (now, last.max(now)), within);
    (now <= last.saturating_add(prove_time)).then(duty)
}

/// The last second in which a shard may be contested.
pub(super) fn last_contest(terms: &Terms) -> u64 {
    terms.claim_by.saturating_add(terms.window.into())
}

/// Proofs that are still to be made: one of each shard, and one of what matches in it, as long as more is paid for.
fn missing(store: &Store, id: RetrievalId, served: &Served) -> anyhow::Result<u32> {
    let (terms, mut missing) = (&served.offer.terms, 0u32);
    let mut left = terms.max_items;
    let stored = |shard, what| store.get::<Attestation>(Table::Proofs, &key(id, shard, what));
    for shard in 0..terms.shards {
        let due = match stored(shard, "scan")? {
            // What matches is not known yet.
            None => 1 + u32::from(left > 0),
            Some(scan) => {
                let due = scan.statement.top1.min(left);
                left -= due;
                u32::from(due > 0 && stored(shard, "matches")?.is_none())
            }
        };
        missing = missing.saturating_add(due);
    }
    Ok(missing)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::responder::tests::served, *};
    use zknode_circuit::{
        attestation::{Context, Statement},
        commitment::{Commitment, ModelCommitment},
    };

    #[test]
    fn what_is_proven_is_not_owed_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path().join("db")).unwrap();
        let served = served();
        let id = served.offer.id;
        let proof = |top1| Attestation {
            model: ModelCommitment::new(vec![Commitment::new([0; 64])]),
            shard: Commitment::new([0; 64]),
            statement: Statement {
                valid: 8,
                top1,
                topk: 8,
                context: Context([0; 32]),
            },
            proof: vec![],
        };
        let missing = || missing(&store, id, &served).unwrap();
        let put = |shard, what, top1| {
            let key = key(id, shard, what);
            store.put(Table::Proofs, &key, &proof(top1)).unwrap();
        };
        // Two shards, five items paid for.
        assert_eq!(missing(), 4);
        put(0, "scan", 3);
        assert_eq!(missing(), 3);
        put(0, "matches", 3);
        assert_eq!(missing(), 2);
        put(1, "scan", 4);
        assert_eq!(missing(), 1);
        put(1, "scan", 0);
        assert_eq!(missing(), 0);
        // Where all that is paid for matches in the first, the second's matches are not handed over.
        put(1, "scan", 4);
        put(0, "scan", 5);
        assert_eq!(missing(), 0);
    }
}
