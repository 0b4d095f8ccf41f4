//! The proofs of a claim's shards, looked at by the requester: how many items match in each.

use std::{
    collections::BTreeMap,
    sync::Mutex,
    time::{Duration, Instant},
};

use zknode_protocol::{
    chain::retrieval::RetrievalChain,
    value::{AgreementId, Hash},
};

use super::{judge::Judge, requester::Requester};
use crate::{
    buyer::{Client, ClientError, Doubt},
    lock::lock,
    output::explain,
};

/// How many items match in each shard, where that is proven to this side.
type Counts = Vec<Option<u32>>;

/// Shards whose proof was verified here, of one claim: they are not asked for again.
#[derive(Default)]
pub(super) struct Seen {
    claim: Hash,
    counts: BTreeMap<u32, u32>,
}

impl<C: RetrievalChain> Requester<C> {
    /// How many items match in each shard, where that is proven to this side, and the shards where it is not. Takes little
    /// longer than `time`: one that cannot be reached, or answers slowly, is not asked for the others.
    pub(super) async fn scan(
        &self,
        judge: &Judge<'_>,
        client: &Client,
        seen: &Mutex<Seen>,
        time: Duration,
    ) -> anyhow::Result<(Counts, Vec<Doubt>)> {
        let (mut counts, mut doubts) = (vec![], vec![]);
        let (start, mut silent) = (Instant::now(), None);
        for index in 0..judge.retrieval.terms.shards {
            if let Some(count) = with(seen, judge.retrieval.claim, |counts| {
                counts.get(&index).copied()
            }) {
                counts.push(Some(count));
                continue;
            }
            let left = time.saturating_sub(start.elapsed());
            if silent.is_none() && left.is_zero() {
                silent = Some("the seller answers too slowly".to_owned());
            }
            let found = match &silent {
                None => client.scan(judge.id, index, left).await,
                Some(reason) => Err(ClientError::Malformed(String::clone(reason))),
            };
            let doubt = match found {
                Ok(evidence) => {
                    let checked =
                        tokio::task::block_in_place(|| judge.check_scan(index, &evidence));
                    match checked {
                        Ok(()) => {
                            let count = evidence.attestation.statement.top1;
                            with(seen, judge.retrieval.claim, |counts| {
                                counts.insert(index, count)
                            });
                            counts.push(Some(count));
                            continue;
                        }
                        Err(error) => (true, explain(&error)),
                    }
                }
                Err(error) => {
                    if matches!(error, ClientError::Unreachable { .. }) {
                        silent = Some(error.to_string());
                    }
                    (false, error.to_string())
                }
            };
            counts.push(None);
            let id = AgreementId(judge.id.0);
            // What the chain verified, its leaf included, is true whatever is handed over here.
            if self.wallet.chain().is_proven(id, index).await? {
                continue;
            }
            let (is_false, reason) = doubt;
            doubts.push(Doubt {
                index,
                is_false,
                reason,
            });
        }
        Ok((counts, doubts))
    }
}

/// Reads or changes what was seen of a claim.
fn with<T>(seen: &Mutex<Seen>, claim: Hash, act: impl FnOnce(&mut BTreeMap<u32, u32>) -> T) -> T {
    let mut seen = lock(seen);
    if seen.claim != claim {
        *seen = Seen {
            claim,
            counts: BTreeMap::new(),
        };
    }
    act(&mut seen.counts)
}

#[cfg(test)]
mod tests {
    use zknode_protocol::digest::keccak;

    use super::*;

    #[test]
    fn what_was_seen_of_one_claim_says_nothing_of_another() {
        let seen = Mutex::new(Seen::default());
        let claim = keccak(b"claim");
        with(&seen, claim, |counts| counts.insert(3, 5));
        assert_eq!(
            with(&seen, claim, |counts| counts.get(&3).copied()),
            Some(5)
        );
        let other = keccak(b"other");
        assert_eq!(with(&seen, other, |counts| counts.get(&3).copied()), None);
    }
}
