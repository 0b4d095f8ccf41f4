//! One JSON-RPC request: its time limit, and what its failures mean.

use std::time::Duration;

use ::ethers::{
    abi::Abi,
    providers::{Http, HttpClientError, JsonRpcClient, JsonRpcError},
};
use serde::{de::DeserializeOwned, Serialize};

use super::bindings::{
    escrow::ESCROW_ABI, predictions::PREDICTIONS_ABI, registry::MODELREGISTRY_ABI,
    retrieval::RETRIEVAL_ABI,
};
use super::convert::malformed;
use crate::chain::ChainError;

/// A connection to one endpoint.
#[derive(Debug)]
pub(super) struct Rpc {
    http: Http,
    endpoint: String,
    timeout: Duration,
}

impl Rpc {
    /// `endpoint` is what errors show: without credentials and path.
    pub fn new(http: Http, endpoint: String, timeout: Duration) -> Self {
        Self {
            http,
            endpoint,
            timeout,
        }
    }

    pub async fn request<R>(
        &self,
        method: &str,
        params: impl Serialize + Send + Sync,
    ) -> Result<R, ChainError>
    where
        R: DeserializeOwned + Send,
    {
        let params = serde_json::to_value(params).map_err(|error| malformed(method, error))?;
        match tokio::time::timeout(self.timeout, self.http.request(method, params)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.explain(method, error)),
            Err(_) => Err(ChainError::Timeout {
                what: method.into(),
                after: self.timeout,
            }),
        }
    }

    fn explain(&self, method: &str, error: HttpClientError) -> ChainError {
        match error {
            HttpClientError::JsonRpcError(error) => refused(method, error),
            HttpClientError::SerdeJson { err, .. } => malformed(method, err),
            HttpClientError::ReqwestError(error) => ChainError::Unreachable {
                endpoint: self.endpoint.clone(),
                // The address may carry credentials.
                reason: error.without_url().to_string(),
            },
        }
    }
}

fn refused(method: &str, error: JsonRpcError) -> ChainError {
    if let Some(data) = error.as_revert_data() {
        return revert(&data);
    }
    if error.message.contains("execution reverted") {
        return revert(&[]);
    }
    ChainError::Rpc {
        what: method.into(),
        code: error.code,
        message: error.message,
    }
}

/// The contract's error by its selector, arguments decoded.
fn revert(data: &[u8]) -> ChainError {
    let abis: [&Abi; 4] = [
        &ESCROW_ABI,
        &MODELREGISTRY_ABI,
        &PREDICTIONS_ABI,
        &RETRIEVAL_ABI,
    ];
    let known = data.split_at_checked(4).and_then(|(selector, arguments)| {
        let mut errors = abis.into_iter().flat_map(|abi| abi.errors());
        let error = errors.find(|error| error.signature().as_bytes().starts_with(selector))?;
        let values = error.decode(arguments).ok()?;
        let values: Vec<String> = values.iter().map(ToString::to_string).collect();
        Some((error.name.clone(), format!("({})", values.join(", "))))
    });
    let (name, detail) =
        known.unwrap_or_else(|| (String::new(), format!("0x{}", hex::encode(data))));
    ChainError::Revert { name, detail }
}
