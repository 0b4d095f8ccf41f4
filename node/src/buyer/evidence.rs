//! What a seller hands over for its claim, shard by shard: is it what the claim says, and is it true?

use std::{sync::Arc, time::Duration};

use anyhow::{ensure, Context};
use zknode_circuit::verify::Verifier;
use zknode_protocol::{
    chain::{AgreementSummary, Chain, ChainError},
    claim_tree::verify_opening,
    digest::proof_context,
    message::Domain,
    value::{AgreementId, Bytes, Hash},
};

use super::{scan::Claimed, Client, ClientError};
use crate::{
    card::{ModelCard, ShardEvidence},
    testset::{model_points, CommittedSet},
};

/// Everything a claim is judged by.
pub(super) struct Judge<'a, C> {
    pub client: Client,
    pub chain: &'a C,
    pub id: AgreementId,
    pub agreement: &'a AgreementSummary,
    pub domain: Domain,
    pub card: &'a ModelCard,
    pub set: CommittedSet,
    pub verifier: Arc<Verifier>,
}

/// None is doubted: the claimed totals are the sum of proven counts, for the openings of all leaves under one root leave no
/// other sum.
impl<C: Chain + Sync> Claimed for Judge<'_, C> {
    fn claim(&self) -> (Hash, u32) {
        (self.agreement.claim, self.agreement.terms.shards)
    }

    async fn ask(&self, index: u32, left: Duration) -> Result<ShardEvidence, ClientError> {
        self.client.evidence(self.id, index, left).await
    }

    fn check(&self, index: u32, evidence: &ShardEvidence) -> anyhow::Result<()> {
        let (terms, leaf) = (&self.agreement.terms, evidence.claim(index));
        verify_opening(self.agreement.claim, terms.shards, &leaf, &evidence.path)?;
        let proven = &evidence.attestation;
        ensure!(
            model_points(&proven.model) == self.card.points,
            "the proof is about another model"
        );
        let committed = self.set.shards.get(index as usize);
        let committed = committed.context("there is no such shard")?;
        ensure!(
            proven.shard == committed.commitment && proven.statement.valid == committed.valid,
            "the proof is about another shard"
        );
        let Domain { chain_id, escrow } = self.domain;
        let context = proof_context(chain_id, escrow, self.id, index, self.agreement.seller);
        ensure!(
            Bytes(proven.statement.context.0) == Bytes(context),
            "the proof is bound to another agreement"
        );
        Ok(self.verifier.verify(proven)?)
    }

    async fn is_proven(&self, index: u32) -> Result<bool, ChainError> {
        Ok(self.agreement.proven > 0 && self.chain.is_proven(self.id, index).await?)
    }
}
