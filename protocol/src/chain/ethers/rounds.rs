//! Rounds of predictions between this crate's values and the contract's words.

use ::ethers::{
    abi::{AbiDecode, AbiEncode, RawLog, Token},
    contract::EthLogDecode,
    types::U256,
};
use serde_json::json;

use super::{
    bindings::predictions as p,
    convert::{address, h160, join, malformed, signature_out, Outgoing},
    EthersChain,
};
use crate::{
    chain::{Chain, ChainError, ChainEvent, RoundCall, RoundChain},
    round::{Contest, Prediction, Round, RoundId, RoundState, RoundTerms},
    value::{Address, Amount, Bytes, Hash, ModelId},
};

/// Where a call goes, the wei it sends and its data.
pub(super) fn round_out(call: &RoundCall, contract: Address) -> Outgoing {
    let to = |value: Amount, data: Vec<u8>| (Some(contract), value, data);
    match call {
        RoundCall::Deploy { registry } => {
            let argument = ::ethers::abi::encode(&[Token::Address(h160(*registry))]);
            let code = [p::PREDICTIONS_BYTECODE.to_vec(), argument].concat();
            (None, Amount::ZERO, code)
        }
        RoundCall::Open { nonce, terms } => {
            let data = p::OpenCall {
                nonce: U256::from_big_endian(&nonce.0),
                terms: terms_out(terms),
            };
            // Terms whose deposit exceeds 2^128 are refused by the contract for the missing wei.
            let deposit = terms.deposit().unwrap_or_default();
            to(terms.wei(deposit), data.encode())
        }
        RoundCall::Cancel(id) => to(Amount::ZERO, p::CancelCall { id: id.0 .0 }.encode()),
        RoundCall::Accept { id, value } => to(*value, p::AcceptCall { id: id.0 .0 }.encode()),
        RoundCall::Close {
            id,
            count,
            signature,
        } => {
            let data = p::CloseCall {
                id: id.0 .0,
                count: *count,
                signature: signature_out(signature),
            };
            to(Amount::ZERO, data.encode())
        }
        RoundCall::Approve {
            id,
            count,
            signature,
        } => {
            let data = p::ApproveCall {
                id: id.0 .0,
                count: *count,
                signature: signature_out(signature),
            };
            to(Amount::ZERO, data.encode())
        }
        RoundCall::Contest {
            id,
            prediction,
            signature,
            value,
        } => {
            let data = p::ContestCall {
                id: id.0 .0,
                prediction: prediction_out(prediction),
                signature: signature.0.to_vec().into(),
            };
            to(*value, data.encode())
        }
        RoundCall::Answer {
            id,
            index,
            valid,
            model_points,
            shard_points,
            proof,
        } => {
            let proof = p::PredictionProof {
                index: *index,
                valid: *valid,
                model_points: join(model_points),
                shard_points: join(shard_points),
                proof: proof.0.clone().into(),
            };
            let data = p::AnswerCall { id: id.0 .0, proof };
            to(Amount::ZERO, data.encode())
        }
        RoundCall::Expire(id) => to(Amount::ZERO, p::ExpireCall { id: id.0 .0 }.encode()),
    }
}

fn prediction_out(prediction: &Prediction) -> p::Prediction {
    p::Prediction {
        index: prediction.index,
        valid: prediction.valid,
        shard_points_hash: prediction.points.0,
    }
}

fn terms_out(terms: &RoundTerms) -> p::Terms {
    p::Terms {
        model_id: terms.model.0 .0,
        token: h160(terms.token),
        batches: terms.batches,
        price: terms.price.0,
        bond: terms.bond.0,
        contest_fee: terms.contest_fee.0,
        accept_by: terms.accept_by,
        serve_by: terms.serve_by,
        window: terms.window,
        prove_time: terms.prove_time,
    }
}

fn round_in(answer: &[u8]) -> Result<Option<Round>, ChainError> {
    let stored = p::RoundReturn::decode(answer)
        .map_err(|error| malformed("round", error))?
        .0;
    let Some(number) = usize::from(stored.state).checked_sub(1) else {
        return Ok(None);
    };
    let state = RoundState::ALL.get(number).copied();
    let state = state.ok_or_else(|| malformed("round", format!("state {}", stored.state)))?;
    let terms = stored.terms;
    Ok(Some(Round {
        terms: RoundTerms {
            model: ModelId(Bytes(terms.model_id)),
            token: address(terms.token),
            batches: terms.batches,
            price: Amount(terms.price),
            bond: Amount(terms.bond),
            contest_fee: Amount(terms.contest_fee),
            accept_by: terms.accept_by,
            serve_by: terms.serve_by,
            window: terms.window,
            prove_time: terms.prove_time,
        },
        buyer: address(stored.buyer),
        seller: address(stored.seller),
        state,
        deadline: stored.deadline,
        contests: stored.contests,
        count: stored.count,
        window_end: stored.window_end,
    }))
}

/// A log of the predictions contract that is none of the escrow's; `None` for those nobody waits for.
pub(super) fn round_event_in(log: &RawLog) -> Result<Option<ChainEvent>, ChainError> {
    let event = p::PredictionsEvents::decode_log(log)
        .map_err(|error| malformed("a log of escrow or predictions", error))?;
    Ok(match event {
        p::PredictionsEvents::RoundOpenedFilter(opened) => {
            Some(ChainEvent::RoundOpened(RoundId(Bytes(opened.id))))
        }
        _ => None,
    })
}

impl RoundChain for EthersChain {
    async fn round_at_depth(&self, id: RoundId, depth: u64) -> Result<Option<Round>, ChainError> {
        let contract = self.contracts().escrow;
        let call = p::RoundCall { id: id.0 .0 }.encode();
        if depth == 0 {
            return round_in(&self.read(contract, call).await?);
        }
        let number = self.head().await?.number.saturating_sub(depth);
        let block = json!(format!("{number:#x}"));
        match self.read_at(contract, call, block).await {
            // The contract may be younger than that.
            Err(ChainError::NoCode { .. }) => Ok(None),
            answer => round_in(&answer?),
        }
    }

    async fn contest_of(&self, digest: Hash) -> Result<Option<Contest>, ChainError> {
        let call = p::ContestOfCall { digest: digest.0 }.encode();
        let answer = self.read(self.contracts().escrow, call).await?;
        match answer.last() {
            Some(0) => Ok(None),
            Some(1) => Ok(Some(Contest::Open)),
            Some(2) => Ok(Some(Contest::Proven)),
            other => Err(malformed("contestOf", format!("{other:?}"))),
        }
    }
}
