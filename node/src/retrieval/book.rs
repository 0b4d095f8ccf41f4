//! What a responder has promised and not proven yet.

use zknode_circuit::verify::Attestation;
use zknode_protocol::{chain::Chain, retrieval::RetrievalId};

use super::{
    prove::key,
    responder::{active, Served},
};
use crate::{
    seller::{schedule::Duty, Seller},
    store::{Store, Table},
};

impl<C: Chain> Seller<C> {
    /// When accepted retrievals' proofs are owed that are not made yet.
    pub(crate) fn retrieval_duties(&self, now: u64) -> anyhow::Result<Vec<Duty>> {
        let mut duties = vec![];
        for (id, served) in active(self)? {
            let claim_by = served.offer.terms.claim_by;
            if served.is_promised() && served.sealed.is_none() && now <= claim_by {
                let proofs = missing(&self.store, id, &served)?;
                let whose = format!("retrieval {id}");
                duties.push(Duty::by(whose, proofs, now, claim_by));
            }
        }
        Ok(duties)
    }
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
