//! The inequalities, each with its derivation.
//!
//! Letters: N samples, n shards, N1 shards shown, v samples in them, T the threshold; E, Z, P the cost of a label, a
//! proof, an inference, a sample each; b the chance that a model worse than T/N by the allowed error passes, a the
//! chance that one better by as much fails; q the chance that a false claim is caught.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who is hurt where an inequality does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The seller.
    Seller,
    /// The buyer.
    Buyer,
}

/// Which inequality. Every one reads `left >= right`; at equality honesty pays as well as the deviation, and honesty
/// is what a rational party is then taken to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// `risk >= b`. A pass must mean something: b is the binomial tail `P(X >= T | N, T/N - error)`, so this is the
    /// exact bound of Clopper and Pearson. Money cannot mend it, only samples.
    Sampling,
    /// `(1 - b) X >= b (price + prize + N E)`, X the cheapest way out, labels taken along set off against it:
    /// `min(preview fee - N E, penalty + N Z - N E, bond - N E)`. A seller who guesses (or commits to a smaller model)
    /// passes with chance at most b, whatever it makes of the preview, and else loses at least X: it expects at most
    /// `b (price + prize + N E) - (1 - b) X`.
    LazySeller,
    /// `preview fee >= N E`. A seller sees the whole test set before it signs for it, and can still go away: it has
    /// bought N labels for the fee. Who goes away after the preview has seen fewer.
    DeliveryHarvest,
    /// `penalty + N Z >= N E`. A seller without any model can go all the way and lose by the rules: it must make the
    /// proofs and pay the penalty, and keeps the labels. Vanishing after the receipt is dearer by [`Self::HiddenResult`].
    LosingOnPurpose,
    /// `bond >= penalty + N (P + Z) + gas`. A seller who is bound and sees that the count falls short proves it only if
    /// that costs no more than silence. One who is not bound yet can decline; then the buyer does not learn the count,
    /// and is paid its labels ([`Self::DeliveryHarvest`]).
    HiddenResult,
    /// `q (price + bond) >= N Z`. A seller who would pass saves N Z by claiming without proofs; caught, it loses
    /// price and bond: `price - N Z >= (1 - q) price - q bond`.
    SkippedProofs,
    /// `q bond >= (1 - q) (price + prize)`. A seller who would fail claims a pass. To lift the count by the allowed
    /// error it must falsify at least `error / shard size` shards, and it hands over no proofs, so that the buyer
    /// contests blindly: q is vigilance times the chance that a drawn shard is a false one.
    FalseClaim,
    /// `hit (price + bond) >= contests (contest fee + gas)`. A buyer without proofs contests only if what it gets
    /// back from a liar outweighs what all its contests cost: a threat dearer than its gain is not believed.
    ContestWorthIt,
    /// `contest fee >= gas of a proof`. Else a buyer can make the seller burn gas for less.
    ContestGriefing,
    /// `interest on price and bond while waiting >= contests (contest fee - gas of a proof)`. A seller paid more than
    /// its gas for a good proof withholds the proofs to be contested; all it loses is time.
    ContestBaiting,
    /// `buyer's bond + gas of opening >= max(preview fee, penalty)`. A buyer can flip labels, by enough to make a good
    /// model fall short. The seller sees it before its receipt. If it takes the fault for its own, the buyer earns the
    /// fee, or the penalty; if it denies the delivery, at the same price to itself ([`Self::RefusalPays`]), the buyer
    /// loses its bond. Where sellers deny such test sets at least every second time, the buyer gains nothing.
    GarbledLabels,
    /// `buyer's bond >= preview fee + gas of accepting + v P`. A buyer who says that it delivered and did not makes the
    /// seller deny it at the price of the fee; it must lose no less itself. One who says nothing loses the same bond.
    BuyerSilence,
    /// `2 preview fee >= N E + gas of opening`. A seller who declines out of spite loses the fee and makes the buyer
    /// lose labels and gas, less the fee: the first must be no less.
    DeclineGriefing,
    /// `penalty + N (P + Z) >= preview fee`. Refusing a test set must be the cheap way out of a garbled one, or looking
    /// at it is for nothing.
    RefusalPays,
    /// `(1 - a) price >= a penalty + N (P + Z) + gas`. Or no seller whose model is good takes part.
    SellerTakesPart,
    /// `worth >= price + N E + gas`, if the worth is known. Or no buyer does.
    BuyerTakesPart,
    /// `interest on the stake for the notice period >= a buyer's look at a model`. Or registering junk costs the
    /// buyers more than it costs the one who does it.
    JunkModels,
    /// `window >= outage`: shown shards arrive.
    PreviewWindow,
    /// `window >= outage`: the test set arrives.
    DeliverWindow,
    /// `window >= outage`: the seller answers what is said to be sent.
    RespondWindow,
    /// `window >= outage + n seconds per shard (+ n blocks when settled eagerly)`: an honest seller is not slashed.
    ProveWindow,
    /// `window >= outage + n blocks`: an honest buyer can contest every shard, a transaction each.
    ContestWindow,
    /// `window >= outage + n blocks`: every shard may be contested, and a block is assumed to take one proof.
    AnswerWindow,
    /// `notice period >= all windows`: the registry lets go of the stake after it.
    Lifetime,
}

impl Rule {
    /// All of them, in the order in which [`super::suggest`] mends them.
    pub const ALL: [Self; 24] = [
        Self::Sampling,
        Self::DeliveryHarvest,
        Self::DeclineGriefing,
        Self::LosingOnPurpose,
        Self::RefusalPays,
        Self::LazySeller,
        Self::SellerTakesPart,
        Self::HiddenResult,
        Self::SkippedProofs,
        Self::FalseClaim,
        Self::ContestGriefing,
        Self::ContestBaiting,
        Self::ContestWorthIt,
        Self::BuyerSilence,
        Self::GarbledLabels,
        Self::JunkModels,
        Self::PreviewWindow,
        Self::DeliverWindow,
        Self::RespondWindow,
        Self::ProveWindow,
        Self::ContestWindow,
        Self::AnswerWindow,
        Self::Lifetime,
        Self::BuyerTakesPart,
    ];

    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::LazySeller => "lazy-seller",
            Self::DeliveryHarvest => "delivery-harvest",
            Self::LosingOnPurpose => "losing-on-purpose",
            Self::HiddenResult => "hidden-result",
            Self::SkippedProofs => "skipped-proofs",
            Self::FalseClaim => "false-claim",
            Self::ContestWorthIt => "contest-worth-it",
            Self::ContestGriefing => "contest-griefing",
            Self::ContestBaiting => "contest-baiting",
            Self::GarbledLabels => "garbled-labels",
            Self::BuyerSilence => "buyer-silence",
            Self::DeclineGriefing => "decline-griefing",
            Self::RefusalPays => "refusal-pays",
            Self::SellerTakesPart => "seller-takes-part",
            Self::BuyerTakesPart => "buyer-takes-part",
            Self::JunkModels => "junk-models",
            Self::PreviewWindow => "preview-window",
            Self::DeliverWindow => "deliver-window",
            Self::RespondWindow => "respond-window",
            Self::ProveWindow => "prove-window",
            Self::ContestWindow => "contest-window",
            Self::AnswerWindow => "answer-window",
            Self::Lifetime => "lifetime",
        }
    }

    /// Who is hurt without it, and so looks at it before it takes part.
    pub fn protects(self) -> Side {
        match self {
            Self::RefusalPays
            | Self::SellerTakesPart
            | Self::BuyerSilence
            | Self::GarbledLabels
            | Self::ContestGriefing
            | Self::RespondWindow
            | Self::ProveWindow
            | Self::AnswerWindow => Side::Seller,
            _ => Side::Buyer,
        }
    }

    /// What goes wrong without it.
    pub fn protects_against(self) -> &'static str {
        match self {
            Self::Sampling => "a bad model that passes by luck: the test set is too small",
            Self::LazySeller => {
                "a seller who guesses, or serves a smaller model, and hopes to pass"
            }
            Self::DeliveryHarvest => "a seller who takes the test set and goes away",
            Self::LosingOnPurpose => {
                "a seller without a model who loses by the rules and keeps the labels"
            }
            Self::HiddenResult => "a seller who goes silent rather than prove a bad count",
            Self::SkippedProofs => "a seller who claims without making the proofs",
            Self::FalseClaim => "a seller who claims a false count and withholds the proofs",
            Self::ContestWorthIt => "a buyer who does not dare to contest",
            Self::ContestGriefing => "a buyer who contests good proofs to make the seller pay gas",
            Self::ContestBaiting => "a seller who withholds good proofs to be paid for contests",
            Self::GarbledLabels => "a buyer who flips labels to earn the fee or the penalty",
            Self::BuyerSilence => "a buyer who never delivers, or says that it did",
            Self::DeclineGriefing => "a seller who accepts and declines out of spite",
            Self::RefusalPays => {
                "garbage taken on since being bound to it is cheaper than refusing it"
            }
            Self::SellerTakesPart => "a good seller who stays away",
            Self::BuyerTakesPart => "a buyer who stays away",
            Self::JunkModels => "registered junk that costs buyers more than its owner",
            Self::PreviewWindow | Self::DeliverWindow => "an honest party that misses a delivery",
            Self::RespondWindow => "an honest seller who has no time to answer a delivery",
            Self::ProveWindow => "an honest seller slashed for want of time",
            Self::ContestWindow => "an honest buyer who has no time to contest",
            Self::AnswerWindow => "an honest seller who has no time to answer contests",
            Self::Lifetime => "a stake that is free before the agreement ends",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
