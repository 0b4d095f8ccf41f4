//! What the responder remembers of a retrieval.

use anyhow::ensure;
use serde::{Deserialize, Serialize};
use zknode_protocol::{retrieval::message::Offer, value::Hash};

/// What the responder remembers of a retrieval.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Served {
    version: u16,
    /// As the requester offered it.
    pub offer: Offer,
    /// The responder's bond is at stake, or about to be.
    #[serde(default)]
    pub accepted: bool,
    /// Why the responder will not go on.
    pub refused: Option<String>,
    /// Hash and length of the sealed items, which lie in the home.
    pub sealed: Option<(Hash, u64)>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Served`].
const VERSION: u16 = 1;

impl Served {
    /// A retrieval just heard of.
    pub fn new(offer: Offer) -> Self {
        Self {
            version: VERSION,
            offer,
            accepted: false,
            refused: None,
            sealed: None,
            over: false,
        }
    }

    /// Whether the responder is bound by it.
    pub(in crate::retrieval) fn is_promised(&self) -> bool {
        self.accepted && self.refused.is_none() && !self.over
    }

    /// Proofs it still asks for, at worst: two a shard, none once the items are sealed.
    pub(in crate::retrieval) fn proofs_left(&self) -> u32 {
        match self.sealed {
            None => self.offer.terms.shards.saturating_mul(2),
            Some(_) => 0,
        }
    }

    /// Fails for one of another release.
    pub(super) fn check_version(&self) -> anyhow::Result<()> {
        ensure!(
            self.version == VERSION,
            "a retrieval is stored with version {}, this build reads {VERSION}",
            self.version
        );
        Ok(())
    }
}
