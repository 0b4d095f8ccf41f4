//! `zknode contract`

use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::json;
use zknode_protocol::{
    chain::{created_contract, retrieval::RetrievalCall, Call, Chain, Contracts, Kind, RoundCall},
    value::Address,
};

use super::Session;
use crate::{config::ChainConfig, output::Answer, store::Store, wallet::Wallet};

#[derive(Subcommand)]
pub enum Command {
    /// Deploys registry and escrow, and remembers them.
    Deploy(Where),
    /// Remembers contracts that are deployed already, after a look at them.
    Use {
        #[command(flatten)]
        chain: Where,
        /// The model registry.
        #[arg(long)]
        registry: Address,
        /// The escrow.
        #[arg(long)]
        escrow: Address,
    },
    /// Deploys a retrieval contract over the registry, or remembers one that is there.
    Retrieval {
        /// The one that is there.
        #[arg(long)]
        address: Option<Address>,
    },
    /// Deploys the predictions contract over the registry in use and remembers it, or remembers one that is there.
    Predictions {
        /// One that is deployed already.
        #[arg(value_name = "ADDRESS")]
        contract: Option<Address>,
    },
}

#[derive(Args)]
pub struct Where {
    /// JSON-RPC server.
    #[arg(long, default_value = "http://127.0.0.1:8545")]
    rpc: String,
    /// EIP-155 chain id it must serve.
    #[arg(long, default_value_t = 31_337)]
    chain_id: u64,
    /// Blocks on top of a transaction before it is believed [default: 0 on a development chain, else 2].
    #[arg(long)]
    confirmations: Option<u64>,
}

impl Where {
    fn config(&self, contracts: Contracts) -> ChainConfig {
        ChainConfig::new(
            self.rpc.clone(),
            self.chain_id,
            contracts,
            self.confirmations,
        )
    }
}

impl Command {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let home = session.home()?;
        let key = session.key(&home)?;
        let (config, gas) = match self {
            Self::Retrieval { address } => return retrieval(session, *address).await,
            Self::Predictions { contract } => return predictions(session, *contract).await,
            Self::Use {
                chain,
                registry,
                escrow,
            } => {
                let config = chain.config(Contracts {
                    registry: *registry,
                    escrow: *escrow,
                });
                config.connect_checked(key).await?;
                (config, 0)
            }
            Self::Deploy(chain) => {
                let config = chain.config(Contracts::default());
                let store = Arc::new(Store::open(home.database())?);
                let connection = config.connect(key).await?;
                let wallet = Wallet::new(connection, store, config.patience());
                let first = wallet
                    .execute("deploy registry", &Call::DeployRegistry)
                    .await?;
                let registry = created_contract(wallet.chain(), &first).await?;
                let call = Call::DeployEscrow { registry };
                let second = wallet
                    .execute(&format!("deploy escrow {registry}"), &call)
                    .await?;
                let escrow = created_contract(wallet.chain(), &second).await?;
                let contracts = Contracts { registry, escrow };
                wallet
                    .chain()
                    .with_contracts(contracts)
                    .check_contracts(Kind::Escrow)
                    .await?;
                (chain.config(contracts), first.gas + second.gas)
            }
        };
        config.save(&home)?;
        let Contracts { registry, escrow } = config.contracts();
        session.output().print(
            &json!({ "chain_id": config.chain_id, "registry": registry, "escrow": escrow, "gas": gas }),
            format!("registry {registry}\nescrow   {escrow}"),
        )?;
        Ok(Answer::Yes)
    }
}

/// Deploys or remembers a retrieval contract; known contracts stay.
async fn retrieval(session: &Session, address: Option<Address>) -> anyhow::Result<Answer> {
    let party = session.party().await?;
    let mut config = ChainConfig::load(&party.home)?;
    let registry = config.contracts().registry;
    let (address, gas) = match address {
        Some(address) => (address, 0),
        None => {
            let call = Call::Retrieval(Box::new(RetrievalCall::Deploy { registry }));
            let purpose = format!("deploy retrieval {registry}");
            let receipt = party.wallet.execute(&purpose, &call).await?;
            let address = created_contract(party.wallet.chain(), &receipt).await?;
            (address, receipt.gas)
        }
    };
    config.retrieval = Some(address);
    let contracts = config.retrieval_contracts()?;
    let chain = party.wallet.chain().with_contracts(contracts);
    chain.check_contracts(Kind::Retrieval).await?;
    config.save(&party.home)?;
    session.output().print(
        &json!({ "registry": registry, "retrieval": address, "gas": gas }),
        format!("retrieval {address}"),
    )?;
    Ok(Answer::Yes)
}

/// Beside registry and escrow, which stay as they are.
async fn predictions(session: &Session, known: Option<Address>) -> anyhow::Result<Answer> {
    let home = session.home()?;
    let mut config = ChainConfig::load(&home)?;
    let connection = config.connect(session.key(&home)?).await?;
    let registry = config.contracts().registry;
    let (contract, gas) = match known {
        Some(contract) => (contract, 0),
        None => {
            let store = Arc::new(Store::open(home.database())?);
            let wallet = Wallet::new(connection.clone(), store, config.patience());
            let call = Call::Round(Box::new(RoundCall::Deploy { registry }));
            let purpose = format!("deploy predictions {registry}");
            let receipt = wallet.execute(&purpose, &call).await?;
            (
                created_contract(wallet.chain(), &receipt).await?,
                receipt.gas,
            )
        }
    };
    let contracts = Contracts {
        registry,
        escrow: contract,
    };
    let there = connection.with_contracts(contracts);
    there.check_contracts(Kind::Predictions).await?;
    config.contracts.predictions = Some(contract);
    config.save(&home)?;
    session.output().print(
        &json!({ "predictions": contract, "registry": registry, "gas": gas }),
        format!("predictions {contract}"),
    )?;
    Ok(Answer::Yes)
}
