//! What a seller may try.

use super::{set, Fix, Inequality, Sums, Term};
use crate::{
    bounds::{hoeffding_samples, passing_chance},
    deal::NOTICE_PERIOD,
    economics::{words::Words, Chance, Rule},
};

/// Above this many samples Hoeffding's size is named instead of the least.
const SEARCHED: u64 = 20_000;

/// Seconds of a year, times the basis points of its interest.
const YEAR: u128 = 10_000 * 31_536_000;

impl Sums<'_> {
    pub(super) fn sampling(&self) -> Inequality {
        let risk = Chance::from_points(self.costs.risk);
        let words = Words::default()
            .text("risk ")
            .chance(risk)
            .text(" >= ")
            .chance(self.lucky)
            .text(", the chance to get ")
            .count(self.terms.threshold)
            .text(" of ")
            .count(self.terms.samples)
            .text(" at an accuracy worse than that by the allowed error");
        let fix = || self.more_samples().unwrap_or(Fix::Nothing);
        Inequality::new(Rule::Sampling, risk.parts(), self.lucky.parts(), words, fix)
    }

    fn more_samples(&self) -> Option<Fix> {
        let error = f64::from(self.costs.error) / 10_000.0;
        let risk = f64::from(self.costs.risk) / 10_000.0;
        let (threshold, samples) = (self.terms.threshold, self.terms.samples);
        let needed = |n: u64| {
            u64::try_from((u128::from(n) * u128::from(threshold)).div_ceil(samples.into())).ok()
        };
        let most = hoeffding_samples(error, risk).ok()?;
        let does = |n: u64| {
            let chance = needed(n).and_then(|correct| {
                let accuracy = (correct as f64 / n as f64 - error).max(0.0);
                passing_chance(correct, n, accuracy).ok()
            });
            chance.is_some_and(|chance| {
                Chance::at_least(chance) <= Chance::from_points(self.costs.risk)
            })
        };
        let found = if most <= SEARCHED {
            // One more than Hoeffding's, for the rounding of chances.
            (u64::from(samples)..=most + 1).find(|n| does(*n))?
        } else {
            most + 1
        };
        Some(Fix::Samples {
            samples: found,
            threshold: needed(found)?,
        })
    }

    pub(super) fn lazy_seller(&self) -> Inequality {
        let exits = [
            (Term::PreviewFee, self.terms.preview_fee.0, self.labels),
            (
                Term::Penalty,
                self.terms.penalty.0,
                self.labels.saturating_sub(self.proofs),
            ),
            (Term::SellerBond, self.terms.seller_bond.0, self.labels),
        ];
        let net = exits
            .iter()
            .map(|(_, loss, taken)| loss.saturating_sub(*taken));
        let cheapest = net.min().unwrap_or(0);
        let gain = self.terms.price.0 + self.costs.prize.0 + self.labels;
        let fails = self.lucky.complement();
        let (left, right) = (fails.parts() * cheapest, self.lucky.parts() * gain);
        let words = Words::default()
            .text("(1 - ")
            .chance(self.lucky)
            .money(") x ", cheapest)
            .text(", the cheapest way out, >= ")
            .chance(self.lucky)
            .money(" x (price ", self.terms.price.0)
            .money(" + prize ", self.costs.prize.0)
            .money(" + labels ", self.labels)
            .text(")");
        Inequality::new(Rule::LazySeller, left, right, words, || {
            if fails.parts() == 0 {
                return Fix::Nothing;
            }
            let least = right.div_ceil(fails.parts());
            let low = exits
                .iter()
                .filter(|(_, loss, taken)| *loss < least + taken);
            self.raise_all(low.map(|&(term, _, taken)| (term, least + taken)))
        })
    }

    pub(super) fn delivery_harvest(&self) -> Inequality {
        let fee = self.terms.preview_fee.0;
        let words = Words::default()
            .money("preview fee ", fee)
            .money(" >= labels ", self.labels);
        Inequality::new(Rule::DeliveryHarvest, fee, self.labels, words, || {
            self.raise(Term::PreviewFee, self.labels)
        })
    }

    pub(super) fn losing_on_purpose(&self) -> Inequality {
        let left = self.terms.penalty.0 + self.proofs;
        let words = Words::default()
            .money("penalty ", self.terms.penalty.0)
            .money(" + proofs ", self.proofs)
            .money(" >= labels ", self.labels);
        Inequality::new(Rule::LosingOnPurpose, left, self.labels, words, || {
            self.raise(Term::Penalty, self.labels - self.proofs)
        })
    }

    pub(super) fn hidden_result(&self) -> Inequality {
        let bond = self.terms.seller_bond.0;
        let right = self.terms.penalty.0 + self.work + self.result_gas;
        let words = Words::default()
            .money("bond ", bond)
            .money(" >= penalty ", self.terms.penalty.0)
            .money(" + inferences and proofs ", self.work)
            .money(" + gas ", self.result_gas);
        Inequality::new(Rule::HiddenResult, bond, right, words, || {
            set(Term::SellerBond, right)
        })
    }

    pub(super) fn skipped_proofs(&self) -> Option<Inequality> {
        self.claim?;
        let (price, bond) = (self.terms.price.0, self.terms.seller_bond.0);
        let (caught, sure) = (self.caught.parts(), Chance::ONE.parts());
        let (left, right) = (caught * (price + bond), sure * self.proofs);
        let words = Words::default()
            .chance(self.caught)
            .money(" x (price ", price)
            .money(" + bond ", bond)
            .money(") >= proofs ", self.proofs);
        Some(Inequality::new(
            Rule::SkippedProofs,
            left,
            right,
            words,
            || match quotient(right, caught) {
                Some(both) => set(Term::SellerBond, both - price),
                None => Fix::SettleEagerly,
            },
        ))
    }

    pub(super) fn false_claim(&self) -> Option<Inequality> {
        self.claim?;
        let bond = self.terms.seller_bond.0;
        let gain = self.terms.price.0 + self.costs.prize.0;
        let (caught, missed) = (self.caught.parts(), self.caught.complement());
        let (left, right) = (caught * bond, missed.parts() * gain);
        let words = Words::default()
            .chance(self.caught)
            .money(" x bond ", bond)
            .text(" >= ")
            .chance(missed)
            .money(" x (price ", self.terms.price.0)
            .money(" + prize ", self.costs.prize.0)
            .text(")");
        Some(Inequality::new(
            Rule::FalseClaim,
            left,
            right,
            words,
            || match quotient(right, caught) {
                Some(bond) => set(Term::SellerBond, bond),
                None => Fix::SettleEagerly,
            },
        ))
    }

    pub(super) fn contest_baiting(&self) -> Option<Inequality> {
        let (fee, contests) = self.claim?;
        let gas = self.costs.gas.prove_shard.0;
        let windows = self.terms.windows;
        // No longer than any agreement lives, so that nothing overflows.
        let waits = windows.contest.saturating_add(windows.answer);
        let waits = u128::from(waits.min(NOTICE_PERIOD));
        let locked = self.terms.price.0 + self.terms.seller_bond.0;
        let left = locked * (u128::from(self.costs.interest) * waits) / YEAR;
        let right = fee.saturating_sub(gas).saturating_mul(contests.into());
        let words = Words::default()
            .money("interest while waiting ", left)
            .text(" >= ")
            .count(contests)
            .money(" x (contest fee ", fee)
            .money(" - gas ", gas)
            .text(")");
        Some(Inequality::new(
            Rule::ContestBaiting,
            left,
            right,
            words,
            || set(Term::ContestFee, gas + left / u128::from(contests.max(1))),
        ))
    }

    pub(super) fn decline_griefing(&self) -> Inequality {
        let (fee, gas) = (self.terms.preview_fee.0, self.costs.gas.open.0);
        let right = self.labels + gas;
        let words = Words::default()
            .money("preview fee, lost and gained, 2 x ", fee)
            .money(" >= labels ", self.labels)
            .money(" + gas of opening ", gas);
        Inequality::new(Rule::DeclineGriefing, 2 * fee, right, words, || {
            self.raise(Term::PreviewFee, right.div_ceil(2))
        })
    }

    pub(super) fn seller_takes_part(&self) -> Inequality {
        let (price, penalty) = (self.terms.price.0, self.terms.penalty.0);
        let gas = self.costs.gas.accept.0 + self.result_gas;
        let passes = self.unlucky.complement();
        let spent = Chance::ONE.parts() * (self.work + gas);
        let left = passes.parts() * price;
        let right = self.unlucky.parts() * penalty + spent;
        let words = Words::default()
            .chance(passes)
            .money(" x price ", price)
            .text(" >= ")
            .chance(self.unlucky)
            .money(" x penalty ", penalty)
            .money(" + inferences and proofs ", self.work)
            .money(" + gas ", gas);
        Inequality::new(
            Rule::SellerTakesPart,
            left,
            right,
            words,
            || match quotient(right, passes.parts()) {
                Some(price) => set(Term::Price, price),
                None => Fix::Nothing,
            },
        )
    }

    pub(super) fn junk_models(&self) -> Inequality {
        let notice = u128::from(NOTICE_PERIOD);
        let interest = u128::from(self.costs.interest) * notice;
        let (stake, look) = (self.terms.stake.0, self.costs.look.0);
        let (left, right) = (stake * interest, look * YEAR);
        let words = Words::default()
            .money("interest on the stake ", left / YEAR)
            .money(" >= a look ", look);
        Inequality::new(Rule::JunkModels, left, right, words, || {
            match quotient(right, interest) {
                Some(stake) => set(Term::Stake, stake),
                None => Fix::Nothing,
            }
        })
    }
}

/// The quotient rounded up, if there is one.
fn quotient(of: u128, by: u128) -> Option<u128> {
    (by != 0).then(|| of.div_ceil(by))
}
