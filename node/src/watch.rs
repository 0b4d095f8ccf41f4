//! Ends agreements past their deadline, anybody's: the rules of the money need somebody who calls them, and it may be
//! anybody. Watches what it is told of and what the chain tells, block by block, by their hashes.

use std::{collections::BTreeSet, time::Duration};

use zknode_protocol::{
    agreement::State,
    chain::{Call, Chain, ChainError, ChainEvent, RoundCall, RoundChain},
    round::{RoundId, RoundState},
    value::AgreementId,
};

use crate::wallet::Wallet;

/// An agreement that was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which.
    pub agreement: AgreementId,
    /// How.
    pub state: State,
}

/// What is watched, and up to which block the chain was searched.
pub struct Watcher<'a, W = ()> {
    wallet: &'a W,
    watched: BTreeSet<AgreementId>,
    next: u64,
}

impl Watcher<'_, ()> {
    /// Pause between two looks.
    pub const POLL: Duration = Duration::from_secs(2);
}

impl<'a, C: Chain> Watcher<'a, Wallet<C>> {
    /// Watches `named`, and what is opened from block `from` on; `None`: from the newest.
    pub async fn new(
        wallet: &'a Wallet<C>,
        named: impl IntoIterator<Item = AgreementId>,
        from: Option<u64>,
    ) -> Result<Self, ChainError> {
        let next = match from {
            Some(block) => block,
            None => wallet.chain().head().await?.number,
        };
        Ok(Self {
            wallet,
            watched: named.into_iter().collect(),
            next,
        })
    }

    /// Searches the new blocks, then ends whatever may be ended.
    pub async fn round(&mut self) -> Result<Vec<Ended>, ChainError> {
        let chain = self.wallet.chain();
        let head = chain.head().await?;
        while self.next <= head.number {
            let Some(block) = chain.block_at(self.next).await? else {
                break;
            };
            for event in chain.events(block.hash).await? {
                if let ChainEvent::Opened { id, .. } = event {
                    self.watched.insert(id);
                }
            }
            self.next += 1;
        }
        let mut ended = vec![];
        for id in self.watched.clone() {
            if let Some(state) = self
                .look(id, head.time, head.number.saturating_add(1))
                .await?
            {
                ended.push(Ended {
                    agreement: id,
                    state,
                });
            }
        }
        Ok(ended)
    }

    /// Ends one agreement if its deadline is over; forgets it once its end is deep enough.
    async fn look(
        &mut self,
        id: AgreementId,
        now: u64,
        block: u64,
    ) -> Result<Option<State>, ChainError> {
        if self.wallet.ended(id).await?.is_some() {
            self.watched.remove(&id);
            return Ok(None);
        }
        // Unknown ones may be younger than the newest block, or reorganized away for now.
        let Some(agreement) = self.wallet.agreement(id).await? else {
            return Ok(None);
        };
        if !agreement.is_overdue(now, block) {
            return Ok(None);
        }
        let (state, deadline) = (agreement.state, agreement.deadline);
        let purpose = format!("watch {id} {state:?} {deadline}");
        match self.wallet.execute(&purpose, &Call::Expire(id)).await {
            Ok(_) => {
                let after = self.wallet.agreement(id).await?;
                Ok(after.map(|after| after.state))
            }
            // Somebody was faster.
            Err(ChainError::Revert { .. } | ChainError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The same for rounds of predictions; the wallet's escrow is the predictions contract.
pub struct RoundWatcher<C> {
    wallet: Wallet<C>,
    watched: BTreeSet<RoundId>,
    next: u64,
}

impl<C: RoundChain> RoundWatcher<C> {
    /// Watches what is opened from block `from` on; `None`: from the newest.
    pub async fn new(wallet: Wallet<C>, from: Option<u64>) -> Result<Self, ChainError> {
        let next = match from {
            Some(block) => block,
            None => wallet.chain().head().await?.number,
        };
        Ok(Self {
            wallet,
            watched: BTreeSet::new(),
            next,
        })
    }

    /// Searches the new blocks, then ends whatever may be ended: which rounds, and how far they came by that.
    pub async fn round(&mut self) -> Result<Vec<(RoundId, RoundState)>, ChainError> {
        let chain = self.wallet.chain();
        let head = chain.head().await?;
        while self.next <= head.number {
            let Some(block) = chain.block_at(self.next).await? else {
                break;
            };
            for event in chain.events(block.hash).await? {
                if let ChainEvent::RoundOpened(id) = event {
                    self.watched.insert(id);
                }
            }
            self.next += 1;
        }
        let mut ended = vec![];
        for id in self.watched.clone() {
            let deep = chain.round_at_depth(id, self.wallet.depth()).await?;
            if deep.is_some_and(|round| round.state.is_terminal()) {
                self.watched.remove(&id);
                continue;
            }
            let newest = chain.round_at_depth(id, 0).await?;
            let Some(round) = newest.filter(|round| round.is_overdue(head.time)) else {
                continue;
            };
            let purpose = format!("watch round {id} {:?} {}", round.state, round.deadline);
            let call = Call::Round(Box::new(RoundCall::Expire(id)));
            match self.wallet.execute(&purpose, &call).await {
                Ok(_) => {
                    let after = chain.round_at_depth(id, 0).await?;
                    ended.extend(after.map(|after| (id, after.state)));
                }
                // Somebody was faster.
                Err(ChainError::Revert { .. } | ChainError::Failed { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(ended)
    }
}
