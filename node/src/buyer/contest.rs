//! Contests on their way to the chain: many at once, since a window does not wait for blocks.

use anyhow::Context;
use zknode_protocol::{
    chain::{Call, Chain, ChainError},
    value::{Address, Amount},
};

use crate::{output::explain, progress::Progress, seller::send::AT_ONCE, wallet::Wallet};

/// Sends these contests, each for its purpose and `fee` of a token, [`AT_ONCE`] before any is waited for; whether any arrived.
/// What the contract refuses was contested before, or is no longer to be. One that fails does not hold up the others.
pub(crate) async fn contest_all<C: Chain>(
    wallet: &Wallet<C>,
    progress: &Progress,
    (token, fee): (Address, Amount),
    calls: &[(String, Call)],
) -> anyhow::Result<bool> {
    let (mut arrived, mut failed) = (false, None);
    for calls in calls.chunks(AT_ONCE) {
        let Some((first, _)) = calls.first() else {
            continue;
        };
        let all = fee.0.checked_mul(calls.len() as u128).map(Amount);
        let all = all.context("the contest fees add up past 2^128")?;
        wallet.allow(token, all, first).await?;
        let orders = calls.iter().cloned();
        let orders: Vec<_> = orders
            .map(|(purpose, call)| wallet.order(purpose, call))
            .collect();
        let outcomes = wallet.execute_all(&orders).await?;
        for ((purpose, _), outcome) in calls.iter().zip(outcomes) {
            match outcome {
                Ok(receipt) => {
                    progress.say(format!("{purpose}: contested, {} gas", receipt.gas));
                    arrived = true;
                }
                Err(ChainError::Revert { .. }) => {}
                Err(error) => failed = Some(anyhow::Error::from(error).context(purpose.clone())),
            }
        }
    }
    match failed {
        Some(error) if arrived => progress.say(explain(&error)),
        Some(error) => return Err(error),
        None => {}
    }
    Ok(arrived)
}
