//! What a seller tells the world about a model, over HTTP.

use serde::{de::DeserializeOwned, Deserialize, Serialize};
use zknode_circuit::{
    attestation::Statement,
    layout::{Layout, LayoutOptions},
    network::Architecture,
    verify::Attestation,
};
use zknode_protocol::{
    agreement::{ShardCount, State},
    claim_tree::{ShardClaim, SumNode},
    digest::keccak,
    message::{Receipt, SellerCard, Version},
    value::{ModelId, Point},
};

/// A model on offer. Nothing in it is believed: the reader makes the keys itself and compares with the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Version of this message.
    pub version: Version,
    /// Who sells it, and the key to seal deliveries to.
    pub seller: SellerCard,
    /// Its id in the registry.
    pub model: ModelId,
    /// The network without its weights and without names.
    pub architecture: Architecture,
    /// How its proofs are laid out.
    pub layout: LayoutOptions,
    /// The model commitment.
    pub points: Vec<Point>,
}

impl ModelCard {
    /// The card of a model that `seller` registered as `model`, laid out so, under the commitment `points`.
    pub fn new(seller: SellerCard, model: ModelId, layout: &Layout, points: Vec<Point>) -> Self {
        Self {
            version: Version,
            seller,
            model,
            architecture: layout.architecture().without_names(),
            layout: layout.options().clone(),
            points,
        }
    }
}

/// Where an agreement stands, as the seller sees it. The chain has the last word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DealStatus {
    /// Version of this message.
    pub version: Version,
    /// The agreement's state.
    pub state: State,
    /// Shards proven on chain.
    pub proven: u32,
    /// Shards in all.
    pub shards: u32,
    /// A preview is here: it need not be sent again.
    pub previewed: bool,
    /// Signed once the preview was opened and found good.
    pub preview_receipt: Option<Receipt>,
    /// A delivery is here: it need not be sent again.
    pub delivered: bool,
    /// Signed once the delivery was opened and found good.
    pub receipt: Option<Receipt>,
    /// Why the seller will not go on.
    pub refused: Option<String>,
}

/// One shard of a claim, with everything that makes it true.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardEvidence {
    /// Version of this message.
    pub version: Version,
    /// The proof, with what it says.
    pub attestation: Attestation,
    /// Its place in the claim: siblings from the leaf up.
    pub path: Vec<SumNode>,
}

impl ShardEvidence {
    /// The leaf it is about.
    pub fn claim(&self, index: u32) -> ShardClaim {
        shard_claim(index, &self.attestation)
    }
}

/// What a claim says of a shard that is proven so.
pub fn shard_claim(index: u32, attestation: &Attestation) -> ShardClaim {
    let Statement {
        valid, top1, topk, ..
    } = attestation.statement;
    ShardClaim {
        count: ShardCount {
            index,
            valid,
            top1,
            topk,
        },
        proof: keccak(&attestation.proof),
    }
}

/// An error, as the interface reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong, and what to do.
    pub error: String,
}

/// Longest manifest of so many shards.
pub fn manifest_limit(shards: usize) -> usize {
    shards.saturating_mul(1 << 10).saturating_add(1 << 12)
}

/// Body of a delivery: length of the manifest (u32, little-endian), manifest as JSON, ciphertext.
pub fn write_delivery(manifest: &impl Serialize, sealed: &[u8]) -> serde_json::Result<Vec<u8>> {
    let text = serde_json::to_vec(manifest)?;
    let mut body = (text.len() as u32).to_le_bytes().to_vec();
    body.extend(text);
    body.extend(sealed);
    Ok(body)
}

/// Reads a manifest of a preview or of everything; `Err` says what is wrong with it.
pub fn read_manifest<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| format!("the manifest does not parse: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::tiny;
    use zknode_circuit::network::Layer;
    use zknode_protocol::{
        message::Domain,
        value::{Address, Bytes},
    };

    #[test]
    fn a_card_tells_no_names_of_layers() {
        let mut architecture = tiny::network().architecture().clone();
        for layer in &mut architecture.layers {
            let Layer::Linear(layer) = layer else {
                continue;
            };
            layer.name = "customer-churn/dense".into();
        }
        let options = tiny::layout().options().clone();
        let layout = Layout::new(architecture.clone(), options).unwrap();
        let seller = SellerCard {
            version: Version,
            domain: Domain {
                chain_id: 1,
                escrow: Address::ZERO,
            },
            seller: Address::ZERO,
            reading_key: Bytes([0; 32]),
            signature: Bytes([0; 65]),
        };
        let card = ModelCard::new(seller, ModelId(Bytes([1; 32])), &layout, vec![]);
        assert_ne!(card.architecture, architecture);
        let text = serde_json::to_string(&card).unwrap();
        assert!(!text.contains("churn"), "{text}");
    }
}
