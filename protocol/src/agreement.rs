//! The agreement between one buyer and one seller: what it says, how far it came, what may happen to it.
//!
//! The states, who may do what in each and what money moves are one table, `contracts/agreement.json`, which
//! ARCHITECTURE.md draws. [`step`] is the same in plain Rust, with the arguments of every event; it and the contract are
//! tested against the whole table (`tests/machine.rs`, `contracts/test/Machine.t.sol`) and against the same stories
//! (`tests/stories.rs`, `contracts/vectors/stories.jsonl`). Every state that is not terminal has one deadline, the last
//! second in which its own events may happen; from the next second on anyone may [`Action::Expire`] it, and nothing else
//! happens.

mod ledger;
mod rule;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    digest::hash_words,
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId},
};

pub use crate::{
    claim_tree::ShardCount,
    deal::{ModelFacts, Moment, NOTICE_PERIOD},
    shards::{ShardFacts, Verdict},
};
pub use ledger::Ledger;
pub use rule::RuleError;
pub use step::{step, Action, Effect, Event};

/// Which proven count is held against the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The labelled class has the highest score.
    Top1,
    /// The labelled class is among the k highest scores (k is the architecture's).
    TopK,
}

/// How the count comes to the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// By the seller's claim, which the buyer approves, contests or lets pass.
    Optimistic,
    /// By a proof of every shard, verified on chain.
    Eager,
}

/// Where money goes that is lost to both: an account nobody has a key of.
pub const NOBODY: Address = Bytes([
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xde, 0xad,
]);

/// How many blocks back a chain knows hashes, and so how long a draw may wait.
pub const KNOWN_BLOCKS: u64 = 256;

/// Blocks from acceptance to the one whose hash draws the preview.
pub const DRAW_DELAY: u64 = 1;

/// What the buyer offers. Amounts in base units of `token`, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// A model registered in an earlier block.
    pub model: ModelId,
    /// Merkle root over the shard commitments.
    pub dataset_root: Hash,
    /// ERC-20 of every amount; zero is ether.
    pub token: Address,
    /// Leaves of the dataset root, at least 1.
    pub shards: u32,
    /// Valid samples in all shards together, at least one a shard.
    pub samples: u32,
    /// Fewest correct answers for which the seller is paid.
    pub threshold: u32,
    /// Deposited by the buyer for the seller.
    pub price: Amount,
    /// Deposited by the buyer; lost when it does not deliver.
    pub buyer_bond: Amount,
    /// Deposited by the seller; lost when it has the test set and does not answer for it.
    pub bond: Amount,
    /// Part of the bond that goes to the buyer when the count is below the threshold.
    pub penalty: Amount,
    /// Part of the bond that it costs the seller to go away once the preview is drawn.
    pub preview_fee: Amount,
    /// Deposited by the buyer for each shard it contests, earned by its proof.
    pub contest_fee: Amount,
    /// Last second to accept.
    pub accept_by: u64,
    /// Last second to hand over the preview.
    pub preview_by: u64,
    /// Last second to hand over the rest.
    pub deliver_by: u64,
    /// Last second to claim; in eager mode, of the last proof.
    pub claim_by: u64,
    /// What counts as correct.
    pub metric: Metric,
    /// How the count comes to the chain.
    pub mode: Mode,
    /// Shards the seller sees before it goes on; 0: none, and no draw.
    pub preview_shards: u32,
    /// Seconds for the seller to answer a delivery that the buyer announces on chain.
    pub response_time: u32,
    /// Seconds for the buyer to look at a claim.
    pub window: u32,
    /// Seconds for the seller to bring a contested proof.
    pub prove_time: u32,
}

impl Terms {
    /// What the buyer deposits to open, `None` past 2^128.
    pub fn deposit(&self) -> Option<Amount> {
        self.price.checked_add(self.buyer_bond)
    }

    /// The last second in which anything can happen that is no default.
    pub fn last_second(&self) -> u64 {
        self.claim_by
            .saturating_add(self.window.into())
            .saturating_add(self.prove_time.into())
    }

    /// The wei a deposit of `amount` takes: all of it in ether, none in tokens.
    pub fn wei(&self, amount: Amount) -> Amount {
        if self.token == Address::ZERO {
            amount
        } else {
            Amount::ZERO
        }
    }
}

/// The agreement's id: `keccak256(abi.encode(chainid, escrow, buyer, nonce, terms))`, `nonce` the buyer's count of
/// opened agreements.
pub fn agreement_id(
    chain_id: u64,
    escrow: Address,
    buyer: Address,
    nonce: u64,
    terms: &Terms,
) -> AgreementId {
    let metric = match terms.metric {
        Metric::Top1 => 0u32,
        Metric::TopK => 1,
    };
    let mode = match terms.mode {
        Mode::Optimistic => 0u32,
        Mode::Eager => 1,
    };
    AgreementId(hash_words(&[
        chain_id.into(),
        escrow.into(),
        buyer.into(),
        nonce.into(),
        terms.model.into(),
        terms.dataset_root.into(),
        terms.token.into(),
        terms.shards.into(),
        terms.samples.into(),
        terms.threshold.into(),
        terms.price.into(),
        terms.buyer_bond.into(),
        terms.bond.into(),
        terms.penalty.into(),
        terms.preview_fee.into(),
        terms.contest_fee.into(),
        terms.accept_by.into(),
        terms.preview_by.into(),
        terms.deliver_by.into(),
        terms.claim_by.into(),
        metric.into(),
        mode.into(),
        terms.preview_shards.into(),
        terms.response_time.into(),
        terms.window.into(),
        terms.prove_time.into(),
    ]))
}

/// How far an agreement came. From [`State::Cancelled`] on they absorb: nothing changes the agreement any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// The price and the buyer's bond are locked; the seller may accept.
    Open,
    /// The bond is locked too; a block is named whose hash draws the preview.
    Accepted,
    /// The preview is drawn; the buyer hands it over.
    Drawn,
    /// The buyer says on chain that it did; the seller answers.
    PreviewSent,
    /// The seller goes on (or no preview was agreed); the buyer hands over the rest.
    Previewed,
    /// The buyer says on chain that it did; the seller answers.
    RestSent,
    /// The seller holds the test set: from here it claims (or proves, in eager mode) or loses its bond.
    Delivered,
    /// The seller said how many answers are correct; the buyer looks.
    Claimed,
    /// The buyer asked for proofs on chain.
    Contested,
    /// Ended before acceptance.
    Cancelled,
    /// The seller went away before its receipt, or said nothing to a delivery.
    Declined,
    /// The seller says that what the buyer calls delivered is not there or no good: nobody gains by that.
    Denied,
    /// The buyer did not deliver.
    Forfeited,
    /// Paid by the count.
    Settled,
    /// No claim, or a contested shard not proven: the seller lost its bond.
    Slashed,
}

impl State {
    /// In the contract's order, which begins with 1.
    pub const ALL: [Self; 15] = [
        Self::Open,
        Self::Accepted,
        Self::Drawn,
        Self::PreviewSent,
        Self::Previewed,
        Self::RestSent,
        Self::Delivered,
        Self::Claimed,
        Self::Contested,
        Self::Cancelled,
        Self::Declined,
        Self::Denied,
        Self::Forfeited,
        Self::Settled,
        Self::Slashed,
    ];

    /// Whether nothing changes the agreement any more.
    pub fn is_terminal(self) -> bool {
        self >= Self::Cancelled
    }
}

/// An agreement and how far it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreement {
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
    /// Block whose hash draws the preview; 0 before acceptance, or without a preview.
    pub draw_block: u64,
    /// What draws the preview; zero until drawn.
    pub seed: Hash,
    /// Last second to contest; 0 until claimed.
    pub window_end: u64,
    /// Indices of the shards contested so far.
    pub contested: BTreeSet<u32>,
    /// Indices of the shards proven on chain so far.
    pub proven: BTreeSet<u32>,
    /// Eager mode: valid samples of the proven shards.
    pub valid: u64,
    /// Correct answers by the agreed metric: claimed, or (eager mode) proven so far.
    pub correct: u64,
    /// Hash of the ciphertext the seller acknowledged; zero before.
    pub ciphertext: Hash,
    /// Root of the seller's claim, its totals included; zero until claimed.
    pub claim: Hash,
}

impl Agreement {
    /// Shards not proven on chain, ascending.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.terms.shards).filter(|index| !self.proven.contains(index))
    }

    /// Contested shards that are not proven yet, ascending.
    pub fn unanswered(&self) -> impl Iterator<Item = u32> + '_ {
        self.contested.difference(&self.proven).copied()
    }

    /// Whether the count reaches the threshold; final once settled.
    pub fn passed(&self) -> bool {
        self.correct >= u64::from(self.terms.threshold)
    }
}
