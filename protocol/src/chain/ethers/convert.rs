//! Between this crate's values and the contracts' words: call data out, storage and logs in.

use ::ethers::{
    abi::{AbiDecode, AbiEncode, RawLog, Token},
    contract::EthLogDecode,
    types::{transaction::eip2718::TypedTransaction, NameOrAddress, H160, U256},
    utils::rlp::Rlp,
};

use super::{
    bindings::{escrow as e, registry as r},
    retrieval,
    rounds::{round_event_in, round_out},
};
use crate::{
    agreement::{Metric, Mode, State, Terms},
    chain::{
        AgreementSummary, Call, ChainError, ChainEvent, Contracts, Model, Registration, ShardProof,
    },
    claim_tree::ShardCount,
    value::{Address, AgreementId, Amount, Bytes, Data, ModelId, Point, Signature},
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

pub(super) fn outgoing(call: &Call, contracts: Contracts) -> Outgoing {
    let Contracts { registry, escrow } = contracts;
    let to_escrow = |data: Vec<u8>| (Some(escrow), Amount::ZERO, data);
    let to_registry = |data: Vec<u8>| (Some(registry), Amount::ZERO, data);
    match call {
        Call::DeployRegistry => (None, Amount::ZERO, r::MODELREGISTRY_BYTECODE.to_vec()),
        Call::DeployEscrow { registry } => {
            let argument = ::ethers::abi::encode(&[Token::Address(h160(*registry))]);
            (
                None,
                Amount::ZERO,
                [e::ESCROW_BYTECODE.to_vec(), argument].concat(),
            )
        }
        Call::DeployVerifier { creation_code } => (None, Amount::ZERO, creation_code.0.clone()),
        Call::Register(registration) => {
            let data = r::RegisterCall {
                architecture: registration.architecture.0,
                verifier: h160(registration.verifier),
                model_points: join(&registration.points),
                shard_points: registration.shard_points,
                endpoint: registration.endpoint.clone(),
            };
            (Some(registry), registration.stake, data.encode())
        }
        Call::Retire(id) => to_registry(r::RetireCall { model_id: id.0 .0 }.encode()),
        Call::WithdrawStake(id) => to_registry(r::WithdrawStakeCall { model_id: id.0 .0 }.encode()),
        Call::ApproveToken { token, amount } => {
            // approve(address,uint256), EIP-20.
            let arguments = ::ethers::abi::encode(&[
                Token::Address(h160(escrow)),
                Token::Uint(amount.0.into()),
            ]);
            (
                Some(*token),
                Amount::ZERO,
                [vec![0x09, 0x5e, 0xa7, 0xb3], arguments].concat(),
            )
        }
        Call::Open(terms) => {
            let data = e::OpenCall {
                terms: terms_out(terms),
            }
            .encode();
            // Terms whose deposit exceeds 2^128 are refused by the contract for the missing wei.
            let deposit = terms.deposit().unwrap_or_default();
            (Some(escrow), terms.wei(deposit), data)
        }
        Call::Accept { id, value } => {
            (Some(escrow), *value, e::AcceptCall { id: id.0 .0 }.encode())
        }
        Call::Cancel(id) => to_escrow(e::CancelCall { id: id.0 .0 }.encode()),
        Call::Draw(id) => to_escrow(e::DrawCall { id: id.0 .0 }.encode()),
        Call::Send { id, ciphertext } => to_escrow(
            e::SendCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
            }
            .encode(),
        ),
        Call::Proceed {
            id,
            ciphertext,
            signature,
        } => to_escrow(
            e::ProceedCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Acknowledge {
            id,
            ciphertext,
            signature,
        } => to_escrow(
            e::AcknowledgeCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Decline(id) => to_escrow(e::DeclineCall { id: id.0 .0 }.encode()),
        Call::Deny(id) => to_escrow(e::DenyCall { id: id.0 .0 }.encode()),
        Call::Claim {
            id,
            node,
            top1,
            topk,
        } => to_escrow(
            e::ClaimCall {
                id: id.0 .0,
                node: node.0,
                top_1: *top1,
                topk: *topk,
            }
            .encode(),
        ),
        Call::Approve { id, signature } => to_escrow(
            e::ApproveCall {
                id: id.0 .0,
                signature: signature_out(signature),
            }
            .encode(),
        ),
        Call::Contest { id, index, value } => {
            let (id, index) = (id.0 .0, *index);
            let data = e::ContestCall { id, index }.encode();
            (Some(escrow), *value, data)
        }
        Call::Answer { proof, path } => to_escrow(
            e::AnswerCall {
                id: proof.id.0 .0,
                shard_proof: shard_proof_out(proof),
                path: path
                    .iter()
                    .map(|node| e::Node {
                        hash: node.hash.0,
                        sums: U256::from_big_endian(&node.sums_word()),
                    })
                    .collect(),
            }
            .encode(),
        ),
        Call::ProveShard(proof) => to_escrow(
            e::ProveShardCall {
                id: proof.id.0 .0,
                shard_proof: shard_proof_out(proof),
            }
            .encode(),
        ),
        Call::Expire(id) => to_escrow(e::ExpireCall { id: id.0 .0 }.encode()),
        Call::Retrieval(call) => retrieval::outgoing(call, escrow),
        Call::Withdraw { token } => to_escrow(
            e::WithdrawCall {
                token: h160(*token),
            }
            .encode(),
        ),
        Call::Round(call) => round_out(call, escrow),
        // To oneself: the adapter knows who that is.
        Call::Nothing => (None, Amount::ZERO, Vec::new()),
    }
}

/// None where the sender itself is who must have signed.
pub(super) fn signature_out(signature: &Option<Signature>) -> ::ethers::types::Bytes {
    let bytes = signature.as_ref().map(|signature| signature.0.to_vec());
    bytes.unwrap_or_default().into()
}

fn shard_proof_out(proof: &ShardProof) -> e::ShardProof {
    e::ShardProof {
        shard: e::Shard {
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

/// Where a signed transaction goes, the wei it sends and its data.
pub(super) fn signed_in(raw: &Data) -> Result<Outgoing, ChainError> {
    let what = "a signed transaction";
    let (transaction, _) = TypedTransaction::decode_signed(&Rlp::new(&raw.0))
        .map_err(|error| malformed(what, error))?;
    let to = match transaction.to() {
        None => None,
        Some(NameOrAddress::Address(to)) => Some(address(*to)),
        Some(NameOrAddress::Name(_)) => return Err(malformed(what, "a name for an address")),
    };
    let value = amount(what, transaction.value().copied().unwrap_or_default())?;
    let data = transaction.data().map(|data| data.to_vec());
    Ok((to, value, data.unwrap_or_default()))
}

fn terms_out(terms: &Terms) -> e::Terms {
    e::Terms {
        model_id: terms.model.0 .0,
        dataset_root: terms.dataset_root.0,
        token: h160(terms.token),
        shards: terms.shards,
        samples: terms.samples,
        threshold: terms.threshold,
        price: terms.price.0,
        buyer_bond: terms.buyer_bond.0,
        bond: terms.bond.0,
        penalty: terms.penalty.0,
        preview_fee: terms.preview_fee.0,
        contest_fee: terms.contest_fee.0,
        accept_by: terms.accept_by,
        preview_by: terms.preview_by,
        deliver_by: terms.deliver_by,
        claim_by: terms.claim_by,
        metric: match terms.metric {
            Metric::Top1 => 0,
            Metric::TopK => 1,
        },
        mode: match terms.mode {
            Mode::Optimistic => 0,
            Mode::Eager => 1,
        },
        preview_shards: terms.preview_shards,
        response_time: terms.response_time,
        window: terms.window,
        prove_time: terms.prove_time,
    }
}

fn terms_in(terms: e::Terms) -> Result<Terms, ChainError> {
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

/// A log of the registry or the escrow; `None` for one of neither.
pub(super) fn event_in(
    from: Address,
    log: RawLog,
    contracts: Contracts,
) -> Result<Option<ChainEvent>, ChainError> {
    if from == contracts.registry {
        let event = r::ModelRegistryEvents::decode_log(&log)
            .map_err(|error| malformed("a registry log", error))?;
        registry_event(event).map(Some)
    } else if from == contracts.escrow {
        match e::EscrowEvents::decode_log(&log) {
            Ok(event) => escrow_event(event),
            // The retrieval and the predictions contract stand where the escrow does for who uses them.
            Err(_) => match retrieval::retrieval_event_in(&log) {
                Some(event) => Ok(event),
                None => round_event_in(&log),
            },
        }
    } else {
        Ok(None)
    }
}

fn registry_event(event: r::ModelRegistryEvents) -> Result<ChainEvent, ChainError> {
    use r::ModelRegistryEvents as E;
    Ok(match event {
        E::ModelRegisteredFilter(event) => ChainEvent::ModelRegistered {
            model: ModelId(Bytes(event.model_id)),
            seller: address(event.seller),
            registration: Registration {
                architecture: Bytes(event.architecture),
                verifier: address(event.verifier),
                points: event
                    .model_points
                    .chunks(64)
                    .map(|chunk| chunk.try_into().map(Bytes))
                    .collect::<Result<_, _>>()
                    .map_err(|_| malformed("ModelRegistered", "points of another length"))?,
                shard_points: event.shard_points,
                endpoint: event.endpoint,
                stake: amount("ModelRegistered", event.stake)?,
            },
        },
        E::ModelRetiredFilter(event) => ChainEvent::ModelRetired {
            model: ModelId(Bytes(event.model_id)),
            retires_at: event.retires_at,
        },
        E::StakeWithdrawnFilter(event) => ChainEvent::StakeWithdrawn {
            model: ModelId(Bytes(event.model_id)),
            amount: amount("StakeWithdrawn", event.amount)?,
        },
    })
}

fn escrow_event(event: e::EscrowEvents) -> Result<Option<ChainEvent>, ChainError> {
    use e::EscrowEvents as E;
    let id = |bytes| AgreementId(Bytes(bytes));
    Ok(Some(match event {
        E::OpenedFilter(event) => ChainEvent::Opened {
            id: id(event.id),
            buyer: address(event.buyer),
            seller: address(event.seller),
            nonce: u64::try_from(event.nonce).map_err(|error| malformed("Opened", error))?,
            terms: terms_in(event.terms)?,
        },
        E::CancelledFilter(event) => ChainEvent::Cancelled(id(event.id)),
        E::AcceptedFilter(event) => ChainEvent::Accepted {
            id: id(event.id),
            draw_block: event.draw_block,
        },
        E::DrawnFilter(event) => ChainEvent::Drawn {
            id: id(event.id),
            seed: Bytes(event.seed),
        },
        E::SentFilter(event) => ChainEvent::Sent {
            id: id(event.id),
            ciphertext: Bytes(event.ciphertext_hash),
        },
        E::ProceededFilter(event) => ChainEvent::Proceeded {
            id: id(event.id),
            ciphertext: Bytes(event.ciphertext_hash),
        },
        E::DeniedFilter(event) => ChainEvent::Denied(id(event.id)),
        E::ForfeitedFilter(event) => ChainEvent::Forfeited(id(event.id)),
        E::ClaimedFilter(event) => ChainEvent::Claimed {
            id: id(event.id),
            claim: Bytes(event.claim_root),
            top1: event.top_1,
            topk: event.topk,
            window_end: event.window_end,
        },
        E::ApprovedFilter(event) => ChainEvent::Approved(id(event.id)),
        E::ContestedFilter(event) => ChainEvent::Contested {
            id: id(event.id),
            index: event.index,
            answer_by: event.answer_by,
        },
        E::DeclinedFilter(event) => ChainEvent::Declined(id(event.id)),
        E::SlashedFilter(event) => ChainEvent::Slashed(id(event.id)),
        E::AcknowledgedFilter(event) => ChainEvent::Acknowledged {
            id: id(event.id),
            ciphertext: Bytes(event.ciphertext_hash),
        },
        E::ShardProvenFilter(event) => ChainEvent::ShardProven {
            id: id(event.id),
            shard: ShardCount {
                index: event.index,
                valid: event.valid,
                top1: event.top_1,
                topk: event.topk,
            },
        },
        E::SettledFilter(event) => ChainEvent::Settled {
            id: id(event.id),
            correct: u64::try_from(event.correct).map_err(|error| malformed("Settled", error))?,
            passed: event.passed,
        },
        E::CreditedFilter(event) => ChainEvent::Credited {
            account: address(event.account),
            token: address(event.token),
            amount: amount("Credited", event.amount)?,
        },
        E::WithdrawnFilter(event) => ChainEvent::Withdrawn {
            account: address(event.account),
            token: address(event.token),
            amount: amount("Withdrawn", event.amount)?,
        },
        // The EIP-712 domain does not change after construction.
        E::Eip712DomainChangedFilter(_) => return Ok(None),
    }))
}
