//! A claim is looked at: shard by shard its proofs are asked for and checked, in a time that is set before.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::Mutex,
    time::{Duration, Instant},
};

use rand::{seq::SliceRandom, Rng};
use zknode_protocol::{chain::ChainError, value::Hash};

use super::ClientError;
use crate::{card::ShardEvidence, lock::lock, output::explain};

/// A claim, and where its proofs come from.
pub(crate) trait Claimed {
    /// Its root, and over how many shards.
    fn claim(&self) -> (Hash, u32);

    /// Asks for the proof of a shard, for no longer than `left`.
    fn ask(
        &self,
        index: u32,
        left: Duration,
    ) -> impl Future<Output = Result<ShardEvidence, ClientError>> + Send;

    /// Whether this is true evidence of a shard of the claim.
    fn check(&self, index: u32, evidence: &ShardEvidence) -> anyhow::Result<()>;

    /// Whether the chain verified the shard, its place in the claim included.
    fn is_proven(&self, index: u32) -> impl Future<Output = Result<bool, ChainError>> + Send;
}

/// The best answers, shard by shard, where they are proven to this side.
pub(crate) type Counts = Vec<Option<u32>>;

/// Shards whose proof was verified here, of one claim: they are not asked for again.
#[derive(Default)]
pub(crate) struct Seen {
    claim: Hash,
    counts: BTreeMap<u32, u32>,
}

/// A shard that is not proven to this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Doubt {
    pub index: u32,
    /// What was handed over is false; else nothing was.
    pub is_false: bool,
    pub reason: String,
}

/// The count of each shard, where that is proven to this side, and the shards where it is not. Takes little longer than
/// `time`: one that cannot be reached, or answers slowly, is not asked for the others.
pub(crate) async fn scan(
    claimed: &impl Claimed,
    seen: &Mutex<Seen>,
    time: Duration,
) -> anyhow::Result<(Counts, Vec<Doubt>)> {
    let (mut counts, mut doubts) = (vec![], vec![]);
    let (start, mut silent) = (Instant::now(), None);
    let (claim, shards) = claimed.claim();
    for index in 0..shards {
        if let Some(count) = with(seen, claim, |counts| counts.get(&index).copied()) {
            counts.push(Some(count));
            continue;
        }
        let left = time.saturating_sub(start.elapsed());
        if silent.is_none() && left.is_zero() {
            silent = Some("the seller answers too slowly".to_owned());
        }
        let found = match &silent {
            None => claimed.ask(index, left).await,
            Some(reason) => Err(ClientError::Malformed(String::clone(reason))),
        };
        let (is_false, reason) = match found {
            Ok(evidence) => {
                let checked = tokio::task::block_in_place(|| claimed.check(index, &evidence));
                match checked {
                    Ok(()) => {
                        let count = evidence.attestation.statement.top1;
                        with(seen, claim, |counts| counts.insert(index, count));
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
        // What the chain verified is true whatever is handed over here.
        if !claimed.is_proven(index).await? {
            doubts.push(Doubt {
                index,
                is_false,
                reason,
            });
        }
    }
    Ok((counts, doubts))
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

/// What is contested now: what is false at once, what is only missing where it is `late`. False ones first, the others in
/// an order the seller cannot foresee.
pub(crate) fn to_contest(mut doubts: Vec<Doubt>, late: bool, rng: &mut impl Rng) -> Vec<Doubt> {
    doubts.retain(|doubt| doubt.is_false || late);
    doubts.shuffle(rng);
    doubts.sort_by_key(|doubt| !doubt.is_false);
    doubts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{rngs::StdRng, SeedableRng};
    use zknode_protocol::digest::keccak;

    use super::*;

    fn doubts() -> Vec<Doubt> {
        let doubt = |index| Doubt {
            index,
            is_false: index % 10 == 7,
            reason: String::new(),
        };
        (0..40).map(doubt).collect()
    }

    #[test]
    fn all_that_is_missing_is_contested_once_it_is_late() {
        let contested = |late, seed| -> Vec<u32> {
            let found = to_contest(doubts(), late, &mut StdRng::seed_from_u64(seed));
            found.into_iter().map(|doubt| doubt.index).collect()
        };
        let mut at_once = contested(false, 1);
        at_once.sort_unstable();
        assert_eq!(at_once, [7, 17, 27, 37]);
        let (late, again) = (contested(true, 1), contested(true, 2));
        assert!(late[..4].iter().all(|index| index % 10 == 7));
        assert_ne!(late, again);
        let mut all = late;
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
    }

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

    /// A seller with proofs of half the shards, which takes its time for each.
    struct Slow;

    impl Claimed for Slow {
        fn claim(&self) -> (Hash, u32) {
            (keccak(b"claim"), 1_000)
        }

        async fn ask(&self, _: u32, left: Duration) -> Result<ShardEvidence, ClientError> {
            tokio::time::sleep(left.min(Duration::from_millis(20))).await;
            Err(ClientError::Malformed("later".into()))
        }

        fn check(&self, _: u32, _: &ShardEvidence) -> anyhow::Result<()> {
            Ok(())
        }

        async fn is_proven(&self, index: u32) -> Result<bool, ChainError> {
            Ok(index == 999)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_slow_seller_does_not_prolong_a_look() {
        let start = Instant::now();
        let (counts, doubts) = scan(&Slow, &Mutex::default(), Duration::from_millis(100))
            .await
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(counts, vec![None; 1_000]);
        let doubted: Vec<_> = doubts.iter().map(|doubt| doubt.index).collect();
        assert_eq!(doubted, (0..999).collect::<Vec<_>>());
        assert!(doubts[998].reason.contains("too slowly"));
    }
}
