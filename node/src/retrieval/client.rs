//! The responder's HTTP interface, from the requester's side.

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

impl Client {
    /// What the responder publishes of its corpus.
    pub async fn corpus(&self) -> Result<Manifest, ClientError> {
        let text = self.bytes("corpus", MAX_MANIFEST).await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// Tells it of an open retrieval.
    pub async fn offer_retrieval(&self, offer: &Offer) -> Result<Status, ClientError> {
        self.post("retrievals", offer).await
    }

    /// Asks for a shard's proof and its place in the claim.
    pub async fn scan(&self, id: RetrievalId, index: u32) -> Result<ShardEvidence, ClientError> {
        let text = self
            .bytes(&format!("retrievals/{id}/evidence/{index}"), 1 << 20)
            .await?;
        serde_json::from_slice(&text).map_err(|error| ClientError::Malformed(error.to_string()))
    }

    /// Asks for the sealed items.
    pub async fn items(&self, id: RetrievalId, limit: usize) -> Result<Vec<u8>, ClientError> {
        self.bytes(&format!("retrievals/{id}/items"), limit).await
    }
}
