//! Between this crate's values and the words of the retrieval contract.

use ::ethers::{
    abi::{AbiDecode, AbiEncode, Token},
    contract::EthLogDecode,
};
use serde_json::json;

use super::{
    bindings::retrieval as b,
    convert::{address, h160, join, malformed, signature_out, Outgoing},
    EthersChain,
};
use crate::{
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Chain, ChainError, ChainEvent, ShardProof,
    },
    claim_tree::SumNode,
    retrieval::{Retrieval, RetrievalId, State, Terms},
    value::{Address, Amount, Bytes, ModelId},
};

pub(super) fn outgoing(call: &RetrievalCall, contract: Address) -> Outgoing {
    let send = |value: Amount, data: Vec<u8>| (Some(contract), value, data);
    let plain = |data: Vec<u8>| send(Amount::ZERO, data);
    match call {
        RetrievalCall::Deploy { registry } => {
            let argument = ::ethers::abi::encode(&[Token::Address(h160(*registry))]);
            let code = [b::RETRIEVAL_BYTECODE.to_vec(), argument].concat();
            (None, Amount::ZERO, code)
        }
        RetrievalCall::Open { terms, nonce } => {
            let data = b::OpenCall {
                terms: terms_out(terms),
                nonce: (*nonce).into(),
            };
            // Terms whose deposit exceeds 2^128 are refused by the contract for the missing wei.
            let deposit = terms.deposit().unwrap_or_default();
            send(terms.wei(deposit), data.encode())
        }
        RetrievalCall::Cancel(id) => plain(b::CancelCall { id: id.0 .0 }.encode()),
        RetrievalCall::Accept { id, value } => send(*value, b::AcceptCall { id: id.0 .0 }.encode()),
        RetrievalCall::Claim {
            id,
            node,
            top1,
            topk,
            ciphertext,
        } => plain(
            b::ClaimCall {
                id: id.0 .0,
                node: node.0,
                top_1: *top1,
                topk: *topk,
                ciphertext_hash: ciphertext.0,
            }
            .encode(),
        ),
        RetrievalCall::Approve { id, signature } => plain(
            b::ApproveCall {
                id: id.0 .0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        RetrievalCall::Contest { id, index, value } => {
            let (id, index) = (id.0 .0, *index);
            send(*value, b::ContestCall { id, index }.encode())
        }
        RetrievalCall::Answer { id, proof, path } => plain(
            b::AnswerCall {
                id: id.0 .0,
                shard_proof: proof_out(&proof.for_request(*id)),
                path: path.iter().map(node_out).collect(),
            }
            .encode(),
        ),
        RetrievalCall::Reject(id) => plain(b::RejectCall { id: id.0 .0 }.encode()),
        RetrievalCall::Expire(id) => plain(b::ExpireCall { id: id.0 .0 }.encode()),
    }
}

fn node_out(node: &SumNode) -> b::Node {
    b::Node {
        hash: node.hash.0,
        sums: ::ethers::types::U256::from_big_endian(&node.sums_word()),
    }
}

fn proof_out(proof: &ShardProof) -> b::ShardProof {
    b::ShardProof {
        shard: b::Shard {
            index: proof.shard.index,
            valid: proof.shard.valid,
            top_1: proof.shard.top1,
            topk: proof.shard.topk,
        },
        model_points: join(&proof.model_points),
        shard_points: join(&proof.shard_points),
        merkle_proof: proof.path.iter().map(|hash| hash.0).collect(),
        proof: proof.proof.0.clone().into(),
    }
}

fn terms_out(terms: &Terms) -> b::Terms {
    b::Terms {
        model_id: terms.model.0 .0,
        corpus_root: terms.corpus_root.0,
        dataset_root: terms.dataset_root.0,
        reading_key: terms.reading_key.0,
        token: h160(terms.token),
        shards: terms.shards,
        samples: terms.samples,
        wanted_class: terms.wanted_class,
        max_items: terms.max_items,
        price_per_item: terms.price_per_item.0,
        scan_fee: terms.scan_fee.0,
        requester_bond: terms.requester_bond.0,
        bond: terms.bond.0,
        contest_fee: terms.contest_fee.0,
        accept_by: terms.accept_by,
        claim_by: terms.claim_by,
        window: terms.window,
        prove_time: terms.prove_time,
        receipt_time: terms.receipt_time,
    }
}

fn terms_in(terms: b::Terms) -> Terms {
    Terms {
        model: ModelId(Bytes(terms.model_id)),
        corpus_root: Bytes(terms.corpus_root),
        dataset_root: Bytes(terms.dataset_root),
        reading_key: Bytes(terms.reading_key),
        token: address(terms.token),
        shards: terms.shards,
        samples: terms.samples,
        wanted_class: terms.wanted_class,
        max_items: terms.max_items,
        price_per_item: Amount(terms.price_per_item),
        scan_fee: Amount(terms.scan_fee),
        requester_bond: Amount(terms.requester_bond),
        bond: Amount(terms.bond),
        contest_fee: Amount(terms.contest_fee),
        accept_by: terms.accept_by,
        claim_by: terms.claim_by,
        window: terms.window,
        prove_time: terms.prove_time,
        receipt_time: terms.receipt_time,
    }
}

fn request_in(answer: &[u8]) -> Result<Option<Retrieval>, ChainError> {
    let stored = b::RequestReturn::decode(answer)
        .map_err(|error| malformed("request", error))?
        .0;
    let Some(number) = usize::from(stored.state).checked_sub(1) else {
        return Ok(None);
    };
    let state = State::ALL.get(number).copied();
    let state = state.ok_or_else(|| malformed("request", format!("state {}", stored.state)))?;
    Ok(Some(Retrieval {
        terms: terms_in(stored.terms),
        requester: address(stored.requester),
        responder: address(stored.responder),
        state,
        deadline: stored.deadline,
        contests: stored.contests,
        matches: stored.matches,
        window_end: stored.window_end,
        claim: Bytes(stored.claim_root),
        ciphertext: Bytes(stored.ciphertext_hash),
    }))
}

/// A log of the retrieval contract; the inner `None` for those nobody waits for, the outer for one of another contract.
pub(super) fn retrieval_event_in(log: &::ethers::abi::RawLog) -> Option<Option<ChainEvent>> {
    let event = b::RetrievalEvents::decode_log(log).ok()?;
    Some(match event {
        b::RetrievalEvents::OpenedFilter(opened) => {
            Some(ChainEvent::RetrievalOpened(RetrievalId(Bytes(opened.id))))
        }
        _ => None,
    })
}

impl RetrievalChain for EthersChain {
    async fn retrieval_at_depth(
        &self,
        id: RetrievalId,
        depth: u64,
    ) -> Result<Option<Retrieval>, ChainError> {
        let contract = self.contracts.escrow;
        let call = b::RequestCall { id: id.0 .0 }.encode();
        if depth == 0 {
            return request_in(&self.read(contract, call).await?);
        }
        let number = self.head().await?.number.saturating_sub(depth);
        match self
            .read_at(contract, call, json!(format!("{number:#x}")))
            .await
        {
            // The contract may be younger than that.
            Err(ChainError::NoCode { .. }) => Ok(None),
            answer => request_in(&answer?),
        }
    }
}
