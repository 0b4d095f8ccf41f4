//! The seller's HTTP interface, from the buyer's side.

use std::time::Duration;

use serde::{de::DeserializeOwned, Serialize};
use thiserror::Error;
use zknode_protocol::{
    message::Offer,
    round::{
        message::{AuditRequest, Payment, RoundOffer, SignedPrediction},
        RoundId,
    },
    value::AgreementId,
};

use crate::{
    card::{DealStatus, ErrorBody, ModelCard, ShardEvidence},
    output::explain,
    predict::{BatchProof, RoundStatus},
};

/// Longest wait for an answer; deliveries may take longer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a delivery to arrive.
const DELIVERY_TIMEOUT: Duration = Duration::from_secs(3600);
/// Longest wait for the outputs of a batch: whoever waits longer could miss the window to contest.
const PREDICTION_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest answer: an architecture of a few thousand layers.
const MAX_ANSWER: usize = 8 << 20;

/// The seller does not answer as it should.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No connection, or none in time.
    #[error("the seller at {url} cannot be reached: {reason}")]
    Unreachable {
        /// Its address.
        url: String,
        /// Why.
        reason: String,
    },
    /// It says no.
    #[error("the seller refuses ({status}): {error}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its words.
        error: String,
    },
    /// It says something else.
    #[error("the seller's answer is not understood: {0}")]
    Malformed(String),
}

impl ClientError {
    /// Whether the same request may do better later: trouble on the way, or of the other side, that is no answer.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500..),
            Self::Unreachable { .. } | Self::Malformed(_) => true,
        }
    }
}

/// A seller's address.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    /// The interface at `url`, such as `http://host:port`.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { http, url })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it sells.
    pub async fn model(&self) -> Result<ModelCard, ClientError> {
        self.answer(self.http.get(self.path("model"))).await
    }

    /// Tells it of an open agreement.
    pub async fn offer(&self, offer: &Offer) -> Result<DealStatus, ClientError> {
        self.answer(self.http.post(self.path("offers")).json(offer))
            .await
    }

    /// Sends the sealed test set.
    pub async fn deliver(&self, id: AgreementId, body: Vec<u8>) -> Result<DealStatus, ClientError> {
        let path = self.path(&format!("agreements/{id}/delivery"));
        let request = self.http.put(path).timeout(DELIVERY_TIMEOUT).body(body);
        self.answer(request).await
    }

    /// Sends the sealed drawn shards.
    pub async fn preview(&self, id: AgreementId, body: Vec<u8>) -> Result<DealStatus, ClientError> {
        let path = self.path(&format!("agreements/{id}/preview"));
        let request = self.http.put(path).timeout(DELIVERY_TIMEOUT).body(body);
        self.answer(request).await
    }

    /// Asks for a shard's proof and its place in the claim, for no longer than `left`.
    pub async fn evidence(
        &self,
        id: AgreementId,
        index: u32,
        left: Duration,
    ) -> Result<ShardEvidence, ClientError> {
        let path = self.path(&format!("agreements/{id}/shards/{index}"));
        let request = self.http.get(path).timeout(left.min(TIMEOUT));
        self.answer(request).await
    }

    /// Asks where an agreement stands.
    pub async fn status(&self, id: AgreementId) -> Result<DealStatus, ClientError> {
        let path = self.path(&format!("agreements/{id}"));
        self.answer(self.http.get(path)).await
    }

    /// Posts a message and reads the answer.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        end: &str,
        message: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.answer(self.http.post(self.path(end)).json(message))
            .await
    }

    /// Reads an answer of at most `limit` bytes within `timeout`.
    pub(crate) async fn bytes(
        &self,
        end: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let request = self.http.get(self.path(end)).timeout(timeout);
        self.body(request, limit).await
    }

    /// Tells it of an open round of predictions.
    pub async fn round(&self, offer: &RoundOffer) -> Result<RoundStatus, ClientError> {
        self.answer(self.http.post(self.path("rounds")).json(offer))
            .await
    }

    /// Sends a batch; its outputs come back.
    pub async fn predict(
        &self,
        id: RoundId,
        body: Vec<u8>,
    ) -> Result<SignedPrediction, ClientError> {
        let path = self.path(&format!("rounds/{id}/predict"));
        let request = self.http.post(path).timeout(PREDICTION_TIMEOUT).body(body);
        self.answer(request).await
    }

    /// Pays for the batches that came.
    pub async fn voucher(
        &self,
        id: RoundId,
        payment: &Payment,
    ) -> Result<RoundStatus, ClientError> {
        let path = self.path(&format!("rounds/{id}/voucher"));
        self.answer(self.http.post(path).json(payment)).await
    }

    /// Says that none of them is contested.
    pub async fn approval(
        &self,
        id: RoundId,
        payment: &Payment,
    ) -> Result<RoundStatus, ClientError> {
        let path = self.path(&format!("rounds/{id}/approval"));
        self.answer(self.http.post(path).json(payment)).await
    }

    /// Asks for the proof of a batch.
    pub async fn batch_proof(
        &self,
        id: RoundId,
        index: u32,
        request: &AuditRequest,
    ) -> Result<BatchProof, ClientError> {
        let path = self.path(&format!("rounds/{id}/batches/{index}/proof"));
        self.answer(self.http.post(path).json(request)).await
    }

    fn path(&self, end: &str) -> String {
        format!("{}/v1/{end}", self.url)
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<T, ClientError> {
        let body = self.body(request, MAX_ANSWER).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    async fn body(
        &self,
        request: reqwest::RequestBuilder,
        limit: usize,
    ) -> Result<Vec<u8>, ClientError> {
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            url: self.url.clone(),
            reason: explain(&error.without_url().into()),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = vec![];
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > limit {
                return Err(ClientError::Malformed(format!(
                    "it is longer than {limit} bytes"
                )));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        let error = serde_json::from_slice(&body).map_or_else(
            |_| String::from_utf8_lossy(body.get(..200).unwrap_or(&body)).into_owned(),
            |body: ErrorBody| body.error,
        );
        Err(ClientError::Refused {
            status: status.as_u16(),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ClientError;

    #[test]
    fn trouble_passes_and_words_do_not() {
        let refused = |status| ClientError::Refused {
            status,
            error: String::new(),
        };
        for status in [408, 425, 429, 500, 502, 503, 599] {
            assert!(refused(status).may_pass(), "{status}");
        }
        for status in [400, 403, 404, 409, 422] {
            assert!(!refused(status).may_pass(), "{status}");
        }
        assert!(ClientError::Malformed(String::new()).may_pass());
    }
}
