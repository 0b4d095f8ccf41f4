//! From the terms the escrow holds to those the rules read.

use super::{suggest::choose_contests, Costs, EconomicsError, Settlement, Terms, Windows};
use crate::{
    agreement::{self, Mode},
    value::Amount,
};

/// What the terms of an agreement do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Samples a proof covers, by the architecture of the model.
    pub shard_size: u32,
    /// Block time at which the first window begins, Unix seconds.
    pub now: u64,
    /// The seller's deposit with the registry for the model, wei.
    pub stake: Amount,
}

impl Terms {
    /// What an agreement means to a rational party. A buyer without proofs is taken to contest as many shards as need
    /// the least bond under these costs; nothing in the agreement settles it.
    pub fn of(
        agreement: &agreement::Terms,
        setting: &Setting,
        costs: &Costs,
    ) -> Result<Self, EconomicsError> {
        let expected = agreement.samples.div_ceil(setting.shard_size.max(1));
        if agreement.shards != expected {
            return Err(EconomicsError::Shards {
                expected,
                samples: agreement.samples,
                size: setting.shard_size,
                got: agreement.shards,
            });
        }
        let respond = u64::from(agreement.response_time);
        let settlement = match agreement.mode {
            Mode::Eager => Settlement::Eager,
            Mode::Optimistic => Settlement::Claim {
                contest_fee: agreement.contest_fee,
                blind_contests: 1.min(agreement.shards),
            },
        };
        let looked_at = |seconds: u32| match agreement.mode {
            Mode::Eager => 0,
            Mode::Optimistic => seconds.into(),
        };
        let from = |start: u64, end: u64| end.saturating_sub(start);
        let mut terms = Self {
            samples: agreement.samples,
            shard_size: setting.shard_size,
            threshold: agreement.threshold,
            price: agreement.price,
            seller_bond: agreement.bond,
            penalty: agreement.penalty,
            buyer_bond: agreement.buyer_bond,
            stake: setting.stake,
            preview_fee: agreement.preview_fee,
            preview_shards: agreement.preview_shards,
            settlement,
            windows: Windows {
                accept: from(setting.now, agreement.accept_by),
                preview: from(agreement.accept_by, agreement.preview_by),
                deliver: from(
                    agreement.preview_by.saturating_add(respond),
                    agreement.deliver_by,
                ),
                respond,
                prove: from(
                    agreement.deliver_by.saturating_add(respond),
                    agreement.claim_by,
                ),
                contest: looked_at(agreement.window),
                answer: looked_at(agreement.prove_time),
            },
        };
        choose_contests(&mut terms, costs);
        Ok(terms)
    }
}
