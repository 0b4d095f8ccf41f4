//! The port: each question and each transaction as JSON-RPC requests.

use ::ethers::{
    abi::{AbiDecode, AbiEncode, Token},
    types::{Block as LibraryBlock, TransactionReceipt, H160, H256, U256, U64},
};
use serde_json::json;

use super::{
    bindings::{escrow as e, registry as r},
    calls::{outgoing, signed_in},
    convert::{agreement_in, amount, malformed, model_in},
    EthersChain,
};
use crate::{
    chain::{
        fees::{Fees, Market},
        AgreementSummary, Block, Call, Chain, ChainError, ChainEvent, Contracts, Kind, Model,
        SignedTx, TxReceipt,
    },
    digest::keccak,
    value::{Address, AgreementId, Amount, Bytes, Hash, ModelId},
};

impl Chain for EthersChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn account(&self) -> Address {
        self.key.address()
    }

    fn contracts(&self) -> Contracts {
        self.contracts
    }

    fn with_contracts(&self, contracts: Contracts) -> Self {
        Self {
            contracts,
            ..self.clone()
        }
    }

    async fn head(&self) -> Result<Block, ChainError> {
        let found = self
            .find_block("eth_getBlockByNumber", json!("latest"))
            .await?;
        found.ok_or_else(|| malformed("eth_getBlockByNumber", "no newest block"))
    }

    async fn block(&self, hash: Hash) -> Result<Option<Block>, ChainError> {
        self.find_block("eth_getBlockByHash", json!(hash)).await
    }

    async fn block_at(&self, number: u64) -> Result<Option<Block>, ChainError> {
        self.find_block("eth_getBlockByNumber", json!(format!("{number:#x}")))
            .await
    }

    async fn events(&self, block: Hash) -> Result<Vec<ChainEvent>, ChainError> {
        let Contracts { registry, escrow } = self.contracts;
        let filter = json!([{ "blockHash": block, "address": [registry, escrow] }]);
        self.logs_in(self.rpc.request("eth_getLogs", filter).await?)
    }

    async fn balance(&self, account: Address) -> Result<Amount, ChainError> {
        let wei: U256 = self
            .rpc
            .request("eth_getBalance", json!([account, "latest"]))
            .await?;
        amount("eth_getBalance", wei)
    }

    async fn code_hash(&self, account: Address) -> Result<Option<Hash>, ChainError> {
        let code = self.code(account).await?;
        Ok((!code.is_empty()).then(|| keccak(&code)))
    }

    async fn model(&self, id: ModelId) -> Result<Option<Model>, ChainError> {
        let call = r::ModelCall { model_id: id.0 .0 }.encode();
        model_in(&self.read(self.contracts.registry, call).await?)
    }

    async fn agreement_at_depth(
        &self,
        id: AgreementId,
        depth: u64,
    ) -> Result<Option<AgreementSummary>, ChainError> {
        let escrow = self.contracts.escrow;
        let call = e::AgreementCall { id: id.0 .0 }.encode();
        if depth == 0 {
            return agreement_in(&self.read(escrow, call).await?);
        }
        let number = self.head().await?.number.saturating_sub(depth);
        let block = json!(format!("{number:#x}"));
        match self.read_at(escrow, call, block).await {
            // The escrow may be younger than that; whether there is one at all is another question.
            Err(ChainError::NoCode { .. }) => Ok(None),
            answer => agreement_in(&answer?),
        }
    }

    async fn is_proven(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let call = e::IsProvenCall { id: id.0 .0, index }.encode();
        Ok(self.read(self.contracts.escrow, call).await?.last() == Some(&1))
    }

    async fn is_contested(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let call = e::IsContestedCall { id: id.0 .0, index }.encode();
        Ok(self.read(self.contracts.escrow, call).await?.last() == Some(&1))
    }

    async fn credit(&self, account: Address, token: Address) -> Result<Amount, ChainError> {
        let (account, token) = (H160(account.0), H160(token.0));
        let call = e::CreditCall { account, token }.encode();
        let answer = self.read(self.contracts.escrow, call).await?;
        let word = <[u8; 32]>::try_from(answer).map_err(|_| malformed("credit", "not one word"))?;
        amount("credit", U256::from_big_endian(&word))
    }

    async fn allowance(&self, token: Address, owner: Address) -> Result<Amount, ChainError> {
        // allowance(address,address), EIP-20.
        let arguments =
            [owner, self.contracts.escrow].map(|account| Token::Address(H160(account.0)));
        let call = [
            vec![0xdd, 0x62, 0xed, 0x3e],
            ::ethers::abi::encode(&arguments),
        ]
        .concat();
        let answer = self.read(token, call).await?;
        let word =
            <[u8; 32]>::try_from(answer).map_err(|_| malformed("allowance", "not one word"))?;
        // "Everything" is written as 2^256 - 1.
        let allowed = U256::from_big_endian(&word);
        Ok(Amount(u128::try_from(allowed).unwrap_or(u128::MAX)))
    }

    async fn check_contracts(&self, kind: Kind) -> Result<(), ChainError> {
        let Contracts { registry, escrow } = self.contracts;
        for address in [registry, escrow] {
            if self.code(address).await?.is_empty() {
                return Err(ChainError::NoCode { address });
            }
        }
        let other = ChainError::NotEscrow { address: escrow };
        let answer = match self.read(escrow, e::RegistryCall.encode()).await {
            Err(ChainError::Revert { .. }) => return Err(other),
            answer => answer?,
        };
        let word = <[u8; 32]>::try_from(answer).map_err(|_| other)?;
        let mut got = Address::ZERO;
        got.0.copy_from_slice(&word[12..]);
        if got != registry {
            return Err(ChainError::WrongRegistry {
                expected: registry,
                got,
            });
        }
        let other = |got: &str| ChainError::OtherContract {
            address: escrow,
            expected: kind.name(),
            got: got.to_owned(),
        };
        let answer = match self.read(escrow, e::Eip712DomainCall.encode()).await {
            Err(ChainError::Revert { .. }) => return Err(other("a contract without a domain")),
            answer => answer?,
        };
        let domain = e::Eip712DomainReturn::decode(&answer);
        let name = domain.map_or_else(|_| "no domain".to_owned(), |domain| domain.name);
        match name == kind.name() {
            true => Ok(()),
            false => Err(other(&name)),
        }
    }

    async fn next_nonce(&self) -> Result<u64, ChainError> {
        let params = json!([self.account(), "latest"]);
        let count: U64 = self.rpc.request("eth_getTransactionCount", params).await?;
        Ok(count.as_u64())
    }

    async fn count_at(&self, number: u64) -> Result<u64, ChainError> {
        let params = json!([self.account(), format!("{number:#x}")]);
        let count: U64 = self.rpc.request("eth_getTransactionCount", params).await?;
        Ok(count.as_u64())
    }

    async fn market(&self) -> Result<Market, ChainError> {
        let what = "eth_getBlockByNumber";
        let newest: LibraryBlock<H256> = self.rpc.request(what, json!(["latest", false])).await?;
        let number = newest.number.ok_or_else(|| malformed(what, "no number"))?;
        Ok(Market {
            block: number.as_u64(),
            base: amount("the base fee", newest.base_fee_per_gas.unwrap_or_default())?,
            tip: self.priority_fee,
        })
    }

    async fn sign(&self, call: &Call, nonce: u64, fees: Fees) -> Result<SignedTx, ChainError> {
        let mut outgoing = outgoing(call, self.contracts);
        match outgoing.0 {
            _ if *call == Call::Nothing => outgoing.0 = Some(self.account()),
            Some(address) if self.code(address).await?.is_empty() => {
                return Err(ChainError::NoCode { address });
            }
            _ => {}
        }
        self.sign_outgoing(outgoing, nonce, fees).await
    }

    async fn sign_again(&self, tx: &SignedTx, fees: Fees) -> Result<SignedTx, ChainError> {
        self.sign_outgoing(signed_in(&tx.raw)?, tx.nonce, fees)
            .await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), ChainError> {
        self.send_signed(tx).await
    }

    async fn receipt(&self, tx: Hash) -> Result<Option<TxReceipt>, ChainError> {
        let method = "eth_getTransactionReceipt";
        let found: Option<TransactionReceipt> = self.rpc.request(method, json!([tx])).await?;
        let Some(receipt) = found else {
            return Ok(None);
        };
        let (Some(block), Some(number)) = (receipt.block_hash, receipt.block_number) else {
            return Ok(None);
        };
        Ok(Some(TxReceipt {
            tx,
            block: Bytes(block.0),
            number: number.as_u64(),
            succeeded: receipt.status == Some(U64::one()),
            gas: receipt.gas_used.unwrap_or_default().low_u64(),
            created: receipt.contract_address.map(|address| Bytes(address.0)),
            events: self.logs_in(receipt.logs)?,
        }))
    }
}
