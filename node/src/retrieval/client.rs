//! The responder's HTTP interface, from the requester's side.

use std::time::Duration;

use zknode_protocol::retrieval::{
    corpus::{Manifest, MAX_ITEMS},
    message::{Offer, Status},
    RetrievalId,
};

use crate::{
    buyer::{Client, ClientError},
    card::ShardEvidence,
};

/// Longest manifest: a commitment is 133 bytes of JSON.
const MAX_MANIFEST: usize = MAX_ITEMS * 140;
/// Longest wait for a manifest.
const MANIFEST_TIMEOUT: Duration = Duration::from_secs(3600);
/// Longest wait for a shard's proof, some kB that lie ready.
const SCAN_TIMEOUT: Duration = Duration::from_secs(30);

impl Client {
    /// What the responder publishes of its corpus.
    pub async fn corpus(&self) -> Result<Manifest, ClientError> {
        let text = self.bytes("corpus", MAX_MANIFEST, MANIFEST_TIMEOUT).await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// Tells it of an open retrieval.
    pub async fn offer_retrieval(&self, offer: &Offer) -> Result<Status, ClientError> {
        self.post("retrievals", offer).await
    }

    /// Asks for a shard's proof and its place in the claim, for no longer than `left`.
    pub async fn scan(
        &self,
        id: RetrievalId,
        index: u32,
        left: Duration,
    ) -> Result<ShardEvidence, ClientError> {
        let end = format!("retrievals/{id}/evidence/{index}");
        let text = self.bytes(&end, 1 << 20, left.min(SCAN_TIMEOUT)).await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// Asks for the sealed items, for no longer than `left`.
    pub async fn items(
        &self,
        id: RetrievalId,
        limit: usize,
        left: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let end = format!("retrievals/{id}/items");
        self.bytes(&end, limit, left).await
    }
}
