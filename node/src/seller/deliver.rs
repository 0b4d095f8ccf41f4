//! Takes a delivery in: judged by its manifest, one at a time of each agreement, kept in the agreement's own file. The
//! first one stays, since the receipt may be about it already.

use axum::{body::Body, http::StatusCode, Json};
use zknode_protocol::{
    agreement::State,
    chain::Chain,
    message::{DeliveryManifest, PreviewManifest},
    value::{AgreementId, Hash},
};

use super::{
    deal::Deal,
    event::Event,
    http::{expect_state, known, on_chain, refuse, status_of, unavailable, Refused},
    receive::{Incoming, ReceiveError},
    Seller,
};
use crate::{card::DealStatus, delivery::Part};

/// What comes with a ciphertext.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    Preview(PreviewManifest),
    Rest(DeliveryManifest),
}

impl Manifest {
    fn part(&self) -> Part {
        match self {
            Self::Preview(_) => Part::Preview,
            Self::Rest(_) => Part::Rest,
        }
    }

    /// Which agreement it is about.
    pub fn agreement(&self) -> AgreementId {
        match self {
            Self::Preview(preview) => preview.agreement,
            Self::Rest(rest) => rest.agreement,
        }
    }

    /// Hash and length of the ciphertext.
    pub fn ciphertext(&self) -> (Hash, u64) {
        match self {
            Self::Preview(preview) => (preview.ciphertext_hash, preview.ciphertext_bytes),
            Self::Rest(rest) => (rest.ciphertext_hash, rest.ciphertext_bytes),
        }
    }
}

impl Deal {
    /// What came with a part.
    fn manifest(&self, part: Part) -> Option<Manifest> {
        match part {
            Part::Preview => self.preview.clone().map(Manifest::Preview),
            Part::Rest => self.manifest.clone().map(Manifest::Rest),
        }
    }

    fn note(&mut self, manifest: Manifest) {
        match manifest {
            Manifest::Preview(preview) => self.preview = Some(preview),
            Manifest::Rest(rest) => self.manifest = Some(rest),
        }
    }

    /// Whether a delivery with this manifest is still wanted: where another one is noted, it is not.
    fn takes(&self, manifest: &Manifest) -> bool {
        let noted = self.manifest(manifest.part());
        let first = noted.is_none_or(|noted| noted == *manifest);
        first && self.refused.is_none() && !self.over
    }
}

impl<C: Chain> Seller<C> {
    /// Whether a part came, and is here.
    pub(super) fn holds(&self, deal: &Deal, part: Part) -> bool {
        let path = self.home.received(deal.offer.agreement, part);
        deal.manifest(part).is_some() && path.exists()
    }
}

/// Answers who delivers a part; who cannot for this node's trouble is not to be blamed for it.
pub(super) async fn deliver<C: Chain>(
    seller: &Seller<C>,
    part: Part,
    id: AgreementId,
    body: Body,
) -> Result<Json<DealStatus>, Refused> {
    let received = receive(seller, part, id, body).await;
    if received.as_ref().is_err_and(Refused::is_own) {
        seller.places.turn_away(id);
    }
    received
}

async fn receive<C: Chain>(
    seller: &Seller<C>,
    part: Part,
    id: AgreementId,
    body: Body,
) -> Result<Json<DealStatus>, Refused> {
    // Before a byte of the body is read: is it awaited?
    known(seller, id)?;
    let agreement = on_chain(seller, id).await?;
    let awaited: &[State] = match part {
        Part::Preview => &[State::Drawn, State::PreviewSent],
        Part::Rest => &[State::Previewed, State::RestSent, State::Delivered],
    };
    expect_state(id, &agreement, awaited)?;
    let layout = &seller.model.layout;
    let samples = layout.options().samples;
    let pixels = layout.architecture().input.cells();
    let mut incoming = Incoming::new(body, seller.places.manifests());
    let manifest = incoming.manifest(part, id, &agreement, (samples, pixels));
    let manifest = manifest.await;
    let manifest = manifest.map_err(|error| not_received(seller, error))?;
    if !is_here(seller, id, &manifest)? {
        // From here on it is the buyer's own delivery.
        let _place = seller.places.delivery(id).await?;
        // While it waited, it may have come, or been refused.
        if !is_here(seller, id, &manifest)? {
            take(seller, id, incoming, manifest).await?;
            seller.tell(match part {
                Part::Preview => Event::PreviewDelivered { agreement: id },
                Part::Rest => Event::Delivered { agreement: id },
            });
        }
    }
    Ok(Json(status_of(seller, id, &agreement)?))
}

/// Whether just this delivery came before; an error where it is not wanted.
fn is_here<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    manifest: &Manifest,
) -> Result<bool, Refused> {
    let (deal, part) = (known(seller, id)?, manifest.part());
    if seller.holds(&deal, part) && deal.manifest(part).as_ref() == Some(manifest) {
        return Ok(true);
    }
    if deal.takes(manifest) {
        return Ok(false);
    }
    Err(not_wanted(id, part))
}

fn not_wanted(id: AgreementId, part: Part) -> Refused {
    refuse(
        StatusCode::CONFLICT,
        format!("agreement {id} has another {part} already, or was refused"),
    )
}

/// Reads the ciphertext into the agreement's file and notes it, or leaves nothing behind.
async fn take<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    mut incoming: Incoming,
    manifest: Manifest,
) -> Result<(), Refused> {
    let (part, (hash, bytes)) = (manifest.part(), manifest.ciphertext());
    let path = seller.home.received(id, part);
    let received = incoming.ciphertext(hash, bytes, &path).await;
    received.map_err(|error| not_received(seller, error))?;
    let mut noted = false;
    let changed = seller.change(id, |deal| {
        noted = deal.takes(&manifest);
        if noted {
            deal.note(manifest);
        }
    });
    if noted && changed.is_ok() {
        return Ok(());
    }
    // Refused meanwhile, or over.
    let _ = std::fs::remove_file(&path);
    changed.map_err(|error| unavailable(seller, error))?;
    Err(not_wanted(id, part))
}

fn not_received<C: Chain>(seller: &Seller<C>, error: ReceiveError) -> Refused {
    match error {
        ReceiveError::Own(error) => unavailable(seller, error),
        ReceiveError::Busy(busy) => busy.into(),
        ReceiveError::Refused(_) => refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
        ReceiveError::Broken(_) => refuse(StatusCode::BAD_REQUEST, error),
    }
}
