//! Terms and costs of all kinds.

use proptest::prelude::*;

use super::flips;
use crate::{
    economics::{
        check, inequalities, suggest, Costs, EconomicsError, Fix, Gas, Rule, Settlement, Windows,
        Wish,
    },
    value::Amount,
};

prop_compose! {
    fn any_costs()(
        label in 0u128..1 << 60, proof in 0u128..1 << 50, inference in 0u128..1 << 40, look in 0u128..1 << 60,
        prize in 0u128..1 << 70, gas in 0u128..1 << 40, error in 100u32..1_000, risk in 50u32..1_000,
        vigilance in 100u32..=10_000, interest in 1u32..=10_000, outage in 0u64..90_000,
        seconds_per_shard in 0u64..600, block_seconds in 0u64..15,
    ) -> Costs {
        let units = |units: u128| Amount(units * gas);
        Costs {
            label: Amount(label), proof: Amount(proof), inference: Amount(inference), look: Amount(look),
            prize: Amount(prize), worth: None,
            gas: Gas {
                open: units(244_000), accept: units(43_000), acknowledge: units(56_000), claim: units(150_000),
                approve: units(100_000), contest: units(100_000), prove_shard: units(840_000),
            },
            error, risk, vigilance, interest, outage, seconds_per_shard, block_seconds,
        }
    }
}

prop_compose! {
    fn any_wish()(
        samples in 1u32..20_000, shard_size in 8u32..2_000, share in 6_000u64..=10_000, eager: bool,
        shown in proptest::option::of(0u32..4),
    ) -> Wish {
        let threshold = (share * u64::from(samples)).div_ceil(10_000) as u32;
        let shards = samples.div_ceil(shard_size);
        Wish {
            samples, shard_size, threshold, eager, preview_shards: shown.map(|shown| shown.min(shards)), price: None,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Or the test set is too small, or the agreement would take longer than the stake lies there.
    #[test]
    fn suggestions_always_pass(wish in any_wish(), costs in any_costs()) {
        match suggest(&wish, &costs) {
            Ok(terms) => prop_assert_eq!(check(&terms, &costs), Ok(())),
            Err(EconomicsError::NoTerms { rule, .. }) => {
                prop_assert!([Rule::Sampling, Rule::Lifetime].contains(&rule), "{rule}");
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }

    /// Out of any terms at all, every rule that a change of the terms can mend flips at that change.
    #[test]
    fn any_broken_rule_flips_at_its_fix(
        wish in any_wish(), costs in any_costs(), money in proptest::array::uniform8(0u128..1 << 75),
        seconds in proptest::array::uniform6(0u64..1_000_000), contests: u32, worth: bool,
    ) {
        let mut costs = costs;
        let Ok(mut terms) = suggest(&wish, &Costs { error: 999, risk: 9_999, ..costs }) else {
            return Ok(());
        };
        let [price, bond, penalty, buyer, fee, stake, a, b] = money;
        let within = |part: u128, whole: u128| Amount(part % (whole + 1));
        terms.price = Amount(price);
        terms.seller_bond = Amount(bond);
        terms.penalty = within(penalty, bond);
        terms.buyer_bond = Amount(buyer);
        terms.preview_fee = within(fee, bond);
        terms.stake = Amount(stake);
        let [preview, deliver, respond, prove, contest, answer] = seconds;
        terms.windows = Windows { accept: 1, preview, deliver, respond, prove, contest, answer };
        if let Settlement::Claim { contest_fee, blind_contests } = &mut terms.settlement {
            *contest_fee = Amount(a);
            *blind_contests = contests % (terms.samples.div_ceil(terms.shard_size) + 1);
        }
        if worth {
            costs.worth = Some(Amount(b));
        }
        // Too large a total is refused, not judged.
        let Ok(all) = inequalities(&terms, &costs) else { return Ok(()) };
        for broken in all.into_iter().filter(|inequality| !inequality.holds()) {
            if let Fix::Set(_) = broken.fix {
                flips(&terms, &costs, broken.rule);
            }
        }
    }
}
