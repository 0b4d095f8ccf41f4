//! Changes of the terms.

use serde::{Deserialize, Serialize};

use crate::{
    economics::{Settlement, Terms},
    value::Amount,
};

/// The smallest change that makes a rule hold, all else left as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// It holds, or no change of the terms helps.
    Nothing,
    /// All of these together.
    Set(Vec<Change>),
    /// Another size of the test set, the threshold in proportion.
    Samples {
        /// The least that does; Hoeffding's where that is above 20,000.
        samples: u64,
        /// Its threshold.
        threshold: u64,
    },
    /// Every proof on chain: nobody is there to look at a claim.
    SettleEagerly,
}

/// One term, changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub term: Term,
    /// To what: base units, shards or seconds.
    pub to: Amount,
}

/// The terms that a change may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // The fields of `Terms`, under their names.
pub enum Term {
    Price,
    SellerBond,
    Penalty,
    BuyerBond,
    Stake,
    PreviewFee,
    ContestFee,
    PreviewWindow,
    DeliverWindow,
    RespondWindow,
    ProveWindow,
    ContestWindow,
    AnswerWindow,
}

impl Term {
    /// Whether it counts money, not seconds.
    pub fn is_money(self) -> bool {
        !matches!(
            self,
            Self::PreviewWindow
                | Self::DeliverWindow
                | Self::RespondWindow
                | Self::ProveWindow
                | Self::ContestWindow
                | Self::AnswerWindow
        )
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Price => "the price",
            Self::SellerBond => "the seller's bond",
            Self::Penalty => "the penalty",
            Self::BuyerBond => "the buyer's bond",
            Self::Stake => "the stake",
            Self::PreviewFee => "the preview fee",
            Self::ContestFee => "the contest fee",
            Self::PreviewWindow => "the preview's window",
            Self::DeliverWindow => "the delivery's window",
            Self::RespondWindow => "the window for the seller's answer",
            Self::ProveWindow => "the window for proofs",
            Self::ContestWindow => "the window for contests",
            Self::AnswerWindow => "the window for answers",
        }
    }
}

impl Terms {
    /// The value of a term; a contest fee is 0 when settled eagerly.
    pub fn get(&self, term: Term) -> u128 {
        match term {
            Term::Price => self.price.0,
            Term::SellerBond => self.seller_bond.0,
            Term::Penalty => self.penalty.0,
            Term::BuyerBond => self.buyer_bond.0,
            Term::Stake => self.stake.0,
            Term::PreviewFee => self.preview_fee.0,
            Term::ContestFee => match self.settlement {
                Settlement::Eager => 0,
                Settlement::Claim { contest_fee, .. } => contest_fee.0,
            },
            Term::PreviewWindow => self.windows.preview.into(),
            Term::DeliverWindow => self.windows.deliver.into(),
            Term::RespondWindow => self.windows.respond.into(),
            Term::ProveWindow => self.windows.prove.into(),
            Term::ContestWindow => self.windows.contest.into(),
            Term::AnswerWindow => self.windows.answer.into(),
        }
    }

    /// Sets a term. A contest fee changes nothing when settled eagerly.
    pub fn set(&mut self, Change { term, to }: Change) {
        let seconds = u64::try_from(to.0).unwrap_or(u64::MAX);
        match term {
            Term::Price => self.price = to,
            Term::SellerBond => self.seller_bond = to,
            Term::Penalty => self.penalty = to,
            Term::BuyerBond => self.buyer_bond = to,
            Term::Stake => self.stake = to,
            Term::PreviewFee => self.preview_fee = to,
            Term::ContestFee => {
                if let Settlement::Claim { contest_fee, .. } = &mut self.settlement {
                    *contest_fee = to;
                }
            }
            Term::PreviewWindow => self.windows.preview = seconds,
            Term::DeliverWindow => self.windows.deliver = seconds,
            Term::RespondWindow => self.windows.respond = seconds,
            Term::ProveWindow => self.windows.prove = seconds,
            Term::ContestWindow => self.windows.contest = seconds,
            Term::AnswerWindow => self.windows.answer = seconds,
        }
    }
}
