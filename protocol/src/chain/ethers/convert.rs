//! Between this crate's values and the contracts' words: what calls and logs share, and storage in.

use ::ethers::{
    abi::AbiDecode,
    types::{H160, U256},
};

use super::bindings::{escrow as e, registry as r};
use crate::{
    agreement::{Metric, Mode, State, Terms},
    chain::{AgreementSummary, ChainError, Model},
    value::{Address, Amount, Bytes, ModelId, Point, Signature},
};

/// Where a call goes (`None`: it creates a contract), the wei it sends and its data.
pub(super) type Outgoing = (Option<Address>, Amount, Vec<u8>);

pub(super) fn malformed(what: &str, reason: impl ToString) -> ChainError {
    ChainError::Malformed {
        what: what.into(),
        reason: reason.to_string(),
    }
}

pub(super) fn amount(what: &str, number: U256) -> Result<Amount, ChainError> {
    u128::try_from(number)
        .map(Amount)
        .map_err(|_| malformed(what, "an amount above 2^128"))
}

pub(super) fn join(points: &[Point]) -> ::ethers::types::Bytes {
    points
        .iter()
        .flat_map(|point| point.0)
        .collect::<Vec<u8>>()
        .into()
}

pub(super) fn h160(address: Address) -> H160 {
    H160(address.0)
}

pub(super) fn address(address: H160) -> Address {
    Bytes(address.0)
}

/// None where the sender itself is who must have signed.
pub(super) fn signature_out(signature: &Option<Signature>) -> ::ethers::types::Bytes {
    let bytes = signature.as_ref().map(|signature| signature.0.to_vec());
    bytes.unwrap_or_default().into()
}

pub(super) fn terms_in(terms: e::Terms) -> Result<Terms, ChainError> {
    Ok(Terms {
        model: ModelId(Bytes(terms.model_id)),
        dataset_root: Bytes(terms.dataset_root),
        token: address(terms.token),
        shards: terms.shards,
        samples: terms.samples,
        threshold: terms.threshold,
        price: Amount(terms.price),
        buyer_bond: Amount(terms.buyer_bond),
        bond: Amount(terms.bond),
        penalty: Amount(terms.penalty),
        preview_fee: Amount(terms.preview_fee),
        contest_fee: Amount(terms.contest_fee),
        accept_by: terms.accept_by,
        preview_by: terms.preview_by,
        deliver_by: terms.deliver_by,
        claim_by: terms.claim_by,
        metric: match terms.metric {
            0 => Metric::Top1,
            1 => Metric::TopK,
            other => return Err(malformed("agreement", format!("metric {other}"))),
        },
        mode: match terms.mode {
            0 => Mode::Optimistic,
            1 => Mode::Eager,
            other => return Err(malformed("agreement", format!("mode {other}"))),
        },
        preview_shards: terms.preview_shards,
        response_time: terms.response_time,
        window: terms.window,
        prove_time: terms.prove_time,
    })
}

/// The stored agreement, with the number of its proven shards.
pub(super) fn agreement_in(answer: &[u8]) -> Result<Option<AgreementSummary>, ChainError> {
    let stored = e::AgreementReturn::decode(answer)
        .map_err(|error| malformed("agreement", error))?
        .0;
    let Some(number) = usize::from(stored.state).checked_sub(1) else {
        return Ok(None);
    };
    let state = State::ALL.get(number).copied();
    let state = state.ok_or_else(|| malformed("agreement", format!("state {}", stored.state)))?;
    Ok(Some(AgreementSummary {
        terms: terms_in(stored.terms)?,
        buyer: address(stored.buyer),
        seller: address(stored.seller),
        state,
        deadline: stored.deadline,
        draw_block: stored.draw_block,
        seed: Bytes(stored.seed),
        window_end: stored.window_end,
        unanswered: stored.contests,
        proven: stored.proven,
        valid: stored.valid.into(),
        correct: stored.correct.into(),
        ciphertext: Bytes(stored.ciphertext_hash),
        claim: Bytes(stored.claim_root),
    }))
}

pub(super) fn model_in(answer: &[u8]) -> Result<Option<Model>, ChainError> {
    let stored = r::ModelReturn::decode(answer)
        .map_err(|error| malformed("model", error))?
        .0;
    Ok(Some(stored)
        .filter(|model| model.seller != H160::zero())
        .map(|model| Model {
            seller: address(model.seller),
            stake: Amount(model.stake),
            verifier: address(model.verifier),
            verifier_code: Bytes(model.verifier_codehash),
            registered_block: model.registered_block,
            retires_at: model.retires_at,
            architecture: Bytes(model.architecture),
            points: Bytes(model.model_points_hash),
            shard_points: model.shard_points,
        }))
}
