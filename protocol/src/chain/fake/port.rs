//! The port: what is asked of the chain, and what is sent to it.

use super::{world::Refusal, FakeChain};
use crate::{
    chain::{
        fees::{Fees, Market},
        AgreementSummary, Block, Call, Chain, ChainError, ChainEvent, Contracts, Kind, Model,
        SignedTx, TxReceipt,
    },
    digest::keccak,
    value::{Address, AgreementId, Amount, Data, Hash, ModelId},
};

impl Chain for FakeChain {
    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn account(&self) -> Address {
        self.account
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
        Ok(self.request()?.newest().block)
    }

    async fn block(&self, hash: Hash) -> Result<Option<Block>, ChainError> {
        Ok(self.request()?.find(hash).map(|mined| mined.block))
    }

    async fn block_at(&self, number: u64) -> Result<Option<Block>, ChainError> {
        let shared = self.request()?;
        let mut blocks = std::iter::once(&shared.genesis).chain(&shared.blocks);
        Ok(blocks
            .find(|mined| mined.block.number == number)
            .map(|mined| mined.block))
    }

    async fn events(&self, block: Hash) -> Result<Vec<ChainEvent>, ChainError> {
        let shared = self.request()?;
        let mined = shared.find(block).ok_or_else(|| ChainError::Malformed {
            what: "events".into(),
            reason: format!("there is no block {block}"),
        })?;
        let receipts = mined.transactions.iter().map(|(_, receipt)| receipt);
        Ok(receipts
            .flat_map(|receipt| receipt.events.clone())
            .collect())
    }

    async fn balance(&self, account: Address) -> Result<Amount, ChainError> {
        Ok(self.request()?.newest().world.balance(account))
    }

    async fn code_hash(&self, account: Address) -> Result<Option<Hash>, ChainError> {
        Ok(self.request()?.newest().world.code.get(&account).copied())
    }

    async fn model(&self, id: ModelId) -> Result<Option<Model>, ChainError> {
        Ok(self.request()?.newest().world.models.get(&id).cloned())
    }

    async fn agreement_at_depth(
        &self,
        id: AgreementId,
        depth: u64,
    ) -> Result<Option<AgreementSummary>, ChainError> {
        let shared = self.request()?;
        let number = shared.newest().block.number.saturating_sub(depth);
        let agreement = shared.world_at(number).agreements.get(&id);
        Ok(agreement.map(AgreementSummary::from))
    }

    async fn is_proven(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let shared = self.request()?;
        let agreement = shared.newest().world.agreements.get(&id);
        Ok(agreement.is_some_and(|agreement| agreement.proven.contains(&index)))
    }

    async fn is_contested(&self, id: AgreementId, index: u32) -> Result<bool, ChainError> {
        let shared = self.request()?;
        let agreement = shared.newest().world.agreements.get(&id);
        Ok(agreement.is_some_and(|agreement| agreement.contested.contains(&index)))
    }

    async fn credit(&self, account: Address, token: Address) -> Result<Amount, ChainError> {
        Ok(self.request()?.newest().world.ledger.credit(account, token))
    }

    async fn allowance(&self, token: Address, owner: Address) -> Result<Amount, ChainError> {
        let shared = self.request()?;
        let allowed = shared.newest().world.allowance(token, owner);
        allowed.ok_or(ChainError::NoCode { address: token })
    }

    async fn check_contracts(&self, _: Kind) -> Result<(), ChainError> {
        let shared = self.request()?;
        let code = &shared.newest().world.code;
        for address in [self.contracts.registry, self.contracts.escrow] {
            if !code.contains_key(&address) {
                return Err(ChainError::NoCode { address });
            }
        }
        Ok(())
    }

    async fn next_nonce(&self) -> Result<u64, ChainError> {
        Ok(self.request()?.newest().world.count(self.account))
    }

    async fn count_at(&self, number: u64) -> Result<u64, ChainError> {
        let shared = self.request()?;
        Ok(shared.world_at(number).count(self.account))
    }

    async fn market(&self) -> Result<Market, ChainError> {
        let shared = self.request()?;
        Ok(Market {
            block: shared.newest().block.number,
            base: shared.base_fee,
            tip: Amount(1),
        })
    }

    async fn sign(&self, call: &Call, nonce: u64, fees: Fees) -> Result<SignedTx, ChainError> {
        let shared = self.request()?;
        let mut world = shared.newest().world.clone();
        world
            .execute(
                call,
                shared.setting(self.chain_id, self.account, nonce),
                &shared.hashes(),
            )
            .map_err(|Refusal { name, detail }| ChainError::Revert { name, detail })?;
        let raw = serde_json::to_vec(call).map_err(|e| ChainError::Malformed {
            what: "sign".into(),
            reason: e.to_string(),
        })?;
        let Fees { max, tip } = fees;
        let name = format!("{} {nonce} {max} {tip} {}", self.account, hex::encode(&raw));
        Ok(SignedTx {
            hash: keccak(name.as_bytes()),
            from: self.account,
            nonce,
            max_fee: max,
            priority_fee: tip,
            raw: Data(raw),
        })
    }

    async fn sign_again(&self, tx: &SignedTx, fees: Fees) -> Result<SignedTx, ChainError> {
        let call: Call = serde_json::from_slice(&tx.raw.0).map_err(|e| ChainError::Malformed {
            what: "sign_again".into(),
            reason: e.to_string(),
        })?;
        self.sign(&call, tx.nonce, fees).await
    }

    async fn broadcast(&self, tx: &SignedTx) -> Result<(), ChainError> {
        let mut shared = self.request()?;
        if shared.receipts().any(|receipt| receipt.tx == tx.hash) || shared.pool.contains(tx) {
            return Ok(());
        }
        if tx.nonce < shared.newest().world.count(tx.from) {
            let (nonce, tx) = (tx.nonce, tx.hash);
            return Err(ChainError::NonceTaken { nonce, tx });
        }
        let rivals = |other: &SignedTx| other.from == tx.from && other.nonce == tx.nonce;
        // A replacement offers a tenth more on both.
        let beaten = |old: Amount, new: Amount| new.0 * 10 < old.0 * 11;
        let outbid = shared.pool.iter().filter(|other| rivals(other)).any(|old| {
            beaten(old.max_fee, tx.max_fee) || beaten(old.priority_fee, tx.priority_fee)
        });
        if outbid || tx.max_fee < shared.base_fee {
            return Err(ChainError::Underpriced { tx: tx.hash });
        }
        shared.pool.retain(|other| !rivals(other));
        shared.pool.push(tx.clone());
        if !shared.held {
            shared.mine(self.chain_id);
        }
        Ok(())
    }

    async fn receipt(&self, tx: Hash) -> Result<Option<TxReceipt>, ChainError> {
        let shared = self.request()?;
        if shared.receipts_hidden {
            return Ok(None);
        }
        let mut shown = shared.orphans.iter().chain(shared.receipts());
        Ok(shown.find(|receipt| receipt.tx == tx).cloned())
    }
}
