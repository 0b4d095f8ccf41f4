//! The agreement between one buyer and one seller: what it says, how far it came, what may happen to it.
//!
//! ```text
//! (none) --open--> Open --accept--> Accepted --acknowledge--> Delivered --last shard proven--> Settled
//!                   | cancel          | decline                  | slash
//!                   v                 v                          v
//!                Cancelled         Declined                   Slashed
//! ```
//! [`step`] is the contract's rule book said a second time, in plain Rust; `contracts/vectors/agreement.json` judges
//! both. A deadline `x_by` is the last second in which x may happen; its default action starts one second later.

mod ledger;
mod rule;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::value::{Address, Amount, Hash, ModelId};

pub use ledger::Ledger;
pub use rule::RuleError;
pub use step::step;

/// Seconds between a seller's notice and its stake, and so the longest life of an agreement: 30 days.
pub const NOTICE_PERIOD: u64 = 2_592_000;

/// Which proven count is held against the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// The labelled class has the highest score.
    Top1,
    /// The labelled class is among the k highest scores (k is the architecture's).
    TopK,
}

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
    /// Deposited by the buyer.
    pub price: Amount,
    /// Deposited by the seller; lost when a delivered agreement is not proven in time.
    pub bond: Amount,
    /// Part of the bond that goes to the buyer when the count is below the threshold.
    pub penalty: Amount,
    /// Last second for the seller to accept.
    pub accept_by: u64,
    /// Last second for the seller to acknowledge the test set.
    pub deliver_by: u64,
    /// Last second for a shard to be proven.
    pub prove_by: u64,
    /// What counts as correct.
    pub metric: Metric,
}

impl Terms {
    /// The wei a deposit of `amount` takes: all of it in ether, none in tokens.
    pub fn wei(&self, amount: Amount) -> Amount {
        if self.token == Address::ZERO {
            amount
        } else {
            Amount::ZERO
        }
    }
}

/// How far an agreement came. The last four absorb: nothing changes the agreement any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// The price is deposited; the seller may accept.
    Open,
    /// The bond is deposited; the buyer delivers.
    Accepted,
    /// The seller holds the test set: from here it proves or pays.
    Delivered,
    /// Ended before acceptance.
    Cancelled,
    /// Ended before delivery.
    Declined,
    /// Every shard proven, paid by the count.
    Settled,
    /// Shards missing after the last deadline: the seller lost its bond.
    Slashed,
}

impl State {
    /// Whether nothing changes the agreement any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Open | Self::Accepted | Self::Delivered)
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
    /// Indices of the shards proven so far.
    pub proven: BTreeSet<u32>,
    /// Valid samples of the proven shards.
    pub valid: u64,
    /// Correct answers (by the agreed metric) in the proven shards.
    pub correct: u64,
    /// Hash of the ciphertext the seller acknowledged; zero before.
    pub ciphertext: Hash,
}

impl Agreement {
    /// Shards still to be proven, ascending.
    pub fn missing(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.terms.shards).filter(|index| !self.proven.contains(index))
    }

    /// Whether the count so far reaches the threshold; final once settled.
    pub fn passed(&self) -> bool {
        self.correct >= u64::from(self.terms.threshold)
    }
}

/// What the registry says about a model, as far as the rules ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// Who registered it.
    pub seller: Address,
    /// Block of the registration.
    pub registered_block: u64,
    /// 0 while offered; else the last second of the notice period.
    pub retires_at: u64,
    /// Digest of its commitment points.
    pub points: Hash,
}

/// When a transaction is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Block number.
    pub block: u64,
    /// Block time, Unix seconds.
    pub time: u64,
}

/// What one proof says about one shard. `valid` is bound by the dataset root, the counts by the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardCount {
    /// Position in the dataset.
    pub index: u32,
    /// Samples that count.
    pub valid: u32,
    /// Correct at the first place.
    pub top1: u32,
    /// Correct among the first k places.
    pub topk: u32,
}

/// What the outside world says about a shard proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The verifier of the registered architecture accepted it.
    Accepted,
    /// It did not, for whatever reason.
    Rejected,
    /// The code at the verifier's address is no longer the registered one.
    VerifierChanged {
        /// Code hash at registration.
        expected: Hash,
        /// Code hash now.
        found: Hash,
    },
}

/// One transaction to the escrow: who sends it, and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The sender.
    pub by: Address,
    /// The request.
    pub action: Action,
}

/// What a transaction asks for, with the facts of the outside world it is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open an agreement and deposit the price.
    Open {
        /// The offer.
        terms: Terms,
        /// What the registry holds under `terms.model`.
        model: Option<ModelFacts>,
        /// Whether `terms.token` has code; not asked for ether.
        token_has_code: bool,
        /// Wei sent.
        value: Amount,
    },
    /// End an open agreement: the buyer at any time, anyone after `accept_by`.
    Cancel,
    /// Lock the bond.
    Accept {
        /// Wei sent.
        value: Amount,
    },
    /// End an accepted agreement: the seller at any time, anyone after `deliver_by`.
    Decline,
    /// The seller says that it holds the opened test set.
    Acknowledge {
        /// Hash of the delivered ciphertext.
        ciphertext: Hash,
    },
    /// The same by the seller's signature, brought by anyone.
    AcknowledgeBySignature {
        /// Hash of the delivered ciphertext.
        ciphertext: Hash,
        /// Who signed the receipt, if the signature is one at all.
        signer: Option<Address>,
    },
    /// Count one proven shard; the last one settles.
    ProveShard {
        /// What the proof says.
        shard: ShardCount,
        /// Digest of the model points the registry holds.
        registered_points: Hash,
        /// Digest of the model points sent along.
        model_points: Hash,
        /// Digest of the shard points sent along.
        shard_points: Hash,
        /// Siblings from the leaf up.
        path: Vec<Hash>,
        /// What the verifier says.
        verdict: Verdict,
    },
    /// After `prove_by`, with shards missing: the seller loses the bond.
    Slash,
}

/// Money that an accepted event moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// From a wallet into the escrow.
    Deposit {
        /// Who pays.
        from: Address,
        /// In what.
        token: Address,
        /// How much.
        amount: Amount,
    },
    /// From the escrow's deposits to an account's credit, to be withdrawn.
    Credit {
        /// Who may withdraw it.
        to: Address,
        /// In what.
        token: Address,
        /// How much.
        amount: Amount,
    },
}
