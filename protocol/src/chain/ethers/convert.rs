//! Between this crate's values and the contracts' words: call data out, storage and logs in.

use ::ethers::{
    abi::{AbiDecode, AbiEncode, RawLog, Token},
    contract::EthLogDecode,
    types::{transaction::eip2718::TypedTransaction, NameOrAddress, H160, U256},
    utils::rlp::Rlp,
};

use super::bindings::{escrow as e, registry as r};
use crate::{
    agreement::{Metric, ShardCount, State, Terms},
    chain::{AgreementSummary, Call, ChainError, ChainEvent, Contracts, Model, Registration},
    value::{Address, AgreementId, Amount, Bytes, Data, ModelId, Point},
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

fn join(points: &[Point]) -> ::ethers::types::Bytes {
    points
        .iter()
        .flat_map(|point| point.0)
        .collect::<Vec<u8>>()
        .into()
}

fn h160(address: Address) -> H160 {
    H160(address.0)
}

fn address(address: H160) -> Address {
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
            (Some(escrow), terms.wei(terms.price), data)
        }
        Call::Accept { id, value } => {
            (Some(escrow), *value, e::AcceptCall { id: id.0 .0 }.encode())
        }
        Call::Cancel(id) => to_escrow(e::CancelCall { id: id.0 .0 }.encode()),
        Call::Decline(id) => to_escrow(e::DeclineCall { id: id.0 .0 }.encode()),
        Call::Slash(id) => to_escrow(e::SlashCall { id: id.0 .0 }.encode()),
        Call::Acknowledge { id, ciphertext } => to_escrow(
            e::AcknowledgeCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
            }
            .encode(),
        ),
        Call::AcknowledgeBySignature {
            id,
            ciphertext,
            signature,
        } => to_escrow(
            e::AcknowledgeBySignatureCall {
                id: id.0 .0,
                ciphertext_hash: ciphertext.0,
                signature: signature.0.to_vec().into(),
            }
            .encode(),
        ),
        Call::ProveShard(proof) => to_escrow(
            e::ProveShardCall {
                id: proof.id.0 .0,
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
            .encode(),
        ),
        Call::Withdraw { token } => to_escrow(
            e::WithdrawCall {
                token: h160(*token),
            }
            .encode(),
        ),
        // To oneself: the adapter knows who that is.
        Call::Nothing => (None, Amount::ZERO, Vec::new()),
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
        bond: terms.bond.0,
        penalty: terms.penalty.0,
        accept_by: terms.accept_by,
        deliver_by: terms.deliver_by,
        prove_by: terms.prove_by,
        metric: match terms.metric {
            Metric::Top1 => 0,
            Metric::TopK => 1,
        },
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
        bond: Amount(terms.bond),
        penalty: Amount(terms.penalty),
        accept_by: terms.accept_by,
        deliver_by: terms.deliver_by,
        prove_by: terms.prove_by,
        metric: match terms.metric {
            0 => Metric::Top1,
            1 => Metric::TopK,
            other => return Err(malformed("agreement", format!("metric {other}"))),
        },
    })
}

/// The stored agreement, with the number of its proven shards.
pub(super) fn agreement_in(answer: &[u8]) -> Result<Option<AgreementSummary>, ChainError> {
    let stored = e::AgreementReturn::decode(answer)
        .map_err(|error| malformed("agreement", error))?
        .0;
    let state = match stored.state {
        0 => return Ok(None),
        1 => State::Open,
        2 => State::Accepted,
        3 => State::Delivered,
        4 => State::Cancelled,
        5 => State::Declined,
        6 => State::Settled,
        7 => State::Slashed,
        other => return Err(malformed("agreement", format!("state {other}"))),
    };
    Ok(Some(AgreementSummary {
        terms: terms_in(stored.terms)?,
        buyer: address(stored.buyer),
        seller: address(stored.seller),
        state,
        proven: stored.proven,
        valid: stored.valid.into(),
        correct: stored.correct.into(),
        ciphertext: Bytes(stored.ciphertext_hash),
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
        let event =
            e::EscrowEvents::decode_log(&log).map_err(|error| malformed("an escrow log", error))?;
        escrow_event(event)
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
        E::AcceptedFilter(event) => ChainEvent::Accepted(id(event.id)),
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
