//! One agreement, from the seller's side: what the chain says and what is stored decide the next step.
//!
//! [`advance`] takes one step and says what to do next. It keeps nothing in memory, so that a crash at any point is
//! the same as a pause: accepting, acknowledging and proving are sent under fixed purposes, an opening is counted
//! before its proof is made, and a finished proof is stored before it is sent.

use std::time::Instant;

use rand::{rngs::StdRng, SeedableRng};
use serde::{Deserialize, Serialize};
use zknode_circuit::{
    attestation::Context as ProofContext,
    commitment::{CommittedShard, OpeningBudget},
    verify::Attestation,
};
use zknode_protocol::{
    agreement::{Agreement, ShardCount, State},
    chain::{Call, Chain, ShardProof},
    dataset_root::DatasetTree,
    digest::{keccak, proof_context},
    message::{DeliveryManifest, Domain, Offer, Receipt, Version},
    value::{AgreementId, Data, Hash},
};

use super::{event::Event, model::spend_opening, policy::Facts, Seller};
use crate::{
    delivery::{self, ShardOpening},
    home::read_file,
    seller::model::openings_left,
    store::Table,
    testset::point,
};

/// What the seller remembers of an agreement.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deal {
    version: u16,
    /// As the buyer offered it.
    pub offer: Offer,
    /// What came with the ciphertext, which lies in the home.
    pub manifest: Option<DeliveryManifest>,
    /// Signed once the delivery was opened and found good.
    pub receipt: Option<Receipt>,
    /// Why the seller will not go on.
    pub refused: Option<String>,
    /// Nothing is left to do.
    pub over: bool,
}

/// Format of [`Deal`].
const VERSION: u16 = 1;

impl Deal {
    /// An agreement just heard of.
    pub fn new(offer: Offer) -> Self {
        Self {
            version: VERSION,
            offer,
            manifest: None,
            receipt: None,
            refused: None,
            over: false,
        }
    }
}

/// What to do after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something happened: look again at once.
    Again,
    /// The other side, the chain or a deadline must move first.
    Wait,
    /// The agreement ended and all money is withdrawn.
    Over,
}

/// Takes the next step of an agreement.
pub async fn advance<C: Chain>(seller: &Seller<C>, id: AgreementId) -> anyhow::Result<Next> {
    let Some(deal) = seller.deal(id)? else {
        return Ok(Next::Over);
    };
    if deal.over {
        return Ok(Next::Over);
    }
    let chain = seller.wallet.chain();
    let Some(agreement) = chain.agreement(id).await? else {
        return Ok(Next::Wait);
    };
    let now = chain.head().await?.time;
    match agreement.state {
        State::Open => open(seller, id, &deal, &agreement, now).await,
        State::Accepted => accepted(seller, id, &deal, &agreement, now).await,
        State::Delivered => delivered(seller, id, &deal, &agreement, now).await,
        State::Cancelled | State::Declined | State::Settled | State::Slashed => {
            let paid = seller
                .wallet
                .withdraw(agreement.terms.token, &id.to_string())
                .await?;
            seller.change(id, |deal| deal.over = true)?;
            seller.tell(Event::Over {
                agreement: id,
                state: agreement.state,
                correct: agreement.correct,
                withdrawn: paid,
            });
            Ok(Next::Over)
        }
    }
}

async fn open<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &Agreement,
    now: u64,
) -> anyhow::Result<Next> {
    if deal.refused.is_some() {
        return Ok(Next::Wait);
    }
    if now > agreement.terms.accept_by {
        return seller.refuse(id, "the time to accept is over".into());
    }
    let facts = Facts {
        model: seller.card.model,
        shard_size: seller.model.layout.options().samples,
        openings_left: openings_left(&seller.store, &seller.model.record.commitment)?
            .saturating_sub(seller.promised(id).await?),
    };
    if let Err(refusal) = seller.policy.check(agreement, facts) {
        return seller.refuse(id, refusal.to_string());
    }
    let (token, bond) = (agreement.terms.token, agreement.terms.bond);
    seller.wallet.allow(token, bond, &id.to_string()).await?;
    let value = agreement.terms.wei(bond);
    let call = Call::Accept { id, value };
    seller
        .wallet
        .execute(&format!("accept {id}"), &call)
        .await?;
    seller.tell(Event::Accepted { agreement: id });
    Ok(Next::Again)
}

async fn accepted<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &Agreement,
    now: u64,
) -> anyhow::Result<Next> {
    if deal.refused.is_some() || now > agreement.terms.deliver_by {
        let purpose = format!("decline {id}");
        seller.wallet.execute(&purpose, &Call::Decline(id)).await?;
        return Ok(Next::Again);
    }
    let Some(manifest) = &deal.manifest else {
        return Ok(Next::Wait);
    };
    if let Err(error) = tokio::task::block_in_place(|| seller.check_delivery(agreement, manifest)) {
        return seller.refuse(
            id,
            format!("the delivery is not what was agreed: {error:#}"),
        );
    }
    let ciphertext = manifest.ciphertext_hash;
    if deal.receipt.is_none() {
        let domain = Domain {
            chain_id: seller.wallet.chain().chain_id(),
            escrow: seller.wallet.chain().contracts().escrow,
        };
        let signature = seller.key.sign(domain.receipt_digest(id, ciphertext))?;
        let receipt = Receipt {
            version: Version,
            domain,
            agreement: id,
            ciphertext_hash: ciphertext,
            signature,
        };
        seller.change(id, |deal| deal.receipt = Some(receipt))?;
    }
    let call = Call::Acknowledge { id, ciphertext };
    let purpose = format!("acknowledge {id}");
    seller.wallet.execute(&purpose, &call).await?;
    seller.tell(Event::Acknowledged { agreement: id });
    Ok(Next::Again)
}

async fn delivered<C: Chain>(
    seller: &Seller<C>,
    id: AgreementId,
    deal: &Deal,
    agreement: &Agreement,
    now: u64,
) -> anyhow::Result<Next> {
    let (Some(index), Some(manifest)) = (agreement.missing().next(), &deal.manifest) else {
        return Ok(Next::Wait);
    };
    if now > agreement.terms.prove_by {
        // The bond is lost; whoever gains by it ends the agreement.
        return Ok(Next::Wait);
    }
    let (openings, tree) = seller.open_delivery(agreement, manifest)?;
    let opening = openings
        .get(index as usize)
        .ok_or_else(|| anyhow::anyhow!("shard {index} is not in the delivery"))?;
    let attestation = seller.attest(id, agreement, index, opening).await?;
    let statement = attestation.statement;
    let proof = ShardProof {
        id,
        shard: ShardCount {
            index,
            valid: statement.valid,
            top1: statement.top1,
            topk: statement.topk,
        },
        model_points: vec![point(&attestation.model)],
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
    Ok(Next::Again)
}

impl<C: Chain> Seller<C> {
    /// The stored delivery, opened, and the tree over its shards.
    fn open_delivery(
        &self,
        agreement: &Agreement,
        manifest: &DeliveryManifest,
    ) -> anyhow::Result<(Vec<ShardOpening>, DatasetTree)> {
        let tree = manifest.tree(&agreement.terms)?;
        let path = self.home.delivery(&manifest.ciphertext_hash.to_string());
        let sealed = read_file(&path, manifest.ciphertext_bytes)?;
        anyhow::ensure!(
            keccak(&sealed) == manifest.ciphertext_hash,
            "the ciphertext is not the one of the manifest"
        );
        let layout = &self.model.layout;
        let (samples, pixels) = (
            layout.options().samples,
            layout.architecture().input.cells(),
        );
        let shards = manifest.shards.len();
        let openings = delivery::open(&sealed, &self.reading_key, shards, samples, pixels)?;
        Ok((openings, tree))
    }

    /// Checks that every shard of the stored delivery opens its commitment.
    fn check_delivery(
        &self,
        agreement: &Agreement,
        manifest: &DeliveryManifest,
    ) -> anyhow::Result<()> {
        let (openings, _) = self.open_delivery(agreement, manifest)?;
        for (index, (opening, agreed)) in openings.iter().zip(&manifest.shards).enumerate() {
            anyhow::ensure!(
                opening.samples.len() == agreed.valid as usize,
                "shard {index} holds {} samples, its leaf says {}",
                opening.samples.len(),
                agreed.valid
            );
            let shard = self.commit(opening)?;
            anyhow::ensure!(
                agreed.points == [point(&shard.column().commitment())],
                "shard {index} does not open its commitment"
            );
        }
        Ok(())
    }

    fn commit(&self, opening: &ShardOpening) -> anyhow::Result<CommittedShard> {
        let (layout, srs) = (&self.model.layout, self.prover.srs());
        let samples = opening.samples();
        Ok(CommittedShard::new(layout, &samples, &opening.seed, srs)?)
    }

    /// The proof of a shard: the stored one, or a new one, which is stored.
    async fn attest(
        &self,
        id: AgreementId,
        agreement: &Agreement,
        index: u32,
        opening: &ShardOpening,
    ) -> anyhow::Result<Attestation> {
        let key = format!("{id}/{index}");
        if let Some(stored) = self.store.get::<Attestation>(Table::Proofs, &key)? {
            return Ok(stored);
        }
        let chain = self.wallet.chain();
        let escrow = chain.contracts().escrow;
        let context = proof_context(chain.chain_id(), escrow, id, index, agreement.seller);
        // One proof at a time: it takes every core and most of the memory.
        let _turn = self.proving.lock().await;
        let shard = self.commit(opening)?;
        let model = &self.model.committed;
        for column in [model.column(), shard.column()] {
            spend_opening(&self.store, &column.commitment(), OpeningBudget::of(column))?;
        }
        let bar = self.progress.proof(&format!(
            "proving shard {index} of {}",
            agreement.terms.shards
        ));
        let start = Instant::now();
        let attestation = tokio::task::block_in_place(|| {
            self.prover.prove(
                (&self.model.network, model),
                (&opening.samples(), &shard),
                ProofContext(context),
                StdRng::from_entropy(),
                |stage| bar.stage(stage),
            )
        })?;
        bar.done();
        self.store.put(Table::Proofs, &key, &attestation)?;
        let (seconds, start) = (start.elapsed().as_secs_f64(), Instant::now());
        self.prover.verifier().verify(&attestation)?;
        self.tell(Event::Proof {
            agreement: id,
            shard: index,
            seconds,
            verify_milliseconds: start.elapsed().as_secs_f64() * 1e3,
            proof_bytes: attestation.proof.len(),
        });
        Ok(attestation)
    }

    /// Will not go on with an agreement. Where a bond is locked, the next step gets it back.
    fn refuse(&self, id: AgreementId, reason: String) -> anyhow::Result<Next> {
        self.change(id, |deal| deal.refused = Some(reason.clone()))?;
        self.tell(Event::Refused {
            agreement: id,
            reason,
        });
        Ok(Next::Again)
    }

    /// Openings of the model that other accepted agreements will still take.
    async fn promised(&self, but: AgreementId) -> anyhow::Result<u32> {
        let mut promised = 0u32;
        for (_, deal) in self.store.all::<Deal>(Table::Deals)? {
            let id = deal.offer.agreement;
            if id == but || deal.over || deal.refused.is_some() {
                continue;
            }
            if let Some(agreement) = self.wallet.chain().agreement(id).await? {
                if matches!(agreement.state, State::Accepted | State::Delivered) {
                    promised = promised.saturating_add(agreement.missing().count() as u32);
                }
            }
        }
        Ok(promised)
    }

    /// A stored agreement.
    pub fn deal(&self, id: AgreementId) -> anyhow::Result<Option<Deal>> {
        let deal: Option<Deal> = self.store.get(Table::Deals, &id.to_string())?;
        if let Some(deal) = &deal {
            anyhow::ensure!(
                deal.version == VERSION,
                "agreement {id} is stored with version {}, this build reads {VERSION}",
                deal.version
            );
        }
        Ok(deal)
    }

    /// Changes a stored agreement in one transaction.
    pub fn change(&self, id: AgreementId, change: impl FnOnce(&mut Deal)) -> anyhow::Result<()> {
        self.store
            .update(Table::Deals, &id.to_string(), |deal: Option<Deal>| {
                let mut deal = deal.ok_or_else(|| anyhow::anyhow!("agreement {id} is unknown"))?;
                change(&mut deal);
                Ok::<_, anyhow::Error>((deal, ()))
            })?
    }

    /// Whether this ciphertext is the one already stored for the agreement.
    pub fn has_delivery(&self, id: AgreementId, ciphertext: Hash) -> anyhow::Result<bool> {
        let deal = self.deal(id)?;
        Ok(deal
            .and_then(|deal| deal.manifest)
            .is_some_and(|manifest| manifest.ciphertext_hash == ciphertext))
    }
}
