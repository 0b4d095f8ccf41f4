//! What a transaction offers a gas unit: at first, when it waits too long, and at the most.
//!
//! A block takes the base fee (EIP-1559) and a tip out of what is offered; the rest is never paid. So the first offer
//! is generous, and a raise is made only where the pools ask for one.

use serde::{Deserialize, Serialize};

use super::SignedTx;
use crate::value::Amount;

/// The highest offer, as a multiple of the current base fee and tip together, unless a wallet is told otherwise. Seven
/// raises from the first offer; a base fee that multiplies itself in between lifts the ceiling with it.
pub const FEE_CEILING: u64 = 5;

/// What the chain asks and the account is willing to add, wei a gas unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// Height of the newest block.
    pub block: u64,
    /// Its base fee.
    pub base: Amount,
    /// The account's usual tip.
    pub tip: Amount,
}

/// What one transaction offers, wei a gas unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fees {
    /// Highest price, base fee and tip together.
    pub max: Amount,
    /// Highest tip.
    pub tip: Amount,
}

impl Market {
    /// A first offer: twice the base fee bears six full blocks.
    pub fn first(self) -> Fees {
        let max = self.base.0.saturating_mul(2).saturating_add(self.tip.0);
        Fees {
            max: Amount(max),
            tip: self.tip,
        }
    }

    /// What a unit of gas costs now, base fee and tip together.
    pub fn price(self) -> Amount {
        Amount(self.base.0.saturating_add(self.tip.0))
    }

    /// The most that may be offered now. A `multiple` below 2 would forbid the first offer and counts as 2.
    pub fn ceiling(self, multiple: u64) -> Amount {
        let one = self.price().0;
        Amount(one.saturating_mul(multiple.max(2).into()))
    }

    /// An offer that replaces `before` in every pool: at least today's first offer, and an eighth more on both (pools
    /// ask for a tenth).
    pub fn raised(self, before: Fees) -> Fees {
        let raised = |fee: Amount| fee.0.saturating_add(fee.0 / 8).saturating_add(1);
        let first = self.first();
        let tip = raised(before.tip).max(first.tip.0);
        Fees {
            max: Amount(raised(before.max).max(first.max.0).max(tip)),
            tip: Amount(tip),
        }
    }
}

impl SignedTx {
    /// What it offers.
    pub fn fees(&self) -> Fees {
        Fees {
            max: self.max_fee,
            tip: self.priority_fee,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKET: Market = Market {
        block: 1,
        base: Amount(1_000),
        tip: Amount(10),
    };

    #[test]
    fn raises_satisfy_the_pools_and_end_at_the_ceiling() {
        let mut fees = MARKET.first();
        assert_eq!((fees.max, fees.tip), (Amount(2_010), Amount(10)));
        let mut raises = 0;
        while MARKET.raised(fees).max <= MARKET.ceiling(FEE_CEILING) {
            let next = MARKET.raised(fees);
            assert!(next.max.0 * 10 >= fees.max.0 * 11 && next.tip.0 * 10 >= fees.tip.0 * 11);
            (fees, raises) = (next, raises + 1);
        }
        assert_eq!(raises, 7);
        assert!(fees.max <= Amount(5_050));
    }

    #[test]
    fn a_risen_base_fee_is_met_at_once() {
        let risen = Market {
            base: Amount(9_000),
            ..MARKET
        };
        assert_eq!(risen.raised(MARKET.first()).max, Amount(18_010));
    }

    #[test]
    fn extremes_saturate() {
        let all = Market {
            block: 1,
            base: Amount(u128::MAX),
            tip: Amount(u128::MAX),
        };
        assert_eq!(all.raised(all.first()).max, Amount(u128::MAX));
        assert_eq!(all.ceiling(0), Amount(u128::MAX));
    }
}
