//! Terms that make sense, over a model that was fixed before.

use super::{ends::deposited, require, Outcome};
use crate::{
    agreement::{Agreement, Mode, RuleError, State, Terms},
    deal::{exact_value, is_money, offered, sum, ModelFacts, Moment},
    shards::ends_by,
    value::{Address, Amount, Hash},
};

pub(super) fn open(
    buyer: Address,
    terms: &Terms,
    model: Option<ModelFacts>,
    token_has_code: bool,
    value: Amount,
    now: Moment,
) -> Outcome {
    let (model, latest) = offered(model, terms.model, now)?;
    ends_by(terms.last_second(), latest)?;
    is_money(terms.token, token_has_code)?;
    check_terms(terms, now.time)?;
    let deposit = sum([terms.price, terms.buyer_bond])?;
    exact_value(terms.wei(deposit), value)?;
    let agreement = Agreement {
        terms: terms.clone(),
        buyer,
        seller: model.seller,
        state: State::Open,
        deadline: terms.accept_by,
        draw_block: 0,
        seed: Hash::ZERO,
        window_end: 0,
        contested: Default::default(),
        proven: Default::default(),
        valid: 0,
        correct: 0,
        ciphertext: Hash::ZERO,
        claim: Hash::ZERO,
    };
    let deposit = deposited(terms, buyer, deposit);
    Ok((agreement, deposit))
}

fn check_terms(terms: &Terms, now: u64) -> Result<(), RuleError> {
    let Terms {
        shards,
        samples,
        threshold,
        preview_shards,
        ..
    } = *terms;
    let Terms {
        penalty,
        bond,
        preview_fee,
        ..
    } = *terms;
    let Terms {
        accept_by,
        preview_by,
        deliver_by,
        claim_by,
        ..
    } = *terms;
    require(penalty <= bond, || RuleError::PenaltyAboveBond {
        penalty,
        bond,
    })?;
    require(preview_fee <= bond, || RuleError::PreviewFeeAboveBond {
        preview_fee,
        bond,
    })?;
    require(1 <= shards && shards <= samples, || {
        RuleError::ShardsOutOfRange { shards, samples }
    })?;
    require(preview_shards <= shards, || RuleError::PreviewAboveShards {
        preview_shards,
        shards,
    })?;
    require(threshold <= samples, || RuleError::ThresholdAboveSamples {
        threshold,
        samples,
    })?;
    let answered = |by: u64| by.saturating_add(terms.response_time.into());
    require(
        now < accept_by
            && accept_by < preview_by
            && answered(preview_by) < deliver_by
            && answered(deliver_by) < claim_by,
        || RuleError::DeadlinesOutOfOrder {
            now,
            accept_by,
            preview_by,
            deliver_by,
            claim_by,
        },
    )?;
    let (window, prove_time) = (terms.window, terms.prove_time);
    require(
        terms.mode == Mode::Eager || (window > 0 && prove_time > 0),
        || RuleError::NoTimeToContest { window, prove_time },
    )
}
