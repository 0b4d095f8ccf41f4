//! How to reach the chain, remembered between commands.

use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use zknode_protocol::chain::{
    ethers::{Config, EthersChain, PRIORITY_FEE, TIMEOUT},
    journal::Patience,
    key::Key,
    Chain, ChainError, Contracts, Kind,
};

use crate::home::{read_file, write_bytes, Home};

/// Chains where a reference string with a public secret is accepted: those of anvil and geth's `--dev`.
const DEVELOPMENT_CHAINS: [u64; 2] = [31_337, 1_337];
/// Format of `chain.json`.
const VERSION: u16 = 1;

/// Contents of `chain.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainConfig {
    version: u16,
    /// Address of the JSON-RPC server.
    pub rpc: String,
    /// EIP-155 id.
    pub chain_id: u64,
    /// Registry and escrow.
    #[serde(flatten)]
    pub contracts: ContractAddresses,
    /// The retrieval contract over the same registry, if one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrieval: Option<zknode_protocol::value::Address>,
    /// Blocks that must lie on top of a transaction before it is believed.
    pub confirmations: u64,
}

/// Registry and escrow, as they stand in the file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ContractAddresses {
    /// The model registry.
    pub registry: zknode_protocol::value::Address,
    /// The escrow.
    pub escrow: zknode_protocol::value::Address,
    /// The predictions contract, where one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predictions: Option<zknode_protocol::value::Address>,
}

/// Whether proofs under the development string count on this chain.
pub fn is_development(chain_id: u64) -> bool {
    DEVELOPMENT_CHAINS.contains(&chain_id)
}

impl ChainConfig {
    /// A configuration; `confirmations` defaults to none on a development chain, where blocks come with transactions
    /// only, and to 2 elsewhere.
    pub fn new(
        rpc: String,
        chain_id: u64,
        contracts: Contracts,
        confirmations: Option<u64>,
    ) -> Self {
        let default = if is_development(chain_id) { 0 } else { 2 };
        Self {
            version: VERSION,
            rpc,
            chain_id,
            contracts: ContractAddresses {
                registry: contracts.registry,
                escrow: contracts.escrow,
                predictions: None,
            },
            retrieval: None,
            confirmations: confirmations.unwrap_or(default),
        }
    }

    /// Reads `chain.json`.
    pub fn load(home: &Home) -> anyhow::Result<Self> {
        let path = home.chain();
        let bytes = read_file(&path, 1 << 16).context(
            "no chain is configured; run `zknode contract deploy` or `zknode contract use` first",
        )?;
        let config: Self = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is not a chain configuration", path.display()))?;
        anyhow::ensure!(
            config.version == VERSION,
            "{} has version {}, this build reads {VERSION}",
            path.display(),
            config.version
        );
        Ok(config)
    }

    /// Writes `chain.json`.
    pub fn save(&self, home: &Home) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        write_bytes(&home.chain(), &text)?;
        Ok(())
    }

    /// The two contracts.
    pub fn contracts(&self) -> Contracts {
        Contracts {
            registry: self.contracts.registry,
            escrow: self.contracts.escrow,
        }
    }

    /// Registry and retrieval contract, where the latter stands for the escrow: it keeps money likewise.
    pub fn retrieval_contracts(&self) -> anyhow::Result<Contracts> {
        let escrow = self.retrieval.context(
            "no retrieval contract is configured; run `zknode contract retrieval` first, who asks with `--address` and the seller's",
        )?;
        let registry = self.contracts.registry;
        Ok(Contracts { registry, escrow })
    }

    /// Connects as `key`; the contracts are not looked at.
    pub async fn connect(&self, key: Key) -> Result<EthersChain, ChainError> {
        let config = Config {
            url: self.rpc.clone(),
            chain_id: self.chain_id,
            contracts: self.contracts(),
            timeout: TIMEOUT,
            priority_fee: PRIORITY_FEE,
        };
        EthersChain::connect(config, key).await
    }

    /// Connects as `key` and checks that the contracts are there and belong together.
    pub async fn connect_checked(&self, key: Key) -> Result<EthersChain, ChainError> {
        let chain = self.connect(key).await?;
        chain.check_contracts(Kind::Escrow).await?;
        Ok(chain)
    }

    /// How long to wait for a transaction before its fee is raised.
    pub fn patience(&self) -> Patience {
        Patience {
            poll: Duration::from_millis(200),
            limit: Duration::from_secs(60),
            depth: self.confirmations,
        }
    }
}
