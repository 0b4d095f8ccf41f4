//! What a requester does about a claim: contests what is not proven, rejects what is not handed over, approves the rest.

use anyhow::Context;
use rand::seq::SliceRandom;
use zknode_protocol::{
    chain::retrieval::{RetrievalCall, RetrievalChain},
    digest::keccak,
    retrieval::{Retrieval, RetrievalId},
    value::{AgreementId, Hash, Signature},
};

use super::{
    judge::{Found, Judge},
    requester::{Asked, Case, Requester},
    sealed_length,
};
use crate::{
    buyer::{Client, ClientError},
    output::explain,
};

/// Shards without evidence that are contested at once. One false one among them ends the retrieval.
const CONTESTED_AT_ONCE: usize = 8;
/// A shard that is not proven to this side.
struct Doubt {
    index: u32,
    /// What was handed over is false; else nothing was.
    is_false: bool,
    reason: String,
}

impl<C: RetrievalChain> Requester<C> {
    /// Looks at a claim: contests what is not proven, rejects what is not handed over, approves the rest.
    pub(super) async fn judge(
        &self,
        case: &Case<'_>,
        asked: &Asked,
        retrieval: &Retrieval,
        now: u64,
    ) -> anyhow::Result<()> {
        let id = case.id;
        let (claim, ciphertext) = (retrieval.claim, retrieval.ciphertext);
        if let Some((of, sealed, signature)) = asked.approval {
            if (of, sealed) == (claim, ciphertext) {
                return self.approve(id, claim, signature).await;
            }
        }
        let as_agreement = AgreementId(id.0);
        let may_contest = now <= retrieval.window_end;
        for index in asked.contest.iter().copied().filter(|_| may_contest) {
            let contested = self.wallet.chain().is_contested(as_agreement, index);
            if !contested.await? {
                return self.contest(id, retrieval, index).await;
            }
        }
        let judge = Judge {
            id,
            retrieval,
            domain: self.domain(),
            card: &asked.card,
            published: case.published,
            labelled: case.labelled,
            verifier: case.model.verifier(&self.progress)?,
            layout: &case.model.layout,
            srs: &case.model.srs,
        };
        let client = Client::new(&asked.seller)?;
        let (counts, doubts) = self.scan(&judge, &client).await?;
        let half = u64::from(retrieval.terms.window.min(retrieval.terms.receipt_time)) / 2;
        let late = now.saturating_add(half.max(1)) > retrieval.deadline;
        if may_contest && doubts.iter().any(|doubt| doubt.is_false || late) {
            return self.contest_doubts(id, retrieval, doubts, late).await;
        }
        let limit = sealed_length(
            retrieval.terms.shards,
            retrieval.paid_items(),
            case.model.layout.architecture().input.cells(),
        );
        // What is not there may come, and what came changed on the way may come unchanged; what is there as it was claimed
        // stays as it is.
        let handed = match (
            doubts.first(),
            client.items(id, usize::try_from(limit)?).await,
        ) {
            (Some(doubt), _) => Err((false, doubt.reason.clone())),
            (None, Err(error)) => Err((false, error.to_string())),
            (None, Ok(sealed)) if keccak(&sealed) != ciphertext => {
                Err((false, "other bytes came than were claimed".to_owned()))
            }
            (None, Ok(sealed)) => {
                let key = &self.reading_key;
                tokio::task::block_in_place(|| judge.open(&sealed, key, &counts))
                    .map_err(|error| (true, explain(&error)))
            }
        };
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
            Err((certain, reason)) if certain || late => {
                self.progress
                    .say(format!("retrieval {id}: rejecting the delivery: {reason}"));
                let purpose = format!("reject retrieval {id}");
                self.attempt(&purpose, RetrievalCall::Reject(id)).await
            }
            Err(_) => Ok(()),
        }
    }

    /// How many items match in each shard, where that is proven to this side, and the shards where it is not.
    async fn scan(
        &self,
        judge: &Judge<'_>,
        client: &Client,
    ) -> anyhow::Result<(Vec<Option<u32>>, Vec<Doubt>)> {
        let (mut counts, mut doubts) = (vec![], vec![]);
        let mut unreachable = None;
        for index in 0..judge.retrieval.terms.shards {
            let found = match &unreachable {
                None => client.scan(judge.id, index).await,
                // One that cannot be reached hands over none of the others either.
                Some(reason) => Err(ClientError::Malformed(String::clone(reason))),
            };
            let doubt = match found {
                Ok(evidence) => {
                    let checked =
                        tokio::task::block_in_place(|| judge.check_scan(index, &evidence));
                    match checked {
                        Ok(()) => {
                            counts.push(Some(evidence.attestation.statement.top1));
                            continue;
                        }
                        Err(error) => (true, explain(&error)),
                    }
                }
                Err(error) => {
                    if matches!(error, ClientError::Unreachable { .. }) {
                        unreachable = Some(error.to_string());
                    }
                    (false, error.to_string())
                }
            };
            counts.push(None);
            let id = AgreementId(judge.id.0);
            // What the chain verified, its leaf included, is true whatever is handed over here.
            if self.wallet.chain().is_proven(id, index).await? {
                continue;
            }
            let (is_false, reason) = doubt;
            doubts.push(Doubt {
                index,
                is_false,
                reason,
            });
        }
        Ok((counts, doubts))
    }

    async fn contest_doubts(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        mut doubts: Vec<Doubt>,
        late: bool,
    ) -> anyhow::Result<()> {
        doubts.retain(|doubt| doubt.is_false || late);
        // False ones first; the others in an order the responder cannot foresee.
        doubts.shuffle(&mut rand::thread_rng());
        doubts.sort_by_key(|doubt| !doubt.is_false);
        for doubt in doubts.iter().take(CONTESTED_AT_ONCE) {
            self.progress.say(format!(
                "retrieval {id}: contesting shard {} of {}: {}",
                doubt.index, retrieval.terms.shards, doubt.reason
            ));
            self.contest(id, retrieval, doubt.index).await?;
        }
        Ok(())
    }

    async fn contest(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        index: u32,
    ) -> anyhow::Result<()> {
        let terms = &retrieval.terms;
        let purpose = format!("contest retrieval {id}/{index}");
        let (token, fee) = (terms.token, terms.contest_fee);
        self.wallet.allow(token, fee, &purpose).await?;
        let value = terms.wei(fee);
        self.attempt(&purpose, RetrievalCall::Contest { id, index, value })
            .await?;
        self.progress
            .say(format!("retrieval {id}: shard {index} contested"));
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
