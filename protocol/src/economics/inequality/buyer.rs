//! What a buyer may try.

use super::{set, Fix, Inequality, Sums, Term};
use crate::economics::{words::Words, Chance, Rule};

impl Sums<'_> {
    pub(super) fn contest_worth_it(&self) -> Option<Inequality> {
        let (_, contests) = self.claim?;
        let (price, bond) = (self.terms.price.0, self.terms.seller_bond.0);
        let hit = self.hit.parts();
        let left = hit * (price + bond);
        let right = Chance::ONE.parts() * self.contests;
        let words = Words::default()
            .chance(self.hit)
            .money(" x (price ", price)
            .money(" + bond ", bond)
            .text(") >= ")
            .count(contests)
            .money(" contests, together ", self.contests);
        Some(Inequality::new(
            Rule::ContestWorthIt,
            left,
            right,
            words,
            || match hit {
                0 => Fix::Nothing,
                _ => set(Term::SellerBond, right.div_ceil(hit) - price),
            },
        ))
    }

    pub(super) fn contest_griefing(&self) -> Option<Inequality> {
        let (fee, _) = self.claim?;
        let gas = self.costs.gas.prove_shard.0;
        let words = Words::default()
            .money("contest fee ", fee)
            .money(" >= gas of a proof ", gas);
        Some(Inequality::new(
            Rule::ContestGriefing,
            fee,
            gas,
            words,
            || set(Term::ContestFee, gas),
        ))
    }

    pub(super) fn garbled_labels(&self) -> Inequality {
        let (bond, gas) = (self.terms.buyer_bond.0, self.costs.gas.open.0);
        let (fee, penalty) = (self.terms.preview_fee.0, self.terms.penalty.0);
        let most = fee.max(penalty);
        let words = Words::default()
            .money("buyer's bond ", bond)
            .money(" + gas of opening ", gas)
            .money(" >= the greater of: preview fee ", fee)
            .money(", penalty ", penalty);
        Inequality::new(Rule::GarbledLabels, bond + gas, most, words, || {
            set(Term::BuyerBond, most - gas)
        })
    }

    pub(super) fn buyer_silence(&self) -> Inequality {
        let (bond, fee) = (self.terms.buyer_bond.0, self.terms.preview_fee.0);
        let gas = self.costs.gas.accept.0;
        let right = fee + gas + self.shown_work;
        let words = Words::default()
            .money("buyer's bond ", bond)
            .money(" >= preview fee ", fee)
            .money(" + gas of accepting ", gas)
            .money(" + inferences shown ", self.shown_work);
        Inequality::new(Rule::BuyerSilence, bond, right, words, || {
            set(Term::BuyerBond, right)
        })
    }

    pub(super) fn refusal_pays(&self) -> Inequality {
        let (fee, penalty) = (self.terms.preview_fee.0, self.terms.penalty.0);
        let left = penalty + self.work;
        let words = Words::default()
            .money("penalty ", penalty)
            .money(" + inferences and proofs ", self.work)
            .money(" >= preview fee ", fee);
        Inequality::new(Rule::RefusalPays, left, fee, words, || {
            self.raise(Term::Penalty, fee - self.work)
        })
    }

    pub(super) fn buyer_takes_part(&self) -> Option<Inequality> {
        let worth = self.costs.worth?.0;
        let gas = self.costs.gas.open.0 + self.costs.gas.approve.0;
        let (price, besides) = (self.terms.price.0, self.labels + gas);
        let words = Words::default()
            .money("worth ", worth)
            .money(" >= price ", price)
            .money(" + labels ", self.labels)
            .money(" + gas ", gas);
        Some(Inequality::new(
            Rule::BuyerTakesPart,
            worth,
            price + besides,
            words,
            || match worth.checked_sub(besides) {
                Some(price) => set(Term::Price, price),
                None => Fix::Nothing,
            },
        ))
    }
}
