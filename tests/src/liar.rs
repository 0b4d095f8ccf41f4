//! A seller's front that is not honest: it passes on what the real seller says, but for one thing.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes as Body,
    extract::State,
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
    Router,
};
use crypto_box::SecretKey;
use rand::rngs::OsRng;
use tokio::net::TcpListener;
use zknode::{
    buyer::{reopen, CheckedModel},
    card::ModelCard,
    delivery, keys,
    predict::answered,
    progress::Progress,
    testset::shard_points,
};
use zknode_protocol::{
    chain::key::Key,
    round::message::{Domain, SignedPrediction},
};

use crate::predictions::Predictions;

/// What it does other than the real seller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Signs another class for the first input of every batch.
    Label,
    /// Hands over no proof.
    NoProof,
    /// Answers no request for a proof, and keeps the connection.
    Tarpit,
    /// Takes no payment: the buyer's last voucher never arrives.
    NoVoucher,
}

struct Liar {
    lie: Lie,
    real: String,
    model: CheckedModel,
    reading_key: SecretKey,
    key: Key,
    domain: Domain,
}

impl Predictions {
    /// Starts a liar before the seller at `real`; gone with the test. Its address.
    pub async fn liar(&self, lie: Lie, real: &str) -> anyhow::Result<String> {
        let (home, key) = (self.seller_home()?, self.seller_key()?);
        let card: ModelCard = reqwest::get(format!("{real}/v1/model"))
            .await?
            .json()
            .await?;
        let chain_id = card.seller.domain.chain_id;
        let liar = Liar {
            lie,
            real: real.to_owned(),
            model: reopen(card, chain_id, &home, &Progress::new())?,
            reading_key: keys::reading_key(&home, &mut OsRng)?,
            key,
            domain: Domain {
                chain_id,
                contract: self.contract,
            },
        };
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}", listener.local_addr()?);
        let routes = Router::new().fallback(pass).with_state(Arc::new(liar));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok(url)
    }
}

async fn pass(
    State(liar): State<Arc<Liar>>,
    method: Method,
    uri: Uri,
    body: Body,
) -> Result<Response, Response> {
    let broken = |error: &dyn std::fmt::Display| {
        (StatusCode::BAD_GATEWAY, error.to_string()).into_response()
    };
    let path = uri.path();
    let withheld = match liar.lie {
        Lie::Label => false,
        Lie::NoProof | Lie::Tarpit => path.ends_with("/proof"),
        Lie::NoVoucher => path.ends_with("/voucher"),
    };
    if withheld && liar.lie == Lie::Tarpit {
        return std::future::pending().await;
    }
    if withheld {
        let status = match liar.lie {
            Lie::NoProof => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        return Err((status, "no").into_response());
    }
    let url = format!("{}{path}", liar.real);
    let request = reqwest::Client::new()
        .request(method, url)
        .body(body.clone());
    let answer = request.send().await.map_err(|error| broken(&error))?;
    let status = answer.status();
    let mut text = answer
        .bytes()
        .await
        .map_err(|error| broken(&error))?
        .to_vec();
    if liar.lie == Lie::Label && path.ends_with("/predict") && status.is_success() {
        text = liar.twist(&body, &text).map_err(|error| broken(&error))?;
    }
    Ok((status, text).into_response())
}

impl Liar {
    /// The seller's answer with one class changed, committed to and signed as the seller would.
    fn twist(&self, request: &[u8], answer: &[u8]) -> anyhow::Result<Vec<u8>> {
        let mut answer: SignedPrediction = serde_json::from_slice(answer)?;
        let (length, rest) = request.split_first_chunk::<4>().unwrap_or((&[0; 4], &[]));
        let sealed = rest.get(u32::from_le_bytes(*length) as usize..);
        let sealed = sealed.unwrap_or_default();
        let layout = &self.model.layout;
        let pixels = layout.architecture().input.cells();
        let samples = layout.options().samples;
        let opened = delivery::open(sealed, &self.reading_key, 1, samples, pixels)?;
        let classes = layout.architecture().classes() as u16;
        for label in answer.labels.iter_mut().take(1) {
            *label = (*label + 1) % classes;
        }
        for inputs in &opened {
            let opening = answered(inputs, &answer.labels);
            let shard = opening.commit(layout, &self.model.srs)?;
            answer.points = shard_points(&shard.column().commitment());
        }
        let said = self
            .domain
            .prediction_digest(answer.round, &answer.prediction());
        answer.signature = self.key.sign(said)?;
        Ok(serde_json::to_vec(&answer)?)
    }
}
