//! Proofs over some items of a shard: one that is stored and fits, or a new one, which is stored if it is right.

use std::time::Instant;

use anyhow::{ensure, Context};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{attestation::Context as ProofContext, corpus::openings, verify::Attestation};
use zknode_protocol::{
    chain::retrieval::RetrievalChain,
    digest::proof_context,
    value::{AgreementId, Point},
};

use super::{key, work::Work};
use crate::{
    retrieval::{event::RetrievalEvent, policy::opening_key},
    store::Table,
};

impl<C: RetrievalChain> Work<'_, C> {
    fn context(&self, index: u32) -> ProofContext {
        let chain = self.responder.wallet.chain();
        let contract = chain.contracts().escrow;
        let id = AgreementId(self.id.0);
        let payee = self.retrieval.responder;
        ProofContext(proof_context(chain.chain_id(), contract, id, index, payee))
    }

    /// A stored proof, if it is about just these items here.
    pub(super) fn stored(
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
        let context = self.context(index);
        self.seller.check_proof(proof, &[expected], context)
    }

    fn expected(&self, index: u32, places: &[usize]) -> anyhow::Result<Point> {
        let class = self.retrieval.terms.wanted_class;
        let published = &self.responder.corpus.published;
        published.selected(index, places, class)
    }

    /// Makes a proof over these items and stores it if it is right. One that fails again and again is not tried for ever:
    /// every try spends an opening.
    pub(super) async fn prove(
        &self,
        index: u32,
        what: &str,
        places: Vec<usize>,
    ) -> anyhow::Result<()> {
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
        let corpus = self.responder.corpus.published.root;
        let budget = (opening_key(corpus, index), openings(seller.prover.layout()));
        let shards = self.retrieval.terms.shards;
        let says = format!("proving the {what} of shard {index} of {shards}");
        let bar = seller.begin_proof(&says, budget)?;
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
