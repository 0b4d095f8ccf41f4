//! What the escrow logs.

use crate::{
    agreement::{Agreement, State},
    chain::{Call, ChainEvent},
    value::AgreementId,
};

/// The escrow's events for a call it accepted, payments aside.
pub(super) fn logged(
    id: AgreementId,
    call: &Call,
    after: &Agreement,
    nonce: Option<u64>,
) -> Vec<ChainEvent> {
    let first = match call {
        Call::Open(terms) => ChainEvent::Opened {
            id,
            buyer: after.buyer,
            seller: after.seller,
            nonce: nonce.unwrap_or_default(),
            terms: terms.clone(),
        },
        Call::Accept { .. } => ChainEvent::Accepted {
            id,
            draw_block: after.draw_block,
        },
        Call::Cancel(_) => ChainEvent::Cancelled(id),
        Call::Draw(_) => ChainEvent::Drawn {
            id,
            seed: after.seed,
        },
        Call::Send { ciphertext, .. } => ChainEvent::Sent {
            id,
            ciphertext: *ciphertext,
        },
        Call::Proceed { ciphertext, .. } => ChainEvent::Proceeded {
            id,
            ciphertext: *ciphertext,
        },
        Call::Decline(_) => ChainEvent::Declined(id),
        Call::Deny(_) => ChainEvent::Denied(id),
        Call::Claim { top1, topk, .. } => ChainEvent::Claimed {
            id,
            claim: after.claim,
            top1: *top1,
            topk: *topk,
            window_end: after.window_end,
        },
        Call::Approve { .. } => ChainEvent::Approved(id),
        Call::Contest { index, .. } => ChainEvent::Contested {
            id,
            index: *index,
            answer_by: after.deadline,
        },
        Call::ProveShard(proof) | Call::Answer { proof, .. } => ChainEvent::ShardProven {
            id,
            shard: proof.shard,
        },
        Call::Expire(_) => return expired(id, after),
        _ => ChainEvent::Acknowledged {
            id,
            ciphertext: after.ciphertext,
        },
    };
    let settled = (after.state == State::Settled).then(|| settled(id, after));
    std::iter::once(first).chain(settled).collect()
}

fn settled(id: AgreementId, after: &Agreement) -> ChainEvent {
    ChainEvent::Settled {
        id,
        correct: after.correct,
        passed: after.passed(),
    }
}

fn expired(id: AgreementId, after: &Agreement) -> Vec<ChainEvent> {
    vec![match after.state {
        State::Cancelled => ChainEvent::Cancelled(id),
        State::Declined => ChainEvent::Declined(id),
        State::Forfeited => ChainEvent::Forfeited(id),
        State::Settled => settled(id, after),
        _ => ChainEvent::Slashed(id),
    }]
}
