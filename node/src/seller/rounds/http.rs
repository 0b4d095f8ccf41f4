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
//!
//! [`PredictRequest`]: zknode_protocol::round::message::PredictRequest
//! [`SignedPrediction`]: zknode_protocol::round::message::SignedPrediction

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
    message::Version,
    round::{
        message::{AuditRequest, Domain, Payment, RoundMessageError, RoundOffer},
        Round, RoundId, RoundState,
    },
    value::Hash,
};

use super::{request::predict, Rounds, Service};
use crate::{
    card::manifest_limit,
    delivery::sealed_length,
    predict::{BatchProof, RoundStatus},
    seller::{
        http::{parse, refuse, unavailable, Refused, MAX_OFFER},
        Seller,
    },
    store::Table,
};

pub(super) type Sellers<C> = Shared<Arc<Seller<C>>>;

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

pub(super) fn bad(error: impl ToString) -> Refused {
    refuse(StatusCode::BAD_REQUEST, error)
}

pub(super) fn conflict(error: impl ToString) -> Refused {
    refuse(StatusCode::CONFLICT, error)
}

pub(super) fn forged(error: RoundMessageError) -> Refused {
    refuse(StatusCode::FORBIDDEN, error)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body)
        .map_err(|error| bad(format!("the message does not parse: {error}")))
}

pub(super) fn rounds<C: Chain>(seller: &Seller<C>) -> Result<&Rounds<C>, Refused> {
    let rounds = seller.rounds.as_ref();
    rounds.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            "this node knows no predictions contract: run `zknode contract predictions` first",
        )
    })
}

/// A round this node was told of.
pub(super) fn known<C: Chain>(seller: &Seller<C>, id: RoundId) -> Result<Service, Refused> {
    let service = seller.service(id);
    let service = service.map_err(|error| unavailable(seller, error))?;
    service.ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            format!("round {id} is not known here"),
        )
    })
}

pub(super) async fn on_chain<C: RoundChain>(
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
