//! What the buyer remembers of an agreement.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use zknode_protocol::{
    agreement::{State, Terms},
    message::Receipt,
    value::{Address, AgreementId, Amount, Hash, Signature},
};

use crate::{
    buyer::{CheckedModel, Client},
    card::ModelCard,
};

/// What the buyer remembers of an agreement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    version: u16,
    /// Where the seller answers.
    pub seller: String,
    /// The model as it was checked.
    pub card: ModelCard,
    /// Who agrees to it; not told by earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Address>,
    /// What is agreed.
    pub terms: Terms,
    /// Its id, once open.
    pub agreement: Option<AgreementId>,
    /// The escrow nonce it was opened with.
    pub nonce: Option<u64>,
    /// Whose draw the sealed preview is about, and where it lies in the home.
    pub preview: Option<SealedPreview>,
    /// The seller's word that it has the preview.
    pub preview_receipt: Option<Receipt>,
    /// The sealed test set, which lies in the home under its hash.
    pub sealed: Option<(Hash, u64)>,
    /// The seller's word that it has the test set.
    pub receipt: Option<Receipt>,
    /// Shards whose proof is wanted on chain, whatever the seller hands over.
    pub contest: Vec<u32>,
    /// The claim that is approved, and the signature that says so.
    pub approval: Option<(Hash, Signature)>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it never began.
    pub not_opened: Option<String>,
}

/// Format of [`Challenge`].
const VERSION: u16 = 2;

/// A preview, sealed once: sent again, it is the same ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealedPreview {
    /// The draw.
    pub seed: Hash,
    /// Of the ciphertext.
    pub hash: Hash,
    /// Its length.
    pub bytes: u64,
}

/// How an agreement ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// A state that absorbs.
    pub state: State,
    /// Correct answers, claimed or proven.
    pub correct: u64,
    /// Samples they were counted on.
    pub valid: u64,
    /// Shards proven on chain.
    pub proven: u32,
    /// Whether the threshold was reached.
    pub passed: bool,
    /// What the buyer got back.
    pub withdrawn: Amount,
}

impl Challenge {
    /// An agreement about to be opened.
    pub fn new(seller: &Client, model: &CheckedModel, terms: Terms, contest: Vec<u32>) -> Self {
        Self {
            version: VERSION,
            seller: seller.url().to_owned(),
            card: model.card.clone(),
            buyer: None,
            terms,
            agreement: None,
            nonce: None,
            preview: None,
            preview_receipt: None,
            sealed: None,
            receipt: None,
            contest,
            approval: None,
            outcome: None,
            not_opened: None,
        }
    }

    /// Fails for one of another release.
    pub(super) fn check_version(&self) -> anyhow::Result<()> {
        ensure!(
            self.version == VERSION,
            "challenge {} is stored with version {}, this build reads {VERSION}",
            self.terms.dataset_root,
            self.version
        );
        Ok(())
    }
}
