//! What a seller hands over for its claim, shard by shard: is it what the claim says, and is it true?

use std::sync::Arc;

use zknode_circuit::verify::Verifier;
use zknode_protocol::{
    chain::AgreementSummary,
    claim_tree::verify_opening,
    digest::proof_context,
    message::Domain,
    value::{AgreementId, Bytes},
};

use super::{Client, ClientError};
use crate::{
    card::{ModelCard, ShardEvidence},
    testset::{model_points, CommittedSet},
};

/// A shard that is not proven to this side.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    pub index: u32,
    /// What was handed over is no evidence; else nothing was.
    pub is_false: bool,
    pub reason: String,
}

/// Everything a claim is judged by.
pub(super) struct Judge<'a> {
    pub client: Client,
    pub id: AgreementId,
    pub agreement: &'a AgreementSummary,
    pub domain: Domain,
    pub card: &'a ModelCard,
    pub set: CommittedSet,
    pub verifier: Arc<Verifier>,
}

impl Judge<'_> {
    /// The shards without evidence. None: the claimed totals are the sum of proven counts, for the openings of all
    /// leaves under one root leave no other sum.
    pub async fn doubts(&self) -> anyhow::Result<Vec<Doubt>> {
        let mut doubts = vec![];
        for index in 0..self.agreement.terms.shards {
            let doubt = match self.client.evidence(self.id, index).await {
                Ok(evidence) => tokio::task::block_in_place(|| self.check(index, &evidence))
                    .err()
                    .map(|reason| (true, reason)),
                // One that cannot be reached hands over none of the others either.
                Err(error @ ClientError::Unreachable { .. }) => {
                    doubts.extend((index..self.agreement.terms.shards).map(|index| Doubt {
                        index,
                        is_false: false,
                        reason: error.to_string(),
                    }));
                    return Ok(doubts);
                }
                Err(error) => Some((false, error.to_string())),
            };
            doubts.extend(doubt.map(|(is_false, reason)| Doubt {
                index,
                is_false,
                reason,
            }));
        }
        Ok(doubts)
    }

    fn check(&self, index: u32, evidence: &ShardEvidence) -> Result<(), String> {
        let require = |holds: bool, otherwise: &str| {
            if holds {
                Ok(())
            } else {
                Err(otherwise.to_owned())
            }
        };
        let (terms, leaf) = (&self.agreement.terms, evidence.claim(index));
        verify_opening(self.agreement.claim, terms.shards, &leaf, &evidence.path)
            .map_err(|error| error.to_string())?;
        let proven = &evidence.attestation;
        require(
            model_points(&proven.model) == self.card.points,
            "the proof is about another model",
        )?;
        let committed = self.set.shards.get(index as usize);
        let committed = committed.ok_or("there is no such shard")?;
        require(
            proven.shard == committed.commitment && proven.statement.valid == committed.valid,
            "the proof is about another shard",
        )?;
        let Domain { chain_id, escrow } = self.domain;
        let context = proof_context(chain_id, escrow, self.id, index, self.agreement.seller);
        require(
            Bytes(proven.statement.context.0) == Bytes(context),
            "the proof is bound to another agreement",
        )?;
        self.verifier
            .verify(proven)
            .map_err(|error| error.to_string())
    }
}
