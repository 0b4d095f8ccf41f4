//! The responder's proofs: one over all items of a shard, how many match; one over the matching ones, that these do.
//! Then the claim, and the answers to contests ([`work`]), which the prover leaves to who sends. One proof at a time, each stored
//! before anything is done with it ([`attest`]).

mod attest;
mod work;

use std::sync::Arc;

use anyhow::Context;
use zknode_circuit::verify::Attestation;
use zknode_protocol::{
    chain::{retrieval::RetrievalChain, Chain},
    retrieval::{Retrieval, RetrievalId, State},
};

use self::work::Work;
use super::responder::{active, on_chain, Responder, Served};
use crate::{
    card::ShardEvidence,
    seller::{send::Found, Seller},
    store::Table,
};

/// Retrievals in one of these states, the nearest deadline first.
async fn owed<C: RetrievalChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    states: &[State],
) -> anyhow::Result<Vec<(RetrievalId, Served, Retrieval)>> {
    let now = responder.wallet.chain().head().await?.time;
    let mut owed = vec![];
    for (id, served) in active(seller)? {
        if let Some(retrieval) = on_chain(responder, id).await? {
            // Past its deadline the bond is lost.
            if states.contains(&retrieval.state) && now <= retrieval.deadline {
                owed.push((id, served, retrieval));
            }
        }
    }
    owed.sort_by_key(|(id, _, retrieval)| (retrieval.deadline, *id));
    Ok(owed)
}

/// The nearest deadline of a claim.
pub async fn nearest<C: RetrievalChain>(seller: &Seller<C>) -> anyhow::Result<Option<u64>> {
    let Some(responder) = &seller.responder else {
        return Ok(None);
    };
    let owed = owed(seller, responder, &[State::Accepted]).await?;
    Ok(owed.first().map(|(_, _, retrieval)| retrieval.deadline))
}

/// Makes one proof that is still missing, or seals the items once all are made; whether there was anything.
pub async fn prove_next<C: RetrievalChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let Some(responder) = &seller.responder else {
        return Ok(false);
    };
    let mut failed = None;
    for (id, served, retrieval) in owed(seller, responder, &[State::Accepted]).await? {
        if served.sealed.is_some() {
            continue;
        }
        match Work::new(seller, responder, id, retrieval)?
            .make_one()
            .await
        {
            Ok(()) => return Ok(true),
            Err(error) => failed = Some(error.context(format!("retrieval {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// What is proven and owed to the chain, the nearest deadlines first, no more than `most` or a few: claims, and answers to
/// contests.
pub async fn answers<C: RetrievalChain>(
    seller: &Arc<Seller<C>>,
    most: usize,
) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let Some(responder) = &seller.responder else {
        return Ok(found);
    };
    for (id, served, retrieval) in
        owed(seller, responder, &[State::Accepted, State::Contested]).await?
    {
        let Some(most) = most.checked_sub(found.due.len()).filter(|most| *most > 0) else {
            break;
        };
        let state = retrieval.state;
        let work = Work::new(seller, responder, id, retrieval)?;
        let due = match (state, served.sealed) {
            (State::Contested, _) => work.answers(most).await,
            (_, Some((ciphertext, _))) => work.claim(ciphertext).map(|claim| vec![claim]),
            (_, None) => Ok(vec![]),
        };
        found.add(due, format!("retrieval {id}"));
    }
    Ok(found)
}

/// How many items of a shard match, as it is stored.
fn scan<C: Chain>(seller: &Seller<C>, id: RetrievalId, shard: u32) -> anyhow::Result<Attestation> {
    let found: Option<Attestation> = seller.store.get(Table::Proofs, &key(id, shard, "scan"))?;
    found.with_context(|| format!("there is no proof of shard {shard}"))
}

/// A shard's proof with its place in the claim; `None`: no such shard.
pub(super) fn evidence<C: Chain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    id: RetrievalId,
    shards: u32,
    index: u32,
) -> anyhow::Result<Option<ShardEvidence>> {
    let proof = |shard| scan(seller, id, shard);
    responder.desk.trees.evidence(id, shards, index, proof)
}

pub(super) fn key(id: RetrievalId, shard: u32, what: &str) -> String {
    format!("retrieval {id}/{shard}/{what}")
}
