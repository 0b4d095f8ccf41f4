//! Proofs of single shards: one that is stored and fits, or a new one, which is stored before anything is done with it. One is
//! made at a time.

use std::{sync::Arc, time::Instant};

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::Context as ProofContext, commitment::OpeningBudget, cost::Cost,
    verify::Attestation,
};
use zknode_protocol::{
    chain::{AgreementSummary, Chain},
    digest::proof_context,
    value::{AgreementId, Point},
};

use super::{event::Event, model::spend_opening, Seller};
use crate::{
    card::ShardEvidence, delivery::ShardOpening, progress::ProofBar, setup, store::Table,
    testset::shard_points,
};

impl<C: Chain> Seller<C> {
    /// Whether a shard's proof is stored.
    pub(super) fn has_proof(&self, id: AgreementId, index: u32) -> anyhow::Result<bool> {
        let stored: Option<Attestation> =
            self.store.get(Table::Proofs, &format!("{id}/{index}"))?;
        Ok(stored.is_some())
    }

    /// The proof of a shard with its place in the claim, from what is stored; `None` when there is no such shard.
    pub fn evidence(
        &self,
        id: AgreementId,
        agreement: &AgreementSummary,
        index: u32,
    ) -> anyhow::Result<Option<ShardEvidence>> {
        let (claim, shards) = ((id, agreement.claim), agreement.terms.shards);
        self.claim_trees.evidence(claim, shards, index, |shard| {
            let key = format!("{id}/{shard}");
            let stored: Option<Attestation> = self.store.get(Table::Proofs, &key)?;
            stored.with_context(|| format!("the proof of shard {shard} is gone"))
        })
    }

    /// The proof of a shard: the stored one if it is what the chain will ask for, or a new one, which is stored.
    pub(super) async fn attest(
        self: &Arc<Self>,
        id: AgreementId,
        agreement: &AgreementSummary,
        index: u32,
        opening: &ShardOpening,
        points: &[Point],
    ) -> anyhow::Result<Attestation> {
        let chain = self.wallet.chain();
        let escrow = chain.contracts().escrow;
        let context = proof_context(chain.chain_id(), escrow, id, index, agreement.seller);
        let names = (format!("agreement {id}"), format!("shard {index}"));
        let (attestation, made) = self
            .prove_shard(
                &format!("{id}/{index}"),
                (&names.0, &names.1),
                ProofContext(context),
                opening,
                points,
            )
            .await?;
        if let Some((seconds, verify_milliseconds)) = made {
            self.tell(Event::Proof {
                agreement: id,
                shard: index,
                seconds,
                verify_milliseconds,
                proof_bytes: attestation.proof.len(),
            });
        }
        Ok(attestation)
    }

    /// The stored proof under `key` if it is of this shard and context, or a new one, which is stored; with the seconds it
    /// took to make and the milliseconds to verify. `whose` and `what` name it for people.
    pub(super) async fn prove_shard(
        self: &Arc<Self>,
        key: &str,
        (whose, what): (&str, &str),
        context: ProofContext,
        opening: &ShardOpening,
        points: &[Point],
    ) -> anyhow::Result<(Attestation, Option<(f64, f64)>)> {
        let stored: Option<Attestation> = self.store.get(Table::Proofs, key)?;
        if let Some(stored) = stored {
            if self.check_proof(&stored, points, context).is_ok() {
                return Ok((stored, None));
            }
            self.progress.say(format!(
                "{whose}: the stored proof of {what} is of no use, making it anew"
            ));
        }
        let _proving = self.proving.lock().await;
        let shard = tokio::task::block_in_place(|| self.commit(opening))?;
        let column = shard.column();
        let budget = (column.commitment().to_string(), column.opening_limit());
        let bar = self.begin_proof(&format!("proving {what}"), budget)?;
        let (seller, opening) = (self.clone(), opening.clone());
        let proving = tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            let attestation = seller.prover.prove(
                (&seller.model.network, &seller.model.committed),
                (&opening.samples(), &shard),
                context,
                StdRng::from_entropy(),
                |stage| bar.stage(stage),
            )?;
            let seconds = start.elapsed().as_secs_f64();
            let start = Instant::now();
            seller.prover.verifier().verify(&attestation)?;
            Ok::<_, anyhow::Error>((attestation, seconds, start.elapsed().as_secs_f64() * 1e3))
        });
        let (attestation, seconds, verify_milliseconds) = proving.await??;
        self.store.put(Table::Proofs, key, &attestation)?;
        Ok((attestation, Some((seconds, verify_milliseconds))))
    }

    /// Whether it is a proof about this model, just this shard and this context.
    pub(crate) fn check_proof(
        &self,
        proof: &Attestation,
        points: &[Point],
        context: ProofContext,
    ) -> anyhow::Result<()> {
        ensure!(
            proof.model == self.model.record.commitment
                && points == shard_points(&proof.shard)
                && proof.statement.context == context,
            "the proof is about something else"
        );
        Ok(self.prover.verifier().verify(proof)?)
    }

    /// Counts the openings a proof takes, before it is made: of the shard, under which key and of how many, and of the model;
    /// and shows its bar.
    pub(crate) fn begin_proof(
        &self,
        says: &str,
        (shard, limit): (String, u32),
    ) -> anyhow::Result<ProofBar> {
        // The shard's first: the model's openings are worth more.
        spend_opening(&self.store, &shard, OpeningBudget::new(limit))?;
        let limit = self.model.committed.opening_limit();
        let model = self.model.record.key();
        spend_opening(&self.store, &model, OpeningBudget::new(limit))?;
        let expected = setup::estimated_stages(&Cost::of(self.prover.layout()));
        Ok(self.progress.proof(says, &expected))
    }
}
