//! Terms that make sense, over a model that was fixed before.

use std::collections::BTreeSet;

use super::{paid_in, require, Outcome, Record};
use crate::{
    deal::{exact_value, is_money, offered, sum, times, ModelFacts, Moment, NOTICE_PERIOD},
    retrieval::{Retrieval, RetrievalError, State, Terms},
    shards::ends_by,
    value::{Address, Amount, Hash},
};

impl Terms {
    /// What `open` asks of terms, but for the model and the token.
    pub fn check(&self, now: u64) -> Result<(), RetrievalError> {
        ends_by(self.last_second(), now.saturating_add(NOTICE_PERIOD))?;
        self.make_sense(now)?;
        Ok(())
    }

    /// What is to be deposited.
    fn make_sense(&self, now: u64) -> Result<Amount, RetrievalError> {
        let (shards, samples) = (self.shards, self.samples);
        require(shards > 0 && shards <= samples, || {
            RetrievalError::ShardsOutOfRange { shards, samples }
        })?;
        let price = times(self.price_per_item, self.max_items)?;
        let expected = sum([price, self.requester_bond])?;
        let deposit = sum([expected, self.scan_fee])?;
        let found = self.bond;
        require(found >= expected, || RetrievalError::BondTooSmall {
            expected,
            found,
        })?;
        let (accept_by, claim_by) = (self.accept_by, self.claim_by);
        require(now < accept_by && accept_by < claim_by, || {
            RetrievalError::DeadlinesOutOfOrder {
                now,
                accept_by,
                claim_by,
            }
        })?;
        let (window, prove_time, receipt_time) = (self.window, self.prove_time, self.receipt_time);
        require(![window, prove_time, receipt_time].contains(&0), || {
            RetrievalError::NoTimeToJudge {
                window,
                prove_time,
                receipt_time,
            }
        })?;
        Ok(deposit)
    }
}

pub(super) fn open(
    before: Option<&Record>,
    requester: Address,
    terms: &Terms,
    model: Option<ModelFacts>,
    token_has_code: bool,
    value: Amount,
    now: Moment,
) -> Outcome {
    let (model, latest) = offered(model, terms.model, now)?;
    ends_by(terms.last_second(), latest)?;
    is_money(terms.token, token_has_code)?;
    let deposit = terms.make_sense(now.time)?;
    require(before.is_none(), || RetrievalError::AlreadyOpened)?;
    exact_value(terms.wei(deposit), value)?;
    let retrieval = Retrieval {
        terms: terms.clone(),
        requester,
        responder: model.seller,
        state: State::Open,
        deadline: terms.accept_by,
        contests: 0,
        matches: 0,
        window_end: 0,
        claim: Hash::ZERO,
        ciphertext: Hash::ZERO,
    };
    let record = Record {
        retrieval,
        contested: BTreeSet::new(),
        proven: BTreeSet::new(),
    };
    Ok((record, paid_in(deposit)))
}
