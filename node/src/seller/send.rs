//! Proofs on their way to the chain: many at once, and how long that takes at worst.
//!
//! What is contested is answered beside the prover ([`super::work`]): the proofs lie ready, or are made by then, and no proof
//! waits for a block. All answers of one kind that are owed, up to [`AT_ONCE`], are sent before any is waited for.

use zknode_protocol::chain::{Call, Chain};

use super::{event::Event, Seller};
use crate::{output::explain, wallet::Wallet};

/// Most transactions sent before any is waited for: as many as geth's pool keeps of one account, however full it is.
pub const AT_ONCE: usize = 16;
/// Seconds between two blocks. A block is taken to hold one of our proofs, as in
/// [`Rule::AnswerWindow`](zknode_protocol::economics::Rule::AnswerWindow).
pub const BLOCK: u64 = 12;
/// What may lie before an answer in the account's queue, each seen through until it is deep enough: a transaction of the
/// clerk, one of the prover, and answers of the three kinds.
const OTHERS: u64 = 5;

/// Seconds that an answer may wait, at worst, until its turn comes, where `depth` blocks must lie on top of one before it is
/// believed. What the answers themselves take, a block each, is not in it.
pub fn queue(depth: u64) -> u64 {
    let deep = depth.saturating_add(1).saturating_mul(BLOCK);
    deep.saturating_mul(OTHERS)
}

/// A proof that is ready for the chain.
pub struct Proof {
    /// What it is sent for.
    pub purpose: String,
    /// What brings it.
    pub call: Call,
    /// What to say once it is there, told the gas it took.
    pub event: Box<dyn Fn(u64) -> Event + Send>,
}

/// Sends proofs together, and says which arrived; whether any did. One that fails does not hold up the others.
pub async fn send_all<C: Chain>(
    seller: &Seller<C>,
    wallet: &Wallet<C>,
    proofs: Vec<Proof>,
) -> anyhow::Result<bool> {
    if proofs.is_empty() {
        return Ok(false);
    }
    let (mut calls, mut events) = (vec![], vec![]);
    for proof in proofs {
        calls.push((proof.purpose, proof.call));
        events.push(proof.event);
    }
    let (mut arrived, mut failed) = (false, None);
    let outcomes = wallet.execute_all(&calls).await?;
    for ((outcome, event), (purpose, _)) in outcomes.into_iter().zip(events).zip(&calls) {
        match outcome {
            Ok(receipt) => {
                seller.tell(event(receipt.gas));
                arrived = true;
            }
            Err(error) => failed = Some(anyhow::Error::from(error).context(purpose.clone())),
        }
    }
    match failed {
        Some(error) if arrived => seller.progress.say(explain(&error)),
        Some(error) => return Err(error),
        None => {}
    }
    Ok(arrived)
}
