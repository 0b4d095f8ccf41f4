//! Trustless retrieval: a requester asks which items of a committed corpus a registered model puts into a class, and
//! pays by the item that is proven to be there. `contracts/src/IRetrieval.sol` says the same in Solidity.
//!
//! The shards under the dataset root are the corpus's with the wanted class as the label of every item, which both sides
//! compute from the published [`corpus`]; so `top1` of a shard's proof is the number of its items that match, whoever made
//! their commitments: the corpus comes with the proof that its items stand apart (`docs/protocol.md`). States, events and
//! money are one table, `contracts/retrieval.json`, which ARCHITECTURE.md draws; [`step`] and the contract are tested against
//! all of it and the same stories. Every state that is not terminal has one deadline, after which anyone may [`Action::Expire`] it.

pub mod corpus;
pub mod message;
mod rule;
mod step;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::rule::RetrievalError;
pub use self::step::{step, Action, Effects, Event, Record};
use crate::{
    deal::{subtract, sum, times, DealError},
    digest::hash_words,
    value::{Address, Amount, Bytes, Hash, ModelId},
};

/// Names a retrieval: `keccak256(abi.encode(chainid, contract, requester, nonce, terms))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RetrievalId(pub Hash);

impl fmt::Display for RetrievalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What the requester offers. Amounts in base units of `token`, times in Unix seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// A model registered in an earlier block.
    pub model: ModelId,
    /// Over the published corpus ([`corpus::Manifest::root`]), for the record.
    pub corpus_root: Hash,
    /// Over the shards, every item labelled with the wanted class.
    pub dataset_root: Hash,
    /// X25519 key that the matching items are sealed to.
    pub reading_key: Bytes<32>,
    /// ERC-20 of every amount; zero is ether.
    pub token: Address,
    /// Leaves of the dataset root, at least 1.
    pub shards: u32,
    /// Items of the corpus, at least one a shard.
    pub samples: u32,
    /// The class asked for.
    pub wanted_class: u16,
    /// Most items that are paid for and handed over.
    pub max_items: u32,
    /// Paid for each matching item, up to `max_items`.
    pub price_per_item: Amount,
    /// Paid for a claim that stands, whatever matches.
    pub scan_fee: Amount,
    /// Deposited by the requester; burnt when it rejects a delivery.
    pub requester_bond: Amount,
    /// Deposited by the responder; at least what all items may cost and the requester's bond.
    pub bond: Amount,
    /// Deposited by the requester for each shard it contests, earned by its proof.
    pub contest_fee: Amount,
    /// Last second to accept.
    pub accept_by: u64,
    /// Last second to claim.
    pub claim_by: u64,
    /// Seconds for the requester to look at a claim.
    pub window: u32,
    /// Seconds for the responder to bring a contested proof.
    pub prove_time: u32,
    /// Least seconds for the requester to judge the items once its contests are answered.
    pub receipt_time: u32,
}

impl Terms {
    /// What `items` of them cost, none past `max_items`; `None` past 2^128.
    pub fn cost_of(&self, items: u32) -> Option<Amount> {
        let items = u128::from(items.min(self.max_items));
        self.price_per_item.0.checked_mul(items).map(Amount)
    }

    /// What the requester deposits, `None` past 2^128.
    pub fn deposit(&self) -> Option<Amount> {
        self.cost_of(self.max_items)?
            .checked_add(self.scan_fee)?
            .checked_add(self.requester_bond)
    }

    /// The least bond, `None` past 2^128.
    pub fn least_bond(&self) -> Option<Amount> {
        self.cost_of(self.max_items)?
            .checked_add(self.requester_bond)
    }

    /// Half of what all items may cost, rounded up. With no less for the requester's bond, a rejection costs the responder at
    /// most five times what it costs the requester. `None` past 2^128.
    pub fn half_price(&self) -> Option<Amount> {
        let all = self.cost_of(self.max_items)?;
        Some(Amount(all.0.div_ceil(2)))
    }

    /// The last second in which anything can happen that is no default.
    pub fn last_second(&self) -> u64 {
        [self.window, self.prove_time, self.receipt_time]
            .iter()
            .fold(self.claim_by, |sum, time| {
                sum.saturating_add((*time).into())
            })
    }

    /// The wei a deposit of `amount` takes: all of it in ether, none in tokens.
    pub fn wei(&self, amount: Amount) -> Amount {
        if self.token == Address::ZERO {
            amount
        } else {
            Amount::ZERO
        }
    }

    /// The id these terms have when `requester` opens them under `nonce`.
    pub fn id(
        &self,
        chain_id: u64,
        contract: Address,
        requester: Address,
        nonce: u64,
    ) -> RetrievalId {
        RetrievalId(hash_words(&[
            chain_id.into(),
            contract.into(),
            requester.into(),
            nonce.into(),
            self.model.into(),
            self.corpus_root.into(),
            self.dataset_root.into(),
            self.reading_key.into(),
            self.token.into(),
            self.shards.into(),
            self.samples.into(),
            u32::from(self.wanted_class).into(),
            self.max_items.into(),
            self.price_per_item.into(),
            self.scan_fee.into(),
            self.requester_bond.into(),
            self.bond.into(),
            self.contest_fee.into(),
            self.accept_by.into(),
            self.claim_by.into(),
            self.window.into(),
            self.prove_time.into(),
            self.receipt_time.into(),
        ]))
    }
}

/// How far a retrieval came. From [`State::Cancelled`] on they absorb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    /// Fee, price and the requester's bond are locked; the responder may accept.
    Open,
    /// The responder's bond is locked too; it claims or loses it.
    Accepted,
    /// The responder said how many items match and sealed them; the requester looks.
    Claimed,
    /// The requester asked for proofs on chain.
    Contested,
    /// Ended before acceptance.
    Cancelled,
    /// Paid by the count.
    Settled,
    /// The requester says that the items did not come or do not open: nobody gains by that.
    Rejected,
    /// No claim, or a contested shard not proven: the responder lost its bond.
    Slashed,
}

impl State {
    /// In the contract's order, which begins with 1.
    pub const ALL: [Self; 8] = [
        Self::Open,
        Self::Accepted,
        Self::Claimed,
        Self::Contested,
        Self::Cancelled,
        Self::Settled,
        Self::Rejected,
        Self::Slashed,
    ];

    /// Whether nothing changes the retrieval any more.
    pub fn is_terminal(self) -> bool {
        self >= Self::Cancelled
    }
}

/// A retrieval and how far it came, without which of its shards are contested or proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieval {
    /// What was offered.
    pub terms: Terms,
    /// Who asks and pays.
    pub requester: Address,
    /// Owner of the model, payee of every proof.
    pub responder: Address,
    /// How far it came.
    pub state: State,
    /// Last second of this state's own actions; 0 in a terminal state.
    pub deadline: u64,
    /// Contested shards not proven yet.
    pub contests: u32,
    /// Items that match, as claimed.
    pub matches: u32,
    /// Last second to contest; 0 until claimed.
    pub window_end: u64,
    /// Root of the claim, its totals included; zero until claimed.
    pub claim: Hash,
    /// Hash of the sealed items; zero until claimed.
    pub ciphertext: Hash,
}

/// Who gets what at an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// The requester's.
    pub requester: Amount,
    /// The responder's.
    pub responder: Amount,
    /// Nobody's any more.
    pub burnt: Amount,
}

impl Retrieval {
    /// Whether only `expire` can happen now.
    pub fn is_overdue(&self, now: u64) -> bool {
        !self.state.is_terminal() && now > self.deadline
    }

    /// Items that are paid for.
    pub fn paid_items(&self) -> u32 {
        self.matches.min(self.terms.max_items)
    }

    /// Who gets what in a terminal `state`, fees of answered contests not included. The contract reckons in 256 bits; sums
    /// that do not fit into 128 are refused here.
    pub fn payout(&self, state: State) -> Result<Payout, DealError> {
        let terms = &self.terms;
        let all = times(terms.price_per_item, terms.max_items)?;
        let due = times(terms.price_per_item, self.paid_items())?;
        let left = subtract(all, due)?;
        let (scan, own, bond) = (terms.scan_fee, terms.requester_bond, terms.bond);
        Ok(match state {
            State::Cancelled => Payout {
                requester: sum([all, scan, own])?,
                ..Payout::default()
            },
            State::Settled => Payout {
                requester: sum([left, own])?,
                responder: sum([due, scan, bond])?,
                burnt: Amount::ZERO,
            },
            State::Rejected => Payout {
                requester: left,
                responder: subtract(sum([scan, bond])?, sum([due, own])?)?,
                burnt: sum([due, due, own, own])?,
            },
            State::Slashed => {
                let fees = times(terms.contest_fee, self.contests)?;
                Payout {
                    requester: sum([all, scan, own, bond, fees])?,
                    ..Payout::default()
                }
            }
            State::Open | State::Accepted | State::Claimed | State::Contested => Payout::default(),
        })
    }
}
