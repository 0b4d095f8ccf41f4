//! Ends what is past its deadline, anybody's: the rules of the money need somebody who calls them, and it may be anybody.
//! Watches what it is told of and what the chain tells, block by block, by their hashes, the newest ones again and again.
//! Agreements, rounds of predictions and retrievals are watched alike, each at its contract.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
    future::Future,
    time::Duration,
};

use serde::Serialize;
use zknode_protocol::{
    agreement::State,
    chain::{
        retrieval::{RetrievalCall, RetrievalChain},
        Block, Call, Chain, ChainError, ChainEvent, RoundCall, RoundChain,
    },
    retrieval::{self, RetrievalId},
    round::{RoundId, RoundState},
    value::{AgreementId, Hash},
};

use crate::wallet::Wallet;

/// Pause between two looks.
pub const POLL: Duration = Duration::from_secs(2);

/// Names something with a deadline, on a chain whose escrow is the contract that keeps its money.
pub trait Watched<C>: Copy + Ord + Display + Send {
    /// What it is called.
    const NAME: &'static str;
    /// How far it can come.
    type State: Debug + Serialize + Send;

    /// The one of this name.
    fn named(id: Hash) -> Self;
    /// The one that was opened, if that is what happened.
    fn opened(event: &ChainEvent) -> Option<Self>;
    /// Where it stands as of the block `depth` below the newest; `None` when it is unknown there.
    fn stands(
        self,
        chain: &C,
        depth: u64,
    ) -> impl Future<Output = Result<Option<Standing<Self::State>>, ChainError>> + Send;
    /// What ends it after its deadline.
    fn expire(self) -> Call;
}

/// Where something stands.
#[derive(Clone, Copy, Debug)]
pub struct Standing<S> {
    /// How far it came.
    pub state: S,
    /// Nothing changes it any more.
    pub is_over: bool,
    /// Last second of what may be done in this state.
    pub deadline: u64,
    /// Last block for it, where there is one.
    pub last_block: Option<u64>,
}

impl<S> Standing<S> {
    /// Whether anyone may end this state in the block after `head`.
    fn is_overdue(&self, head: &Block) -> bool {
        let next = head.number.saturating_add(1);
        let missed = self.last_block.is_some_and(|last| next > last);
        !self.is_over && (head.time > self.deadline || missed)
    }
}

impl<C: Chain> Watched<C> for AgreementId {
    const NAME: &'static str = "agreement";
    type State = State;

    fn named(id: Hash) -> Self {
        Self(id)
    }

    fn opened(event: &ChainEvent) -> Option<Self> {
        match event {
            ChainEvent::Opened { id, .. } => Some(*id),
            _ => None,
        }
    }

    async fn stands(self, chain: &C, depth: u64) -> Result<Option<Standing<State>>, ChainError> {
        let found = chain.agreement_at_depth(self, depth).await?;
        Ok(found.map(|agreement| Standing {
            state: agreement.state,
            is_over: agreement.state.is_terminal(),
            deadline: agreement.deadline,
            last_block: agreement.last_block(),
        }))
    }

    fn expire(self) -> Call {
        Call::Expire(self)
    }
}

impl<C: RoundChain> Watched<C> for RoundId {
    const NAME: &'static str = "round";
    type State = RoundState;

    fn named(id: Hash) -> Self {
        Self(id)
    }

    fn opened(event: &ChainEvent) -> Option<Self> {
        match event {
            ChainEvent::RoundOpened(id) => Some(*id),
            _ => None,
        }
    }

    async fn stands(
        self,
        chain: &C,
        depth: u64,
    ) -> Result<Option<Standing<RoundState>>, ChainError> {
        let found = chain.round_at_depth(self, depth).await?;
        Ok(found.map(|round| Standing {
            state: round.state,
            is_over: round.state.is_terminal(),
            deadline: round.deadline,
            last_block: None,
        }))
    }

    fn expire(self) -> Call {
        Call::Round(Box::new(RoundCall::Expire(self)))
    }
}

impl<C: RetrievalChain> Watched<C> for RetrievalId {
    const NAME: &'static str = "retrieval";
    type State = retrieval::State;

    fn named(id: Hash) -> Self {
        Self(id)
    }

    fn opened(event: &ChainEvent) -> Option<Self> {
        match event {
            ChainEvent::RetrievalOpened(id) => Some(*id),
            _ => None,
        }
    }

    async fn stands(
        self,
        chain: &C,
        depth: u64,
    ) -> Result<Option<Standing<retrieval::State>>, ChainError> {
        let found = chain.retrieval_at_depth(self, depth).await?;
        Ok(found.map(|retrieval| Standing {
            state: retrieval.state,
            is_over: retrieval.state.is_terminal(),
            deadline: retrieval.deadline,
            last_block: None,
        }))
    }

    fn expire(self) -> Call {
        Call::Retrieval(Box::new(RetrievalCall::Expire(self)))
    }
}

/// What is watched at one contract, and up to which block the chain was searched.
pub struct Watcher<C, I> {
    wallet: Wallet<C>,
    watched: BTreeSet<I>,
    from: u64,
    next: u64,
}

/// What became of those that were past their deadline: how far each came, or why it could not be ended.
pub type Ended<C, I> = Vec<(I, Result<<I as Watched<C>>::State, ChainError>)>;

impl<C: Chain, I: Watched<C>> Watcher<C, I> {
    /// Watches `named`, and what is opened from block `from` on; `None`: from the newest.
    pub async fn new(
        wallet: Wallet<C>,
        named: &[Hash],
        from: Option<u64>,
    ) -> Result<Self, ChainError> {
        let from = match from {
            Some(block) => block,
            None => wallet.chain().head().await?.number,
        };
        Ok(Self {
            wallet,
            watched: named.iter().map(|id| I::named(*id)).collect(),
            from,
            next: from,
        })
    }

    /// Searches the new blocks, and those that a reorganization may have put in the place of others; then ends whatever may be
    /// ended. One that cannot be ended does not hold up the others.
    pub async fn round(&mut self) -> Result<Ended<C, I>, ChainError> {
        let chain = self.wallet.chain();
        let head = chain.head().await?;
        self.next = self.next.min(head.number.saturating_add(1));
        let again = self.next.saturating_sub(self.wallet.depth());
        self.next = again.max(self.from);
        while self.next <= head.number {
            let Some(block) = chain.block_at(self.next).await? else {
                break;
            };
            let events = chain.events(block.hash).await?;
            self.watched.extend(events.iter().filter_map(I::opened));
            self.next += 1;
        }
        let mut ended = vec![];
        for id in self.watched.clone() {
            let looked = self.look(id, &head).await.transpose();
            ended.extend(looked.map(|outcome| (id, outcome)));
        }
        Ok(ended)
    }

    /// Ends one if its deadline is over; forgets it once its end is deep enough.
    async fn look(&mut self, id: I, head: &Block) -> Result<Option<I::State>, ChainError> {
        let chain = self.wallet.chain();
        let deep = id.stands(chain, self.wallet.depth()).await?;
        if deep.is_some_and(|standing| standing.is_over) {
            self.watched.remove(&id);
            return Ok(None);
        }
        // Unknown ones may be younger than the newest block, or reorganized away for now.
        let newest = id.stands(chain, 0).await?;
        let Some(standing) = newest.filter(|standing| standing.is_overdue(head)) else {
            return Ok(None);
        };
        let Standing {
            state, deadline, ..
        } = standing;
        let purpose = format!("watch {} {id} {state:?} {deadline}", I::NAME);
        match self.wallet.execute(&purpose, &id.expire()).await {
            Ok(_) => {
                let after = id.stands(self.wallet.chain(), 0).await?;
                Ok(after.map(|after| after.state))
            }
            // Somebody was faster.
            Err(ChainError::Revert { .. } | ChainError::Failed { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
