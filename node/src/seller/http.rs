//! What the seller answers over HTTP.
//!
//! | | |
//! | --- | --- |
//! | `GET /v1/model` | the [`ModelCard`](crate::card::ModelCard) |
//! | `POST /v1/offers` | an [`Offer`]: an agreement is open on the chain |
//! | `PUT /v1/agreements/{id}/delivery` | manifest and sealed test set ([`crate::card::write_delivery`]) |
//! | `GET /v1/agreements/{id}` | a [`DealStatus`] |
//!
//! Anybody may call; nothing is believed that the chain or a commitment does not confirm, and nothing is read that is
//! longer than the agreement allows.

use std::sync::Arc;

use axum::{
    body::{to_bytes, Body},
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post, put},
    Json, Router,
};
use zknode_protocol::{
    agreement::{Agreement, State},
    chain::Chain,
    digest::keccak,
    message::{Domain, Offer, Version},
    value::{AgreementId, Bytes},
};

use super::{deal::Deal, event::Event, Seller};
use crate::{
    card::{read_delivery, DealStatus, ErrorBody, ModelCard, MAX_MANIFEST},
    delivery::sealed_length,
    home::write_file,
    store::Table,
};

/// Longest offer.
const MAX_OFFER: usize = 1 << 14;

type Sellers<C> = Shared<Arc<Seller<C>>>;

/// The interface of a seller.
pub fn routes<C: Chain>(seller: Arc<Seller<C>>) -> Router {
    Router::new()
        .route("/v1/model", get(model::<C>))
        .route("/v1/offers", post(offer::<C>))
        .route("/v1/agreements/{id}", get(status::<C>))
        .route("/v1/agreements/{id}/delivery", put(delivery::<C>))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(seller)
}

/// An answer other than yes.
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(ErrorBody { error: self.1 })).into_response()
    }
}

fn refuse(status: StatusCode, error: impl ToString) -> Refused {
    Refused(status, error.to_string())
}

/// Trouble of this node, or of its chain: the caller may try again.
fn unavailable(error: impl Into<anyhow::Error>) -> Refused {
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        format!("{:#}", error.into()),
    )
}

async fn model<C: Chain>(Shared(seller): Sellers<C>) -> Json<ModelCard> {
    Json(seller.card.clone())
}

async fn offer<C: Chain>(
    Shared(seller): Sellers<C>,
    Json(offer): Json<Offer>,
) -> Result<Json<DealStatus>, Refused> {
    offer
        .check()
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, error))?;
    let chain = seller.wallet.chain();
    let expected = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    if offer.domain != expected {
        return Err(refuse(
            StatusCode::BAD_REQUEST,
            format!(
                "expected an agreement of escrow {} on chain {}, got {} on chain {}",
                expected.escrow, expected.chain_id, offer.domain.escrow, offer.domain.chain_id
            ),
        ));
    }
    let id = offer.agreement;
    let agreement = on_chain(&seller, id).await?;
    let known = seller.deal(id).map_err(unavailable)?.is_some();
    if !known {
        if agreement.state != State::Open || agreement.seller != chain.account() {
            return Err(refuse(
                StatusCode::CONFLICT,
                format!("agreement {id} is not open for this seller"),
            ));
        }
        seller
            .store
            .put(Table::Deals, &id.to_string(), &Deal::new(offer))
            .map_err(unavailable)?;
        seller.tell(Event::Offered { agreement: id });
        seller.bell.notify_one();
    }
    Ok(Json(status_of(&seller, id, &agreement)?))
}

async fn status<C: Chain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
) -> Result<Json<DealStatus>, Refused> {
    let id = parse(&id)?;
    let agreement = on_chain(&seller, id).await?;
    Ok(Json(status_of(&seller, id, &agreement)?))
}

async fn delivery<C: Chain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DealStatus>, Refused> {
    let id = parse(&id)?;
    // Before a byte of the body is read: is it awaited, and how long may it be?
    if seller.deal(id).map_err(unavailable)?.is_none() {
        return Err(unknown(id));
    }
    let agreement = on_chain(&seller, id).await?;
    if !matches!(agreement.state, State::Accepted | State::Delivered) {
        return Err(refuse(
            StatusCode::CONFLICT,
            format!(
                "agreement {id} takes deliveries while it is accepted, it is {:?}",
                agreement.state
            ),
        ));
    }
    let pixels = seller.model.layout.architecture().input.cells();
    let (shards, samples) = (agreement.terms.shards, agreement.terms.samples);
    let limit = sealed_length(shards as usize, samples as usize, pixels);
    let body = to_bytes(body, limit.saturating_add(MAX_MANIFEST + 4))
        .await
        .map_err(|error| {
            refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("expected a sealed test set of at most {limit} bytes: {error}"),
            )
        })?;
    let bad = |error: String| refuse(StatusCode::UNPROCESSABLE_ENTITY, error);
    let (manifest, sealed) = read_delivery(&body).map_err(bad)?;
    let ciphertext = keccak(sealed);
    if manifest.agreement != id
        || manifest.ciphertext_hash != ciphertext
        || manifest.ciphertext_bytes != sealed.len() as u64
    {
        return Err(bad(
            "the manifest is not about this agreement and this ciphertext".into(),
        ));
    }
    manifest
        .tree(&agreement.terms)
        .map_err(|error| bad(error.to_string()))?;
    // Only who knows all shard commitments gets here, so nobody else can put a false delivery in the way. The first one
    // stays: the receipt may be about it already.
    let path = seller.home.delivery(&ciphertext.to_string());
    if !path.exists() {
        write_file(&path, |file| std::io::Write::write_all(file, sealed)).map_err(unavailable)?;
    }
    seller
        .change(id, |deal| {
            if deal.refused.is_none() {
                deal.manifest.get_or_insert(manifest);
            }
        })
        .map_err(unavailable)?;
    if !seller.has_delivery(id, ciphertext).map_err(unavailable)? {
        return Err(refuse(
            StatusCode::CONFLICT,
            format!("agreement {id} has another delivery already, or was refused"),
        ));
    }
    seller.tell(Event::Delivered { agreement: id });
    seller.bell.notify_one();
    Ok(Json(status_of(&seller, id, &agreement)?))
}

async fn on_chain<C: Chain>(seller: &Seller<C>, id: AgreementId) -> Result<Agreement, Refused> {
    let found = seller.wallet.chain().agreement(id).await;
    found.map_err(unavailable)?.ok_or_else(|| unknown(id))
}

fn unknown(id: AgreementId) -> Refused {
    refuse(
        StatusCode::NOT_FOUND,
        format!("agreement {id} is not known here"),
    )
}

fn parse(id: &str) -> Result<AgreementId, Refused> {
    let bytes: Bytes<32> = id
        .parse()
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("{id:?}: {error}")))?;
    Ok(AgreementId(bytes))
}

fn status_of<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    agreement: &Agreement,
) -> Result<DealStatus, Refused> {
    let deal = seller
        .deal(id)
        .map_err(unavailable)?
        .ok_or_else(|| unknown(id))?;
    Ok(DealStatus {
        version: Version,
        state: agreement.state,
        proven: agreement.proven.len() as u32,
        shards: agreement.terms.shards,
        receipt: deal.receipt,
        refused: deal.refused,
    })
}
