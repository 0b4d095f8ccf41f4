//! The parties, their model and their dataset, on any chain.

use std::time::Duration;

use zknode_protocol::{
    agreement::{agreement_id, Metric, Mode, State, Terms},
    chain::{
        created_contract,
        fake::FakeChain,
        journal::{Journal, Patience},
        key::Key,
        sender::Sender,
        Call, Chain, ChainError, ChainEvent, Contracts, Kind, Registration, ShardProof, TxReceipt,
    },
    claim_tree::ShardCount,
    dataset_root::{DatasetTree, ShardLeaf},
    digest::keccak,
    value::{Address, AgreementId, Amount, Bytes, Data, Hash, ModelId, Point},
};

/// Creation code of a verifier that returns the word 1 to everything: `return(0, 1)` of a stored 1.
pub const YES: &str = "69600160005260206000f3600052600a6016f3";
pub const PATIENCE: Patience = Patience {
    poll: Duration::from_millis(50),
    limit: Duration::from_secs(10),
    depth: 0,
};

pub fn key(name: &str) -> Key {
    Key::from_secret(&keccak(name.as_bytes()).0).unwrap()
}

/// One party: a chain seen by its key, and its journal.
pub struct Party<C> {
    pub chain: C,
    pub journal: Journal,
    pub sent: u32,
}

impl<C: Chain> Party<C> {
    pub fn new(chain: C) -> Self {
        let journal = Journal::new(chain.account());
        Self {
            chain,
            journal,
            sent: 0,
        }
    }

    pub async fn run(&mut self, call: Call) -> Result<TxReceipt, ChainError> {
        self.sent += 1;
        let purpose = format!("step {}", self.sent);
        self.execute(&purpose, &call, PATIENCE).await
    }

    /// Sends for a purpose; the journal is stored nowhere else.
    pub async fn execute(
        &mut self,
        purpose: &str,
        call: &Call,
        patience: Patience,
    ) -> Result<TxReceipt, ChainError> {
        let mut sender = Sender::new(&self.chain, &mut self.journal, patience, |_| Ok(()));
        sender.execute(purpose, call).await
    }

    /// The node dies and starts again: only what the journal writes down is left.
    pub fn restart(&mut self) {
        let stored = serde_json::to_string(&self.journal).unwrap();
        self.journal = serde_json::from_str(&stored).unwrap();
    }
}

pub struct Scene<C> {
    pub seller: Party<C>,
    pub buyer: Party<C>,
    pub model: ModelId,
}

pub const POINTS: [u8; 2] = [1, 2];

pub fn model_points() -> Vec<Point> {
    POINTS.map(|byte| Bytes([byte; 64])).to_vec()
}

pub fn shard_points(index: u32) -> Vec<Point> {
    vec![Bytes([index as u8 + 10; 64])]
}

pub fn dataset() -> DatasetTree {
    let leaf = |index| ShardLeaf::new(index, 4, &shard_points(index));
    DatasetTree::new((0..3).map(leaf).collect()).unwrap()
}

/// Deploys everything and registers a model.
pub async fn set_up<C: Chain>(seller: C, buyer: C) -> Scene<C> {
    let mut seller = Party::new(seller);
    let creation_code = Data(hex::decode(YES).unwrap());
    let receipt = seller
        .run(Call::DeployVerifier { creation_code })
        .await
        .unwrap();
    let verifier = created_contract(&seller.chain, &receipt).await.unwrap();
    let receipt = seller.run(Call::DeployRegistry).await.unwrap();
    let registry = created_contract(&seller.chain, &receipt).await.unwrap();
    let receipt = seller.run(Call::DeployEscrow { registry }).await.unwrap();
    let escrow = created_contract(&seller.chain, &receipt).await.unwrap();
    let contracts = Contracts { registry, escrow };
    seller.chain = seller.chain.with_contracts(contracts);
    seller.chain.check_contracts(Kind::Escrow).await.unwrap();
    let registration = Registration {
        architecture: keccak(b"architecture"),
        verifier,
        points: model_points(),
        shard_points: shard_points(0).len() as u16,
        endpoint: "http://127.0.0.1:1".into(),
        stake: Amount(1_000),
    };
    let receipt = seller
        .run(Call::Register(registration.clone()))
        .await
        .unwrap();
    let [ChainEvent::ModelRegistered {
        model,
        registration: logged,
        ..
    }] = &receipt.events[..]
    else {
        panic!("{:?}", receipt.events)
    };
    assert_eq!(*logged, registration);
    assert_eq!(
        seller.chain.events(receipt.block).await.unwrap(),
        receipt.events
    );
    let stored = seller.chain.model(*model).await.unwrap().unwrap();
    assert_eq!(
        (stored.seller, stored.stake),
        (seller.chain.account(), Amount(1_000))
    );
    assert_eq!(stored.registered_block, receipt.number);
    assert_eq!(
        seller.chain.code_hash(verifier).await.unwrap(),
        Some(stored.verifier_code)
    );
    assert_eq!(seller.chain.model(ModelId(Hash::ZERO)).await.unwrap(), None);
    Scene {
        model: *model,
        buyer: Party::new(buyer.with_contracts(contracts)),
        seller,
    }
}

impl<C: Chain> Scene<C> {
    pub async fn terms(&self, threshold: u32) -> Terms {
        let now = self.buyer.chain.head().await.unwrap().time;
        Terms {
            model: self.model,
            dataset_root: dataset().root(),
            token: Address::ZERO,
            shards: 3,
            samples: 12,
            threshold,
            price: Amount(1_000),
            bond: Amount(500),
            penalty: Amount(200),
            buyer_bond: Amount(0),
            preview_fee: Amount(0),
            contest_fee: Amount(0),
            accept_by: now + 1_000,
            preview_by: now + 1_000 + 1,
            deliver_by: now + 2_000,
            claim_by: now + 3_000,
            metric: Metric::Top1,
            mode: Mode::Eager,
            preview_shards: 0,
            response_time: 10,
            window: 0,
            prove_time: 0,
        }
    }

    pub async fn open(&mut self, threshold: u32) -> AgreementId {
        let terms = self.terms(threshold).await;
        self.open_with(terms).await
    }

    pub async fn open_with(&mut self, terms: Terms) -> AgreementId {
        let receipt = self.buyer.run(Call::Open(terms.clone())).await.unwrap();
        let [ChainEvent::Opened {
            id,
            nonce,
            buyer,
            seller,
            terms: logged,
        }] = &receipt.events[..]
        else {
            panic!("{:?}", receipt.events)
        };
        let chain = &self.buyer.chain;
        assert_eq!(
            (*buyer, *seller),
            (chain.account(), self.seller.chain.account())
        );
        assert_eq!(*logged, terms);
        assert_eq!(
            *id,
            agreement_id(
                chain.chain_id(),
                chain.contracts().escrow,
                *buyer,
                *nonce,
                &terms
            )
        );
        *id
    }

    pub async fn accept(&mut self, id: AgreementId) {
        let accept = Call::Accept {
            id,
            value: Amount(500),
        };
        self.seller.run(accept).await.unwrap();
    }

    pub async fn state(&self, id: AgreementId) -> State {
        self.buyer.chain.agreement(id).await.unwrap().unwrap().state
    }

    pub async fn credits(&self) -> [u128; 2] {
        let chain = &self.buyer.chain;
        let [buyer, seller] = [chain.account(), self.seller.chain.account()];
        let buyer = chain.credit(buyer, Address::ZERO).await.unwrap();
        [
            buyer.0,
            chain.credit(seller, Address::ZERO).await.unwrap().0,
        ]
    }

    pub fn prove(&self, id: AgreementId, index: u32, top1: u32) -> Call {
        Call::ProveShard(Box::new(self.proof(id, index, top1)))
    }

    pub fn proof(&self, id: AgreementId, index: u32, top1: u32) -> ShardProof {
        ShardProof {
            id,
            shard: ShardCount {
                index,
                valid: 4,
                top1,
                topk: 4,
            },
            model_points: model_points(),
            shard_points: shard_points(index),
            path: dataset().path(index).unwrap(),
            proof: Data(vec![1]),
        }
    }
}

pub fn refused(outcome: Result<TxReceipt, ChainError>) -> String {
    match outcome {
        Err(ChainError::Revert { name, .. }) => name,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The fake chain with everything deployed.
pub async fn fake() -> (FakeChain, Scene<FakeChain>) {
    let chain = FakeChain::new(31_337, 1_000_000, |proof| proof.proof.0 == [1]);
    let [seller, buyer] = ["seller", "buyer"].map(|name| chain.as_account(key(name).address()));
    for party in [&seller, &buyer] {
        chain.fund(party.account(), Amount(1_000_000));
    }
    let scene = set_up(seller, buyer).await;
    (chain, scene)
}
