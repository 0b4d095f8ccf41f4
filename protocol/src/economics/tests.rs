#![allow(clippy::unwrap_used, clippy::panic)]

mod escrow;
mod limits;
mod plays;
mod random;

use super::*;
use crate::bounds::clopper_pearson_lower;

const GWEI: u128 = 1_000_000_000;

fn costs() -> Costs {
    let gas = |units: u128| Amount(units * GWEI);
    Costs {
        label: Amount(20_000 * GWEI),
        proof: Amount(GWEI),
        inference: Amount(GWEI / 100),
        look: Amount(1_000 * GWEI),
        prize: Amount::ZERO,
        worth: None,
        gas: Gas {
            open: gas(244_000),
            accept: gas(43_000),
            acknowledge: gas(56_000),
            claim: gas(150_000),
            approve: gas(100_000),
            contest: gas(100_000),
            prove_shard: gas(840_000),
        },
        error: 250,
        risk: 500,
        vigilance: 9_900,
        interest: 500,
        outage: 21_600,
        seconds_per_shard: 20,
        block_seconds: 12,
    }
}

const WISH: Wish = Wish {
    samples: 10_000,
    shard_size: 152,
    threshold: 9_800,
    eager: false,
    preview_shards: None,
    price: None,
};

fn find(terms: &Terms, costs: &Costs, rule: Rule) -> Option<Inequality> {
    let found = inequalities(terms, costs).unwrap();
    found.into_iter().find(|inequality| inequality.rule == rule)
}

fn breaks(terms: &Terms, costs: &Costs, rule: Rule) -> bool {
    match check(terms, costs) {
        Ok(()) => false,
        Err(Refusal::Malformed(_)) => true,
        Err(Refusal::Unsafe(broken)) => broken.iter().any(|inequality| inequality.rule == rule),
    }
}

/// A broken rule holds after its fix, and is broken again when any part of the fix falls short by one.
fn flips(terms: &Terms, costs: &Costs, rule: Rule) {
    let broken = find(terms, costs, rule).unwrap();
    assert!(!broken.holds(), "{rule} holds: {broken:?}");
    assert!(breaks(terms, costs, rule));
    let Fix::Set(changes) = &broken.fix else {
        panic!("{rule}: {:?}", broken.fix);
    };
    assert!(!changes.is_empty());
    let with = |changes: &[Change]| {
        let mut terms = *terms;
        changes.iter().for_each(|change| terms.set(*change));
        terms
    };
    let mended = with(changes);
    if let Err(EconomicsError::OutOfRange { .. }) = inequalities(&mended, costs) {
        // So much cannot be locked: refused, not judged.
        return;
    }
    let after = find(&mended, costs, rule).unwrap();
    assert!(after.holds(), "{rule}: {after:?}");
    for (index, change) in changes.iter().enumerate() {
        let before = terms.get(change.term);
        assert_ne!(change.to.0, before, "{rule}: {change:?} changes nothing");
        let mut short = changes.clone();
        let step = if change.to.0 > before {
            change.to.0 - 1
        } else {
            change.to.0 + 1
        };
        short[index].to = Amount(step);
        assert!(
            breaks(&with(&short), costs, rule),
            "{rule}: {change:?} is more than needed"
        );
    }
}

#[test]
fn the_suggestion_passes_and_is_what_the_rules_leave() {
    for eager in [false, true] {
        let terms = suggest(&Wish { eager, ..WISH }, &costs()).unwrap();
        check(&terms, &costs()).unwrap();
        assert_eq!(terms.shards(), 66);
        assert_eq!(terms.shown(), 152);
    }
}

/// Each rule broken by hand, out of terms that pass.
#[test]
fn every_rule_is_reached_and_flips_at_its_boundary() {
    type Spoil = fn(&mut Terms, &mut Costs);
    let cases: [(Rule, Spoil); 21] = [
        (Rule::LazySeller, |terms, costs| {
            terms.penalty = Amount(terms.penalty.0 / 2);
            costs.prize = Amount(GWEI * GWEI);
        }),
        (Rule::LazySeller, |terms, _| {
            terms.preview_fee = Amount::ZERO
        }),
        (Rule::DeliveryHarvest, |terms, _| {
            terms.preview_fee = Amount(terms.preview_fee.0 / 2)
        }),
        (Rule::DeclineGriefing, |_, costs| {
            costs.gas.open = Amount(GWEI * GWEI)
        }),
        (Rule::LosingOnPurpose, |terms, _| {
            terms.penalty = Amount(GWEI * 1_000_000)
        }),
        (Rule::RefusalPays, |terms, _| {
            terms.preview_fee = terms.seller_bond
        }),
        (Rule::HiddenResult, |terms, _| {
            terms.penalty = terms.seller_bond
        }),
        (Rule::SkippedProofs, |terms, costs| {
            costs.proof = Amount(10u128.pow(15));
            terms.price = Amount(1);
        }),
        (Rule::FalseClaim, |terms, costs| {
            costs.vigilance = 100;
            terms.price = Amount(GWEI * GWEI);
        }),
        (Rule::ContestWorthIt, |_, costs| {
            costs.gas.contest = Amount(GWEI * GWEI)
        }),
        (Rule::ContestGriefing, |_, costs| {
            costs.gas.prove_shard.0 += 1
        }),
        (Rule::ContestBaiting, |terms, _| {
            terms.set(Change {
                term: Term::ContestFee,
                to: Amount(GWEI * GWEI),
            });
        }),
        (Rule::GarbledLabels, |terms, _| {
            terms.buyer_bond = Amount(terms.penalty.0 / 2)
        }),
        (Rule::BuyerSilence, |terms, _| {
            terms.buyer_bond = Amount::ZERO
        }),
        (Rule::SellerTakesPart, |terms, _| terms.price = Amount(1)),
        (Rule::BuyerTakesPart, |terms, costs| {
            costs.worth = Some(Amount(terms.price.0 + 10_000 * costs.label.0))
        }),
        (Rule::JunkModels, |terms, _| terms.stake = Amount(7)),
        (Rule::PreviewWindow, |terms, _| terms.windows.preview = 0),
        (Rule::DeliverWindow, |terms, _| terms.windows.deliver -= 1),
        (Rule::ProveWindow, |_, costs| costs.seconds_per_shard += 1),
        (Rule::ContestWindow, |terms, _| terms.windows.contest -= 1),
    ];
    for (rule, spoil) in cases {
        let mut costs = costs();
        // A price high enough that a worth can be found below it.
        let wish = Wish {
            price: Some(Amount(GWEI * GWEI)),
            ..WISH
        };
        let mut terms = suggest(&wish, &costs).unwrap();
        check(&terms, &costs).unwrap();
        spoil(&mut terms, &mut costs);
        flips(&terms, &costs, rule);
    }
    let mut terms = suggest(&WISH, &costs()).unwrap();
    terms.windows.answer -= 1;
    flips(&terms, &costs(), Rule::AnswerWindow);
    terms.windows.respond -= 1;
    flips(&terms, &costs(), Rule::RespondWindow);
    terms.windows.prove = crate::deal::NOTICE_PERIOD;
    flips(&terms, &costs(), Rule::Lifetime);
    let reached: std::collections::BTreeSet<_> = cases.iter().map(|(rule, _)| *rule).collect();
    // The three windows above, and sampling below.
    assert_eq!(reached.len() + 4, Rule::ALL.len());
}

#[test]
fn too_few_samples_are_mended_by_the_least_that_do() {
    let mut terms = suggest(&WISH, &costs()).unwrap();
    terms.samples = 60;
    terms.threshold = 59;
    let broken = find(&terms, &costs(), Rule::Sampling).unwrap();
    let Fix::Samples { samples, threshold } = broken.fix else {
        panic!("{:?}", broken.fix);
    };
    let holds = |samples: u64| {
        let mut terms = terms;
        terms.samples = samples as u32;
        terms.threshold = (samples * 59).div_ceil(60) as u32;
        find(&terms, &costs(), Rule::Sampling).unwrap().holds()
    };
    assert_eq!(threshold, (samples * 59).div_ceil(60));
    assert!(holds(samples));
    assert!((60..samples).all(|fewer| !holds(fewer)));
    let lower = clopper_pearson_lower(threshold, samples, 0.05).unwrap();
    assert!(lower >= threshold as f64 / samples as f64 - 0.025);
}

#[test]
fn where_nobody_looks_only_eager_settlement_helps() {
    let terms = suggest(&WISH, &costs()).unwrap();
    let blind = Costs {
        vigilance: 0,
        ..costs()
    };
    for rule in [Rule::FalseClaim, Rule::SkippedProofs] {
        assert_eq!(find(&terms, &blind, rule).unwrap().fix, Fix::SettleEagerly);
    }
    let Err(EconomicsError::NoTerms { rule, .. }) = suggest(&WISH, &blind) else {
        panic!("terms without vigilance");
    };
    assert_eq!(rule, Rule::SkippedProofs);
    let eager = suggest(
        &Wish {
            eager: true,
            ..WISH
        },
        &blind,
    )
    .unwrap();
    check(&eager, &blind).unwrap();
}

#[test]
fn what_cannot_be_mended_says_which_rule() {
    let poor = Costs {
        worth: Some(Amount(1)),
        ..costs()
    };
    assert!(matches!(
        suggest(&WISH, &poor),
        Err(EconomicsError::NoTerms {
            rule: Rule::BuyerTakesPart,
            ..
        })
    ));
    let cheap = Wish {
        price: Some(Amount(1)),
        ..WISH
    };
    assert!(matches!(
        suggest(&cheap, &costs()),
        Err(EconomicsError::NoTerms {
            rule: Rule::SellerTakesPart,
            ..
        })
    ));
    let few = Wish {
        samples: 50,
        threshold: 49,
        ..WISH
    };
    assert!(matches!(
        suggest(&few, &costs()),
        Err(EconomicsError::NoTerms {
            rule: Rule::Sampling,
            ..
        })
    ));
}

#[test]
fn names_are_those_of_the_json() {
    for rule in Rule::ALL {
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.name());
        assert!(!rule.protects_against().is_empty());
    }
    let distinct: std::collections::BTreeSet<_> = Rule::ALL.into_iter().collect();
    assert_eq!(distinct.len(), Rule::ALL.len());
}
