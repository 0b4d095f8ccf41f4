//! The amounts of an agreement: what the buyer says, and for the rest the least that leaves nobody a reason to cheat.

use zknode_protocol::{
    economics::{closest, Costs, EconomicsError, Settlement, Wish},
    value::Amount,
};

/// What the buyer says of the amounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// What the seller is paid.
    pub price: Amount,
    /// What the seller puts at stake.
    pub bond: Option<Amount>,
    /// What the seller loses of it when it falls short.
    pub penalty: Option<Amount>,
    /// What the buyer loses when it does not deliver.
    pub buyer_bond: Option<Amount>,
    /// What the seller loses of its bond when it goes away after the draw.
    pub preview_fee: Option<Amount>,
    /// What a contested proof earns the seller.
    pub contest_fee: Option<Amount>,
}

/// The amounts of an agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As in `Wanted`.
pub struct Money {
    pub price: Amount,
    pub bond: Amount,
    pub penalty: Amount,
    pub buyer_bond: Amount,
    pub preview_fee: Amount,
    pub contest_fee: Amount,
}

impl Wanted {
    /// Fills in what is not said. Where no amounts make the terms safe, such as for too few samples, what is filled in
    /// is the nearest; the terms must be judged in either case.
    pub fn settle(&self, wish: &Wish, costs: &Costs) -> Result<Money, EconomicsError> {
        let price = Some(self.price);
        let safe = closest(&Wish { price, ..*wish }, costs)?;
        let penalty = self.penalty.unwrap_or(safe.penalty);
        let preview_fee = self.preview_fee.unwrap_or(safe.preview_fee);
        let contest_fee = match safe.settlement {
            Settlement::Eager => Amount::ZERO,
            Settlement::Claim { contest_fee, .. } => contest_fee,
        };
        // What is taken out of the bond must fit into it, with the same room above the penalty.
        let room = safe.seller_bond.0.saturating_sub(safe.penalty.0);
        let bond = Amount(penalty.0.saturating_add(room));
        let bond = bond.max(safe.seller_bond).max(preview_fee);
        Ok(Money {
            price: self.price,
            bond: self.bond.unwrap_or(bond),
            penalty,
            buyer_bond: self.buyer_bond.unwrap_or(safe.buyer_bond),
            preview_fee,
            contest_fee: self.contest_fee.unwrap_or(contest_fee),
        })
    }
}

/// A price shared out among the samples: what a label is taken to be worth where nobody says better.
pub fn share_out(price: Amount, samples: u32) -> Amount {
    Amount(price.0.div_ceil(samples.max(1).into()))
}

impl Wanted {
    /// Nothing filled in: what is not said is zero.
    pub fn as_said(&self) -> Money {
        Money {
            price: self.price,
            bond: self.bond.unwrap_or_default(),
            penalty: self.penalty.unwrap_or_default(),
            buyer_bond: self.buyer_bond.unwrap_or_default(),
            preview_fee: self.preview_fee.unwrap_or_default(),
            contest_fee: self.contest_fee.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::costs::{gas, ANSWER_WITH_PROOF_GAS};
    use zknode_protocol::economics::suggest;

    const WISH: Wish = Wish {
        samples: 1_000,
        shard_size: 152,
        threshold: 980,
        eager: false,
        preview_shards: Some(1),
        price: Some(Amount(50_000_000_000_000_000)),
    };

    fn costs() -> Costs {
        Costs {
            label: Amount(20_000_000_000_000),
            proof: Amount(1_000_000_000),
            inference: Amount::ZERO,
            look: Amount::ZERO,
            prize: Amount::ZERO,
            worth: None,
            gas: gas(Amount(1_000_000_000), ANSWER_WITH_PROOF_GAS),
            error: 250,
            risk: 500,
            vigilance: 9_900,
            interest: 500,
            outage: 900,
            seconds_per_shard: 30,
            block_seconds: 12,
        }
    }

    #[test]
    fn what_is_not_said_is_the_least_that_is_safe() {
        let price = WISH.price.unwrap();
        let wanted = Wanted {
            price,
            ..Wanted::default()
        };
        let money = wanted.settle(&WISH, &costs()).unwrap();
        let safe = suggest(&WISH, &costs()).unwrap();
        assert_eq!(
            (money.bond, money.penalty, money.preview_fee),
            (safe.seller_bond, safe.penalty, safe.preview_fee)
        );
        assert_eq!(money.buyer_bond, safe.buyer_bond);
        assert_eq!(money.contest_fee, costs().gas.prove_shard);
    }

    #[test]
    fn what_is_said_stays_and_the_bond_makes_room_for_it() {
        let said = Wanted {
            price: Amount(7),
            bond: Some(Amount(1)),
            penalty: Some(Amount(2)),
            buyer_bond: Some(Amount(3)),
            preview_fee: Some(Amount(4)),
            contest_fee: Some(Amount(5)),
        };
        let money = said.settle(&WISH, &costs()).unwrap();
        let all = [money.price, money.bond, money.penalty, money.buyer_bond];
        assert_eq!(all.map(|amount| amount.0), [7, 1, 2, 3]);
        assert_eq!((money.preview_fee.0, money.contest_fee.0), (4, 5));
        let most = Amount(1 << 80);
        for (penalty, preview_fee) in [(Some(most), None), (None, Some(most))] {
            let wanted = Wanted {
                penalty,
                preview_fee,
                ..Wanted::default()
            };
            let money = wanted.settle(&WISH, &costs()).unwrap();
            assert!(money.bond >= most, "{money:?}");
        }
    }

    #[test]
    fn amounts_too_large_to_be_judged_stay_as_they_are_said() {
        let wanted = Wanted {
            price: Amount(1 << 90),
            ..Wanted::default()
        };
        let refused = wanted.settle(&WISH, &costs());
        assert!(matches!(refused, Err(EconomicsError::OutOfRange { .. })));
        assert_eq!(wanted.as_said().price, wanted.price);
        assert_eq!(wanted.as_said().bond, Amount::ZERO);
    }

    #[test]
    fn too_few_samples_still_get_amounts() {
        let few = Wish {
            samples: 9,
            shard_size: 8,
            threshold: 9,
            ..WISH
        };
        let money = Wanted::default().settle(&few, &costs()).unwrap();
        assert!(money.preview_fee.0 >= 9 * costs().label.0, "{money:?}");
        assert!(money.buyer_bond > money.preview_fee, "{money:?}");
    }
}
