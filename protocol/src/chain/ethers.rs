//! The adapter over the `ethers` library and JSON-RPC over HTTP; nothing outside this folder knows that library.

mod bindings;
mod calls;
mod convert;
pub mod key;
mod logs;
mod port;
mod retrieval;
mod rounds;
mod rpc;
mod send;

use std::{sync::Arc, time::Duration};

use ::ethers::{
    abi::RawLog,
    providers::Http,
    types::{Block as LibraryBlock, Bytes as LibraryBytes, Log, H256, U64},
};
use serde_json::json;

use self::{convert::malformed, key::Key, logs::event_in, rpc::Rpc};
use super::{Block, ChainError, ChainEvent, Contracts};
use crate::value::{Address, Amount, Bytes, Data};

/// How to reach a chain and what to pay there.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the JSON-RPC server, `http://...`.
    pub url: String,
    /// The chain it must serve.
    pub chain_id: u64,
    /// Where the contracts are.
    pub contracts: Contracts,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// Tip a gas unit in wei. Low: settlement is not in a hurry, deadlines are hours.
    pub priority_fee: Amount,
}

/// Default tip: 0.1 gwei, a thirtieth of the library's.
pub const PRIORITY_FEE: Amount = Amount(100_000_000);
/// Default wait for one answer.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// A chain over JSON-RPC, seen by one key.
#[derive(Clone, Debug)]
pub struct EthersChain {
    rpc: Arc<Rpc>,
    key: Arc<Key>,
    chain_id: u64,
    contracts: Contracts,
    priority_fee: Amount,
}

impl EthersChain {
    /// Connects, and checks that the server is there and serves the expected chain.
    pub async fn connect(config: Config, key: Key) -> Result<Self, ChainError> {
        let http: Http = config
            .url
            .parse()
            .map_err(|_| malformed("the RPC address", "not a URL"))?;
        let url = http.url();
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let endpoint = format!("{}://{host}:{port}", url.scheme());
        let rpc = Rpc::new(http, endpoint, config.timeout);
        let got: U64 = rpc.request("eth_chainId", json!([])).await?;
        let (expected, got) = (config.chain_id, got.as_u64());
        if expected != got {
            return Err(ChainError::WrongChain { expected, got });
        }
        Ok(Self {
            rpc: Arc::new(rpc),
            key: Arc::new(key),
            chain_id: config.chain_id,
            contracts: config.contracts,
            priority_fee: config.priority_fee,
        })
    }

    /// The same chain, seen by another key.
    pub fn with_key(&self, key: Key) -> Self {
        Self {
            key: Arc::new(key),
            ..self.clone()
        }
    }

    /// Reads a contract; one without code is an error, not an empty answer.
    async fn read(&self, to: Address, data: Vec<u8>) -> Result<Vec<u8>, ChainError> {
        self.read_at(to, data, json!("latest")).await
    }

    async fn read_at(
        &self,
        to: Address,
        data: Vec<u8>,
        block: serde_json::Value,
    ) -> Result<Vec<u8>, ChainError> {
        let call = json!([{ "to": to, "data": Data(data) }, block]);
        let answer: LibraryBytes = self.rpc.request("eth_call", call).await?;
        if answer.is_empty() {
            return Err(ChainError::NoCode { address: to });
        }
        Ok(answer.to_vec())
    }

    async fn find_block(
        &self,
        method: &str,
        which: serde_json::Value,
    ) -> Result<Option<Block>, ChainError> {
        let found: Option<LibraryBlock<H256>> =
            self.rpc.request(method, json!([which, false])).await?;
        found.map(|block| block_in(method, block)).transpose()
    }

    async fn code(&self, account: Address) -> Result<LibraryBytes, ChainError> {
        self.rpc
            .request("eth_getCode", json!([account, "latest"]))
            .await
    }

    fn logs_in(&self, logs: Vec<Log>) -> Result<Vec<ChainEvent>, ChainError> {
        let decode = |log: Log| event_in(Bytes(log.address.0), RawLog::from(log), self.contracts);
        logs.into_iter()
            .filter_map(|log| decode(log).transpose())
            .collect()
    }
}

fn block_in(method: &str, block: LibraryBlock<H256>) -> Result<Block, ChainError> {
    match (block.number, block.hash) {
        (Some(number), Some(hash)) => Ok(Block {
            number: number.as_u64(),
            hash: Bytes(hash.0),
            parent: Bytes(block.parent_hash.0),
            time: u64::try_from(block.timestamp).map_err(|error| malformed(method, error))?,
        }),
        _ => Err(malformed(method, "a block without number or hash")),
    }
}
