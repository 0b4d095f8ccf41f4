//! The responder's proofs: one over all items of a shard, how many match; one over the matching ones, that these do.
//! Then the claim, and the answers to contests, which the prover leaves to who sends. One proof at a time, each stored before
//! anything is done with it.

use std::{sync::Arc, time::Instant};

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::Context as ProofContext, commitment::OpeningBudget, corpus::openings, cost::Cost,
    network::import::answer, verify::Attestation,
};
use zknode_protocol::{
    chain::{
        retrieval::{MatchProof, RetrievalCall, RetrievalChain},
        Call, Chain,
    },
    claim_tree::ClaimTree,
    digest::{keccak, proof_context},
    message::Version,
    retrieval::{Retrieval, RetrievalId, State},
    value::{AgreementId, Data, Hash, Point},
};

use super::{
    event::RetrievalEvent,
    policy::opening_key,
    responder::{active, change, on_chain, Responder, Served},
    OpenedItem, Package, ShardMatches,
};
use crate::{
    card::{shard_claim, ShardEvidence},
    corpus::Labelled,
    home::write_file,
    seller::{
        model::spend_opening,
        send::{Due, Found},
        Seller,
    },
    setup,
    store::Table,
    testset::{model_points, shard_points},
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
    if index >= shards {
        return Ok(None);
    }
    let tree = responder.desk.trees.tree(id, || {
        let leaf = |shard| Ok(shard_claim(shard, &scan(seller, id, shard)?));
        let leaves: anyhow::Result<_> = (0..shards).map(leaf).collect();
        Ok(ClaimTree::new(leaves?)?)
    })?;
    Ok(Some(ShardEvidence {
        version: Version,
        attestation: scan(seller, id, index)?,
        path: tree.path(index)?,
    }))
}

pub(super) fn key(id: RetrievalId, shard: u32, what: &str) -> String {
    format!("retrieval {id}/{shard}/{what}")
}

/// One retrieval that waits for proofs.
struct Work<'a, C> {
    seller: &'a Arc<Seller<C>>,
    responder: &'a Responder<C>,
    id: RetrievalId,
    retrieval: Retrieval,
    labelled: Labelled,
}

impl<'a, C: RetrievalChain> Work<'a, C> {
    fn new(
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
    async fn make_one(&self) -> anyhow::Result<()> {
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
    fn claim(&self, ciphertext: Hash) -> anyhow::Result<Due> {
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
        let path = self.seller.home.delivery(&hash.to_string());
        write_file(&path, |file| std::io::Write::write_all(file, &sealed))?;
        change(self.seller, self.id, |served| {
            served.sealed = Some((hash, length));
        })
    }

    /// The answers to some contests.
    async fn answers(&self, most: usize) -> anyhow::Result<Vec<Due>> {
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

    fn context(&self, index: u32) -> ProofContext {
        let chain = self.responder.wallet.chain();
        let contract = chain.contracts().escrow;
        let id = AgreementId(self.id.0);
        let payee = self.retrieval.responder;
        ProofContext(proof_context(chain.chain_id(), contract, id, index, payee))
    }

    /// A stored proof, if it is about just these items here.
    fn stored(
        &self,
        index: u32,
        what: &str,
        places: &[usize],
    ) -> anyhow::Result<Option<Attestation>> {
        let stored: Option<Attestation> = self
            .seller
            .store
            .get(Table::Proofs, &key(self.id, index, what))?;
        let expected = self.expected(index, places)?;
        Ok(stored.filter(|stored| self.check(stored, index, expected).is_ok()))
    }

    /// Whether it is a proof about just these items, for this retrieval.
    fn check(&self, proof: &Attestation, index: u32, expected: Point) -> anyhow::Result<()> {
        ensure!(
            proof.model == self.seller.model.record.commitment
                && shard_points(&proof.shard) == [expected]
                && proof.statement.context == self.context(index),
            "the proof is about something else"
        );
        Ok(self.seller.prover.verifier().verify(proof)?)
    }

    fn expected(&self, index: u32, places: &[usize]) -> anyhow::Result<Point> {
        let class = self.retrieval.terms.wanted_class;
        let published = &self.responder.corpus.published;
        published.selected(index, places, class)
    }

    /// Makes a proof over these items and stores it if it is right. One that fails again and again is not tried for ever:
    /// every try spends an opening.
    async fn prove(&self, index: u32, what: &str, places: Vec<usize>) -> anyhow::Result<()> {
        let (key, tries) = (key(self.id, index, what), &self.responder.tries);
        tries.begin(&key)?;
        self.prove_once(index, what, places).await?;
        tries.done(&key);
        Ok(())
    }

    async fn prove_once(&self, index: u32, what: &str, places: Vec<usize>) -> anyhow::Result<()> {
        let items = self.expected(index, &places)?;
        let _proving = self.seller.proving.lock().await;
        let (seller, class) = (self.seller.clone(), self.retrieval.terms.wanted_class);
        let selection =
            tokio::task::block_in_place(|| self.responder.corpus.select(index, &places, class))?;
        let (model, layout) = (&seller.model, seller.prover.layout());
        let corpus = self.responder.corpus.published.root;
        let budgets = [
            (opening_key(corpus, index), openings(layout)),
            (model.record.key(), model.committed.opening_limit()),
        ];
        for (key, limit) in budgets {
            spend_opening(&seller.store, &key, OpeningBudget::new(limit))?;
        }
        let shards = self.retrieval.terms.shards;
        let says = format!("proving the {what} of shard {index} of {shards}");
        let expected = setup::estimated_stages(&Cost::of(layout));
        let bar = seller.progress.proof(&says, &expected);
        let context = self.context(index);
        let proving = tokio::task::spawn_blocking(move || {
            let start = Instant::now();
            let attestation = seller.prover.prove_selection(
                (&seller.model.network, &seller.model.committed),
                &selection,
                context,
                StdRng::from_entropy(),
                |stage| bar.stage(stage),
            )?;
            Ok::<_, anyhow::Error>((attestation, start.elapsed().as_secs_f64()))
        });
        let (attestation, seconds) = proving.await??;
        let right = tokio::task::block_in_place(|| self.check(&attestation, index, items));
        right.with_context(|| format!("the proof of the {what} of shard {index} is wrong"))?;
        let (found, expected) = (attestation.statement.top1 as usize, places.len());
        ensure!(
            what == "scan" || found == expected,
            "the network finds {expected} matches in shard {index}, their proof {found}"
        );
        let key = key(self.id, index, what);
        self.seller.store.put(Table::Proofs, &key, &attestation)?;
        self.seller.tell(RetrievalEvent::Proof {
            retrieval: self.id,
            shard: index,
            what: what.to_owned(),
            seconds,
        });
        Ok(())
    }
}
