//! A round of predictions: a payment channel with contests. The buyer deposits the price of so many batches, the seller
//! answers each off chain with outputs and its signature, and is paid by the buyer's cumulative vouchers. Any signed
//! prediction may be contested: its proof then appears on chain, or the seller loses all it put in and would have earned.
//!
//! States, events and money are one table, `contracts/round.json`, which ARCHITECTURE.md draws. The rules are
//! `contracts/src/Predictions.sol`'s; [`step`] says them once more, pure. Both are tested against the whole table
//! (`tests/machine.rs`) and the same stories (`tests/stories.rs`). What the two say to each other is in [`message`].

pub mod message;
mod rule;
mod step;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::rule::RoundError;
pub use self::step::{step, Action, Effects, Event, Record};
use crate::{
    digest::{hash_words, points_digest, proof_context},
    value::{Address, AgreementId, Amount, Hash, ModelId, Point},
};

/// Names a round: a hash of where, who and what, known before it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoundId(pub Hash);

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a buyer offers. Amounts in wei or token units, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundTerms {
    /// Model in the registry, registered in an earlier block.
    pub model: ModelId,
    /// ERC-20 of every amount; zero is ether.
    pub token: Address,
    /// Most requests, at least 1.
    pub batches: u32,
    /// Of each of them.
    pub price: Amount,
    /// Deposited by the seller; lost when a contested prediction is not proven.
    pub bond: Amount,
    /// Deposited by the buyer for each prediction it contests, earned by its proof.
    pub contest_fee: Amount,
    /// Last second to accept.
    pub accept_by: u64,
    /// Last second to serve and to close.
    pub serve_by: u64,
    /// Seconds for the buyer to contest after that.
    pub window: u32,
    /// Seconds for the seller to bring a contested proof.
    pub prove_time: u32,
}

impl RoundTerms {
    /// What so many batches cost; `None` past 2^128.
    pub fn cost(&self, batches: u32) -> Option<Amount> {
        self.price.0.checked_mul(batches.into()).map(Amount)
    }

    /// What the buyer deposits; `None` past 2^128.
    pub fn deposit(&self) -> Option<Amount> {
        self.cost(self.batches)
    }

    /// The wei to send along with a deposit of `amount`.
    pub fn wei(&self, amount: Amount) -> Amount {
        if self.token == Address::ZERO {
            amount
        } else {
            Amount::ZERO
        }
    }

    /// The last second in which anything can happen, when everything is as late as it may be.
    pub fn last_second(&self) -> u64 {
        self.serve_by
            .saturating_add(self.window.into())
            .saturating_add(self.prove_time.into())
    }
}

/// The round's id: `keccak256(abi.encode(chainid, contract, buyer, nonce, terms))`, `nonce` of the buyer's choice.
pub fn round_id(
    chain_id: u64,
    contract: Address,
    buyer: Address,
    nonce: Hash,
    terms: &RoundTerms,
) -> RoundId {
    RoundId(hash_words(&[
        chain_id.into(),
        contract.into(),
        buyer.into(),
        nonce.into(),
        terms.model.into(),
        terms.token.into(),
        terms.batches.into(),
        terms.price.into(),
        terms.bond.into(),
        terms.contest_fee.into(),
        terms.accept_by.into(),
        terms.serve_by.into(),
        terms.window.into(),
        terms.prove_time.into(),
    ]))
}

/// The number a prediction's proof is bound to: chain, contract, round, index and payee (32 bytes, big-endian, below the
/// BN254 scalar order).
pub fn prediction_context(
    chain_id: u64,
    contract: Address,
    id: RoundId,
    index: u32,
    payee: Address,
) -> [u8; 32] {
    proof_context(chain_id, contract, AgreementId(id.0), index, payee)
}

/// How far a round came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RoundState {
    /// The price of all batches is locked; the seller may accept.
    Open,
    /// The bond is locked too; batches are served off chain.
    Serving,
    /// The count to be paid for is fixed; the buyer looks.
    Closed,
    /// The buyer asked for proofs on chain.
    Contested,
    /// Ended before acceptance.
    Cancelled,
    /// Paid by the count.
    Settled,
    /// A contested prediction was not proven.
    Slashed,
}

impl RoundState {
    /// In the order of the contract, its "none" left out.
    pub const ALL: [Self; 7] = [
        Self::Open,
        Self::Serving,
        Self::Closed,
        Self::Contested,
        Self::Cancelled,
        Self::Settled,
        Self::Slashed,
    ];

    /// Whether nothing changes the round any more.
    pub fn is_terminal(self) -> bool {
        self >= Self::Cancelled
    }
}

/// A round as the chain stores it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// What was offered.
    pub terms: RoundTerms,
    /// Who pays.
    pub buyer: Address,
    /// Owner of the model, payee of every proof.
    pub seller: Address,
    /// How far it came.
    pub state: RoundState,
    /// Last second of this state's own actions; 0 in a terminal state.
    pub deadline: u64,
    /// Contested predictions not proven yet.
    pub contests: u32,
    /// Batches to be paid for, once closed.
    pub count: u32,
    /// Last second to contest; 0 until closed.
    pub window_end: u64,
}

impl Round {
    /// Whether anyone may end this state at `time`.
    pub fn is_overdue(&self, time: u64) -> bool {
        !self.state.is_terminal() && time > self.deadline
    }
}

/// What the seller signs for one batch: that the model gives each of its inputs that output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Position in the round.
    pub index: u32,
    /// Inputs in the batch, each with its output.
    pub valid: u32,
    /// [`points_digest`] of the commitment to inputs and outputs.
    pub points: Hash,
}

impl Prediction {
    /// Of a commitment.
    pub fn new(index: u32, valid: u32, points: &[Point]) -> Self {
        Self {
            index,
            valid,
            points: points_digest(points),
        }
    }
}

/// How far the contest of a signed prediction came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Contest {
    /// The proof is owed.
    Open,
    /// It is on chain.
    Proven,
}

#[cfg(test)]
mod tests;
