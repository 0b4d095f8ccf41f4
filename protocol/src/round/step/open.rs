//! Terms that make sense, over a model that was fixed before.

use std::collections::BTreeMap;

use super::{paid_in, require, Outcome, Record};
use crate::{
    deal::{exact_value, is_money, offered, times, ModelFacts, Moment},
    round::{Round, RoundError, RoundState, RoundTerms},
    value::{Address, Amount},
};

pub(super) fn open(
    before: Option<&Record>,
    buyer: Address,
    terms: &RoundTerms,
    model: Option<ModelFacts>,
    token_has_code: bool,
    value: Amount,
    now: Moment,
) -> Outcome {
    let (model, latest) = offered(model, terms.model, now)?;
    let last_second = terms.last_second();
    let too_long = RoundError::RoundTooLong {
        last_second,
        latest,
    };
    require(last_second <= latest, too_long)?;
    is_money(terms.token, token_has_code)?;
    require(terms.batches > 0, RoundError::NoBatches)?;
    require(
        now.time < terms.accept_by && terms.accept_by < terms.serve_by,
        RoundError::DeadlinesOutOfOrder {
            now: now.time,
            accept_by: terms.accept_by,
            serve_by: terms.serve_by,
        },
    )?;
    require(
        terms.window > 0 && terms.prove_time > 0,
        RoundError::NoTimeToContest {
            window: terms.window,
            prove_time: terms.prove_time,
        },
    )?;
    require(before.is_none(), RoundError::RoundExists)?;
    let deposit = times(terms.price, terms.batches)?;
    exact_value(terms.wei(deposit), value)?;
    let round = Round {
        terms: terms.clone(),
        buyer,
        seller: model.seller,
        state: RoundState::Open,
        deadline: terms.accept_by,
        contests: 0,
        count: 0,
        window_end: 0,
    };
    let contests = BTreeMap::new();
    Ok((Record { round, contests }, paid_in(deposit)))
}
