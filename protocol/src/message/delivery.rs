//! What comes with a delivery or a preview, and what is signed for it.

use serde::{Deserialize, Serialize};

use super::{signed_by, Domain, MessageError, Version};
use crate::{
    agreement::Terms,
    dataset_root::{verify_path, DatasetTree, ShardLeaf},
    sampling::draw_shards,
    value::{Address, AgreementId, Hash, Point, Signature},
};

/// One shard of a delivery: what the root says about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestShard {
    /// Samples that count.
    pub valid: u32,
    /// The commitment, one point a column.
    pub points: Vec<Point>,
}

/// Buyer to seller: what the ciphertext holds, sent with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryManifest {
    /// Version of this message.
    pub version: Version,
    /// The agreement delivered to.
    pub agreement: AgreementId,
    /// Keccak-256 of the ciphertext.
    pub ciphertext_hash: Hash,
    /// Length of the ciphertext in bytes.
    pub ciphertext_bytes: u64,
    /// The shards in index order.
    pub shards: Vec<ManifestShard>,
}

impl DeliveryManifest {
    /// Checks the shards against the agreement and returns their tree, from which the Merkle proofs come. Whether the
    /// ciphertext opens the commitments is checked after decryption.
    pub fn tree(&self, terms: &Terms) -> Result<DatasetTree, MessageError> {
        if self.shards.len() != terms.shards as usize {
            return Err(MessageError::ShardCount {
                expected: terms.shards,
                got: self.shards.len(),
            });
        }
        let got = self.shards.iter().map(|shard| u64::from(shard.valid)).sum();
        if got != u64::from(terms.samples) {
            return Err(MessageError::SampleCount {
                expected: terms.samples,
                got,
            });
        }
        let leaves = (0..)
            .zip(&self.shards)
            .map(|(index, shard)| ShardLeaf::new(index, shard.valid, &shard.points))
            .collect();
        let tree = DatasetTree::new(leaves)?;
        if tree.root() == terms.dataset_root {
            Ok(tree)
        } else {
            Err(MessageError::Root {
                expected: terms.dataset_root,
                got: tree.root(),
            })
        }
    }
}

/// One shard of a preview: its place, and how the root is reached from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewShard {
    /// Position in the dataset.
    pub index: u32,
    /// What the root says about it.
    pub shard: ManifestShard,
    /// Siblings from the leaf up.
    pub path: Vec<Hash>,
}

/// Buyer to seller: the drawn shards, before anything else of the test set is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewManifest {
    /// Version of this message.
    pub version: Version,
    /// The agreement delivered to.
    pub agreement: AgreementId,
    /// Keccak-256 of the ciphertext.
    pub ciphertext_hash: Hash,
    /// Length of the ciphertext in bytes.
    pub ciphertext_bytes: u64,
    /// In drawn order.
    pub shards: Vec<PreviewShard>,
}

impl PreviewManifest {
    /// Checks that it is about exactly the shards that `seed` draws, each of them under the agreed root.
    pub fn check(&self, terms: &Terms, seed: Hash) -> Result<(), MessageError> {
        let drawn = draw_shards(seed, terms.shards, terms.preview_shards)?;
        let found = self.shards.iter().map(|shard| shard.index);
        if !found.eq(drawn.iter().copied()) {
            return Err(MessageError::NotDrawn { drawn });
        }
        for shard in &self.shards {
            let leaf = ShardLeaf::new(shard.index, shard.shard.valid, &shard.shard.points);
            verify_path(terms.dataset_root, terms.shards, &leaf, &shard.path)?;
        }
        Ok(())
    }
}

/// Seller to buyer: it holds the opened test set. Worth the agreement's `acknowledge` on the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Version of this message.
    pub version: Version,
    /// Escrow and chain of the agreement.
    pub domain: Domain,
    /// The agreement delivered to.
    pub agreement: AgreementId,
    /// Keccak-256 of the ciphertext received.
    pub ciphertext_hash: Hash,
    /// Over [`Domain::receipt_digest`].
    pub signature: Signature,
}

impl Receipt {
    /// The same for a preview.
    pub fn check_preview(&self, seller: Address) -> Result<(), MessageError> {
        let digest = self
            .domain
            .preview_digest(self.agreement, self.ciphertext_hash);
        signed_by(seller, digest, &self.signature)
    }

    /// Checks that `seller` signed it, as the escrow would (account keys; contract sellers are the escrow's to judge).
    pub fn check(&self, seller: Address) -> Result<(), MessageError> {
        let digest = self
            .domain
            .receipt_digest(self.agreement, self.ciphertext_hash);
        signed_by(seller, digest, &self.signature)
    }
}
