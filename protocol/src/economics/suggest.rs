//! The least terms that pass: start from nothing and mend what is broken until nothing is.

use super::{
    inequality::{false_shards, Sums, Term},
    Chance, Change, Costs, EconomicsError, Fix, Inequality, Rule, Settlement, Terms, Windows,
};
use crate::{bounds::audit_samples, value::Amount};

/// Rounds of mending before giving up. Each price, penalty and bond is raised by another one times a chance below one,
/// so what converges does so within a few.
const ROUNDS: usize = 200;

/// What is settled before the money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// N.
    pub samples: u32,
    /// Samples a proof covers.
    pub shard_size: u32,
    /// T.
    pub threshold: u32,
    /// Every proof on chain.
    pub eager: bool,
    /// Shards to show; by default as many as hold the samples that show one wrong label in twenty at 95 %.
    pub preview_shards: Option<u32>,
    /// The price, if it is settled; else the least for which a good seller takes part.
    pub price: Option<Amount>,
}

/// The least terms that pass [`super::check`] under these costs, amounts rounded up to two digits.
pub fn suggest(wish: &Wish, costs: &Costs) -> Result<Terms, EconomicsError> {
    let (terms, stuck) = search(wish, costs)?;
    match stuck {
        None => Ok(terms),
        Some(stuck) => Err(no_terms(&stuck)),
    }
}

/// The same; where a rule cannot be satisfied, the least terms that satisfy those before it and, as far as one round of
/// mending goes, those after it.
pub fn closest(wish: &Wish, costs: &Costs) -> Result<Terms, EconomicsError> {
    Ok(search(wish, costs)?.0)
}

/// The least terms, and the first rule that stays broken.
fn search(wish: &Wish, costs: &Costs) -> Result<(Terms, Option<Inequality>), EconomicsError> {
    let mut terms = start(wish)?;
    for _ in 0..ROUNDS {
        let found = mend(&mut terms, costs, wish.price.is_some())?;
        if found.whole || found.stuck.is_some() {
            return Ok((terms, found.stuck));
        }
    }
    let broken = super::inequalities(&terms, costs)?;
    Ok((terms, broken.into_iter().find(|rule| !rule.holds())))
}

/// What one round of mending came to.
struct Mended {
    /// Nothing was broken.
    whole: bool,
    /// The first rule that no change mends.
    stuck: Option<Inequality>,
}

fn start(wish: &Wish) -> Result<Terms, EconomicsError> {
    let shards = wish.samples.div_ceil(wish.shard_size.max(1));
    let telling = u32::try_from(audit_samples(0.05, 0.05)?).unwrap_or(u32::MAX);
    let default = telling.div_ceil(wish.shard_size.max(1)).min(shards);
    let settlement = if wish.eager {
        Settlement::Eager
    } else {
        Settlement::Claim {
            contest_fee: Amount::ZERO,
            blind_contests: 1.min(shards),
        }
    };
    Ok(Terms {
        samples: wish.samples,
        shard_size: wish.shard_size,
        threshold: wish.threshold,
        price: wish.price.unwrap_or_default(),
        seller_bond: Amount::ZERO,
        penalty: Amount::ZERO,
        buyer_bond: Amount::ZERO,
        stake: Amount::ZERO,
        preview_fee: Amount::ZERO,
        preview_shards: wish.preview_shards.unwrap_or(default),
        settlement,
        windows: Windows {
            accept: 600,
            preview: 0,
            deliver: 0,
            respond: 0,
            prove: 0,
            contest: 0,
            answer: 0,
        },
    })
}

/// One pass over the rules.
fn mend(terms: &mut Terms, costs: &Costs, fixed_price: bool) -> Result<Mended, EconomicsError> {
    let mut mended = Mended {
        whole: true,
        stuck: None,
    };
    for rule in Rule::ALL {
        if rule == Rule::FalseClaim {
            choose_contests(terms, costs);
        }
        let Some(found) = Sums::new(terms, costs)?.inequality(rule) else {
            continue;
        };
        if found.holds() {
            continue;
        }
        mended.whole = false;
        // What would be lowered was raised for another rule; a price that is settled stays.
        let stuck = matches!(rule, Rule::Lifetime | Rule::BuyerTakesPart)
            || (fixed_price && rule == Rule::SellerTakesPart);
        match &found.fix {
            Fix::Set(changes) if !stuck => {
                for change in changes {
                    raise(terms, *change);
                }
            }
            _ => mended.stuck = mended.stuck.or(Some(found)),
        }
    }
    Ok(mended)
}

/// Sets a term to a round number at or above the change. A contest fee is bounded from both sides and stays exact, as
/// does time. What is taken from the bond must fit into it.
fn raise(terms: &mut Terms, change: Change) {
    let round = change.term.is_money() && change.term != Term::ContestFee;
    let to = if round {
        two_digits(change.to.0)
    } else {
        change.to.0
    };
    terms.set(Change {
        term: change.term,
        to: Amount(to),
    });
    let parts = [terms.penalty, terms.preview_fee];
    terms.seller_bond = parts.into_iter().fold(terms.seller_bond, Amount::max);
}

/// The least number of two significant digits at or above `amount`.
fn two_digits(amount: u128) -> u128 {
    let unit = 10u128.saturating_pow(amount.checked_ilog10().unwrap_or(0).saturating_sub(1));
    amount.div_ceil(unit).saturating_mul(unit)
}

/// The number of blind contests that needs the least bond: few are seldom enough, many are dear. The first such number.
pub(super) fn choose_contests(terms: &mut Terms, costs: &Costs) {
    let shards = terms.shards();
    let bad = false_shards(terms, costs);
    let Settlement::Claim { blind_contests, .. } = &mut terms.settlement else {
        return;
    };
    let gain = (terms.price.0 + costs.prize.0) as f64;
    let cost = (costs.gas.prove_shard.0 + costs.gas.contest.0) as f64;
    let vigilance = Chance::from_points(costs.vigilance).fraction();
    let mut least = f64::INFINITY;
    // The miss chance shard by shard, as in `hit_chance`.
    let mut missed = 1.0;
    for drawn in 1..=shards {
        let left = shards - (drawn - 1);
        missed *= f64::from((left).saturating_sub(bad)) / f64::from(left);
        let hit = 1.0 - missed;
        let caught = vigilance * hit;
        let deterring = (1.0 - caught) / caught * gain;
        let believed = f64::from(drawn) * cost / hit - terms.price.0 as f64;
        let bond = deterring.max(believed);
        if bond < least {
            least = bond;
            *blind_contests = drawn;
        }
    }
}

fn no_terms(inequality: &Inequality) -> EconomicsError {
    EconomicsError::NoTerms {
        rule: inequality.rule,
        numbers: inequality.words.say(|amount| amount.to_string()),
    }
}
