//! Transactions on their way to the chain: many at once, and how long that takes at worst.
//!
//! Two tasks send: the clerk ([`super::clerk`]), and who brings proofs ([`super::work`]). Each makes one list of all that it
//! owes, whatever it belongs to, and sends the [`AT_ONCE`] nearest deadlines of it before any is waited for; then it looks
//! again. What has no deadline comes last. The account is one, so they take turns.

use std::{cmp::Reverse, collections::BTreeSet, fmt::Display};

use zknode_protocol::chain::{Chain, ChainError, Order};

use super::{event::Event, schedule::Pace, Seller};
use crate::output::explain;

/// Most transactions sent before any is waited for: as many as geth's pool keeps of one account, however full it is.
pub const AT_ONCE: usize = 16;
/// Seconds between two blocks. A block is taken to hold one of our proofs, as in
/// [`Rule::AnswerWindow`](zknode_protocol::economics::Rule::AnswerWindow), and any number of the clerk's transactions, which
/// bring none.
pub const BLOCK: u64 = 12;
/// What is waited for between two lists of one task, each until it is deep enough: the list before and one of the other task,
/// and for the first of them another that the other task had begun.
const LISTS: u64 = 3;

/// Seconds that a list may wait, at worst, until its turn comes, where `depth` blocks must lie on top of one before it is
/// believed. What proofs take besides, a block each, is not in it.
pub fn queue(depth: u64) -> u64 {
    let deep = depth.saturating_add(1).saturating_mul(BLOCK);
    deep.saturating_mul(LISTS)
}

/// What a proof takes on its way: a block, and its part of what its list waits.
pub fn answer_pace(queue: u64) -> Pace {
    Pace {
        seconds: BLOCK.saturating_add(step_pace(queue).seconds),
        together: AT_ONCE as u64,
    }
}

/// What a transaction of the clerk takes: its part of what its list waits.
pub fn step_pace(queue: u64) -> Pace {
    Pace {
        seconds: queue.div_ceil(AT_ONCE as u64),
        together: AT_ONCE as u64,
    }
}

/// The last second at which what is sent by `deadline` must be ready, or begins to wait.
pub fn ready_by(deadline: u64, queue: u64) -> u64 {
    deadline.saturating_sub(queue).saturating_sub(BLOCK)
}

/// Seconds after which so many transactions of the clerk are in blocks.
pub fn patience(queue: u64, steps: usize) -> u64 {
    let lists = steps.div_ceil(AT_ONCE) as u64;
    queue.saturating_mul(lists.max(1)).saturating_add(BLOCK)
}

/// A transaction that is owed.
pub struct Due {
    /// The last second at which it is of use, Unix; `None`: it never is too late.
    pub deadline: Option<u64>,
    /// What is sent.
    pub order: Order,
    /// Whether somebody else may have done it, or made it impossible, in the meantime: then the chain is looked at again.
    pub attempt: bool,
    /// What to say once it is there, told the gas it took.
    pub event: Option<Box<dyn Fn(u64) -> Event + Send>>,
}

impl Due {
    /// What nobody else may do.
    pub fn new(deadline: u64, order: Order, event: impl Fn(u64) -> Event + Send + 'static) -> Self {
        Self {
            deadline: Some(deadline),
            order,
            attempt: false,
            event: Some(Box::new(event)),
        }
    }

    /// What somebody else may do, or make impossible.
    pub fn attempt(deadline: Option<u64>, order: Order) -> Self {
        Self {
            deadline,
            order,
            attempt: true,
            event: None,
        }
    }

    /// The same, of which something is said.
    pub fn telling(self, event: impl Fn(u64) -> Event + Send + 'static) -> Self {
        let event: Box<dyn Fn(u64) -> Event + Send> = Box::new(event);
        Self {
            event: Some(event),
            ..self
        }
    }
}

/// What is owed, and the last trouble on the way to know it, which does not hold up the others.
#[derive(Default)]
pub struct Found {
    /// What is owed.
    pub due: Vec<Due>,
    /// What failed.
    pub failed: Option<anyhow::Error>,
}

impl Found {
    /// Adds what was found of one, named `whose` for people.
    pub fn add(
        &mut self,
        found: anyhow::Result<Vec<Due>>,
        whose: impl Display + Send + Sync + 'static,
    ) {
        match found {
            Ok(due) => self.due.extend(due),
            Err(error) => self.failed = Some(error.context(format!("{whose}"))),
        }
    }
}

/// What was sent for in one turn: each purpose once, so that what fails is neither tried for ever nor in the way of others.
#[derive(Default)]
pub struct Tried(BTreeSet<String>);

impl Tried {
    /// How many of what is owed are to be looked at, so that there is a whole list of what was not tried.
    pub fn most(&self) -> usize {
        AT_ONCE + self.0.len()
    }

    /// The nearest deadlines of what is owed and was not tried: one list.
    pub fn first(&mut self, mut due: Vec<Due>) -> Vec<Due> {
        due.retain(|due| !self.0.contains(&due.order.purpose));
        // `None` is less than every `Some`.
        due.sort_by_key(|due| Reverse(due.deadline.map(Reverse)));
        due.truncate(AT_ONCE);
        self.0
            .extend(due.iter().map(|due| due.order.purpose.clone()));
        due
    }
}

/// Sends these together, and says which arrived. One that fails does not hold up the others.
pub async fn send_all<C: Chain>(seller: &Seller<C>, due: Vec<Due>) -> anyhow::Result<()> {
    let (mut orders, mut rest) = (vec![], vec![]);
    for Due {
        order,
        attempt,
        event,
        ..
    } in due
    {
        orders.push(order);
        rest.push((attempt, event));
    }
    let mut failed: Option<anyhow::Error> = None;
    let outcomes = seller.wallet.execute_all(&orders).await?;
    for ((outcome, (attempt, event)), order) in outcomes.into_iter().zip(rest).zip(&orders) {
        match outcome {
            Ok(receipt) => {
                if let Some(event) = event {
                    seller.tell(event(receipt.gas));
                }
            }
            Err(ChainError::Revert { .. }) if attempt => {}
            Err(error) => {
                if let Some(before) = failed.take() {
                    seller.progress.say(explain(&before));
                }
                failed = Some(anyhow::Error::from(error).context(order.purpose.clone()));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zknode_protocol::{
        chain::Call,
        value::{Address, AgreementId, Hash},
    };

    fn due(purpose: String, deadline: Option<u64>) -> Due {
        let order = Order {
            purpose,
            contract: Address::ZERO,
            call: Call::Expire(AgreementId(Hash::ZERO)),
        };
        Due::attempt(deadline, order)
    }

    /// Whatever it belongs to; what was tried once is in nobody's way.
    #[test]
    fn the_nearest_deadlines_are_sent_first_sixteen_at_once() {
        let owed = || {
            let kinds = ["prove", "answer retrieval", "answer round"];
            let mut owed = vec![due("expire".into(), None)];
            for at in (0..30u64).rev() {
                let kind = kinds[at as usize % kinds.len()];
                owed.push(due(format!("{kind} {at}"), Some(at)));
            }
            owed
        };
        let mut tried = Tried::default();
        let mut next = |most| {
            assert_eq!(tried.most(), most);
            let first = tried.first(owed());
            first.iter().map(|due| due.deadline).collect::<Vec<_>>()
        };
        assert_eq!(next(16), (0..16).map(Some).collect::<Vec<_>>());
        let rest = (16..30).map(Some).chain([None]).collect::<Vec<_>>();
        assert_eq!(next(32), rest);
        assert_eq!(next(47), vec![]);
    }
}
