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

    pub(super) fn garbled_preview(&self) -> Option<Inequality> {
        let (gas, got) = (self.costs.gas.open.0, self.terms.preview.fee_to_buyer.0);
        let words = Words::default()
            .money("gas of opening ", gas)
            .money(" >= the buyer's part of the fee ", got);
        self.has_preview().then(|| {
            Inequality::new(Rule::GarbledPreview, gas, got, words, || {
                set(Term::FeeToBuyer, gas)
            })
        })
    }

    pub(super) fn garbled_rest(&self) -> Inequality {
        let (gas, got) = (self.costs.gas.open.0, self.terms.penalty_to_buyer.0);
        let words = Words::default()
            .money("gas of opening ", gas)
            .money(" >= the buyer's part of the penalty ", got);
        Inequality::new(Rule::GarbledRest, gas, got, words, || {
            set(Term::PenaltyToBuyer, gas)
        })
    }

    pub(super) fn buyer_silence(&self) -> Inequality {
        let (bond, silent) = (self.terms.buyer_bond.0, self.terms.no_receipt.0);
        let (got, gas) = (self.terms.buyer_bond_to_seller.0, self.costs.gas.accept.0);
        // What reaches the seller is taken off its loss, not off the buyer's.
        let (left, right) = (bond + got, silent + gas + self.shown_work);
        let words = Words::default()
            .money("buyer's bond ", bond)
            .money(" >= the seller's loss without a receipt ", silent)
            .money(" - its part of that bond ", got)
            .money(" + gas of accepting ", gas)
            .money(" + inferences shown ", self.shown_work);
        Inequality::new(Rule::BuyerSilence, left, right, words, || {
            set(Term::BuyerBond, right - got)
        })
    }

    pub(super) fn preview_pays(&self) -> Option<Inequality> {
        let (fee, penalty) = (self.terms.preview.fee.0, self.terms.penalty.0);
        let left = penalty + self.work;
        let words = Words::default()
            .money("penalty ", penalty)
            .money(" + inferences and proofs ", self.work)
            .money(" >= fee ", fee);
        self.has_preview().then(|| {
            Inequality::new(Rule::PreviewPays, left, fee, words, || {
                self.raise(Term::Penalty, fee - self.work)
            })
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
