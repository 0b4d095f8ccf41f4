//! Is a claim true, and are the items those that match? Everything a requester believes is checked here.

use std::sync::Arc;

use anyhow::{ensure, Context};
use crypto_box::SecretKey;
use zknode_circuit::{
    corpus::{commit_item, Item},
    layout::Layout,
    srs::Srs,
    verify::{Attestation, Verifier},
};
use zknode_protocol::{
    claim_tree::verify_opening,
    digest::proof_context,
    retrieval::{message::Domain, Retrieval, RetrievalId},
    value::{AgreementId, Bytes, Point},
};

use super::{OpenedItem, Package, ShardMatches};
use crate::{
    card::{ModelCard, ShardEvidence},
    corpus::{Labelled, Published},
    testset::{model_points, point},
};

/// An item that was handed over: its place in the corpus and its pixels.
pub struct Found {
    /// Position in the corpus, from 0.
    pub index: u64,
    /// Channels first, a byte a cell.
    pub pixels: Vec<u8>,
}

/// Everything a claim is judged by.
pub struct Judge<'a> {
    pub id: RetrievalId,
    pub retrieval: &'a Retrieval,
    pub domain: Domain,
    pub card: &'a ModelCard,
    pub published: &'a Published,
    pub labelled: &'a Labelled,
    pub verifier: Arc<Verifier>,
    pub layout: &'a Layout,
    pub srs: &'a Srs,
}

impl Judge<'_> {
    /// Whether this is true evidence of a shard of the claim.
    pub fn check_scan(&self, index: u32, evidence: &ShardEvidence) -> anyhow::Result<()> {
        let (terms, leaf) = (&self.retrieval.terms, evidence.claim(index));
        verify_opening(self.retrieval.claim, terms.shards, &leaf, &evidence.path)?;
        let shard = self.labelled.shards.get(index as usize);
        let (items, commitment) = *shard.context("there is no such shard")?;
        let proven = &evidence.attestation;
        ensure!(
            proven.statement.valid == items,
            "the proof is about {} items, the shard has {items}",
            proven.statement.valid
        );
        self.check_proof(index, proven, commitment)
    }

    /// Opens and checks the sealed items of the claim, given how many match in each shard where that is known.
    pub fn open(
        &self,
        sealed: &[u8],
        key: &SecretKey,
        counts: &[Option<u32>],
    ) -> anyhow::Result<Vec<Found>> {
        let package = Package::open(sealed, key)?;
        let mut found = vec![];
        for shard in &package.shards {
            self.check_matches(shard)?;
            let count = counts.get(shard.index as usize).copied().flatten();
            ensure!(
                count.is_none_or(|count| shard.items.len() <= count as usize),
                "shard {} has fewer matches than were handed over",
                shard.index
            );
            for item in &shard.items {
                self.check_item(shard.index, item)?;
                let first = u64::from(shard.index) * u64::from(self.published.manifest.shard_size);
                found.push(Found {
                    index: first + u64::from(item.place),
                    pixels: item.pixels.clone(),
                });
            }
        }
        let expected = self.retrieval.paid_items() as usize;
        ensure!(
            found.len() == expected,
            "{expected} items are to be paid for, {} were handed over",
            found.len()
        );
        Ok(found)
    }

    /// Every one of these items matches.
    fn check_matches(&self, shard: &ShardMatches) -> anyhow::Result<()> {
        let places: Vec<_> = (shard.items.iter())
            .map(|item| item.place as usize)
            .collect();
        let class = self.retrieval.terms.wanted_class;
        let expected = self.published.selected(shard.index, &places, class)?;
        let (count, statement) = (places.len() as u32, &shard.proof.statement);
        ensure!(
            statement.valid == count && statement.top1 == count,
            "the proof of shard {} says that {} of {} items match, {count} were handed over",
            shard.index,
            statement.top1,
            statement.valid
        );
        self.check_proof(shard.index, &shard.proof, expected)
    }

    /// It is the item that was committed to.
    fn check_item(&self, shard: u32, item: &OpenedItem) -> anyhow::Result<()> {
        let place = item.place as usize;
        let committed = self.published.shard(shard)?.get(place);
        let committed = committed.with_context(|| format!("shard {shard} has no item {place}"))?;
        let opened = Item {
            place,
            pixels: &item.pixels,
            seed: &item.seed,
        };
        ensure!(
            point(&commit_item(self.layout, self.srs, opened)?) == *committed,
            "item {place} of shard {shard} does not open its commitment"
        );
        Ok(())
    }

    fn check_proof(&self, index: u32, proof: &Attestation, shard: Point) -> anyhow::Result<()> {
        ensure!(
            model_points(&proof.model) == self.card.points,
            "the proof is about another model"
        );
        ensure!(
            point(&proof.shard) == shard,
            "the proof of shard {index} is about other items"
        );
        let Domain { chain_id, contract } = self.domain;
        let id = AgreementId(self.id.0);
        let context = proof_context(chain_id, contract, id, index, self.retrieval.responder);
        ensure!(
            Bytes(proof.statement.context.0) == Bytes(context),
            "the proof is bound to another retrieval"
        );
        Ok(self.verifier.verify(proof)?)
    }
}
