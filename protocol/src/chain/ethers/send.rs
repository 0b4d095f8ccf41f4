//! Transactions on their way out: signed after a rehearsal, sent, and what the servers answer.

use ::ethers::types::{
    transaction::eip2718::TypedTransaction, Eip1559TransactionRequest, H160, H256, U256, U64,
};
use serde_json::json;

use super::{convert::Outgoing, key::KeyError, EthersChain};
use crate::{
    chain::{fees::Fees, Chain, ChainError, SignedTx},
    digest::keccak,
    value::{Amount, Data},
};

/// What servers say, in lower case, of a transaction that they would take for a higher fee: geth, reth and erigon,
/// nethermind, besu, anvil.
const CURED_BY_A_HIGHER_FEE: [&str; 8] = [
    "underpriced",
    "base fee",
    "fee too low",
    "feetoolow",
    "price too low",
    "price below",
    "tip below",
    "pool is full",
];

impl EthersChain {
    /// Signs what goes out, run on the newest state first.
    pub(super) async fn sign_outgoing(
        &self,
        (to, value, data): Outgoing,
        nonce: u64,
        fees: Fees,
    ) -> Result<SignedTx, ChainError> {
        let account = self.account();
        let available = self.balance(account).await?;
        let short = |needed| ChainError::InsufficientFunds {
            account,
            needed,
            available,
        };
        if value > available {
            return Err(short(value));
        }
        let mut request =
            json!({ "from": account, "value": U256::from(value.0), "data": Data(data.clone()) });
        if let (Some(to), Some(fields)) = (to, request.as_object_mut()) {
            fields.insert("to".into(), json!(to));
        }
        let estimate: U64 = self
            .rpc
            .request("eth_estimateGas", json!([request]))
            .await?;
        // A fifth more: another shard proven meanwhile makes the same call cost other gas.
        let gas = estimate.as_u64().saturating_add(estimate.as_u64() / 5);
        let needed = fees
            .max
            .0
            .checked_mul(gas.into())
            .and_then(|fee| fee.checked_add(value.0));
        let needed = Amount(needed.unwrap_or(u128::MAX));
        if needed > available {
            return Err(short(needed));
        }
        let mut transaction = Eip1559TransactionRequest::new()
            .chain_id(self.chain_id)
            .nonce(nonce)
            .gas(gas)
            .max_fee_per_gas(fees.max.0)
            .max_priority_fee_per_gas(fees.tip.0)
            .value(value.0)
            .data(data);
        if let Some(to) = to {
            transaction = transaction.to(H160(to.0));
        }
        let transaction = TypedTransaction::Eip1559(transaction);
        let signature = self
            .key
            .wallet()
            .sign_transaction_sync(&transaction)
            .map_err(|_| KeyError::Signing)?;
        let raw = transaction.rlp_signed(&signature).to_vec();
        Ok(SignedTx {
            hash: keccak(&raw),
            from: account,
            nonce,
            max_fee: fees.max,
            priority_fee: fees.tip,
            raw: Data(raw),
        })
    }

    /// Sends it; what is known already is no error.
    pub(super) async fn send_signed(&self, tx: &SignedTx) -> Result<(), ChainError> {
        let sent: Result<H256, ChainError> = self
            .rpc
            .request("eth_sendRawTransaction", json!([tx.raw]))
            .await;
        let Err(ChainError::Rpc {
            what,
            code,
            message,
        }) = sent
        else {
            return sent.map(drop);
        };
        let says = message.to_lowercase();
        if says.contains("already known") || says.contains("already imported") {
            Ok(())
        } else if says.contains("nonce too low") {
            let (nonce, hash) = (tx.nonce, tx.hash);
            match self.receipt(hash).await? {
                Some(_) => Ok(()),
                None => Err(ChainError::NonceTaken { nonce, tx: hash }),
            }
        } else if CURED_BY_A_HIGHER_FEE.iter().any(|part| says.contains(part)) {
            Err(ChainError::Underpriced { tx: tx.hash })
        } else {
            Err(ChainError::Rpc {
                what,
                code,
                message,
            })
        }
    }
}
