//! Proves delivered agreements, the one with the nearest deadline first, one proof at a time: it takes every core and
//! most of the memory. Everything else goes on meanwhile ([`super::deal`]); what comes first among agreements, retrievals
//! and rounds is [`super::work`]'s. It sends nothing: what is proven is brought to the chain beside it.

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
    send::{Due, Found},
    Seller,
};
use crate::{
    card::shard_claim,
    delivery::ShardOpening,
    testset::{model_points, shard_points},
};

/// Agreements in one of these states, the nearest deadline first.
async fn owed<C: Chain>(
    seller: &Seller<C>,
    states: &[State],
) -> anyhow::Result<Vec<(AgreementId, Deal, AgreementSummary)>> {
    let now = seller.wallet.chain().head().await?.time;
    let mut owed = vec![];
    for (id, deal) in seller.active()? {
        if let Some(agreement) = seller.wallet.agreement(id).await? {
            // Past its deadline the bond is lost; whoever gains by it ends the agreement.
            if states.contains(&agreement.state) && now <= agreement.deadline {
                owed.push((id, deal, agreement));
            }
        }
    }
    owed.sort_by_key(|(id, _, agreement)| (agreement.deadline, *id));
    Ok(owed)
}

/// The nearest deadline of a claim.
pub async fn nearest<C: Chain>(seller: &Seller<C>) -> anyhow::Result<Option<u64>> {
    let owed = owed(seller, &[State::Delivered]).await?;
    Ok(owed.first().map(|(_, _, agreement)| agreement.deadline))
}

/// Makes one proof that is still missing; whether there was any.
pub async fn prove_next<C: Chain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let mut failed = None;
    for (id, deal, agreement) in owed(seller, &[State::Delivered]).await? {
        match make_one(seller, id, &deal, &agreement).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error.context(format!("agreement {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

async fn make_one<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
) -> anyhow::Result<bool> {
    let eager = agreement.terms.mode == Mode::Eager;
    for index in 0..agreement.terms.shards {
        if seller.has_proof(id, index)?
            || eager && seller.wallet.chain().is_proven(id, index).await?
        {
            continue;
        }
        let delivery = Delivery::open(seller, deal, agreement)?;
        delivery.attest(seller, id, agreement, index).await?;
        return Ok(true);
    }
    Ok(false)
}

/// What is proven and owed to the chain, the nearest deadlines first, no more than `most` or a few: claims, eager proofs and
/// answers to contests.
pub async fn answers<C: Chain>(seller: &Arc<Seller<C>>, most: usize) -> anyhow::Result<Found> {
    let mut found = Found::default();
    for (id, deal, agreement) in owed(seller, &[State::Delivered, State::Contested]).await? {
        let Some(most) = most.checked_sub(found.due.len()).filter(|most| *most > 0) else {
            break;
        };
        let due = match (agreement.state, agreement.terms.mode) {
            (State::Contested, _) => contested(seller, id, &deal, &agreement, most).await,
            (_, Mode::Eager) => eager(seller, id, &deal, &agreement, most).await,
            (_, Mode::Optimistic) => claim(seller, id, &deal, &agreement).await,
        };
        found.add(due, format!("agreement {id}"));
    }
    Ok(found)
}

/// The answers to some contests of an agreement.
async fn contested<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    most: usize,
) -> anyhow::Result<Vec<Due>> {
    let chain = seller.wallet.chain();
    let contested = chain.unanswered(id, agreement, most).await?;
    let delivery = Delivery::open(seller, deal, agreement)?;
    let mut answers = vec![];
    for index in contested {
        let attestation = delivery.attest(seller, id, agreement, index).await?;
        let evidence = seller.evidence(id, agreement, index)?;
        let evidence = evidence.with_context(|| format!("shard {index} is not in the claim"))?;
        let call = Call::Answer {
            proof: Box::new(delivery.proof(id, index, &attestation)?),
            path: evidence.path,
        };
        let order = seller.wallet.order(format!("answer {id}/{index}"), call);
        let event = move |gas| proven(id, index, &attestation, gas);
        answers.push(Due::new(agreement.deadline, order, event));
    }
    Ok(answers)
}

/// The claim, once all its proofs are made.
async fn claim<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
) -> anyhow::Result<Vec<Due>> {
    for index in 0..agreement.terms.shards {
        if !seller.has_proof(id, index)? {
            return Ok(vec![]);
        }
    }
    let delivery = Delivery::open(seller, deal, agreement)?;
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
    let order = seller.wallet.order(format!("claim {id}"), call);
    let event = move |gas| Event::Claimed {
        agreement: id,
        top1: sums.top1,
        valid: sums.valid,
        gas,
    };
    Ok(vec![Due::new(agreement.deadline, order, event)])
}

/// Eager mode: the proofs that are made and not on the chain yet.
async fn eager<C: Chain>(
    seller: &Arc<Seller<C>>,
    id: AgreementId,
    deal: &Deal,
    agreement: &AgreementSummary,
    most: usize,
) -> anyhow::Result<Vec<Due>> {
    let mut made = vec![];
    for index in 0..agreement.terms.shards {
        if seller.has_proof(id, index)? {
            made.push(index);
        }
    }
    // Made here, whoever brought them: so many are left. They are proven in order, so the count is the first guess.
    let left = made
        .len()
        .saturating_sub(agreement.proven as usize)
        .min(most);
    made.sort_by_key(|index| *index < agreement.proven);
    let mut missing = vec![];
    for index in made {
        if missing.len() == left {
            break;
        }
        if !seller.wallet.chain().is_proven(id, index).await? {
            missing.push(index);
        }
    }
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let delivery = Delivery::open(seller, deal, agreement)?;
    let mut due = vec![];
    for index in missing {
        let attestation = delivery.attest(seller, id, agreement, index).await?;
        let call = Call::ProveShard(Box::new(delivery.proof(id, index, &attestation)?));
        let order = seller.wallet.order(format!("prove {id}/{index}"), call);
        let event = move |gas| proven(id, index, &attestation, gas);
        due.push(Due::new(agreement.deadline, order, event));
    }
    Ok(due)
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
