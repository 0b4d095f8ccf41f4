//! An agreement as one request tells it.

use std::collections::BTreeSet;

use crate::{
    agreement::{Agreement, State, Terms, KNOWN_BLOCKS},
    value::{Address, Hash},
};

/// An agreement with the number of its contested and proven shards instead of their names.
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
    /// Last second of this state's own events; 0 in a terminal state.
    pub deadline: u64,
    /// Block whose hash draws the preview.
    pub draw_block: u64,
    /// What draws the preview; zero until drawn.
    pub seed: Hash,
    /// Last second to contest; 0 until claimed.
    pub window_end: u64,
    /// How many contested shards are not proven yet.
    pub unanswered: u32,
    /// How many shards are proven on chain.
    pub proven: u32,
    /// Eager mode: valid samples of the proven shards.
    pub valid: u64,
    /// Correct answers by the agreed metric: claimed, or (eager mode) proven so far.
    pub correct: u64,
    /// Hash of the ciphertext the seller acknowledged; zero before.
    pub ciphertext: Hash,
    /// Root of the seller's claim; zero until claimed.
    pub claim: Hash,
}

impl AgreementSummary {
    /// Shards not proven on chain.
    pub fn missing(&self) -> u32 {
        self.terms.shards.saturating_sub(self.proven)
    }

    /// Whether the count so far reaches the threshold; final once settled.
    pub fn passed(&self) -> bool {
        self.correct >= u64::from(self.terms.threshold)
    }

    /// The last block in which what this state waits for can be done, where blocks count beside the deadline.
    pub fn last_block(&self) -> Option<u64> {
        let is_drawing = self.state == State::Accepted;
        is_drawing.then(|| self.draw_block.saturating_add(KNOWN_BLOCKS))
    }

    /// Whether anyone may end this state at `time`, in a transaction of block `block`.
    pub fn is_overdue(&self, time: u64, block: u64) -> bool {
        let missed = self.last_block().is_some_and(|last| block > last);
        !self.state.is_terminal() && (time > self.deadline || missed)
    }

    /// The agreement, told which shards are the contested and the proven ones.
    pub fn with_shards(self, contested: BTreeSet<u32>, proven: BTreeSet<u32>) -> Agreement {
        Agreement {
            terms: self.terms,
            buyer: self.buyer,
            seller: self.seller,
            state: self.state,
            deadline: self.deadline,
            draw_block: self.draw_block,
            seed: self.seed,
            window_end: self.window_end,
            contested,
            proven,
            valid: self.valid,
            correct: self.correct,
            ciphertext: self.ciphertext,
            claim: self.claim,
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
            deadline: agreement.deadline,
            draw_block: agreement.draw_block,
            seed: agreement.seed,
            window_end: agreement.window_end,
            unanswered: agreement.unanswered().count() as u32,
            proven: agreement.proven.len() as u32,
            valid: agreement.valid,
            correct: agreement.correct,
            ciphertext: agreement.ciphertext,
            claim: agreement.claim,
        }
    }
}
