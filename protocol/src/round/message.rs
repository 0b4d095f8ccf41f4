//! What buyer and seller say to each other in a round, and what they sign (EIP-712).
//!
//! Two of the five signatures go to the chain from the buyer ([`Domain::voucher_digest`], [`Domain::approval_digest`]), one
//! from the seller ([`Domain::prediction_digest`]); the other two ([`Domain::request_digest`], [`Domain::audit_digest`]) only
//! tell the seller that it is the buyer who asks.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{round_id, Prediction, RoundId, RoundTerms};
use crate::{
    chain::key::{recover, KeyError},
    digest::{hash_words, keccak, Word},
    message::Version,
    value::{Address, Hash, Point, Signature},
};

/// A message that does not say what it claims to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RoundMessageError {
    /// The offered terms hash to another round.
    #[error("the offered terms are those of round {expected}, not of {got}")]
    Round {
        /// Id of the terms, or the one asked for.
        expected: RoundId,
        /// Id claimed.
        got: RoundId,
    },
    /// About another batch.
    #[error("expected an answer to batch {expected}, got one to {got}")]
    Index {
        /// Asked for.
        expected: u32,
        /// Answered.
        got: u32,
    },
    /// Signed by someone else, or about something else.
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

/// Where a signature is good: one contract on one chain (EIP-712 domain "zknode Predictions", version 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The predictions contract.
    pub contract: Address,
}

impl Domain {
    /// The EIP-712 domain separator.
    pub fn separator(&self) -> Hash {
        let type_hash = keccak(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
        );
        hash_words(&[
            type_hash.into(),
            keccak(b"zknode Predictions").into(),
            keccak(b"1").into(),
            self.chain_id.into(),
            self.contract.into(),
        ])
    }

    fn digest(&self, type_name: &[u8], fields: &[Word]) -> Hash {
        let mut words = vec![keccak(type_name).into()];
        words.extend_from_slice(fields);
        let (separator, hash) = (self.separator(), hash_words(&words));
        keccak(&[&[0x19, 0x01], separator.as_slice(), hash.as_slice()].concat())
    }

    /// What the buyer signs to say that it got `count` batches: the seller is paid for that many.
    pub fn voucher_digest(&self, round: RoundId, count: u32) -> Hash {
        let fields = [round.0.into(), count.into()];
        self.digest(b"Voucher(bytes32 round,uint32 count)", &fields)
    }

    /// What the buyer signs to say that it contests none of `count` batches.
    pub fn approval_digest(&self, round: RoundId, count: u32) -> Hash {
        let fields = [round.0.into(), count.into()];
        self.digest(b"Approval(bytes32 round,uint32 count)", &fields)
    }

    /// What the seller signs with every answer.
    pub fn prediction_digest(&self, round: RoundId, prediction: &Prediction) -> Hash {
        let Prediction {
            index,
            valid,
            points,
        } = *prediction;
        let fields = [round.0.into(), index.into(), valid.into(), points.into()];
        self.digest(
            b"Prediction(bytes32 round,uint32 index,uint32 valid,bytes32 shardPointsHash)",
            &fields,
        )
    }

    /// What the buyer signs with every request. Never sent to the chain.
    pub fn request_digest(&self, round: RoundId, index: u32, ciphertext: Hash) -> Hash {
        let fields = [round.0.into(), index.into(), ciphertext.into()];
        self.digest(
            b"Request(bytes32 round,uint32 index,bytes32 ciphertextHash)",
            &fields,
        )
    }

    /// What the buyer signs to ask for a proof. Never sent to the chain.
    pub fn audit_digest(&self, round: RoundId, index: u32) -> Hash {
        let fields = [round.0.into(), index.into()];
        self.digest(b"Audit(bytes32 round,uint32 index)", &fields)
    }

    /// Checks that `signer` signed `digest`, as the contract would for an account with a key.
    pub fn signed_by(
        signer: Address,
        digest: Hash,
        signature: &Signature,
    ) -> Result<(), RoundMessageError> {
        let got = recover(digest, signature)?;
        if got == signer {
            return Ok(());
        }
        Err(RoundMessageError::Signer {
            expected: signer,
            got,
        })
    }
}

/// Buyer to seller: a round is open on the chain, please accept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundOffer {
    /// Version of this message.
    pub version: Version,
    /// Contract and chain of the round.
    pub domain: Domain,
    /// Its id.
    pub round: RoundId,
    /// Who opens it.
    pub buyer: Address,
    /// The nonce it is opened with.
    pub nonce: Hash,
    /// What it says; must hash to `round`.
    pub terms: RoundTerms,
}

impl RoundOffer {
    /// Of these terms.
    pub fn new(domain: Domain, buyer: Address, nonce: Hash, terms: RoundTerms) -> Self {
        let round = round_id(domain.chain_id, domain.contract, buyer, nonce, &terms);
        Self {
            version: Version,
            domain,
            round,
            buyer,
            nonce,
            terms,
        }
    }

    /// Checks that the terms are those of the named round. Whether it is open is the chain's word, not the buyer's.
    pub fn check(&self) -> Result<(), RoundMessageError> {
        let Domain { chain_id, contract } = self.domain;
        let expected = round_id(chain_id, contract, self.buyer, self.nonce, &self.terms);
        let got = self.round;
        if expected == got {
            Ok(())
        } else {
            Err(RoundMessageError::Round { expected, got })
        }
    }
}

/// Buyer to seller: what the ciphertext sent with it is, and what is paid by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictRequest {
    /// Version of this message.
    pub version: Version,
    /// The round it belongs to.
    pub round: RoundId,
    /// Batches are asked for in order, from 0 on.
    pub index: u32,
    /// Keccak-256 of the ciphertext.
    pub ciphertext_hash: Hash,
    /// Its length.
    pub ciphertext_bytes: u64,
    /// The buyer's, over [`Domain::request_digest`].
    pub signature: Signature,
    /// The buyer's voucher for the `index` batches before this one.
    pub voucher: Signature,
}

impl PredictRequest {
    /// Checks both signatures.
    pub fn check(&self, domain: Domain, buyer: Address) -> Result<(), RoundMessageError> {
        let asked = domain.request_digest(self.round, self.index, self.ciphertext_hash);
        Domain::signed_by(buyer, asked, &self.signature)?;
        let paid = domain.voucher_digest(self.round, self.index);
        Domain::signed_by(buyer, paid, &self.voucher)
    }
}

/// Seller to buyer: the outputs, and its word that they are the model's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedPrediction {
    /// Version of this message.
    pub version: Version,
    /// The round it belongs to.
    pub round: RoundId,
    /// Which batch.
    pub index: u32,
    /// The class of each input, in the order of the request.
    pub labels: Vec<u16>,
    /// The commitment to inputs and outputs; the buyer makes it too.
    pub points: Vec<Point>,
    /// Over [`Domain::prediction_digest`].
    pub signature: Signature,
}

impl SignedPrediction {
    /// What is signed.
    pub fn prediction(&self) -> Prediction {
        let valid = u32::try_from(self.labels.len()).unwrap_or(u32::MAX);
        Prediction::new(self.index, valid, &self.points)
    }

    /// Checks that it is about this batch and that `seller` signed it, as the contract would.
    pub fn check(
        &self,
        domain: Domain,
        seller: Address,
        round: RoundId,
        index: u32,
    ) -> Result<(), RoundMessageError> {
        let (expected, got) = (round, self.round);
        if expected != got {
            return Err(RoundMessageError::Round { expected, got });
        }
        let (expected, got) = (index, self.index);
        if expected != got {
            return Err(RoundMessageError::Index { expected, got });
        }
        let digest = domain.prediction_digest(round, &self.prediction());
        Domain::signed_by(seller, digest, &self.signature)
    }
}

/// Buyer to seller: a voucher or an approval of `count` batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payment {
    /// Version of this message.
    pub version: Version,
    /// Batches.
    pub count: u32,
    /// Over [`Domain::voucher_digest`] or [`Domain::approval_digest`].
    pub signature: Signature,
}

/// Buyer to seller: the proof of this batch, please.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditRequest {
    /// Version of this message.
    pub version: Version,
    /// Over [`Domain::audit_digest`].
    pub signature: Signature,
}
