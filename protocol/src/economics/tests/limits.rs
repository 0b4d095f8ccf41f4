//! Numbers that contradict each other, and the largest that are judged.

use super::{costs, WISH};
use crate::{
    economics::{
        check, inequalities, suggest, Costs, EconomicsError, Refusal, Settlement, Terms, CEILING,
    },
    value::Amount,
};

#[test]
fn numbers_that_contradict_each_other_are_refused() {
    type Spoil = fn(&mut Terms, &mut Costs);
    let out_of_range: [Spoil; 9] = [
        |terms, _| terms.threshold = terms.samples + 1,
        |terms, _| terms.penalty.0 = terms.seller_bond.0 + 1,
        |terms, _| terms.preview_fee.0 = terms.seller_bond.0 + 1,
        |terms, _| terms.preview_shards = terms.shards() + 1,
        |terms, _| terms.price = Amount(u128::MAX),
        |_, costs| costs.label = Amount(CEILING / 10_000 + 1),
        |_, costs| costs.gas.prove_shard = Amount(u128::MAX),
        |_, costs| costs.risk = 10_000,
        |_, costs| costs.vigilance = 10_001,
    ];
    for spoil in out_of_range {
        let (mut terms, mut costs) = (suggest(&WISH, &costs()).unwrap(), costs());
        spoil(&mut terms, &mut costs);
        assert!(matches!(
            check(&terms, &costs),
            Err(Refusal::Malformed(EconomicsError::OutOfRange { .. }))
        ));
    }
    let zero: [Spoil; 5] = [
        |terms, _| terms.samples = 0,
        |terms, _| terms.shard_size = 0,
        |terms, _| terms.threshold = 0,
        |_, costs| costs.error = 0,
        |_, costs| costs.risk = 0,
    ];
    for spoil in zero {
        let (mut terms, mut costs) = (suggest(&WISH, &costs()).unwrap(), costs());
        spoil(&mut terms, &mut costs);
        assert!(matches!(
            check(&terms, &costs),
            Err(Refusal::Malformed(EconomicsError::Zero(_)))
        ));
    }
}

/// The largest numbers that are judged at all: none overflows.
#[test]
fn the_largest_numbers_are_judged() {
    let most = Amount(CEILING - 1);
    for (samples, shard_size, contests) in [(10_000, 152, 66), (10_000, 10_000, 1), (1, 1, 1)] {
        let each = |count: u32| Amount((CEILING - 1) / u128::from(count));
        let mut terms = suggest(&WISH, &costs()).unwrap();
        (terms.samples, terms.shard_size) = (samples, shard_size);
        terms.threshold = samples;
        (terms.price, terms.seller_bond, terms.penalty) = (most, most, most);
        (terms.buyer_bond, terms.stake, terms.preview_fee) = (most, most, most);
        let mut costs = costs();
        (costs.label, costs.proof, costs.inference) = (each(samples), each(samples), each(samples));
        (costs.look, costs.prize, costs.worth) = (most, most, Some(most));
        let gas = &mut costs.gas;
        (gas.open, gas.accept, gas.acknowledge) = (most, most, most);
        (gas.claim, gas.approve) = (most, most);
        gas.contest = each(2 * contests);
        gas.prove_shard = each(samples.div_ceil(shard_size));
        (costs.interest, costs.outage, costs.seconds_per_shard) = (10_000, u64::MAX, u64::MAX);
        costs.block_seconds = u64::MAX;
        for vigilance in [0, 1, 10_000] {
            costs.vigilance = vigilance;
            for blind_contests in [0, contests] {
                terms.settlement = Settlement::Claim {
                    contest_fee: each(2 * contests),
                    blind_contests,
                };
                inequalities(&terms, &costs).unwrap();
            }
            terms.settlement = Settlement::Eager;
            inequalities(&terms, &costs).unwrap();
        }
        terms.windows.accept = u64::MAX;
        inequalities(&terms, &costs).unwrap();
    }
}
