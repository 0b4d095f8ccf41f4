//! Proves delivered agreements, the one with the nearest deadline first, one proof at a time: it takes every core and
//! most of the memory. Everything else goes on meanwhile ([`super::deal`]).

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::Context as ProofContext, commitment::OpeningBudget, cost::Cost,
    verify::Attestation,
};
use zknode_protocol::{
    agreement::{ShardCount, State},
    chain::{AgreementSummary, Call, Chain, ShardProof},
    digest::proof_context,
    value::{AgreementId, Data, Point},
};

use super::{deal::Deal, event::Event, model::spend_opening, Seller};
use crate::{
    delivery::ShardOpening,
    setup,
    store::Table,
    testset::{point, points},
};

/// Proves what is to be proven; whether there was anything.
pub async fn prove_next<C: Chain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let chain = seller.wallet.chain();
    let mut delivered = vec![];
    for (id, deal) in seller.active()? {
        if let Some(agreement) = seller.wallet.agreement(id).await? {
            if agreement.state == State::Delivered {
                delivered.push((id, deal, agreement));
            }
        }
    }
    delivered.sort_by_key(|(id, _, agreement)| (agreement.terms.prove_by, *id));
    let now = chain.head().await?.time;
    let mut failed = None;
    for (id, deal, agreement) in delivered {
        // Past its deadline the bond is lost; whoever gains by it ends the agreement.
        if now > agreement.terms.prove_by {
            continue;
        }
        match prove_shard(seller, id, &deal, &agreement).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error.context(format!("agreement {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Proves one missing shard on the chain; false when none is missing.
async fn prove_shard<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
) -> anyhow::Result<bool> {
    let Some(index) = next_shard(seller, id, agreement).await? else {
        return Ok(false);
    };
    let manifest = deal
        .manifest
        .as_ref()
        .context("it is delivered on chain, but no delivery is stored here")?;
    let (openings, tree) = seller.open_delivery(&agreement.terms, manifest)?;
    let missing = || format!("shard {index} is not in the delivery");
    let opening = openings.get(index as usize).with_context(missing)?;
    let agreed = manifest.shards.get(index as usize).with_context(missing)?;
    let attestation = seller
        .attest(id, agreement, index, opening, &agreed.points)
        .await?;
    let statement = attestation.statement;
    let proof = ShardProof {
        id,
        shard: ShardCount {
            index,
            valid: statement.valid,
            top1: statement.top1,
            topk: statement.topk,
        },
        model_points: points(&attestation.model),
        shard_points: vec![point(&attestation.shard)],
        path: tree.path(index)?,
        proof: Data(attestation.proof),
    };
    let call = Call::ProveShard(Box::new(proof));
    let purpose = format!("prove {id}/{index}");
    let receipt = seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Proven {
        agreement: id,
        shard: index,
        top1: statement.top1,
        valid: statement.valid,
        gas: receipt.gas,
    });
    Ok(true)
}

/// The first shard that is not proven. They are proven in order, so the count is the first guess; but anybody may bring
/// a proof.
async fn next_shard<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    agreement: &AgreementSummary,
) -> anyhow::Result<Option<u32>> {
    if agreement.missing() == 0 {
        return Ok(None);
    }
    let guess = agreement.proven;
    for index in (guess..agreement.terms.shards).chain(0..guess) {
        if !seller.wallet.chain().is_proven(id, index).await? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

impl<C: Chain> Seller<C> {
    /// The proof of a shard: the stored one if it is what the chain will ask for, or a new one, which is stored.
    async fn attest(
        self: &Arc<Self>,
        id: AgreementId,
        agreement: &AgreementSummary,
        index: u32,
        opening: &ShardOpening,
        points: &[Point],
    ) -> anyhow::Result<Attestation> {
        let key = format!("{id}/{index}");
        let chain = self.wallet.chain();
        let escrow = chain.contracts().escrow;
        let context = proof_context(chain.chain_id(), escrow, id, index, agreement.seller);
        let context = ProofContext(context);
        let stored: Option<Attestation> = self.store.get(Table::Proofs, &key)?;
        if let Some(stored) = stored {
            let fits = stored.model == self.model.record.commitment
                && points == [point(&stored.shard)]
                && stored.statement.context == context
                && self.prover.verifier().verify(&stored).is_ok();
            if fits {
                return Ok(stored);
            }
            self.progress.say(format!(
                "agreement {id}: the stored proof of shard {index} is of no use, making it anew"
            ));
        }
        let shard = self.commit(opening)?;
        // The shard's first: the model's openings are worth more.
        let shard_key = shard.column().commitment().to_string();
        let budgets = [
            (shard_key, shard.column().opening_limit()),
            (
                self.model.record.key(),
                self.model.committed.opening_limit(),
            ),
        ];
        for (key, limit) in budgets {
            spend_opening(&self.store, &key, OpeningBudget::new(limit))?;
        }
        let what = format!("proving shard {index} of {}", agreement.terms.shards);
        let expected = setup::estimated_stages(&Cost::of(self.prover.layout()));
        let bar = self.progress.proof(&what, &expected);
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
        self.store.put(Table::Proofs, &key, &attestation)?;
        self.tell(Event::Proof {
            agreement: id,
            shard: index,
            seconds,
            verify_milliseconds,
            proof_bytes: attestation.proof.len(),
        });
        Ok(attestation)
    }
}
