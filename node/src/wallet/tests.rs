//! Allowances, attempts, and what is remembered of a purpose, on a chain in memory.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use zknode_protocol::{
    agreement::{Metric, Mode, Terms},
    chain::{created_contract, fake::FakeChain, Registration},
    value::{Bytes, Data, Hash, ModelId},
};

use super::*;

pub(crate) const PATIENCE: Patience = Patience {
    poll: Duration::from_millis(5),
    limit: Duration::from_millis(200),
    depth: 0,
};
const TOKEN: Address = Bytes([7; 20]);
pub(crate) const SELLER: Address = Bytes([1; 20]);
pub(crate) const BUYER: Address = Bytes([2; 20]);

pub(crate) struct Scene {
    folder: tempfile::TempDir,
    pub(crate) fake: FakeChain,
    contracts: Contracts,
    model: ModelId,
}

impl Scene {
    /// Contracts, a model and a token.
    pub(crate) async fn new(strict: bool) -> Self {
        let fake = FakeChain::new(31_337, 1_000_000, |_| true);
        for account in [SELLER, BUYER] {
            fake.fund(account, Amount(1_000_000));
        }
        fake.create_token(TOKEN, strict);
        let mut scene = Self {
            folder: tempfile::tempdir().unwrap(),
            fake,
            contracts: Contracts::default(),
            model: ModelId(Hash::ZERO),
        };
        let seller = scene.wallet(SELLER);
        let deploy = async |purpose: &str, call| {
            let receipt = seller.execute(purpose, &call).await.unwrap();
            created_contract(seller.chain(), &receipt).await.unwrap()
        };
        let creation_code = Data(vec![1]);
        let verifier = deploy("verifier", Call::DeployVerifier { creation_code }).await;
        let registry = deploy("registry", Call::DeployRegistry).await;
        let escrow = deploy("escrow", Call::DeployEscrow { registry }).await;
        let register = Call::Register(Registration {
            architecture: Bytes([3; 32]),
            verifier,
            points: vec![Bytes([4; 64])],
            shard_points: 1,
            endpoint: String::new(),
            stake: Amount(1),
        });
        let receipt = seller.execute("register", &register).await.unwrap();
        let [ChainEvent::ModelRegistered { model, .. }] = receipt.events[..] else {
            unreachable!("{receipt:?}")
        };
        drop(seller);
        scene.contracts = Contracts { registry, escrow };
        scene.model = model;
        scene
    }

    /// The account's node, started anew.
    pub(crate) fn wallet(&self, account: Address) -> Wallet<FakeChain> {
        self.patient(account, PATIENCE)
    }

    /// The same, which believes a block under so many others.
    pub(crate) fn patient(&self, account: Address, patience: Patience) -> Wallet<FakeChain> {
        let path = self.folder.path().join(account.to_string());
        let store = Arc::new(Store::open(path).unwrap());
        let chain = self.fake.as_account(account);
        Wallet::new(chain.with_contracts(self.contracts), store, patience)
    }

    pub(crate) fn terms(&self, price: u128) -> Terms {
        Terms {
            model: self.model,
            dataset_root: Bytes([5; 32]),
            token: TOKEN,
            shards: 1,
            samples: 1,
            threshold: 1,
            price: Amount(price),
            bond: Amount(1),
            penalty: Amount(1),
            buyer_bond: Amount(0),
            preview_fee: Amount(0),
            contest_fee: Amount(0),
            accept_by: 1_001_000,
            preview_by: 1_001_000 + 1,
            deliver_by: 1_002_000,
            claim_by: 1_003_000,
            metric: Metric::Top1,
            mode: Mode::Eager,
            preview_shards: 0,
            response_time: 10,
            window: 0,
            prove_time: 0,
        }
    }
}

/// What was allowed for one purpose and spent on another is allowed again.
async fn allows_what_is_needed(strict: bool) {
    let scene = Scene::new(strict).await;
    let buyer = scene.wallet(BUYER);
    let chain = buyer.chain().clone();
    let allow = async |price, purpose: &str| {
        buyer.allow(TOKEN, Amount(price), purpose).await.unwrap();
        let allowed = chain.allowance(TOKEN, BUYER).await.unwrap();
        assert!(allowed >= Amount(price), "{allowed} for {purpose}");
    };
    let open = async |price, purpose: &str| {
        let call = Call::Open(scene.terms(price));
        buyer.execute(purpose, &call).await.unwrap()
    };
    allow(1_000, "A").await;
    // Enough is allowed: nothing is sent.
    let count = chain.next_nonce().await.unwrap();
    allow(600, "B").await;
    assert_eq!(chain.next_nonce().await.unwrap(), count);
    open(600, "open B").await;
    allow(1_000, "A").await;
    open(1_000, "open A").await;
    // And as often as it is needed.
    allow(1_000, "A").await;
    assert_eq!(chain.allowance(TOKEN, BUYER).await, Ok(Amount(1_000)));
}

#[tokio::test]
async fn an_allowance_spent_elsewhere_is_asked_for_again() {
    allows_what_is_needed(false).await;
}

#[tokio::test]
async fn a_token_that_only_changes_from_zero_is_set_to_zero_first() {
    allows_what_is_needed(true).await;
}

#[tokio::test]
async fn a_token_that_forgets_is_not_asked_for_ever() {
    let scene = Scene::new(false).await;
    let buyer = scene.wallet(BUYER);
    let mut refused = Ok(());
    for _ in 0..=APPROVALS {
        refused = buyer.allow(TOKEN, Amount(5), "A").await;
        scene.fake.create_token(TOKEN, false);
    }
    assert!(
        matches!(
            refused,
            Err(ChainError::Allowance {
                tries: APPROVALS,
                ..
            })
        ),
        "{refused:?}"
    );
}

/// Whoever was faster is no trouble; a transaction that waits is.
#[tokio::test]
async fn an_attempt_may_come_to_nothing() {
    let scene = Scene::new(false).await;
    let buyer = scene.wallet(BUYER);
    let open = Call::Open(scene.terms(1_000));
    let refused = buyer.attempt("open", &open).await;
    assert!(matches!(refused, Ok(None)), "{refused:?}");
    buyer.allow(TOKEN, Amount(1_000), "open").await.unwrap();
    scene.fake.hold();
    let waits = buyer.attempt("open", &open).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    scene.fake.release();
    let done = buyer.attempt("open", &open).await;
    assert!(matches!(done, Ok(Some(_))), "{done:?}");
}

/// What the contract refuses is told apart from what is on its way.
#[tokio::test]
async fn a_refused_deposit_moved_no_money() {
    let scene = Scene::new(false).await;
    let buyer = scene.wallet(BUYER);
    let deposit = async |threshold| {
        let terms = Terms {
            threshold,
            ..scene.terms(1_000)
        };
        let money = (TOKEN, Amount(1_000));
        let call = Call::Open(terms);
        buyer.deposit(money, "A", "open", &call).await
    };
    // More than all.
    let refused = deposit(2).await;
    assert!(
        matches!(refused, Ok(Err(ChainError::Revert { .. }))),
        "{refused:?}"
    );
    scene.fake.hold();
    let waits = deposit(1).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    scene.fake.release();
    let done = deposit(1).await;
    assert!(matches!(done, Ok(Ok(_))), "{done:?}");
}

/// "No money moved" is for purposes that were never signed for, or known to have come to nothing.
#[tokio::test]
async fn what_was_sent_is_remembered() {
    let scene = Scene::new(false).await;
    let buyer = scene.wallet(BUYER);
    let open = Call::Open(scene.terms(1_000));
    let refused = buyer.execute("open", &open).await;
    assert!(
        matches!(refused, Err(ChainError::Revert { .. })),
        "{refused:?}"
    );
    assert_eq!(buyer.was_sent("open"), Ok(false));

    buyer.allow(TOKEN, Amount(1_000), "open").await.unwrap();
    scene.fake.hold();
    let waits = buyer.execute("open", &open).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    drop(buyer);
    let buyer = scene.wallet(BUYER);
    assert_eq!(buyer.was_sent("open"), Ok(true));
    scene.fake.release();
    buyer.execute("open", &open).await.unwrap();
    assert_eq!(buyer.was_sent("open"), Ok(true));
}
