//! What the requester remembers of a retrieval.

use std::path::PathBuf;

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use zknode_protocol::{
    retrieval::{RetrievalId, State, Terms},
    value::{Amount, Hash, Signature},
};

use crate::{buyer::Client, card::ModelCard};

/// What the requester remembers of a retrieval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    version: u16,
    /// Where the responder answers.
    pub seller: String,
    /// The model as it was checked.
    pub card: ModelCard,
    /// What is asked for.
    pub terms: Terms,
    /// Under which nonce.
    pub nonce: u64,
    /// Where the items go.
    pub out: PathBuf,
    /// Shards whose proof is wanted on chain, whatever the responder hands over.
    pub contest: Vec<u32>,
    /// The claim and ciphertext that are approved, and the signature that says so. Items are written before.
    pub approval: Option<(Hash, Hash, Signature)>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it never began.
    pub not_opened: Option<String>,
}

/// Format of [`Asked`].
const VERSION: u16 = 1;

/// How a retrieval ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// A state that absorbs.
    pub state: State,
    /// Items of the corpus that match, as claimed.
    pub matches: u32,
    /// Items that were checked and written.
    pub items: u32,
    /// What the requester got back.
    pub withdrawn: Amount,
}

impl Asked {
    /// A retrieval about to be opened.
    pub fn new(
        seller: &Client,
        card: &ModelCard,
        terms: Terms,
        nonce: u64,
        out: PathBuf,
        contest: Vec<u32>,
    ) -> Self {
        Self {
            version: VERSION,
            seller: seller.url().to_owned(),
            card: card.clone(),
            terms,
            nonce,
            out,
            contest,
            approval: None,
            outcome: None,
            not_opened: None,
        }
    }

    /// Fails for one of another release.
    pub(super) fn check_version(&self, id: RetrievalId) -> anyhow::Result<()> {
        ensure!(
            self.version == VERSION,
            "retrieval {id} is stored with version {}, this build reads {VERSION}",
            self.version
        );
        Ok(())
    }
}
