//! What buyer and seller say to each other off chain, and what the seller signs for the chain (EIP-712).
//!
//! Every message carries its version and refuses unknown fields, so that two releases that disagree say so instead of
//! misreading each other. Signatures are made and recovered by [`crate::chain::key`]; the digests are computed here.

mod delivery;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use self::delivery::{DeliveryManifest, ManifestShard, PreviewManifest, PreviewShard, Receipt};
use crate::{
    agreement::{agreement_id, Terms},
    chain::key::{recover, KeyError},
    dataset_root::RootError,
    digest::{hash_words, keccak, Word},
    sampling::SamplingError,
    value::{Address, AgreementId, Bytes, Hash, Signature},
};

/// The one version of the messages this build speaks.
pub const VERSION: u16 = 1;

/// A message's version: reading any other than [`VERSION`] fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "u16", try_from = "u16")]
pub struct Version;

impl From<Version> for u16 {
    fn from(_: Version) -> u16 {
        VERSION
    }
}

impl TryFrom<u16> for Version {
    type Error = MessageError;

    fn try_from(got: u16) -> Result<Self, MessageError> {
        if got == VERSION {
            Ok(Self)
        } else {
            Err(MessageError::Version { got })
        }
    }
}

/// A message that does not say what it claims to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// Another release's message.
    #[error("expected message version {VERSION}, got {got}: run the same release on both sides")]
    Version {
        /// The version found.
        got: u16,
    },
    /// The offered terms hash to another agreement.
    #[error("the offered terms are those of agreement {expected}, not of {got}")]
    Agreement {
        /// Id of the terms.
        expected: AgreementId,
        /// Id claimed.
        got: AgreementId,
    },
    /// The manifest's shards are no dataset.
    #[error("the delivered shards are no dataset: {0}")]
    Shards(#[from] RootError),
    /// The manifest's shards are another dataset.
    #[error("the delivered shards have the root {got}, the agreement says {expected}")]
    Root {
        /// The agreed root.
        expected: Hash,
        /// The root of the delivered shards.
        got: Hash,
    },
    /// The manifest's shards are more or fewer than agreed.
    #[error("expected {expected} shards, got {got}")]
    ShardCount {
        /// Shards agreed.
        expected: u32,
        /// Shards delivered.
        got: usize,
    },
    /// The manifest's shards hold more or fewer samples than agreed.
    #[error("expected {expected} samples, the shards hold {got}")]
    SampleCount {
        /// Samples agreed.
        expected: u32,
        /// Samples delivered.
        got: u64,
    },
    /// The preview is about other shards than the drawn ones.
    #[error("the preview must be about the shards {drawn:?}, in this order")]
    NotDrawn {
        /// What the seed draws.
        drawn: Vec<u32>,
    },
    /// Terms from which no preview can be drawn.
    #[error(transparent)]
    Draw(#[from] SamplingError),
    /// Signed by someone else.
    #[error("expected a signature of {expected}, got one of {got}")]
    Signer {
        /// Who should have signed.
        expected: Address,
        /// Who did.
        got: Address,
    },
    /// Not a signature at all.
    #[error("the signature is malformed: {0}")]
    Signature(#[from] KeyError),
}

/// Where a signature is good: one escrow on one chain (EIP-712 domain "zknode Escrow", version 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The escrow contract.
    pub escrow: Address,
}

impl Domain {
    /// The EIP-712 domain separator.
    pub fn separator(&self) -> Hash {
        let type_hash = keccak(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        );
        hash_words(&[
            type_hash.into(),
            keccak(b"zknode Escrow").into(),
            keccak(b"1").into(),
            self.chain_id.into(),
            self.escrow.into(),
        ])
    }

    /// The digest to sign for a struct of this domain: `keccak256(0x1901 || separator || hashStruct)`.
    fn digest(&self, type_name: &[u8], fields: [Word; 2]) -> Hash {
        let [first, second] = fields;
        let struct_hash = hash_words(&[keccak(type_name).into(), first, second]);
        let separator = self.separator();
        keccak(&[&[0x19, 0x01], separator.as_slice(), struct_hash.as_slice()].concat())
    }

    /// What the seller signs when it has the preview and goes on. The escrow accepts it from anyone.
    pub fn preview_digest(&self, agreement: AgreementId, ciphertext_hash: Hash) -> Hash {
        self.digest(
            b"Preview(bytes32 agreement,bytes32 ciphertextHash)",
            [agreement.into(), ciphertext_hash.into()],
        )
    }

    /// What the buyer signs when every count of a claim is proven to it. The escrow accepts it from anyone.
    pub fn approval_digest(&self, agreement: AgreementId, claim_root: Hash) -> Hash {
        self.digest(
            b"Approval(bytes32 agreement,bytes32 claimRoot)",
            [agreement.into(), claim_root.into()],
        )
    }

    /// What the seller signs when it holds the opened test set. The escrow accepts it from anyone.
    pub fn receipt_digest(&self, agreement: AgreementId, ciphertext_hash: Hash) -> Hash {
        self.digest(
            b"Receipt(bytes32 agreement,bytes32 ciphertextHash)",
            [agreement.into(), ciphertext_hash.into()],
        )
    }

    /// What the seller signs to say under which key it reads deliveries. Never sent to the chain.
    pub fn reading_key_digest(&self, seller: Address, key: Bytes<32>) -> Hash {
        self.digest(
            b"ReadingKey(address seller,bytes32 key)",
            [seller.into(), key.into()],
        )
    }
}

/// Seller to buyer: the key to encrypt a delivery to, signed by the account that owns the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SellerCard {
    /// Version of this message.
    pub version: Version,
    /// Escrow and chain the card is for.
    pub domain: Domain,
    /// Owner of the model.
    pub seller: Address,
    /// Public encryption key.
    pub reading_key: Bytes<32>,
    /// Over [`Domain::reading_key_digest`].
    pub signature: Signature,
}

impl SellerCard {
    /// Checks that the owner of the model signed the key.
    pub fn check(&self) -> Result<(), MessageError> {
        let digest = self
            .domain
            .reading_key_digest(self.seller, self.reading_key);
        signed_by(self.seller, digest, &self.signature)
    }
}

/// Buyer to seller: an agreement is open on the chain, please accept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Version of this message.
    pub version: Version,
    /// Escrow and chain of the agreement.
    pub domain: Domain,
    /// The agreement's id.
    pub agreement: AgreementId,
    /// Who opened it.
    pub buyer: Address,
    /// The buyer's escrow nonce it was opened with.
    pub nonce: u64,
    /// What it says; must hash to `agreement`.
    pub terms: Terms,
}

impl Offer {
    /// Checks that the terms are those of the named agreement. Whether it is open is the chain's word, not the buyer's.
    pub fn check(&self) -> Result<(), MessageError> {
        let Domain { chain_id, escrow } = self.domain;
        let expected = agreement_id(chain_id, escrow, self.buyer, self.nonce, &self.terms);
        if expected == self.agreement {
            Ok(())
        } else {
            Err(MessageError::Agreement {
                expected,
                got: self.agreement,
            })
        }
    }
}

fn signed_by(expected: Address, digest: Hash, signature: &Signature) -> Result<(), MessageError> {
    let got = recover(digest, signature)?;
    if got == expected {
        Ok(())
    } else {
        Err(MessageError::Signer { expected, got })
    }
}
