//! A party played by hand: whatever the contracts allow, honest or not, sent under a role's own key.

use std::time::Duration;

use anyhow::{ensure, Context};
use zknode::{config::ChainConfig, demo::role::Role, home::Home, keys};
use zknode_protocol::{
    chain::{ethers::EthersChain, key::Key, Call, Chain, ChainError, ChainEvent, TxReceipt},
    value::AgreementId,
};

use crate::stage::Stage;

/// Pause until a receipt is looked for again.
const POLL: Duration = Duration::from_millis(20);

/// An account and its chain.
pub struct Hands {
    /// The chain as the account sees it.
    pub chain: EthersChain,
    /// Signs.
    pub key: Key,
}

impl Hands {
    /// Those of a role. Its node must not send anything meanwhile.
    pub async fn of(stage: &Stage, role: &Role, name: &str) -> anyhow::Result<Self> {
        let home = Home::open(role.home())?;
        let password = stage.folder.path().join(format!("{name}.password"));
        let key = keys::account(&home, Some(&password))?;
        let chain = ChainConfig::load(&home)?
            .connect_checked(key.clone())
            .await?;
        Ok(Self { chain, key })
    }

    /// Sends a call and waits until it is in a block. One that would revert is refused, by the contract's name for it.
    pub async fn send(&self, call: Call) -> Result<TxReceipt, ChainError> {
        let fees = self.chain.market().await?.first();
        let nonce = self.chain.next_nonce().await?;
        let tx = self.chain.sign(&call, nonce, fees).await?;
        self.chain.broadcast(&tx).await?;
        loop {
            if let Some(receipt) = self.chain.receipt(tx.hash).await? {
                return Ok(receipt);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The same for a call that succeeds.
    pub async fn must(&self, call: Call) -> anyhow::Result<TxReceipt> {
        let receipt = self.send(call).await?;
        ensure!(receipt.succeeded, "it reverted: {receipt:?}");
        Ok(receipt)
    }

    /// The same for one that opens an agreement.
    pub async fn open(&self, call: Call) -> anyhow::Result<(AgreementId, u64)> {
        let receipt = self.must(call).await?;
        let opened = receipt.events.iter().find_map(|event| match event {
            ChainEvent::Opened { id, nonce, .. } => Some((*id, *nonce)),
            _ => None,
        });
        opened.context("nothing was opened")
    }

    /// The contract's name for why it refuses a call.
    pub async fn refused(&self, call: Call) -> anyhow::Result<String> {
        match self.send(call.clone()).await {
            Err(ChainError::Revert { name, .. }) => Ok(name),
            other => anyhow::bail!("expected a refusal of {call:?}, got {other:?}"),
        }
    }
}
