//! What a responder answers over HTTP, beside what a seller does.
//!
//! | | |
//! | --- | --- |
//! | `GET /v1/corpus` | the manifest ([`zknode_protocol::retrieval::corpus::Manifest`]): a commitment for every item |
//! | `POST /v1/retrievals` | an [`Offer`]: a retrieval is open on the chain |
//! | `GET /v1/retrievals/{id}` | a [`Status`] |
//! | `GET /v1/retrievals/{id}/evidence/{index}` | of a claim, a [`ShardEvidence`]: how many items of the shard match |
//! | `GET /v1/retrievals/{id}/items` | the matching items with the proofs that they do, sealed to the requester |
//!
//! Anybody may call; which items match is in the sealed part only.

use std::sync::Arc;

use anyhow::Context;
use axum::{
    body::{Body, Bytes as Piece},
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::{header, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
    Json, Router,
};
use zknode_protocol::{
    chain::retrieval::RetrievalChain,
    message::Version,
    retrieval::{
        message::{Offer, Status},
        Retrieval, RetrievalId, State,
    },
};

use super::{
    desk::stream,
    event::RetrievalEvent,
    prove,
    responder::{on_chain, Responder, Served},
};
use crate::{
    card::ShardEvidence,
    seller::{
        http::{look_up, parse, refuse, unavailable, Refused, MAX_OFFER},
        Seller,
    },
    store::Table,
};

type Sellers<C> = Shared<Arc<Seller<C>>>;

/// The interface of a responder.
pub fn routes<C: RetrievalChain>(seller: Arc<Seller<C>>) -> Router {
    Router::new()
        .route("/v1/corpus", get(corpus::<C>))
        .route("/v1/retrievals", post(offer::<C>))
        .route("/v1/retrievals/{id}", get(status::<C>))
        .route("/v1/retrievals/{id}/evidence/{index}", get(evidence::<C>))
        .route("/v1/retrievals/{id}/items", get(items::<C>))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(seller)
}

fn responder<C: RetrievalChain>(seller: &Seller<C>) -> Result<&Responder<C>, Refused> {
    let none = || refuse(StatusCode::NOT_FOUND, "this seller has no corpus");
    seller.responder.as_ref().ok_or_else(none)
}

async fn corpus<C: RetrievalChain>(Shared(seller): Sellers<C>) -> Result<Response, Refused> {
    let json = [(header::CONTENT_TYPE, "application/json")];
    Ok((json, responder(&seller)?.desk.manifest()).into_response())
}

async fn offer<C: RetrievalChain>(
    Shared(seller): Sellers<C>,
    body: Piece,
) -> Result<Json<Status>, Refused> {
    let responder = responder(&seller)?;
    let bad = |error: String| refuse(StatusCode::BAD_REQUEST, error);
    let offer: Offer = serde_json::from_slice(&body)
        .map_err(|error| bad(format!("the offer does not parse: {error}")))?;
    offer.check().map_err(|error| bad(error.to_string()))?;
    let (expected, found) = (responder.domain(), offer.domain);
    if found != expected {
        return Err(bad(format!(
            "expected a retrieval of contract {} on chain {}, found {} on chain {}",
            expected.contract, expected.chain_id, found.contract, found.chain_id
        )));
    }
    let id = offer.id;
    let retrieval = find(&seller, responder, id).await?;
    let key = id.to_string();
    let known: Option<Served> = seller
        .store
        .get(Table::Retrievals, &key)
        .map_err(|error| unavailable(&seller, error))?;
    let served = match known {
        Some(served) => served,
        None => {
            if retrieval.state != State::Open || retrieval.responder != responder.account() {
                let error = format!("retrieval {id} is not open for this responder");
                return Err(refuse(StatusCode::CONFLICT, error));
            }
            let served = Served::new(offer);
            seller
                .store
                .put(Table::Retrievals, &key, &served)
                .map_err(|error| unavailable(&seller, error))?;
            seller.tell(RetrievalEvent::Offered { retrieval: id });
            served
        }
    };
    Ok(Json(status_of(&retrieval, served)))
}

async fn status<C: RetrievalChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
) -> Result<Json<Status>, Refused> {
    let (_, served, retrieval) = known(&seller, &id).await?;
    Ok(Json(status_of(&retrieval, served)))
}

async fn evidence<C: RetrievalChain>(
    Shared(seller): Sellers<C>,
    Path((id, index)): Path<(String, u32)>,
) -> Result<Json<ShardEvidence>, Refused> {
    let (id, _, retrieval) = known(&seller, &id).await?;
    claimed(id, &retrieval)?;
    let found = look_up(&seller, move |seller| {
        let responder = seller.responder.as_ref();
        let responder = responder.context("there is no corpus")?;
        prove::evidence(seller, responder, id, retrieval.terms.shards, index)
    });
    found.await?.map(Json).ok_or_else(|| {
        let error = format!("retrieval {id} has no shard {index}");
        refuse(StatusCode::NOT_FOUND, error)
    })
}

async fn items<C: RetrievalChain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
) -> Result<Body, Refused> {
    let (id, served, retrieval) = known(&seller, &id).await?;
    claimed(id, &retrieval)?;
    if served.over {
        let error = format!("retrieval {id} is over, its items are no longer here");
        return Err(refuse(StatusCode::GONE, error));
    }
    let (hash, _) = served
        .sealed
        .ok_or_else(|| refuse(StatusCode::NOT_FOUND, "nothing is sealed yet"))?;
    let path = seller.home.delivery(&hash.to_string());
    let body = stream(&path).with_context(|| path.display().to_string());
    body.map_err(|error| unavailable(&seller, error))
}

/// Proofs and items are shown once the chain binds their owner to them.
fn claimed(id: RetrievalId, retrieval: &Retrieval) -> Result<(), Refused> {
    if matches!(
        retrieval.state,
        State::Claimed | State::Contested | State::Settled
    ) {
        return Ok(());
    }
    let state = retrieval.state;
    let error = format!("retrieval {id} is {state:?}, expected a claim");
    Err(refuse(StatusCode::CONFLICT, error))
}

/// A retrieval this node was told of.
async fn known<C: RetrievalChain>(
    seller: &Seller<C>,
    id: &str,
) -> Result<(RetrievalId, Served, Retrieval), Refused> {
    let responder = responder(seller)?;
    let id = RetrievalId(parse(id)?);
    let served: Option<Served> = seller
        .store
        .get(Table::Retrievals, &id.to_string())
        .map_err(|error| unavailable(seller, error))?;
    let served = served.ok_or_else(|| unknown(id))?;
    Ok((id, served, find(seller, responder, id).await?))
}

async fn find<C: RetrievalChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
) -> Result<Retrieval, Refused> {
    let _place = seller.places.chain().await?;
    let found = on_chain(responder, id).await;
    found
        .map_err(|error| unavailable(seller, error))?
        .ok_or_else(|| unknown(id))
}

fn unknown(id: RetrievalId) -> Refused {
    let error = format!("retrieval {id} is not known here");
    refuse(StatusCode::NOT_FOUND, error)
}

fn status_of(retrieval: &Retrieval, served: Served) -> Status {
    Status {
        version: Version,
        state: retrieval.state,
        refused: served.refused,
    }
}
