//! From terms and costs to inequalities with numbers, and to the change that mends each.

mod buyer;
mod change;
mod seller;
mod time;

pub use change::{Change, Fix, Term};

use super::{
    chance::hit_chance, words::Words, Chance, Costs, EconomicsError, Rule, Settlement, Terms,
    CEILING,
};
use crate::{bounds::passing_chance, value::Amount};

/// One rule with its numbers: it holds when `left >= right`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inequality {
    /// Which.
    pub rule: Rule,
    /// In the rule's own unit: base units or seconds, times the denominators of its chances.
    pub left: u128,
    /// Must not be above `left`.
    pub right: u128,
    /// The numbers put in.
    pub words: Words,
    /// What would mend it; [`Fix::Nothing`] when it holds.
    pub fix: Fix,
}

impl Inequality {
    fn new(rule: Rule, left: u128, right: u128, words: Words, fix: impl FnOnce() -> Fix) -> Self {
        let fix = if left >= right { Fix::Nothing } else { fix() };
        Self {
            rule,
            left,
            right,
            words,
            fix,
        }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        self.left >= self.right
    }
}

fn set(term: Term, to: u128) -> Fix {
    Fix::Set(vec![Change {
        term,
        to: Amount(to),
    }])
}

/// Every inequality that applies to these terms, in the order of [`Rule::ALL`].
pub fn inequalities(terms: &Terms, costs: &Costs) -> Result<Vec<Inequality>, EconomicsError> {
    inequalities_of(terms, costs, |_| true)
}

/// The same for some of the rules only.
pub fn inequalities_of(
    terms: &Terms,
    costs: &Costs,
    which: impl Fn(Rule) -> bool,
) -> Result<Vec<Inequality>, EconomicsError> {
    let sums = Sums::new(terms, costs)?;
    Ok(Rule::ALL
        .into_iter()
        .filter(|rule| which(*rule))
        .filter_map(|rule| sums.inequality(rule))
        .collect())
}

/// What the rules are made of. Every amount is below [`CEILING`], so that sums of a few, times a denominator of a
/// chance, or of a year, stay below 2^128.
pub(super) struct Sums<'a> {
    pub terms: &'a Terms,
    pub costs: &'a Costs,
    /// n.
    pub shards: u32,
    /// N E.
    pub labels: u128,
    /// N Z.
    pub proofs: u128,
    /// N (P + Z).
    pub work: u128,
    /// v P.
    pub shown_work: u128,
    /// The seller's gas from the receipt on.
    pub result_gas: u128,
    /// b.
    pub lucky: Chance,
    /// a.
    pub unlucky: Chance,
    /// Chance that a blind contest meets a false shard.
    pub hit: Chance,
    /// Chance that a false claim is caught, q.
    pub caught: Chance,
    /// Contest fee and number of blind contests.
    pub claim: Option<(u128, u32)>,
    /// What all blind contests cost.
    pub contests: u128,
}

impl<'a> Sums<'a> {
    pub fn new(terms: &'a Terms, costs: &'a Costs) -> Result<Self, EconomicsError> {
        validate(terms, costs)?;
        let shards = terms.shards();
        let times = |what, count: u32, each: u128| {
            let total = each.saturating_mul(count.into());
            below(what, total, CEILING - 1).map(|()| total)
        };
        let (shown, gas) = (terms.shown(), &costs.gas);
        let proofs = times("all proofs", terms.samples, costs.proof.0)?;
        let inference = times("all inferences", terms.samples, costs.inference.0)?;
        let settle = match terms.settlement {
            Settlement::Eager => times("gas for all proofs", shards, gas.prove_shard.0)?,
            Settlement::Claim { .. } => gas.claim.0,
        };
        let claim = match terms.settlement {
            Settlement::Eager => None,
            Settlement::Claim {
                contest_fee,
                blind_contests,
            } => Some((contest_fee.0, blind_contests)),
        };
        let (fee, contested) = claim.unwrap_or_default();
        let hit = Chance::at_most(hit_chance(shards, false_shards(terms, costs), contested));
        let [lucky, unlucky] = luck(terms, costs)?;
        Ok(Self {
            terms,
            costs,
            shards,
            labels: times("all labels", terms.samples, costs.label.0)?,
            proofs,
            work: proofs + inference,
            shown_work: times("the shown inferences", shown, costs.inference.0)?,
            result_gas: gas.acknowledge.0 + settle,
            lucky,
            unlucky,
            hit,
            caught: hit.and(Chance::from_points(costs.vigilance)),
            claim,
            contests: times("all contests", contested, fee + gas.contest.0)?,
        })
    }

    /// The rule with its numbers, if it says something about these terms.
    pub fn inequality(&self, rule: Rule) -> Option<Inequality> {
        match rule {
            Rule::Sampling => Some(self.sampling()),
            Rule::LazySeller => Some(self.lazy_seller()),
            Rule::DeliveryHarvest => Some(self.delivery_harvest()),
            Rule::LosingOnPurpose => Some(self.losing_on_purpose()),
            Rule::HiddenResult => Some(self.hidden_result()),
            Rule::SkippedProofs => self.skipped_proofs(),
            Rule::FalseClaim => self.false_claim(),
            Rule::ContestWorthIt => self.contest_worth_it(),
            Rule::ContestGriefing => self.contest_griefing(),
            Rule::ContestBaiting => self.contest_baiting(),
            Rule::GarbledLabels => Some(self.garbled_labels()),
            Rule::BuyerSilence => Some(self.buyer_silence()),
            Rule::DeclineGriefing => Some(self.decline_griefing()),
            Rule::RefusalPays => Some(self.refusal_pays()),
            Rule::SellerTakesPart => Some(self.seller_takes_part()),
            Rule::BuyerTakesPart => self.buyer_takes_part(),
            Rule::JunkModels => Some(self.junk_models()),
            Rule::PreviewWindow => self.preview_window(),
            Rule::DeliverWindow => Some(self.deliver_window()),
            Rule::RespondWindow => Some(self.respond_window()),
            Rule::ProveWindow => Some(self.prove_window()),
            Rule::ContestWindow => self.contest_window(),
            Rule::AnswerWindow => self.answer_window(),
            Rule::Lifetime => Some(self.lifetime()),
        }
    }

    /// Raises one term; the bond too, where the term is taken from it and would not fit.
    fn raise(&self, term: Term, to: u128) -> Fix {
        self.raise_all([(term, to)])
    }

    fn raise_all(&self, changes: impl IntoIterator<Item = (Term, u128)>) -> Fix {
        let mut changes: Vec<_> = changes
            .into_iter()
            .map(|(term, to)| Change {
                term,
                to: Amount(to),
            })
            .collect();
        let most = changes.iter().map(|change| change.to).max();
        let bond_is_named = changes.iter().any(|change| change.term == Term::SellerBond);
        if let Some(to) = most.filter(|to| *to > self.terms.seller_bond && !bond_is_named) {
            changes.push(Change {
                term: Term::SellerBond,
                to,
            });
        }
        if let Some(bond) = changes.iter_mut().find(|c| c.term == Term::SellerBond) {
            bond.to = bond.to.max(most.unwrap_or_default());
        }
        Fix::Set(changes)
    }

    fn has_preview(&self) -> bool {
        self.terms.preview_shards > 0
    }
}

/// Fewest shards whose counts must be false to lift the count by the allowed error.
pub(super) fn false_shards(terms: &Terms, costs: &Costs) -> u32 {
    let lifted = u64::from(costs.error) * u64::from(terms.samples);
    let shards = lifted.div_ceil(10_000 * u64::from(terms.shard_size.max(1)));
    u32::try_from(shards)
        .unwrap_or(u32::MAX)
        .clamp(1, terms.shards().max(1))
}

/// Chance that a model worse by the allowed error passes, and that one better by it fails.
pub(super) fn luck(terms: &Terms, costs: &Costs) -> Result<[Chance; 2], EconomicsError> {
    let (threshold, samples) = (u64::from(terms.threshold), u64::from(terms.samples));
    let share = f64::from(terms.threshold) / f64::from(terms.samples);
    let error = f64::from(costs.error) / 10_000.0;
    let lucky = passing_chance(threshold, samples, (share - error).max(0.0))?;
    let passes = passing_chance(threshold, samples, (share + error).min(1.0))?;
    Ok([
        Chance::at_least(lucky),
        Chance::at_most(passes).complement(),
    ])
}

fn below(what: &'static str, got: u128, expected: u128) -> Result<(), EconomicsError> {
    if got <= expected {
        Ok(())
    } else {
        Err(EconomicsError::OutOfRange {
            what,
            expected,
            got,
        })
    }
}

fn validate(terms: &Terms, costs: &Costs) -> Result<(), EconomicsError> {
    let zero = [
        ("samples", u64::from(terms.samples)),
        ("a shard size", terms.shard_size.into()),
        ("a threshold", terms.threshold.into()),
        ("an allowed error", costs.error.into()),
        ("a risk", costs.risk.into()),
    ];
    if let Some((what, _)) = zero.into_iter().find(|(_, value)| *value == 0) {
        return Err(EconomicsError::Zero(what));
    }
    let amounts = [
        ("a price", terms.price),
        ("a seller's bond", terms.seller_bond),
        ("a buyer's bond", terms.buyer_bond),
        ("a stake", terms.stake),
        ("a preview fee", terms.preview_fee),
        ("a contest fee", Amount(terms.get(Term::ContestFee))),
        ("a look", costs.look),
        ("a prize", costs.prize),
        ("a worth", costs.worth.unwrap_or_default()),
        ("gas of opening", costs.gas.open),
        ("gas of accepting", costs.gas.accept),
        ("gas of acknowledging", costs.gas.acknowledge),
        ("gas of claiming", costs.gas.claim),
        ("gas of approving", costs.gas.approve),
        ("gas of contesting", costs.gas.contest),
        ("gas of a proof", costs.gas.prove_shard),
    ];
    for (what, amount) in amounts {
        below(what, amount.0, CEILING - 1)?;
    }
    let blind_contests = match terms.settlement {
        Settlement::Eager => 0,
        Settlement::Claim { blind_contests, .. } => blind_contests,
    };
    let parts = [
        ("a threshold", terms.threshold.into(), terms.samples.into()),
        ("a penalty", terms.penalty.0, terms.seller_bond.0),
        ("a preview fee", terms.preview_fee.0, terms.seller_bond.0),
        (
            "shown shards",
            terms.preview_shards.into(),
            terms.shards().into(),
        ),
        (
            "blind contests",
            blind_contests.into(),
            terms.shards().into(),
        ),
        ("an allowed error", costs.error.into(), 9_999),
        ("a risk", costs.risk.into(), 9_999),
        ("a vigilance", costs.vigilance.into(), 10_000),
        ("an interest", costs.interest.into(), 10_000),
    ];
    for (what, part, whole) in parts {
        below(what, part, whole)?;
    }
    Ok(())
}
