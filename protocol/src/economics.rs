//! Whether the terms of an agreement leave a rational party a reason to cheat or to walk away.
//!
//! [`check`] puts terms and costs into the inequalities of [`Rule`] and refuses those that do not hold, each with its
//! numbers and the smallest change that mends it; [`suggest`] finds the least terms that pass. [`lazy`] plays the
//! protocol against sellers who guess. The starting point is arXiv 2210.08674, section 5: a label costs E, a proof Z, a
//! plain inference P, and E > Z > P. The inequalities are our own, for our own protocol.
//!
//! Amounts are integers in the base unit of the agreement's money, gas converted to it. Shares are basis points.
//! Chances are rounded to the side that makes a rule harder ([`Chance`]). Nothing overflows: every amount and every
//! total is held below [`CEILING`].
//!
//! Two conventions. A deterrent may lean on money that the rules of the escrow take, and on proofs that must be made,
//! never on gas that the cheater would burn: gas prices move. And where the contract cannot tell who is to blame, the
//! seller has two ways out at the same price: to decline pays the buyer the fee, to deny burns it together with the
//! buyer's bond. So a buyer that provokes the loss cannot count on being paid for it.

mod chance;
mod escrow;
mod inequality;
pub mod lazy;
mod rule;
mod suggest;
#[cfg(test)]
mod tests;
mod words;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{bounds::BoundError, value::Amount};

pub use chance::{hit_chance, Chance};
pub use escrow::Setting;
pub use inequality::{inequalities, inequalities_of, Change, Fix, Inequality, Term};
pub use rule::{Rule, Side};
pub use suggest::{closest, suggest, Wish};
pub use words::{Piece, Words};

/// Amounts and totals must stay below this, 2^84: 19 million ether in wei. Products of three factors still fit.
pub const CEILING: u128 = 1 << 84;

/// What an agreement says about money, samples and time, as the rules read it ([`Terms::of`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Samples of the test set, N.
    pub samples: u32,
    /// Samples a proof covers.
    pub shard_size: u32,
    /// Fewest correct answers for which the seller is paid, T.
    pub threshold: u32,
    /// What the buyer pays for a pass.
    pub price: Amount,
    /// The seller's deposit, lost when a count is not proven or a claim is false; goes to the buyer.
    pub seller_bond: Amount,
    /// Part of it that the buyer gets when the proven count is below the threshold.
    pub penalty: Amount,
    /// The buyer's deposit: the seller's if the buyer never even says that it delivered, burnt if the seller denies it.
    pub buyer_bond: Amount,
    /// The seller's deposit with the registry, locked for the notice period.
    pub stake: Amount,
    /// Part of the seller's bond that it loses when it goes away after the draw and before its receipt: to the buyer if
    /// it declines, to nobody if it denies the delivery.
    pub preview_fee: Amount,
    /// Shards drawn after acceptance and shown before the rest, N1.
    pub preview_shards: u32,
    /// How the count reaches the chain.
    pub settlement: Settlement,
    /// Time for each step.
    pub windows: Windows,
}

/// How the count reaches the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Settlement {
    /// Every shard's proof is verified on chain.
    Eager,
    /// The seller signs a claim; a shard's proof is verified on chain when it is contested.
    Claim {
        /// What a contester pays the seller for a proof that is good.
        contest_fee: Amount,
        /// Drawn shards that the buyer contests if it was not handed the proofs.
        blind_contests: u32,
    },
}

/// Seconds for each step, from the end of the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Windows {
    /// The seller accepts.
    pub accept: u64,
    /// The drawn shards are shown.
    pub preview: u64,
    /// The test set is handed over.
    pub deliver: u64,
    /// The seller answers on chain what is said to be sent, after each of the two.
    pub respond: u64,
    /// Proofs are made; the claim, or all of them, reach the chain.
    pub prove: u64,
    /// The buyer checks and contests; 0 when settled eagerly.
    pub contest: u64,
    /// Contested proofs reach the chain; 0 when settled eagerly.
    pub answer: u64,
}

impl Windows {
    /// All of them together.
    pub fn total(&self) -> u64 {
        [
            self.accept,
            self.preview,
            self.deliver,
            self.respond,
            self.respond,
            self.prove,
            self.contest,
            self.answer,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// What things cost and what the parties assume. None of it is written into the agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// A labelled sample that nobody has seen, E.
    pub label: Amount,
    /// A sample's share of a proof, Z.
    pub proof: Amount,
    /// A plain inference, P.
    pub inference: Amount,
    /// The buyer's look at a registered model: its keys made, its verifier compiled.
    pub look: Amount,
    /// What a pass is worth to the seller beyond the price.
    pub prize: Amount,
    /// What the answer is worth to the buyer; unknown if `None`.
    pub worth: Option<Amount>,
    /// Transactions.
    pub gas: Gas,
    /// How far below the threshold a model may be and still pass by luck, basis points of the samples, e.
    pub error: u32,
    /// Chance of that, basis points, d.
    pub risk: u32,
    /// Chance that the buyer, or a watcher for it, is there while a claim may be contested, basis points.
    pub vigilance: u32,
    /// Yearly cost of money that lies locked, basis points.
    pub interest: u32,
    /// Longest time, in seconds, that a party is cut off from the chain through no fault of its own.
    pub outage: u64,
    /// Seconds to prove one shard.
    pub seconds_per_shard: u64,
    /// Seconds between blocks; a block is assumed to take one proof of ours.
    pub block_seconds: u64,
}

/// What each transaction costs its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gas {
    /// Buyer: opens.
    pub open: Amount,
    /// Seller: accepts.
    pub accept: Amount,
    /// Seller: acknowledges.
    pub acknowledge: Amount,
    /// Seller: claims.
    pub claim: Amount,
    /// Buyer: signs the claim off.
    pub approve: Amount,
    /// Buyer: contests a shard.
    pub contest: Amount,
    /// Seller: proves a shard on chain.
    pub prove_shard: Amount,
}

/// Terms that cannot be judged, or that nothing makes safe.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum EconomicsError {
    /// The numbers contradict each other.
    #[error("expected {what} of at most {expected}, got {got}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The most it may be.
        expected: u128,
        /// What it is.
        got: u128,
    },
    /// More or fewer shards than the samples fill.
    #[error("expected {expected} shards for {samples} samples at {size} a proof, got {got}")]
    Shards {
        /// Full ones, and one for the rest.
        expected: u32,
        /// Samples agreed.
        samples: u32,
        /// Samples a proof covers.
        size: u32,
        /// Shards agreed.
        got: u32,
    },
    /// A number that must not be zero.
    #[error("expected {0} above zero")]
    Zero(&'static str),
    /// The chances cannot be computed.
    #[error(transparent)]
    Bound(#[from] BoundError),
    /// Every change for one rule breaks another.
    #[error("found no terms that satisfy the rule `{rule}`: {numbers}; ask for something else, such as more samples or another price")]
    NoTerms {
        /// The rule that stays broken.
        rule: Rule,
        /// With the numbers put in, amounts in base units.
        numbers: String,
    },
}

/// Why terms are refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum Refusal {
    /// They make no sense.
    #[error(transparent)]
    Malformed(#[from] EconomicsError),
    /// A rational party would cheat, or stay away.
    #[error("{} of the inequalities do not hold", .0.len())]
    Unsafe(Vec<Inequality>),
}

/// Refuses terms under which a rational party would cheat or walk away.
pub fn check(terms: &Terms, costs: &Costs) -> Result<(), Refusal> {
    let mut broken = inequalities(terms, costs)?;
    broken.retain(|inequality| !inequality.holds());
    if broken.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Unsafe(broken))
    }
}

impl Terms {
    /// Shards of the test set, n.
    pub fn shards(&self) -> u32 {
        self.samples.div_ceil(self.shard_size.max(1))
    }

    /// Most samples that the drawn shards can hold, v.
    pub fn shown(&self) -> u32 {
        let shown = self.preview_shards.saturating_mul(self.shard_size);
        shown.min(self.samples)
    }
}
