//! Logs in.

use ::ethers::{abi::RawLog, contract::EthLogDecode};

use super::{
    bindings::{escrow as e, registry as r},
    convert::{address, amount, malformed, terms_in},
    retrieval,
    rounds::round_event_in,
};
use crate::{
    chain::{ChainError, ChainEvent, Contracts, Registration},
    claim_tree::ShardCount,
    value::{Address, AgreementId, Bytes, ModelId},
};

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
