//! Proves delivered agreements, the one with the nearest deadline first, one proof at a time: it takes every core and
//! most of the memory. Everything else goes on meanwhile ([`super::deal`]); what comes first among agreements, retrievals
//! and rounds is [`super::work`]'s. It sends nothing: what is proven is brought to the chain beside it.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::Context as ProofContext, commitment::OpeningBudget, cost::Cost,
    verify::Attestation,
};
use zknode_protocol::{
    agreement::{Mode, State},
    chain::{AgreementSummary, Call, Chain, ShardProof},
    claim_tree::ClaimTree,
    dataset_root::DatasetTree,
    digest::proof_context,
    message::{ManifestShard, Version},
    value::{AgreementId, Data, Point},
};

use super::{
    deal::Deal,
    event::Event,
    model::spend_opening,
    send::{Due, Found},
    Seller,
};
use crate::{
    card::{shard_claim, ShardEvidence},
    delivery::ShardOpening,
    setup,
    store::Table,
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

impl<C: Chain> Seller<C> {
    /// Whether a shard's proof is stored.
    pub(super) fn has_proof(&self, id: AgreementId, index: u32) -> anyhow::Result<bool> {
        let stored: Option<Attestation> =
            self.store.get(Table::Proofs, &format!("{id}/{index}"))?;
        Ok(stored.is_some())
    }

    /// The proof of a shard with its place in the claim, from what is stored; `None` when there is no such shard. The tree of
    /// a claim is kept, so that asking again reads one proof only.
    pub fn evidence(
        &self,
        id: AgreementId,
        agreement: &AgreementSummary,
        index: u32,
    ) -> anyhow::Result<Option<ShardEvidence>> {
        let shards = agreement.terms.shards;
        if index >= shards {
            return Ok(None);
        }
        let proof = |shard| {
            let key = format!("{id}/{shard}");
            let stored: Option<Attestation> = self.store.get(Table::Proofs, &key)?;
            stored.with_context(|| format!("the proof of shard {shard} is gone"))
        };
        let tree = self.claim_trees.tree((id, agreement.claim), || {
            let leaf = |shard| Ok(shard_claim(shard, &proof(shard)?));
            let leaves: anyhow::Result<_> = (0..shards).map(leaf).collect();
            Ok(ClaimTree::new(leaves?)?)
        })?;
        Ok(Some(ShardEvidence {
            version: Version,
            attestation: proof(index)?,
            path: tree.path(index)?,
        }))
    }

    /// The proof of a shard: the stored one if it is what the chain will ask for, or a new one, which is stored.
    async fn attest(
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
            let fits = stored.model == self.model.record.commitment
                && points == shard_points(&stored.shard)
                && stored.statement.context == context
                && self.prover.verifier().verify(&stored).is_ok();
            if fits {
                return Ok((stored, None));
            }
            self.progress.say(format!(
                "{whose}: the stored proof of {what} is of no use, making it anew"
            ));
        }
        let _proving = self.proving.lock().await;
        let shard = tokio::task::block_in_place(|| self.commit(opening))?;
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
        let expected = setup::estimated_stages(&Cost::of(self.prover.layout()));
        let bar = self.progress.proof(&format!("proving {what}"), &expected);
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
}
