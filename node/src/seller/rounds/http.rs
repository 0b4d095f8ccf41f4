//! What the seller answers to buyers of predictions.
//!
//! | | |
//! | --- | --- |
//! | `POST /v1/rounds` | a [`RoundOffer`]: a round is open on the chain |
//! | `GET /v1/rounds/{id}` | a [`RoundStatus`] |
//! | `POST /v1/rounds/{id}/predict` | a [`PredictRequest`] and sealed inputs ([`crate::card::write_delivery`]); a [`SignedPrediction`] |
//! | `POST /v1/rounds/{id}/voucher` | a [`Payment`]: so many batches came |
//! | `POST /v1/rounds/{id}/approval` | a [`Payment`]: none of them is contested |
//! | `POST /v1/rounds/{id}/batches/{index}/proof` | an [`AuditRequest`]; a [`BatchProof`], empty until it is made |
//!
//! Whatever costs the seller anything is signed by the buyer.

use std::sync::Arc;

use axum::{
    body::Bytes as Piece,
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::StatusCode,
    routing::{get, post},
    Json, Router,
};
use serde::de::DeserializeOwned;
use zknode_protocol::{
    chain::{Chain, RoundChain},
    digest::keccak,
    message::Version,
    round::{
        message::{
            AuditRequest, Domain, Payment, PredictRequest, RoundMessageError, RoundOffer,
            SignedPrediction,
        },
        Round, RoundId, RoundState,
    },
    value::Hash,
};

use super::{batch::BatchError, Rounds, Service};
use crate::{
    card::{manifest_limit, read_manifest},
    delivery::sealed_length,
    predict::{BatchProof, RoundStatus},
    seller::{
        event::Event,
        http::{parse, refuse, unavailable, Refused, MAX_OFFER},
        Seller,
    },
    store::Table,
};

type Sellers<C> = Shared<Arc<Seller<C>>>;

/// The interface for rounds.
pub fn routes<C: RoundChain>(seller: Arc<Seller<C>>) -> Router {
    let options = seller.model.layout.options();
    let pixels = seller.model.layout.architecture().input.cells();
    let longest = sealed_length(1, options.samples, pixels).saturating_add(manifest_limit(1));
    let predict = post(predict::<C>).layer(DefaultBodyLimit::max(longest));
    Router::new()
        .route("/v1/rounds", post(offer::<C>))
        .route("/v1/rounds/{id}", get(status::<C>))
        .route("/v1/rounds/{id}/voucher", post(voucher::<C>))
        .route("/v1/rounds/{id}/approval", post(approval::<C>))
        .route("/v1/rounds/{id}/batches/{index}/proof", post(proof::<C>))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .route("/v1/rounds/{id}/predict", predict)
        .with_state(seller)
}

fn bad(error: impl ToString) -> Refused {
    refuse(StatusCode::BAD_REQUEST, error)
}

fn conflict(error: impl ToString) -> Refused {
    refuse(StatusCode::CONFLICT, error)
}

fn forged(error: RoundMessageError) -> Refused {
    refuse(StatusCode::FORBIDDEN, error)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| bad(format!("the message does not parse: {error}")))
}

fn rounds<C: Chain>(seller: &Seller<C>) -> Result<&Rounds<C>, Refused> {
    let rounds = seller.rounds.as_ref();
    rounds.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            "this node knows no predictions contract: run `zknode contract predictions` first",
        )
    })
}

/// A round this node was told of.
fn known<C: Chain>(seller: &Seller<C>, id: RoundId) -> Result<Service, Refused> {
    let service = seller.service(id);
    let service = service.map_err(|error| unavailable(seller, error))?;
    service.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            format!("round {id} is not known here"),
        )
    })
}

async fn on_chain<C: RoundChain>(
    seller: &Seller<C>,
    id: RoundId,
) -> Result<Option<Round>, Refused> {
    let _place = seller.places.chain().await?;
    let found = rounds(seller)?.wallet.chain().round_at_depth(id, 0).await;
    found.map_err(|error| unavailable(seller, error))
}

async fn status_of<C: RoundChain>(
    seller: &Seller<C>,
    id: RoundId,
) -> Result<Json<RoundStatus>, Refused> {
    let service = known(seller, id)?;
    Ok(Json(RoundStatus {
        version: Version,
        state: on_chain(seller, id).await?.map(|round| round.state),
        served: service.served,
        refused: service.refused,
    }))
}

async fn offer<C: RoundChain>(
    Shared(seller): Sellers<C>,
    body: Piece,
) -> Result<Json<RoundStatus>, Refused> {
    let rounds = rounds(&seller)?;
    let offer: RoundOffer = read(&body)?;
    offer.check().map_err(bad)?;
    let expected = rounds.domain();
    if offer.domain != expected {
        let Domain { chain_id, contract } = offer.domain;
        return Err(bad(format!(
            "expected a round of contract {} on chain {}, got {contract} on chain {chain_id}",
            expected.contract, expected.chain_id
        )));
    }
    let id = offer.round;
    let known = seller.service(id);
    let known = known.map_err(|error| unavailable(&seller, error))?;
    if known.is_none() {
        let round = on_chain(&seller, id).await?;
        let own = seller.key.address();
        let open = round.filter(|round| round.state == RoundState::Open && round.seller == own);
        if open.is_none() {
            return Err(conflict(format!("round {id} is not open for this seller")));
        }
        let first = |stored: Option<Service>| {
            Ok::<_, anyhow::Error>((stored.unwrap_or_else(|| Service::new(offer)), ()))
        };
        let stored = seller.store.update(Table::Rounds, &id.to_string(), first);
        let stored = stored.map_err(anyhow::Error::from).and_then(|done| done);
        stored.map_err(|error| unavailable(&seller, error))?;
        seller.bell.ring();
    }
    status_of(&seller, id).await
}

async fn status<C: RoundChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
) -> Result<Json<RoundStatus>, Refused> {
    status_of(&seller, RoundId(parse(&id)?)).await
}

async fn predict<C: RoundChain>(
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

/// A payment for batches that were served, signed by the buyer over `digest`.
fn payment<C: RoundChain>(
    seller: &Seller<C>,
    id: RoundId,
    body: &[u8],
    digest: impl Fn(&Domain, RoundId, u32) -> Hash,
) -> Result<Payment, Refused> {
    let payment: Payment = read(body)?;
    let service = known(seller, id)?;
    if payment.count > service.served {
        return Err(conflict(format!(
            "expected a count of at most {}, the batches served, got {}",
            service.served, payment.count
        )));
    }
    let digest = digest(&rounds(seller)?.domain(), id, payment.count);
    let signed = Domain::signed_by(service.offer.buyer, digest, &payment.signature);
    signed.map_err(forged)?;
    Ok(payment)
}

async fn voucher<C: RoundChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Piece,
) -> Result<Json<RoundStatus>, Refused> {
    let id = RoundId(parse(&id)?);
    let paid = payment(&seller, id, &body, Domain::voucher_digest)?;
    let noted = seller.change_service(id, |service| {
        Service::keep(&mut service.voucher, paid.count, paid.signature);
    });
    noted.map_err(|error| unavailable(&seller, error))?;
    status_of(&seller, id).await
}

async fn approval<C: RoundChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Piece,
) -> Result<Json<RoundStatus>, Refused> {
    let id = RoundId(parse(&id)?);
    let paid = payment(&seller, id, &body, Domain::approval_digest)?;
    let noted = seller.change_service(id, |service| {
        Service::keep(&mut service.approval, paid.count, paid.signature);
    });
    noted.map_err(|error| unavailable(&seller, error))?;
    seller.bell.ring();
    status_of(&seller, id).await
}

async fn proof<C: RoundChain>(
    Shared(seller): Sellers<C>,
    Path((id, index)): Path<(String, u32)>,
    body: Piece,
) -> Result<Json<BatchProof>, Refused> {
    let id = RoundId(parse(&id)?);
    let service = known(&seller, id)?;
    let request: AuditRequest = read(&body)?;
    let digest = rounds(&seller)?.domain().audit_digest(id, index);
    let signed = Domain::signed_by(service.offer.buyer, digest, &request.signature);
    signed.map_err(forged)?;
    if index >= service.served {
        return Err(refuse(
            StatusCode::NOT_FOUND,
            format!("batch {index} of round {id} was not served"),
        ));
    }
    let stored = seller.batch_proof(id, index);
    let attestation = stored.map_err(|error| unavailable(&seller, error))?;
    if attestation.is_none() && !service.audits.contains(&index) {
        let noted = seller.change_service(id, |service| {
            service.audits.insert(index);
        });
        noted.map_err(|error| unavailable(&seller, error))?;
        seller.bell.ring();
    }
    Ok(Json(BatchProof {
        version: Version,
        attestation,
    }))
}
