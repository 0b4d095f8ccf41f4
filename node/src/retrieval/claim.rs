//! What a requester does about a claim: contests what is not proven, rejects what is not handed over, approves the rest.

use std::time::Duration;

use anyhow::{anyhow, Context};
use rand::rngs::OsRng;
use zknode_protocol::{
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Call, ChainError,
    },
    digest::keccak,
    retrieval::{Retrieval, RetrievalId, State},
    value::{AgreementId, Hash, Signature},
};

use super::{
    judge::{Found, Judge},
    requester::{Asked, Case, Corpus, Requester},
    sealed_length,
};
use crate::{
    buyer::{contest_all, scan, to_contest, Claimed, Client, ClientError, Clock},
    card::ShardEvidence,
    output::explain,
};

/// A claim, and where its proofs come from.
pub(super) struct Asking<'a, C> {
    pub id: RetrievalId,
    pub retrieval: &'a Retrieval,
    pub chain: &'a C,
    pub client: &'a Client,
    /// Without the corpus nothing is asked for: nothing could be judged.
    pub judge: Result<&'a Judge<'a>, &'a str>,
}

impl<C: RetrievalChain> Claimed for Asking<'_, C> {
    fn claim(&self) -> (Hash, u32) {
        (self.retrieval.claim, self.retrieval.terms.shards)
    }

    async fn ask(&self, index: u32, left: Duration) -> Result<ShardEvidence, ClientError> {
        match self.judge {
            Ok(_) => self.client.scan(self.id, index, left).await,
            Err(reason) => Err(ClientError::Malformed(reason.to_owned())),
        }
    }

    fn check(&self, index: u32, evidence: &ShardEvidence) -> anyhow::Result<()> {
        let judge = self.judge.map_err(|reason| anyhow!("{reason}"))?;
        judge.check_scan(index, evidence)
    }

    async fn is_proven(&self, index: u32) -> Result<bool, ChainError> {
        self.chain.is_proven(AgreementId(self.id.0), index).await
    }
}

impl<C: RetrievalChain> Requester<C> {
    /// Looks at a claim: contests what is not proven, also while other contests wait for their answers; where none waits,
    /// rejects what is not handed over and approves the rest.
    pub(super) async fn judge(
        &self,
        case: &Case<'_>,
        asked: &Asked,
        retrieval: &Retrieval,
        now: u64,
    ) -> anyhow::Result<()> {
        let id = case.id;
        let (claim, ciphertext) = (retrieval.claim, retrieval.ciphertext);
        let contested = retrieval.state == State::Contested;
        if let Some((of, sealed, signature)) = asked.approval {
            if !contested && (of, sealed) == (claim, ciphertext) {
                return self.approve(id, claim, signature).await;
            }
        }
        let shortest = retrieval.terms.window.min(retrieval.terms.receipt_time);
        let clock = Clock::new(now, retrieval.window_end, retrieval.deadline, shortest);
        if clock.may_contest() {
            let wanted = self.uncontested(id, &asked.contest).await?;
            if !wanted.is_empty() {
                return self.contest(id, retrieval, &wanted).await;
            }
        }
        let verifier = case.model.verifier(&self.progress)?;
        // The keys take their time, and so do the corpus and each look.
        let clock = clock.at(self.wallet.chain().head().await?.time);
        let corpus = self.corpus(case, asked, clock.pass()).await;
        let corpus = corpus.map_err(|error| explain(&error));
        let clock = clock.at(self.wallet.chain().head().await?.time);
        let judge = corpus.map(
            |Corpus {
                 published,
                 labelled,
             }| Judge {
                id,
                retrieval,
                domain: self.domain(),
                card: &asked.card,
                published,
                labelled,
                verifier,
                layout: &case.model.layout,
                srs: &case.model.srs,
            },
        );
        let client = Client::new(&asked.seller)?;
        let asking = Asking {
            id,
            retrieval,
            chain: self.wallet.chain(),
            client: &client,
            judge: judge.as_ref().map_err(String::as_str),
        };
        let (counts, doubts) = scan(&asking, case.seen, clock.pass()).await?;
        let clock = clock.at(self.wallet.chain().head().await?.time);
        if clock.may_contest() {
            let late = clock.contests();
            let doubts = to_contest(doubts.clone(), late, &mut OsRng);
            let indices: Vec<_> = doubts.iter().map(|doubt| doubt.index).collect();
            let chosen = self.uncontested(id, &indices).await?;
            for doubt in doubts.iter().filter(|doubt| chosen.contains(&doubt.index)) {
                self.progress.say(format!(
                    "retrieval {id}: contesting shard {} of {}: {}",
                    doubt.index, retrieval.terms.shards, doubt.reason
                ));
            }
            if !doubts.is_empty() {
                return self.contest(id, retrieval, &chosen).await;
            }
        }
        if contested {
            return Ok(());
        }
        let limit = sealed_length(
            retrieval.terms.shards,
            retrieval.paid_items(),
            case.model.layout.architecture().input.cells(),
        );
        // What is not there may come, and what came changed on the way may come unchanged; what is there as it was claimed
        // stays as it is.
        let handed = match (doubts.first(), &judge) {
            (Some(doubt), _) => Err((false, doubt.reason.clone())),
            (None, Err(reason)) => Err((false, reason.clone())),
            (None, Ok(judge)) => {
                let limit = usize::try_from(limit)?;
                match client.items(id, limit, clock.items()).await {
                    Err(error) => Err((false, error.to_string())),
                    Ok(sealed) if keccak(&sealed) != ciphertext => {
                        Err((false, "other bytes came than were claimed".to_owned()))
                    }
                    Ok(sealed) => {
                        let key = &self.reading_key;
                        tokio::task::block_in_place(|| judge.open(&sealed, key, &counts))
                            .map_err(|error| (true, explain(&error)))
                    }
                }
            }
        };
        let clock = clock.at(self.wallet.chain().head().await?.time);
        match handed {
            Ok(found) => {
                write_items(case, asked, &found)?;
                let digest = self.domain().approval_digest(id, claim, ciphertext);
                let signature = self.key.sign(digest)?;
                // Written down first: what is signed may be brought by anyone.
                self.change(id, |asked| {
                    asked.approval = Some((claim, ciphertext, signature));
                })?;
                self.progress.say(format!(
                    "retrieval {id}: {} of {} items match, all proofs verified here, {} items opened; approving",
                    retrieval.matches,
                    retrieval.terms.samples,
                    found.len()
                ));
                self.approve(id, claim, signature).await
            }
            Err((certain, reason)) if certain || clock.rejects() => {
                self.progress
                    .say(format!("retrieval {id}: rejecting the delivery: {reason}"));
                let purpose = format!("reject retrieval {id}");
                self.attempt(&purpose, RetrievalCall::Reject(id)).await
            }
            Err(_) => Ok(()),
        }
    }

    /// Which of these shards are not contested yet.
    async fn uncontested(&self, id: RetrievalId, shards: &[u32]) -> anyhow::Result<Vec<u32>> {
        let (chain, mut found) = (self.wallet.chain(), vec![]);
        for index in shards.iter().copied() {
            if !chain.is_contested(AgreementId(id.0), index).await? {
                found.push(index);
            }
        }
        Ok(found)
    }

    /// Contests these shards, for as long as the window is open.
    async fn contest(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        shards: &[u32],
    ) -> anyhow::Result<()> {
        let terms = &retrieval.terms;
        let (token, fee) = (terms.token, terms.contest_fee);
        let calls = shards.iter().map(|&index| {
            let value = terms.wei(fee);
            let call = RetrievalCall::Contest { id, index, value };
            let purpose = format!("contest retrieval {id}/{index}");
            (purpose, Call::Retrieval(Box::new(call)))
        });
        let calls: Vec<_> = calls.collect();
        contest_all(&self.wallet, &self.progress, (token, fee), &calls).await?;
        Ok(())
    }

    async fn approve(
        &self,
        id: RetrievalId,
        claim: Hash,
        signature: Signature,
    ) -> anyhow::Result<()> {
        let call = RetrievalCall::Approve {
            id,
            signature: Some(signature),
        };
        let purpose = format!("approve retrieval {id} {claim}");
        let receipt = self.execute(&purpose, call).await?;
        self.progress.say(format!(
            "retrieval {id}: approved and settled, {} gas",
            receipt.gas
        ));
        Ok(())
    }
}

/// Writes the items as PNG files and a list of them.
fn write_items(case: &Case<'_>, asked: &Asked, found: &[Found]) -> anyhow::Result<()> {
    let input = case.model.layout.architecture().input;
    let shape = zknode_datasets::Shape::new(input.channels, input.height, input.width);
    std::fs::create_dir_all(&asked.out).with_context(|| asked.out.display().to_string())?;
    let mut list = "filename,class,item\n".to_owned();
    for item in found {
        let name = format!("item-{:07}.png", item.index);
        let image = zknode_datasets::Image::new(shape, item.pixels.clone());
        let image = image.with_context(|| format!("item {} is no image", item.index))?;
        let png = image.png()?;
        let path = asked.out.join(&name);
        std::fs::write(&path, png).with_context(|| path.display().to_string())?;
        list += &format!("{name},{},{}\n", asked.terms.wanted_class, item.index);
    }
    let path = asked.out.join("index.csv");
    std::fs::write(&path, list).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Mutex;

    use zknode_protocol::{
        chain::fake::FakeChain,
        retrieval::Terms,
        value::{Address, Amount, Bytes, ModelId},
    };

    use super::*;

    /// An upgraded node whose responder withholds the corpus: in the last part of the window it contests everything.
    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_is_proven_without_the_corpus() {
        let (nobody, amount, hash) = (Address::ZERO, Amount(1), Bytes([1; 32]));
        let terms = Terms {
            model: ModelId(hash),
            corpus_root: hash,
            dataset_root: hash,
            reading_key: hash,
            token: nobody,
            shards: 20,
            samples: 20,
            wanted_class: 0,
            max_items: 20,
            price_per_item: amount,
            scan_fee: amount,
            requester_bond: amount,
            bond: amount,
            contest_fee: amount,
            accept_by: 1,
            claim_by: 2,
            window: 100,
            prove_time: 100,
            receipt_time: 100,
        };
        let retrieval = Retrieval {
            terms,
            requester: nobody,
            responder: nobody,
            state: State::Claimed,
            deadline: 1_100,
            contests: 0,
            matches: 0,
            window_end: 1_000,
            claim: hash,
            ciphertext: hash,
        };
        let asking = Asking {
            id: RetrievalId(hash),
            retrieval: &retrieval,
            chain: &FakeChain::new(31_337, 1_000, |_| true),
            client: &Client::new("http://127.0.0.1:1").unwrap(),
            judge: Err("the corpus does not come in time"),
        };
        let time = Duration::from_secs(60);
        let (_, doubts) = scan(&asking, &Mutex::default(), time).await.unwrap();
        let withheld = |reason: &str| reason.contains("the corpus does not come");
        assert!(doubts.iter().all(|doubt| withheld(&doubt.reason)));
        assert!(to_contest(doubts.clone(), false, &mut OsRng).is_empty());
        assert_eq!(to_contest(doubts, true, &mut OsRng).len(), 20);
    }
}
