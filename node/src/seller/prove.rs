//! Proves delivered agreements, the one with the nearest deadline first, one proof at a time: it takes every core and
//! most of the memory. Everything else goes on meanwhile ([`super::deal`]); what comes first among agreements, retrievals
//! and rounds is [`super::work`]'s. What is contested is answered beside it.

use std::sync::Arc;

use anyhow::Context;
use zknode_circuit::verify::Attestation;
use zknode_protocol::{
    agreement::{Mode, State},
    chain::{AgreementSummary, Call, Chain, ShardProof},
    claim_tree::ClaimTree,
    dataset_root::DatasetTree,
    message::ManifestShard,
    value::{AgreementId, Data},
};

use super::{
    deal::Deal,
    event::Event,
    send::{send_all, Proof, AT_ONCE},
    Seller,
};
use crate::{
    card::shard_claim,
    delivery::ShardOpening,
    testset::{model_points, shard_points},
};

/// Agreements in this state, the nearest deadline first.
async fn owed<C: Chain>(
    seller: &Seller<C>,
    state: State,
) -> anyhow::Result<Vec<(AgreementId, Deal, AgreementSummary)>> {
    let now = seller.wallet.chain().head().await?.time;
    let mut owed = vec![];
    for (id, deal) in seller.active()? {
        if let Some(agreement) = seller.wallet.agreement(id).await? {
            // Past its deadline the bond is lost; whoever gains by it ends the agreement.
            if agreement.state == state && now <= agreement.deadline {
                owed.push((id, deal, agreement));
            }
        }
    }
    owed.sort_by_key(|(id, _, agreement)| (agreement.deadline, *id));
    Ok(owed)
}

/// The nearest deadline of a claim.
pub async fn nearest<C: Chain>(seller: &Seller<C>) -> anyhow::Result<Option<u64>> {
    let owed = owed(seller, State::Delivered).await?;
    Ok(owed.first().map(|(_, _, agreement)| agreement.deadline))
}

/// Proves what is to be proven; whether there was anything.
pub async fn prove_next<C: Chain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let mut failed = None;
    for (id, deal, agreement) in owed(seller, State::Delivered).await? {
        let done = match agreement.terms.mode {
            Mode::Eager => prove_on_chain(seller, id, &deal, &agreement).await,
            Mode::Optimistic => claim(seller, id, &deal, &agreement).await,
        };
        match done {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error.context(format!("agreement {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Brings the proofs of contested shards to the chain, the nearest deadlines first; whether there were any.
pub async fn answer_contests<C: Chain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let (mut proofs, mut failed) = (vec![], None);
    for (id, deal, agreement) in owed(seller, State::Contested).await? {
        if proofs.len() >= AT_ONCE {
            break;
        }
        match answers(seller, id, &deal, &agreement, AT_ONCE - proofs.len()).await {
            Ok(more) => proofs.extend(more),
            Err(error) => failed = Some(error.context(format!("agreement {id}"))),
        }
    }
    let sent = send_all(seller, &seller.wallet, proofs).await?;
    failed.map_or(Ok(sent), Err)
}

/// The answers to some contests of an agreement.
async fn answers<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    most: usize,
) -> anyhow::Result<Vec<Proof>> {
    let contested = seller.wallet.chain().unanswered(id, agreement).await?;
    let delivery = Delivery::open(seller, deal, agreement)?;
    let mut answers = vec![];
    for index in contested.into_iter().take(most) {
        let attestation = delivery.attest(seller, id, agreement, index).await?;
        let evidence = seller.evidence(id, agreement, index)?;
        let evidence = evidence.with_context(|| format!("shard {index} is not in the claim"))?;
        let call = Call::Answer {
            proof: Box::new(delivery.proof(id, index, &attestation)?),
            path: evidence.path,
        };
        answers.push(Proof {
            purpose: format!("answer {id}/{index}"),
            call,
            event: Box::new(move |gas| proven(id, index, &attestation, gas)),
        });
    }
    Ok(answers)
}

/// Makes one proof that is still missing; with all of them made, claims.
async fn claim<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
) -> anyhow::Result<bool> {
    let delivery = Delivery::open(seller, deal, agreement)?;
    for index in 0..agreement.terms.shards {
        if !seller.has_proof(id, index)? {
            delivery.attest(seller, id, agreement, index).await?;
            return Ok(true);
        }
    }
    let mut leaves = vec![];
    for index in 0..agreement.terms.shards {
        let attestation = delivery.attest(seller, id, agreement, index).await?;
        leaves.push(shard_claim(index, &attestation));
    }
    let top = ClaimTree::new(leaves)?.top();
    let sums = top.sums;
    let call = Call::Claim {
        id,
        node: top.hash,
        top1: sums.top1.try_into()?,
        topk: sums.topk.try_into()?,
    };
    let receipt = seller.wallet.execute(&format!("claim {id}"), &call).await?;
    seller.tell(Event::Claimed {
        agreement: id,
        top1: sums.top1,
        valid: sums.valid,
        gas: receipt.gas,
    });
    Ok(true)
}

/// Eager mode: proves one missing shard on the chain; false when none is missing.
async fn prove_on_chain<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
) -> anyhow::Result<bool> {
    let Some(index) = next_shard(seller, id, agreement).await? else {
        return Ok(false);
    };
    let delivery = Delivery::open(seller, deal, agreement)?;
    let attestation = delivery.attest(seller, id, agreement, index).await?;
    let call = Call::ProveShard(Box::new(delivery.proof(id, index, &attestation)?));
    let purpose = format!("prove {id}/{index}");
    let receipt = seller.wallet.execute(&purpose, &call).await?;
    seller.tell(proven(id, index, &attestation, receipt.gas));
    Ok(true)
}

fn proven(agreement: AgreementId, shard: u32, attestation: &Attestation, gas: u64) -> Event {
    Event::Proven {
        agreement,
        shard,
        top1: attestation.statement.top1,
        valid: attestation.statement.valid,
        gas,
    }
}

/// The opened test set of an agreement.
struct Delivery {
    openings: Vec<ShardOpening>,
    shards: Vec<ManifestShard>,
    tree: DatasetTree,
}

impl Delivery {
    fn open<C: Chain>(
        seller: &Seller<C>,
        deal: &Deal,
        agreement: &AgreementSummary,
    ) -> anyhow::Result<Self> {
        let manifest = deal
            .manifest
            .as_ref()
            .context("it is delivered on chain, but no delivery is stored here")?;
        // Whatever waits in this thread's queue goes on in another.
        let opened =
            tokio::task::block_in_place(|| seller.open_delivery(&agreement.terms, manifest));
        let (openings, tree) = opened?;
        Ok(Self {
            openings,
            shards: manifest.shards.clone(),
            tree,
        })
    }

    async fn attest<C: Chain>(
        &self,
        seller: &Arc<Seller<C>>,
        id: AgreementId,
        agreement: &AgreementSummary,
        index: u32,
    ) -> anyhow::Result<Attestation> {
        let missing = || format!("shard {index} is not in the delivery");
        let opening = self.openings.get(index as usize).with_context(missing)?;
        let agreed = self.shards.get(index as usize).with_context(missing)?;
        seller
            .attest(id, agreement, index, opening, &agreed.points)
            .await
    }

    fn proof(
        &self,
        id: AgreementId,
        index: u32,
        attestation: &Attestation,
    ) -> anyhow::Result<ShardProof> {
        Ok(ShardProof {
            id,
            shard: shard_claim(index, attestation).count,
            model_points: model_points(&attestation.model),
            shard_points: shard_points(&attestation.shard),
            path: self.tree.path(index)?,
            proof: Data(attestation.proof.clone()),
        })
    }
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
