//! The responder's proofs: one over all items of a shard, how many match; one over the matching ones, that these do.
//! Then the claim, and the answers to contests ([`work`]). One proof at a time, each stored before anything is done with it
//! ([`attest`]).

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
use super::responder::{active, on_chain, Responder};
use crate::{
    card::ShardEvidence,
    seller::{
        send::{send_all, AT_ONCE},
        Seller,
    },
    store::Table,
};

/// Retrievals in this state, the nearest deadline first.
async fn owed<C: RetrievalChain>(
    seller: &Seller<C>,
    responder: &Responder<C>,
    state: State,
) -> anyhow::Result<Vec<(RetrievalId, Retrieval)>> {
    let now = responder.wallet.chain().head().await?.time;
    let mut owed = vec![];
    for (id, _) in active(seller)? {
        if let Some(retrieval) = on_chain(responder, id).await? {
            // Past its deadline the bond is lost.
            if retrieval.state == state && now <= retrieval.deadline {
                owed.push((id, retrieval));
            }
        }
    }
    owed.sort_by_key(|(id, retrieval)| (retrieval.deadline, *id));
    Ok(owed)
}

/// The nearest deadline of a claim.
pub async fn nearest<C: RetrievalChain>(seller: &Seller<C>) -> anyhow::Result<Option<u64>> {
    let Some(responder) = &seller.responder else {
        return Ok(None);
    };
    let owed = owed(seller, responder, State::Accepted).await?;
    Ok(owed.first().map(|(_, retrieval)| retrieval.deadline))
}

/// Proves what is to be proven; whether there was anything.
pub async fn prove_next<C: RetrievalChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let Some(responder) = &seller.responder else {
        return Ok(false);
    };
    let mut failed = None;
    for (id, retrieval) in owed(seller, responder, State::Accepted).await? {
        match Work::new(seller, responder, id, retrieval)?.claim().await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(error) => failed = Some(error.context(format!("retrieval {id}"))),
        }
    }
    failed.map_or(Ok(false), Err)
}

/// Brings the proofs of contested shards to the chain, the nearest deadlines first; whether there were any.
pub async fn answer_contests<C: RetrievalChain>(seller: &Arc<Seller<C>>) -> anyhow::Result<bool> {
    let Some(responder) = &seller.responder else {
        return Ok(false);
    };
    let (mut proofs, mut failed) = (vec![], None);
    for (id, retrieval) in owed(seller, responder, State::Contested).await? {
        if proofs.len() >= AT_ONCE {
            break;
        }
        let work = Work::new(seller, responder, id, retrieval)?;
        match work.answers(AT_ONCE - proofs.len()).await {
            Ok(more) => proofs.extend(more),
            Err(error) => failed = Some(error.context(format!("retrieval {id}"))),
        }
    }
    let sent = send_all(seller, &responder.wallet, proofs).await?;
    failed.map_or(Ok(sent), Err)
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
