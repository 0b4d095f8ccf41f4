//! What the seller answers over HTTP.
//!
//! | | |
//! | --- | --- |
//! | `GET /v1/model` | the [`ModelCard`](crate::card::ModelCard) |
//! | `POST /v1/offers` | an [`Offer`]: an agreement is open on the chain |
//! | `PUT /v1/agreements/{id}/preview` | manifest and sealed drawn shards ([`crate::card::write_delivery`]) |
//! | `PUT /v1/agreements/{id}/delivery` | manifest and sealed test set |
//! | `GET /v1/agreements/{id}/shards/{index}` | of a claim, a [`ShardEvidence`] |
//! | `GET /v1/agreements/{id}` | a [`DealStatus`] |
//!
//! Anybody may call; nothing is believed that the chain or a commitment does not confirm, and nothing is read that is
//! longer than the agreement allows. What costs much is answered to so many at once ([`super::places`]); the answer 503 says
//! when to come back (`retry-after`).

use std::sync::Arc;

use axum::{
    body::{Body, Bytes as Piece},
    extract::{DefaultBodyLimit, Path, State as Shared},
    http::{header, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post, put},
    Json, Router,
};
use zknode_protocol::{
    agreement::State,
    chain::{AgreementSummary, Chain},
    message::{Offer, Version},
    value::{AgreementId, Hash},
};

use super::{deal::Deal, deliver::deliver, event::Event, places::Busy, Seller};
use crate::{
    card::{DealStatus, ErrorBody, ModelCard, ShardEvidence},
    delivery::Part,
    output::explain,
    store::Table,
};

/// Longest offer.
pub(crate) const MAX_OFFER: usize = 1 << 14;
/// Seconds after which who finds this node busy, or in trouble, may ask again.
const RETRY_AFTER: u32 = 5;

type Sellers<C> = Shared<Arc<Seller<C>>>;

/// The interface of a seller.
pub fn routes<C: Chain>(seller: Arc<Seller<C>>) -> Router {
    Router::new()
        .route("/v1/model", get(model::<C>))
        .route("/v1/offers", post(offer::<C>))
        .route("/v1/agreements/{id}", get(status::<C>))
        .route("/v1/agreements/{id}/preview", put(preview::<C>))
        .route("/v1/agreements/{id}/delivery", put(delivery::<C>))
        .route("/v1/agreements/{id}/shards/{index}", get(evidence::<C>))
        .layer(DefaultBodyLimit::max(MAX_OFFER))
        .with_state(seller)
}

/// An answer other than yes.
pub(crate) struct Refused(StatusCode, String);

impl Refused {
    /// Whether it is this node's trouble, and not the caller's fault.
    pub(super) fn is_own(&self) -> bool {
        self.0 == StatusCode::SERVICE_UNAVAILABLE
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, error) = self;
        let mut response = (status, Json(ErrorBody { error })).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = HeaderValue::from(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        response
    }
}

impl From<Busy> for Refused {
    fn from(busy: Busy) -> Self {
        let status = match busy {
            Busy::Full { .. } | Busy::Manifests { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Busy::OnItsWay(_) => StatusCode::TOO_MANY_REQUESTS,
        };
        refuse(status, busy)
    }
}

pub(crate) fn refuse(status: StatusCode, error: impl ToString) -> Refused {
    Refused(status, error.to_string())
}

/// Trouble of this node, or of its chain: the caller may try again. What it is, is not the caller's business.
pub(crate) fn unavailable<C: Chain>(
    seller: &Seller<C>,
    error: impl Into<anyhow::Error>,
) -> Refused {
    seller
        .progress
        .say(format!("a request failed: {}", explain(&error.into())));
    refuse(
        StatusCode::SERVICE_UNAVAILABLE,
        "this node cannot answer now; try again later",
    )
}

/// What is looked up for whoever asks, few requests at once, away from what must not wait for it.
pub(crate) async fn look_up<C: Chain, T: Send + 'static>(
    seller: &Arc<Seller<C>>,
    look: impl FnOnce(&Seller<C>) -> anyhow::Result<T> + Send + 'static,
) -> Result<T, Refused> {
    let place = seller.places.proof().await?;
    let this = seller.clone();
    let found = tokio::task::spawn_blocking(move || {
        // Kept by the work itself, which goes on when the caller is gone.
        let _place = place;
        look(&this)
    });
    let found = found.await.map_err(anyhow::Error::from).flatten();
    found.map_err(|error| unavailable(seller, error))
}

/// The 32 bytes of an id in a path.
pub(crate) fn parse(id: &str) -> Result<Hash, Refused> {
    id.parse()
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("{id:?}: {error}")))
}

async fn model<C: Chain>(Shared(seller): Sellers<C>) -> Json<ModelCard> {
    Json(seller.card.clone())
}

async fn offer<C: Chain>(
    Shared(seller): Sellers<C>,
    body: Piece,
) -> Result<Json<DealStatus>, Refused> {
    let offer: Offer = serde_json::from_slice(&body).map_err(|error| {
        let error = format!("the offer does not parse: {error}");
        refuse(StatusCode::BAD_REQUEST, error)
    })?;
    offer
        .check()
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, error))?;
    let expected = seller.domain();
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
    let known = seller.deal(id);
    if known
        .map_err(|error| unavailable(&seller, error))?
        .is_none()
    {
        if agreement.state != State::Open || agreement.seller != seller.wallet.chain().account() {
            return Err(refuse(
                StatusCode::CONFLICT,
                format!("agreement {id} is not open for this seller"),
            ));
        }
        seller
            .store
            .put(Table::Deals, &id.to_string(), &Deal::new(offer))
            .map_err(|error| unavailable(&seller, error))?;
        seller.tell(Event::Offered { agreement: id });
    }
    Ok(Json(status_of(&seller, id, &agreement)?))
}

async fn status<C: Chain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
) -> Result<Json<DealStatus>, Refused> {
    let id = AgreementId(parse(&id)?);
    // Only for agreements that are known here is the chain asked.
    known(&seller, id)?;
    let agreement = on_chain(&seller, id).await?;
    Ok(Json(status_of(&seller, id, &agreement)?))
}

async fn preview<C: Chain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DealStatus>, Refused> {
    deliver(&seller, Part::Preview, AgreementId(parse(&id)?), body).await
}

async fn delivery<C: Chain>(
    Shared(seller): Sellers<C>,
    Path(id): Path<String>,
    body: Body,
) -> Result<Json<DealStatus>, Refused> {
    deliver(&seller, Part::Rest, AgreementId(parse(&id)?), body).await
}

/// Proof and place in the claim of one shard, once there is a claim on the chain.
async fn evidence<C: Chain>(
    Shared(seller): Sellers<C>,
    Path((id, index)): Path<(String, u32)>,
) -> Result<Json<ShardEvidence>, Refused> {
    let id = AgreementId(parse(&id)?);
    known(&seller, id)?;
    let agreement = on_chain(&seller, id).await?;
    let shown = [State::Claimed, State::Contested, State::Settled];
    expect_state(id, &agreement, &shown)?;
    let found = look_up(&seller, move |seller| {
        seller.evidence(id, &agreement, index)
    });
    found.await?.map(Json).ok_or_else(|| {
        refuse(
            StatusCode::NOT_FOUND,
            format!("agreement {id} has no shard {index}"),
        )
    })
}

pub(super) fn expect_state(
    id: AgreementId,
    agreement: &AgreementSummary,
    expected: &[State],
) -> Result<(), Refused> {
    if expected.contains(&agreement.state) {
        return Ok(());
    }
    Err(refuse(
        StatusCode::CONFLICT,
        format!(
            "agreement {id} is {:?}, expected one of {expected:?}",
            agreement.state
        ),
    ))
}

/// An agreement this node was told of.
pub(super) fn known<C: Chain>(seller: &Seller<C>, id: AgreementId) -> Result<Deal, Refused> {
    let deal = seller.deal(id);
    deal.map_err(|error| unavailable(seller, error))?
        .ok_or_else(|| unknown(id))
}

/// How far an agreement came: asked of the chain, by few requests at once.
pub(super) async fn on_chain<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
) -> Result<AgreementSummary, Refused> {
    let _place = seller.places.chain().await?;
    let found = seller.wallet.agreement(id).await;
    seller
        .answered(found)
        .map_err(|error| unavailable(seller, error))?
        .ok_or_else(|| unknown(id))
}

fn unknown(id: AgreementId) -> Refused {
    refuse(
        StatusCode::NOT_FOUND,
        format!("agreement {id} is not known here"),
    )
}

pub(super) fn status_of<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    agreement: &AgreementSummary,
) -> Result<DealStatus, Refused> {
    let deal = known(seller, id)?;
    let [previewed, delivered] = [Part::Preview, Part::Rest].map(|part| seller.holds(&deal, part));
    Ok(DealStatus {
        version: Version,
        state: agreement.state,
        proven: agreement.proven,
        shards: agreement.terms.shards,
        previewed,
        preview_receipt: deal.preview_receipt,
        delivered,
        receipt: deal.receipt,
        refused: deal.refused,
    })
}
