//! What the fake chain says of a contract that is not on it: nothing is known of any retrieval.

use super::FakeChain;
use crate::{
    chain::{retrieval::RetrievalChain, ChainError},
    retrieval::{Retrieval, RetrievalId},
};

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
