//! What requester and responder say to each other, and what the requester signs for the chain (EIP-712 domain
//! "zknode Retrieval", version 1).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{RetrievalId, State, Terms};
use crate::{
    digest::{hash_words, keccak},
    message::Version,
    value::{Address, Hash},
};

/// One retrieval contract on one chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The retrieval contract.
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
            keccak(b"zknode Retrieval").into(),
            keccak(b"1").into(),
            self.chain_id.into(),
            self.contract.into(),
        ])
    }

    /// What the requester signs once it holds the items of a claim. The contract accepts it from anyone.
    pub fn approval_digest(&self, id: RetrievalId, claim: Hash, ciphertext: Hash) -> Hash {
        let type_hash =
            keccak(b"Approval(bytes32 retrieval,bytes32 claimRoot,bytes32 ciphertextHash)");
        let content = hash_words(&[
            type_hash.into(),
            id.0.into(),
            claim.into(),
            ciphertext.into(),
        ]);
        let separator = self.separator();
        keccak(&[&[0x19, 0x01], separator.as_slice(), content.as_slice()].concat())
    }
}

/// Terms that are not those of the retrieval they come with.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the offered terms are those of retrieval {expected}, not of {found}")]
pub struct OtherRetrieval {
    /// Id of the terms.
    pub expected: RetrievalId,
    /// Id claimed.
    pub found: RetrievalId,
}

/// Requester to responder: a retrieval is open on the chain, please accept it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Version of this message.
    pub version: Version,
    /// Contract and chain.
    pub domain: Domain,
    /// Its id.
    pub id: RetrievalId,
    /// Who opened it.
    pub requester: Address,
    /// Under which nonce.
    pub nonce: u64,
    /// What it says; must hash to `id`.
    pub terms: Terms,
}

impl Offer {
    /// Checks that the terms are those of the named retrieval. Whether it is open is the chain's word.
    pub fn check(&self) -> Result<(), OtherRetrieval> {
        let Domain { chain_id, contract } = self.domain;
        let expected = self
            .terms
            .id(chain_id, contract, self.requester, self.nonce);
        if expected == self.id {
            Ok(())
        } else {
            let found = self.id;
            Err(OtherRetrieval { expected, found })
        }
    }
}

/// Where a retrieval stands, as the responder sees it. The chain has the last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Version of this message.
    pub version: Version,
    /// Its state.
    pub state: State,
    /// Why the responder will not go on.
    pub refused: Option<String>,
}
