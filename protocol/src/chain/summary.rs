//! An agreement as one request tells it.

use std::collections::BTreeSet;

use crate::{
    agreement::{Agreement, State, Terms},
    value::{Address, Hash},
};

/// An agreement with the number of its proven shards instead of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreementSummary {
    /// What was offered.
    pub terms: Terms,
    /// Who pays.
    pub buyer: Address,
    /// Owner of the model, payee of every proof.
    pub seller: Address,
    /// How far it came.
    pub state: State,
    /// How many shards are proven.
    pub proven: u32,
    /// Valid samples of the proven shards.
    pub valid: u64,
    /// Correct answers (by the agreed metric) in the proven shards.
    pub correct: u64,
    /// Hash of the ciphertext the seller acknowledged; zero before.
    pub ciphertext: Hash,
}

impl AgreementSummary {
    /// Shards still to be proven.
    pub fn missing(&self) -> u32 {
        self.terms.shards.saturating_sub(self.proven)
    }

    /// Whether the count so far reaches the threshold; final once settled.
    pub fn passed(&self) -> bool {
        self.correct >= u64::from(self.terms.threshold)
    }

    /// The agreement, told which shards are the proven ones.
    pub fn with_proven(self, proven: BTreeSet<u32>) -> Agreement {
        Agreement {
            terms: self.terms,
            buyer: self.buyer,
            seller: self.seller,
            state: self.state,
            proven,
            valid: self.valid,
            correct: self.correct,
            ciphertext: self.ciphertext,
        }
    }
}

impl From<&Agreement> for AgreementSummary {
    fn from(agreement: &Agreement) -> Self {
        Self {
            terms: agreement.terms.clone(),
            buyer: agreement.buyer,
            seller: agreement.seller,
            state: agreement.state,
            proven: agreement.proven.len() as u32,
            valid: agreement.valid,
            correct: agreement.correct,
            ciphertext: agreement.ciphertext,
        }
    }
}
