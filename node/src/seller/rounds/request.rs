//! Takes a request for a batch in: signed by the buyer, of the inputs that came, the next one or one that was answered before.
//! Whatever becomes of it, it pays for the batches before.

use axum::{
    body::Bytes as Piece,
    extract::{Path, State as Shared},
    http::StatusCode,
    Json,
};
use zknode_protocol::{
    chain::RoundChain,
    digest::keccak,
    round::{
        message::{PredictRequest, SignedPrediction},
        RoundId, RoundState,
    },
};

use super::{
    batch::BatchError,
    http::{bad, conflict, forged, known, on_chain, rounds, Sellers},
    Rounds, Service,
};
use crate::{
    card::read_manifest,
    seller::{
        event::Event,
        http::{parse, refuse, unavailable, Refused},
        Seller,
    },
};

/// Answers who asks for a batch.
pub(super) async fn predict<C: RoundChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Piece,
) -> Result<Json<SignedPrediction>, Refused> {
    let id = RoundId(parse(&id)?);
    let (request, sealed) = split(&body)?;
    let service = known(&seller, id)?;
    let rounds = rounds(&seller)?;
    if request.round != id {
        return Err(bad(format!("the request is about round {}", request.round)));
    }
    let checked = request.check(rounds.domain(), service.offer.buyer);
    checked.map_err(forged)?;
    let (index, batches) = (request.index, service.offer.terms.batches);
    // Whatever becomes of the request, it pays for what came before.
    let paid = service.voucher.map_or(0, |(count, _)| count);
    if index > paid && index <= service.served {
        let noted = seller.change_service(id, |service| {
            Service::keep(&mut service.voucher, index, request.voucher);
        });
        noted.map_err(|error| unavailable(&seller, error))?;
    }
    let found = (keccak(&sealed), sealed.len() as u64);
    if found != (request.ciphertext_hash, request.ciphertext_bytes) {
        return Err(bad(
            "the inputs are not those the request is about; send them again",
        ));
    }
    if index > service.served || index >= batches {
        return Err(conflict(format!(
            "expected batch {} of {batches}, got batch {index}",
            service.served
        )));
    }
    let turn = rounds.gate.turn(id).ok_or_else(|| {
        let words = format!("a batch of round {id} is being answered; ask again");
        refuse(StatusCode::TOO_MANY_REQUESTS, words)
    })?;
    if index == service.served {
        must_serve(&seller, rounds, id).await?;
    }
    let slot = turn.slot().await;
    let slot = slot.map_err(|error| unavailable(&seller, error))?;
    let this = seller.clone();
    let answer = tokio::task::spawn_blocking(move || {
        // Both are kept to the end of the work, even where nobody waits for it any more.
        let (_turn, _slot) = (turn, slot);
        match &this.rounds {
            Some(rounds) => this.predict(rounds, &request, sealed),
            None => Err(BatchError::Refused("no predictions here".into())),
        }
    });
    let answer = answer.await.map_err(|error| unavailable(&seller, error))?;
    let answer = answer.map_err(|error| match error {
        BatchError::Refused(reason) => refuse(StatusCode::UNPROCESSABLE_ENTITY, reason),
        BatchError::Own(error) => unavailable(&seller, error),
    })?;
    let noted = seller.change_service(id, |service| {
        service.served = service.served.max(index.saturating_add(1));
    });
    noted.map_err(|error| unavailable(&seller, error))?;
    seller.tell(Event::Predicted {
        round: id,
        batch: index,
        inputs: answer.labels.len(),
    });
    Ok(Json(answer))
}

/// Whether a new batch is answered: the round is being served, deep enough that it stays so, and time is left to close it
/// afterwards.
async fn must_serve<C: RoundChain>(
    seller: &Seller<C>,
    rounds: &Rounds<C>,
    id: RoundId,
) -> Result<(), Refused> {
    let round = on_chain(seller, id).await?;
    let state = round.as_ref().map(|round| round.state);
    let Some(round) = round.filter(|round| round.state == RoundState::Serving) else {
        return Err(conflict(format!(
            "round {id} is {state:?}, expected it to be served"
        )));
    };
    let depth = rounds.wallet.depth();
    let deep = rounds.wallet.chain().round_at_depth(id, depth).await;
    let deep = deep.map_err(|error| unavailable(seller, error))?;
    if deep.is_none_or(|round| round.state != RoundState::Serving) {
        return Err(refuse(
            StatusCode::TOO_EARLY,
            format!("the acceptance of round {id} is not {depth} blocks deep yet; ask again"),
        ));
    }
    let head = rounds.wallet.chain().head().await;
    let now = head.map_err(|error| unavailable(seller, error))?.time;
    if now.saturating_add(rounds.close_before) > round.terms.serve_by {
        return Err(conflict(format!(
            "round {id} is about to be closed: {} s are left",
            round.terms.serve_by.saturating_sub(now)
        )));
    }
    Ok(())
}

/// A request is the length of its manifest (u32, little-endian), the manifest, the ciphertext.
fn split(body: &[u8]) -> Result<(PredictRequest, Vec<u8>), Refused> {
    let short = || bad("the request is shorter than its manifest");
    let (length, rest) = body.split_first_chunk::<4>().ok_or_else(short)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (manifest, sealed) = rest.split_at_checked(length).ok_or_else(short)?;
    let request = read_manifest(manifest).map_err(bad)?;
    Ok((request, sealed.to_vec()))
}
