//! One retrieval: its claim once everything is proven, and its answers to contests.

use std::sync::Arc;

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::network::import::answer;
use zknode_protocol::{
    chain::{
        retrieval::{MatchProof, RetrievalCall, RetrievalChain},
        Call,
    },
    claim_tree::ClaimTree,
    digest::keccak,
    message::Version,
    retrieval::{Retrieval, RetrievalId},
    value::{AgreementId, Data, Hash},
};

use super::{evidence, key, scan};
use crate::{
    card::shard_claim,
    corpus::Labelled,
    home::write_bytes,
    retrieval::{
        event::RetrievalEvent,
        responder::{change, Responder},
        OpenedItem, Package, ShardMatches,
    },
    seller::{send::Due, Seller},
    store::Table,
    testset::{model_points, shard_points},
};

/// One retrieval that waits for proofs.
pub(super) struct Work<'a, C> {
    pub(super) seller: &'a Arc<Seller<C>>,
    pub(super) responder: &'a Responder<C>,
    pub(super) id: RetrievalId,
    pub(super) retrieval: Retrieval,
    labelled: Labelled,
}

impl<'a, C: RetrievalChain> Work<'a, C> {
    pub(super) fn new(
        seller: &'a Arc<Seller<C>>,
        responder: &'a Responder<C>,
        id: RetrievalId,
        retrieval: Retrieval,
    ) -> anyhow::Result<Self> {
        let published = &responder.corpus.published;
        let labelled = published.labelled(retrieval.terms.wanted_class)?;
        Ok(Self {
            seller,
            responder,
            id,
            retrieval,
            labelled,
        })
    }

    /// Makes one proof that is still missing; with all of them made, seals the items.
    pub(super) async fn make_one(&self) -> anyhow::Result<()> {
        let terms = &self.retrieval.terms;
        let mut left = terms.max_items;
        let mut shards = vec![];
        for (index, (items, _)) in (0..).zip(&self.labelled.shards) {
            let places: Vec<_> = (0..*items as usize).collect();
            let Some(scan) = self.stored(index, "scan", &places)? else {
                return self.prove(index, "scan", places).await;
            };
            let mut matches = self.matches(index, &places)?;
            ensure!(
                matches.len() as u32 == scan.statement.top1,
                "the network finds {} matches in shard {index}, its proof {}",
                matches.len(),
                scan.statement.top1
            );
            matches.truncate(left as usize);
            left -= matches.len() as u32;
            if matches.is_empty() {
                continue;
            }
            let Some(proof) = self.stored(index, "matches", &matches)? else {
                return self.prove(index, "matches", matches).await;
            };
            let mut items = vec![];
            for place in matches {
                let (pixels, seed) = self.responder.corpus.item(index, place)?;
                items.push(OpenedItem {
                    place: u32::try_from(place)?,
                    seed: seed.clone(),
                    pixels: pixels.to_vec(),
                });
            }
            shards.push(ShardMatches {
                index,
                proof,
                items,
            });
        }
        self.seal(shards)?;
        self.seller.bell.ring();
        Ok(())
    }

    /// The claim of what is proven and sealed.
    pub(super) fn claim(&self, ciphertext: Hash) -> anyhow::Result<Due> {
        let leaf = |shard| Ok(shard_claim(shard, &scan(self.seller, self.id, shard)?));
        let leaves: anyhow::Result<_> = (0..self.retrieval.terms.shards).map(leaf).collect();
        let top = ClaimTree::new(leaves?)?.top();
        let (id, sums) = (self.id, top.sums);
        let call = RetrievalCall::Claim {
            id,
            node: top.hash,
            top1: sums.top1.try_into()?,
            topk: sums.topk.try_into()?,
            ciphertext,
        };
        let call = Call::Retrieval(Box::new(call));
        let wallet = &self.responder.wallet;
        let order = wallet.order(format!("claim retrieval {id}"), call);
        let event = move |gas| RetrievalEvent::Claimed {
            retrieval: id,
            matches: sums.top1,
            items: sums.valid,
            gas,
        };
        let deadline = self.retrieval.deadline;
        Ok(Due::new(deadline, order, move |gas| event(gas).into()))
    }

    /// Which of the places match, by the network itself; looked for once.
    fn matches(&self, index: u32, places: &[usize]) -> anyhow::Result<Vec<usize>> {
        let (store, key) = (&self.seller.store, key(self.id, index, "places"));
        if let Some(found) = store.get(Table::Proofs, &key)? {
            return Ok(found);
        }
        let wanted = usize::from(self.retrieval.terms.wanted_class);
        let matches = |place: usize| {
            let (pixels, _) = self.responder.corpus.item(index, place)?;
            let trace = self.seller.model.network.run(pixels)?;
            Ok::<_, anyhow::Error>((answer(&trace.logits) == wanted).then_some(place))
        };
        let found: Vec<usize> = tokio::task::block_in_place(|| {
            let found = places.iter().map(|place| matches(*place));
            found
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()
        })?;
        store.put(Table::Proofs, &key, &found)?;
        Ok(found)
    }

    /// Seals the items, once and for all.
    fn seal(&self, shards: Vec<ShardMatches>) -> anyhow::Result<()> {
        let package = Package {
            version: Version,
            shards,
        };
        let key = self.retrieval.terms.reading_key;
        let sealed = package.seal(&key.0, &mut StdRng::from_entropy())?;
        let (hash, length) = (keccak(&sealed), sealed.len() as u64);
        write_bytes(&self.seller.home.delivery(&hash.to_string()), &sealed)?;
        change(self.seller, self.id, |served| {
            served.sealed = Some((hash, length));
        })
    }

    /// The answers to some contests.
    pub(super) async fn answers(&self, most: usize) -> anyhow::Result<Vec<Due>> {
        let (chain, shards) = (self.responder.wallet.chain(), self.retrieval.terms.shards);
        let (id, as_agreement) = (self.id, AgreementId(self.id.0));
        let mut answers = vec![];
        for index in 0..shards {
            if answers.len() == most.min(self.retrieval.contests as usize) {
                break;
            }
            let contested = chain.is_contested(as_agreement, index).await?;
            if !contested || chain.is_proven(as_agreement, index).await? {
                continue;
            }
            let evidence = evidence(self.seller, self.responder, id, shards, index)?;
            let evidence = evidence.with_context(|| format!("shard {index} is not proven"))?;
            let proven = &evidence.attestation;
            let call = RetrievalCall::Answer {
                id,
                proof: MatchProof {
                    shard: shard_claim(index, proven).count,
                    model_points: model_points(&proven.model),
                    shard_points: shard_points(&proven.shard),
                    path: self.labelled.tree.path(index)?,
                    proof: Data(proven.proof.clone()),
                },
                path: evidence.path,
            };
            let matches = proven.statement.top1;
            let event = move |gas| RetrievalEvent::Proven {
                retrieval: id,
                shard: index,
                matches,
                gas,
            };
            let purpose = format!("answer retrieval {id}/{index}");
            let call = Call::Retrieval(Box::new(call));
            let order = self.responder.wallet.order(purpose, call);
            let due = Due::new(self.retrieval.deadline, order, move |gas| event(gas).into());
            answers.push(due);
        }
        Ok(answers)
    }
}
