//! What a buyer does about a claim: approves it when every shard is proven to this side, contests what is not.

use rand::rngs::OsRng;
use zknode_protocol::{
    chain::{Call, Chain},
    value::{Hash, Signature},
};

use super::{
    case::Case,
    clock::Clock,
    contest_all,
    evidence::Judge,
    scan::{scan, to_contest},
    Client,
};

/// Shards without evidence that are contested at once. One false one among them ends the agreement; all of them are
/// asked for in the end.
const CONTESTED_AT_ONCE: usize = 8;

impl<C: Chain> Case<'_, C> {
    /// Looks at the claim: approves it when every shard is proven to this side, contests what is not.
    pub async fn judge(&self) -> anyhow::Result<()> {
        let claim = self.agreement.claim;
        let approved = self.challenge.approval.filter(|(root, _)| *root == claim);
        if let Some((_, signature)) = approved {
            return self.approve(claim, signature).await;
        }
        let mut wanted = vec![];
        for index in self.challenge.contest.iter().copied() {
            let contested = self.buyer.wallet.chain().is_contested(self.id, index);
            if !contested.await? {
                wanted.push(index);
            }
        }
        if !wanted.is_empty() {
            return self.contest(wanted.into_iter()).await;
        }
        let judge = Judge {
            client: Client::new(&self.challenge.seller)?,
            chain: self.buyer.wallet.chain(),
            id: self.id,
            agreement: self.agreement,
            domain: self.buyer.domain(),
            card: &self.challenge.card,
            set: self.set()?,
            verifier: self.model.verifier(&self.buyer.progress)?,
        };
        // The keys took their time, and so does the look.
        let now = self.now().await?;
        let (window_end, deadline) = (self.agreement.window_end, self.agreement.deadline);
        let clock = Clock::new(now, window_end, deadline, self.agreement.terms.window);
        let (_, doubts) = scan(&judge, self.seen, clock.pass()).await?;
        let clock = clock.at(self.now().await?);
        let progress = &self.buyer.progress;
        let total = self.agreement.terms.shards;
        if doubts.is_empty() {
            let digest = self.buyer.domain().approval_digest(self.id, claim);
            let signature = self.buyer.key.sign(digest)?;
            // Written down first: what is signed may be brought by anyone.
            self.buyer.change(self.root, |challenge| {
                challenge.approval = Some((claim, signature));
            })?;
            progress.say(format!(
                "agreement {}: {} correct, all {total} proofs verified here; approving",
                self.id, self.agreement.correct
            ));
            return self.approve(claim, signature).await;
        }
        // Evidence that is not there may come; the rest will not change.
        let mut chosen = to_contest(doubts, clock.contests(), &mut OsRng);
        chosen.truncate(CONTESTED_AT_ONCE);
        for doubt in &chosen {
            progress.say(format!(
                "agreement {}: contesting shard {} of {total}: {}",
                self.id, doubt.index, doubt.reason
            ));
        }
        self.contest(chosen.iter().map(|doubt| doubt.index)).await
    }

    async fn approve(&self, claim: Hash, signature: Signature) -> anyhow::Result<()> {
        let call = Call::Approve {
            id: self.id,
            signature: Some(signature),
        };
        let purpose = format!("approve {} {claim}", self.id);
        let receipt = self.buyer.wallet.execute(&purpose, &call).await?;
        self.buyer.progress.say(format!(
            "agreement {}: approved and settled, {} gas",
            self.id, receipt.gas
        ));
        Ok(())
    }

    /// Contests these shards, all before any is waited for.
    async fn contest(&self, shards: impl Iterator<Item = u32>) -> anyhow::Result<()> {
        let terms = &self.agreement.terms;
        let (token, fee) = (terms.token, terms.contest_fee);
        let calls: Vec<_> = shards
            .map(|index| {
                let (id, value) = (self.id, terms.wei(fee));
                let call = Call::Contest { id, index, value };
                (format!("contest {id}/{index}"), call)
            })
            .collect();
        let (wallet, progress) = (&self.buyer.wallet, &self.buyer.progress);
        contest_all(wallet, progress, (token, fee), &calls).await?;
        Ok(())
    }
}
