//! Trustless retrieval: which items of a committed corpus does a registered model put into a class?
//!
//! The [`responder`] is a seller with a corpus; the [`requester`] asks, checks and pays. What travels sealed between them
//! is a [`Package`]: for each shard the matching items, opened, and the proof that each of these matches.

mod book;
mod claim;
mod client;
pub mod desk;
pub mod event;
pub mod http;
mod judge;
pub mod policy;
mod prove;
pub mod requester;
pub mod responder;
pub mod tries;

pub use prove::{answers, nearest, prove_next};

use anyhow::ensure;
use crypto_box::{PublicKey, SecretKey};
use rand::{CryptoRng, RngCore};
use serde::{Deserialize, Serialize};
use zknode_circuit::{commitment::Seed, verify::Attestation};
use zknode_protocol::message::Version;

/// The matching items of a corpus, in shard order. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Version of this message.
    pub version: Version,
    /// The shards with a match that is handed over.
    pub shards: Vec<ShardMatches>,
}

/// What matches of one shard. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardMatches {
    /// Which shard.
    pub index: u32,
    /// Over the commitments of just these items: every one of them matches.
    pub proof: Attestation,
    /// The items, by ascending place.
    pub items: Vec<OpenedItem>,
}

/// An item with what opens its commitment. Secret: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedItem {
    /// Which sample of the shard.
    pub place: u32,
    /// Of its salt.
    pub seed: Seed,
    /// Channels first, a byte a cell.
    #[serde(with = "hex::serde")]
    pub pixels: Vec<u8>,
}

/// Greatest length of a sealed package of so many items of `pixels` bytes in so many shards.
pub fn sealed_length(shards: u32, items: u32, pixels: usize) -> u64 {
    // A proof is about 6 kB, 12 of hex, and its model commitment 128 bytes a column, 16 columns at most.
    let shards = u64::from(shards.min(items)).saturating_mul(1 << 16);
    let item = (pixels as u64).saturating_mul(2).saturating_add(256);
    u64::from(items)
        .saturating_mul(item)
        .saturating_add(shards)
        .saturating_add(1 << 12)
}

impl Package {
    /// Seals it to the requester's key.
    pub fn seal(
        &self,
        key: &[u8; 32],
        rng: &mut (impl RngCore + CryptoRng),
    ) -> anyhow::Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        let sealed = PublicKey::from_bytes(*key).seal(rng, &text);
        sealed.map_err(|_| anyhow::anyhow!("the items could not be sealed"))
    }

    /// Opens it with the requester's.
    pub fn open(sealed: &[u8], key: &SecretKey) -> anyhow::Result<Self> {
        let text = key.unseal(sealed);
        let text = text.map_err(|_| anyhow::anyhow!("the items are not sealed to this key"))?;
        // The parser's own message could quote the items.
        let package: Self = serde_json::from_slice(&text)
            .map_err(|_| anyhow::anyhow!("the sealed items do not parse"))?;
        let ordered = package.shards.is_sorted_by(|a, b| a.index < b.index);
        ensure!(ordered, "the sealed shards are not in ascending order");
        Ok(package)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rand::{rngs::StdRng, SeedableRng};
    use zknode_circuit::{
        attestation::{Context, Statement},
        commitment::{Commitment, ModelCommitment},
    };

    use super::*;

    fn package(shards: &[(u32, u32)], pixels: usize) -> Package {
        let item = |place| OpenedItem {
            place,
            seed: Seed::new([9; 32]),
            pixels: vec![255; pixels],
        };
        let shard = |&(index, items): &(u32, u32)| ShardMatches {
            index,
            proof: Attestation {
                model: ModelCommitment::new(vec![Commitment::new([255; 64]); 16]),
                shard: Commitment::new([255; 64]),
                statement: Statement {
                    valid: u32::MAX,
                    top1: u32::MAX,
                    topk: u32::MAX,
                    context: Context([255; 32]),
                },
                proof: vec![255; 7_000],
            },
            items: (0..items).map(item).collect(),
        };
        Package {
            version: Version,
            shards: shards.iter().map(shard).collect(),
        }
    }

    #[test]
    fn a_package_opens_with_its_key_only_and_is_no_longer_than_expected() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = SecretKey::generate(&mut rng);
        let public = *key.public_key().as_bytes();
        for (shards, items, pixels) in [
            (&[][..], 0, 1),
            (&[(0, 1)], 1, 1),
            (&[(1, 9), (4, 2)], 11, 784),
        ] {
            let sealed = package(shards, pixels).seal(&public, &mut rng).unwrap();
            assert!(sealed.len() as u64 <= sealed_length(5, items, pixels));
            let opened = Package::open(&sealed, &key).unwrap();
            let found: Vec<_> = (opened.shards.iter())
                .map(|shard| (shard.index, shard.items.len() as u32))
                .collect();
            assert_eq!(found, shards);
            let other = SecretKey::generate(&mut rng);
            assert!(Package::open(&sealed, &other).is_err());
        }
    }

    #[test]
    fn what_is_no_package_is_refused_and_not_quoted() {
        let mut rng = StdRng::seed_from_u64(2);
        let key = SecretKey::generate(&mut rng);
        let public = *key.public_key().as_bytes();
        let refuse = |text: &[u8]| {
            let mut rng = StdRng::seed_from_u64(3);
            let sealed = key.public_key().seal(&mut rng, text).unwrap();
            Package::open(&sealed, &key).err().unwrap()
        };
        let error = format!("{:?}", refuse(br#"{"version":1,"shards":"abcdef"}"#));
        assert!(!error.contains("abcdef"), "{error}");
        refuse(br#"{"version":2,"shards":[]}"#);
        refuse(br#"{"version":1,"shards":[],"more":0}"#);
        for shards in [[(1, 1), (1, 1)], [(2, 1), (1, 1)]] {
            let sealed = package(&shards, 1).seal(&public, &mut rng).unwrap();
            assert!(Package::open(&sealed, &key).is_err());
        }
    }
}
