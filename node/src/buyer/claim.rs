//! What a buyer does about a claim: approves it when every shard is proven to this side, contests what is not.

use zknode_protocol::{
    chain::{Call, Chain},
    value::{Hash, Signature},
};

use super::{case::Case, evidence::Judge, Client};

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
        for index in self.challenge.contest.iter().copied() {
            if !self
                .buyer
                .wallet
                .chain()
                .is_contested(self.id, index)
                .await?
            {
                return self.contest(index).await;
            }
        }
        let judge = Judge {
            client: Client::new(&self.challenge.seller)?,
            id: self.id,
            agreement: self.agreement,
            domain: self.buyer.domain(),
            card: &self.challenge.card,
            set: self.set()?,
            verifier: self.model.verifier(&self.buyer.progress)?,
        };
        let progress = &self.buyer.progress;
        let doubts = judge.doubts().await?;
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
        let certain = doubts.iter().any(|doubt| doubt.is_false);
        let window = u64::from(self.agreement.terms.window);
        let late = self.now.saturating_add(window / 2) > self.agreement.window_end;
        if !certain && !late {
            return Ok(());
        }
        let mut chosen: Vec<_> = doubts
            .iter()
            .filter(|doubt| doubt.is_false || late)
            .collect();
        // False ones first; the others in an order the seller cannot foresee.
        chosen.sort_by_key(|doubt| (!doubt.is_false, rand::random::<u64>()));
        for doubt in chosen.iter().take(CONTESTED_AT_ONCE) {
            progress.say(format!(
                "agreement {}: contesting shard {} of {total}: {}",
                self.id, doubt.index, doubt.reason
            ));
            self.contest(doubt.index).await?;
        }
        Ok(())
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

    async fn contest(&self, index: u32) -> anyhow::Result<()> {
        let terms = &self.agreement.terms;
        let purpose = format!("contest {}/{index}", self.id);
        self.buyer
            .wallet
            .allow(terms.token, terms.contest_fee, &purpose)
            .await?;
        let call = Call::Contest {
            id: self.id,
            index,
            value: terms.wei(terms.contest_fee),
        };
        // It may have been contested before.
        if let Some(receipt) = self.buyer.wallet.attempt(&purpose, &call).await? {
            self.buyer.progress.say(format!(
                "agreement {}: shard {index} contested, {} gas",
                self.id, receipt.gas
            ));
        }
        Ok(())
    }
}
