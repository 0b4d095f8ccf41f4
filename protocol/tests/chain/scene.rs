//! The parties, their dataset and the straight road, for any chain.

use std::time::Duration;

use zknode_protocol::{
    agreement::{agreement_id, Metric, Mode, State, Terms},
    chain::{
        created_contract,
        fake::FakeChain,
        journal::{Journal, Patience},
        key::Key,
        sender::Sender,
        Call, Chain, ChainError, ChainEvent, Contracts, Registration, ShardProof, TxReceipt,
    },
    claim_tree::{ClaimTree, ShardClaim, ShardCount},
    dataset_root::{DatasetTree, ShardLeaf},
    digest::{draw_seed, keccak},
    message::Domain,
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
    seller.chain.check_contracts().await.unwrap();
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

/// The straight road, with refusals on the way, and both withdrawals.
pub async fn settle<C: Chain>(scene: &mut Scene<C>) {
    let id = scene.open(8).await;
    assert_eq!(scene.state(id).await, State::Open);
    let accept = Call::Accept {
        id,
        value: Amount(500),
    };
    assert_eq!(refused(scene.buyer.run(accept).await), "OnlySeller");
    scene.accept(id).await;
    let ciphertext = keccak(b"ciphertext");
    let chain = &scene.buyer.chain;
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let signed = |by: &str| Call::Acknowledge {
        id,
        ciphertext,
        signature: Some(key(by).sign(domain.receipt_digest(id, ciphertext)).unwrap()),
    };
    assert_eq!(refused(scene.buyer.run(signed("buyer")).await), "NotSigned");
    scene.buyer.run(signed("seller")).await.unwrap();
    scene.seller.run(scene.prove(id, 2, 3)).await.unwrap();
    let half_way = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    assert_eq!(half_way.missing().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(
        (half_way.ciphertext, half_way.valid, half_way.correct),
        (ciphertext, 4, 3)
    );
    let again = scene.prove(id, 2, 3);
    assert_eq!(refused(scene.seller.run(again).await), "ShardAlreadyProven");
    scene.seller.run(scene.prove(id, 0, 3)).await.unwrap();
    let receipt = scene.seller.run(scene.prove(id, 1, 2)).await.unwrap();
    let settled = ChainEvent::Settled {
        id,
        correct: 8,
        passed: true,
    };
    assert!(receipt.events.contains(&settled), "{:?}", receipt.events);
    assert_eq!(scene.state(id).await, State::Settled);
    assert_eq!(scene.credits().await, [0, 1_500]);
    scene
        .seller
        .run(Call::Withdraw {
            token: Address::ZERO,
        })
        .await
        .unwrap();
    assert_eq!(scene.credits().await, [0, 0]);
    let nothing = scene
        .seller
        .run(Call::Withdraw {
            token: Address::ZERO,
        })
        .await;
    assert_eq!(refused(nothing), "NothingToWithdraw");
}

/// Preview, claim, contest, approval: the other road; `mine` makes a block.
pub async fn claim<C: Chain>(scene: &mut Scene<C>, mine: impl AsyncFn()) {
    let terms = Terms {
        mode: Mode::Optimistic,
        buyer_bond: Amount(100),
        preview_fee: Amount(50),
        contest_fee: Amount(40),
        preview_shards: 2,
        window: 500,
        prove_time: 300,
        ..scene.terms(8).await
    };
    let before = scene.credits().await;
    let id = scene.open_with(terms.clone()).await;
    scene.accept(id).await;
    assert_eq!(scene.state(id).await, State::Accepted);
    mine().await;
    mine().await;
    scene.buyer.run(Call::Draw(id)).await.unwrap();
    let drawn = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    let block = scene.buyer.chain.block_at(drawn.draw_block).await.unwrap();
    assert_eq!(drawn.seed, draw_seed(block.unwrap().hash, id));
    let ciphertext = keccak(b"preview");
    scene
        .buyer
        .run(Call::Send { id, ciphertext })
        .await
        .unwrap();
    assert_eq!(scene.state(id).await, State::PreviewSent);
    let signature = None;
    let proceed = Call::Proceed {
        id,
        ciphertext,
        signature,
    };
    assert_eq!(refused(scene.buyer.run(proceed.clone()).await), "NotSigned");
    scene.seller.run(proceed).await.unwrap();
    let acknowledge = Call::Acknowledge {
        id,
        ciphertext,
        signature,
    };
    scene.seller.run(acknowledge).await.unwrap();
    let early = scene.prove(id, 0, 3);
    assert_eq!(refused(scene.seller.run(early).await), "WrongMode");

    let proofs: Vec<ShardProof> = (0..3).map(|index| scene.proof(id, index, 3)).collect();
    let leaf = |proof: &ShardProof| ShardClaim {
        count: proof.shard,
        proof: keccak(&proof.proof.0),
    };
    let tree = ClaimTree::new(proofs.iter().map(leaf).collect()).unwrap();
    let say = Call::Claim {
        id,
        node: tree.top().hash,
        top1: 9,
        topk: 12,
    };
    scene.seller.run(say).await.unwrap();
    let value = Amount(40);
    let contest = |index| Call::Contest { id, index, value };
    assert_eq!(refused(scene.seller.run(contest(1)).await), "OnlyBuyer");
    scene.buyer.run(contest(1)).await.unwrap();
    scene.buyer.run(contest(2)).await.unwrap();
    let contested = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    assert_eq!((contested.claim, contested.correct), (tree.root(), 9));
    assert_eq!(contested.unanswered().collect::<Vec<_>>(), [1, 2]);
    let summary = scene.buyer.chain.agreement_at_depth(id, 0).await.unwrap();
    let summary = summary.unwrap();
    for (most, expected) in [(16, &[1, 2][..]), (1, &[1])] {
        let unanswered = scene.buyer.chain.unanswered(id, &summary, most).await;
        let unanswered: Vec<_> = unanswered.unwrap().into_iter().collect();
        assert_eq!(unanswered, expected);
    }
    let answer = |index: u32, path| Call::Answer {
        proof: Box::new(proofs[index as usize].clone()),
        path,
    };
    let elsewhere = answer(1, tree.path(0).unwrap());
    assert_eq!(
        refused(scene.seller.run(elsewhere).await),
        "ShardNotInClaim"
    );
    for index in [1, 2] {
        let call = answer(index, tree.path(index).unwrap());
        scene.seller.run(call).await.unwrap();
    }
    assert_eq!(scene.state(id).await, State::Claimed);
    let chain = &scene.buyer.chain;
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let signature = key("buyer").sign(domain.approval_digest(id, tree.root()));
    let signature = Some(signature.unwrap());
    let approve = Call::Approve { id, signature };
    let receipt = scene.seller.run(approve).await.unwrap();
    assert!(receipt.events.contains(&ChainEvent::Approved(id)));
    assert_eq!(scene.state(id).await, State::Settled);
    let after = scene.credits().await;
    assert_eq!(after, [before[0] + 100, before[1] + 1_580]);
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
