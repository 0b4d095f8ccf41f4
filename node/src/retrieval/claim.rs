//! What a requester does about a claim: contests what is not proven, rejects what is not handed over, approves the rest.

use anyhow::Context;
use rand::{seq::SliceRandom, Rng};
use zknode_protocol::{
    chain::retrieval::{RetrievalCall, RetrievalChain},
    digest::keccak,
    retrieval::{Retrieval, RetrievalId, State},
    value::{AgreementId, Hash, Signature},
};

use super::{
    clock::Clock,
    judge::{Found, Judge},
    requester::{Asked, Case, Requester},
    sealed_length,
};
use crate::{
    buyer::{Client, Doubt},
    output::explain,
};

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
        let as_agreement = AgreementId(id.0);
        let clock = Clock::new(retrieval, now);
        for index in asked.contest.iter().copied() {
            if !clock.may_contest() {
                break;
            }
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
        let (counts, doubts) = self.scan(&judge, &client, case.seen, clock.pass()).await?;
        // That took its time.
        let clock = clock.at(self.wallet.chain().head().await?.time);
        if clock.may_contest() {
            let late = clock.contests();
            let doubts = to_contest(doubts.clone(), late, &mut rand::rngs::OsRng);
            if !doubts.is_empty() {
                return self.contest_doubts(id, retrieval, doubts).await;
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
        let handed = match (
            doubts.first(),
            client
                .items(id, usize::try_from(limit)?, clock.items())
                .await,
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

    /// Contests these shards, for as long as the window is open.
    async fn contest_doubts(
        &self,
        id: RetrievalId,
        retrieval: &Retrieval,
        doubts: Vec<Doubt>,
    ) -> anyhow::Result<()> {
        let chain = self.wallet.chain();
        for doubt in doubts {
            if chain.is_contested(AgreementId(id.0), doubt.index).await? {
                continue;
            }
            if chain.head().await?.time > retrieval.window_end {
                break;
            }
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

/// What is contested now: what is false at once, what is only missing where it is `late`. False ones first, the others in
/// an order the responder cannot foresee.
fn to_contest(mut doubts: Vec<Doubt>, late: bool, rng: &mut impl Rng) -> Vec<Doubt> {
    doubts.retain(|doubt| doubt.is_false || late);
    doubts.shuffle(rng);
    doubts.sort_by_key(|doubt| !doubt.is_false);
    doubts
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
    use super::*;
    use rand::{rngs::StdRng, SeedableRng};

    fn doubts() -> Vec<Doubt> {
        let doubt = |index| Doubt {
            index,
            is_false: index % 10 == 7,
            reason: String::new(),
        };
        (0..40).map(doubt).collect()
    }

    #[test]
    fn all_that_is_missing_is_contested_once_it_is_late() {
        let contested = |late, seed| -> Vec<u32> {
            let found = to_contest(doubts(), late, &mut StdRng::seed_from_u64(seed));
            found.into_iter().map(|doubt| doubt.index).collect()
        };
        let mut at_once = contested(false, 1);
        at_once.sort_unstable();
        assert_eq!(at_once, [7, 17, 27, 37]);
        let (late, again) = (contested(true, 1), contested(true, 2));
        assert!(late[..4].iter().all(|index| index % 10 == 7));
        assert_ne!(late, again);
        let mut all = late;
        all.sort_unstable();
        assert_eq!(all, (0..40).collect::<Vec<_>>());
    }
}
