//! What the fake chain says of contracts that are not on it: nothing is known of any round or retrieval.

use super::FakeChain;
use crate::{
    chain::{retrieval::RetrievalChain, ChainError, RoundChain},
    retrieval::{Retrieval, RetrievalId},
    round::{Contest, Round, RoundId},
    value::Hash,
};

impl RoundChain for FakeChain {
    async fn round_at_depth(&self, _: RoundId, _: u64) -> Result<Option<Round>, ChainError> {
        drop(self.request()?);
        Ok(None)
    }

    async fn contest_of(&self, _: Hash) -> Result<Option<Contest>, ChainError> {
        drop(self.request()?);
        Ok(None)
    }
}

impl RetrievalChain for FakeChain {
    async fn retrieval_at_depth(
        &self,
        _: RetrievalId,
        _: u64,
    ) -> Result<Option<Retrieval>, ChainError> {
        drop(self.request()?);
        Ok(None)
    }
}
