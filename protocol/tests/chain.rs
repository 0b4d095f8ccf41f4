//! One agreement told through the port, to the fake chain and to a real EVM (anvil, when there is one).
//!
//! The binary is `$ANVIL`, or the native one in `contracts/node_modules` (its wrapper in `.bin` would leave a child
//! behind when ended); without either the EVM tests print why they are skipped.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use zknode_protocol::{
    agreement::{Metric, ShardCount, State, Terms},
    chain::{
        created_contract,
        ethers::{Config, EthersChain, PRIORITY_FEE},
        fake::FakeChain,
        journal::{confirm, replace, submit, Journal, JournalError, Patience},
        key::Key,
        Call, Chain, ChainError, ChainEvent, Contracts, Registration, ShardProof, TxReceipt,
    },
    dataset_root::{DatasetTree, ShardLeaf},
    digest::{agreement_id, keccak},
    message::Domain,
    value::{Address, AgreementId, Amount, Bytes, Data, Hash, ModelId, Point},
};

/// Creation code of a verifier that returns the word 1 to everything: `return(0, 1)` of a stored 1.
const YES: &str = "69600160005260206000f3600052600a6016f3";
const PATIENCE: Patience = Patience {
    poll: Duration::from_millis(50),
    limit: Duration::from_secs(10),
    depth: 0,
};

fn key(name: &str) -> Key {
    Key::from_secret(&keccak(name.as_bytes()).0).unwrap()
}

/// One party: a chain seen by its key, and its journal.
struct Party<C> {
    chain: C,
    journal: Journal,
    sent: u32,
}

impl<C: Chain> Party<C> {
    fn new(chain: C) -> Self {
        let journal = Journal::new(chain.account());
        Self {
            chain,
            journal,
            sent: 0,
        }
    }

    async fn run(&mut self, call: Call) -> Result<TxReceipt, ChainError> {
        self.sent += 1;
        let purpose = format!("step {}", self.sent);
        let entry = submit(&self.chain, &mut self.journal, &purpose, &call, |_| Ok(())).await?;
        let receipt = confirm(&self.chain, &entry, PATIENCE).await?;
        self.journal.record_mined(&purpose, &receipt).unwrap();
        Ok(receipt)
    }
}

struct Scene<C> {
    seller: Party<C>,
    buyer: Party<C>,
    model: ModelId,
}

const POINTS: [u8; 2] = [1, 2];

fn model_points() -> Vec<Point> {
    POINTS.map(|byte| Bytes([byte; 64])).to_vec()
}

fn shard_points(index: u32) -> Vec<Point> {
    vec![Bytes([index as u8 + 10; 64])]
}

fn dataset() -> DatasetTree {
    let leaf = |index| ShardLeaf::new(index, 4, &shard_points(index));
    DatasetTree::new((0..3).map(leaf).collect()).unwrap()
}

/// Deploys everything and registers a model.
async fn set_up<C: Chain>(seller: C, buyer: C) -> Scene<C> {
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
    async fn terms(&self, threshold: u32) -> Terms {
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
            accept_by: now + 1_000,
            deliver_by: now + 2_000,
            prove_by: now + 3_000,
            metric: Metric::Top1,
        }
    }

    async fn open(&mut self, threshold: u32) -> AgreementId {
        let terms = self.terms(threshold).await;
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

    async fn accept(&mut self, id: AgreementId) {
        let accept = Call::Accept {
            id,
            value: Amount(500),
        };
        self.seller.run(accept).await.unwrap();
    }

    async fn state(&self, id: AgreementId) -> State {
        self.buyer.chain.agreement(id).await.unwrap().unwrap().state
    }

    async fn credits(&self) -> [u128; 2] {
        let chain = &self.buyer.chain;
        let [buyer, seller] = [chain.account(), self.seller.chain.account()];
        let buyer = chain.credit(buyer, Address::ZERO).await.unwrap();
        [
            buyer.0,
            chain.credit(seller, Address::ZERO).await.unwrap().0,
        ]
    }

    fn prove(&self, id: AgreementId, index: u32, top1: u32) -> Call {
        Call::ProveShard(Box::new(ShardProof {
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
        }))
    }
}

fn refused(outcome: Result<TxReceipt, ChainError>) -> String {
    match outcome {
        Err(ChainError::Revert { name, .. }) => name,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// The straight road, with refusals on the way, and both withdrawals.
async fn settle<C: Chain>(scene: &mut Scene<C>) {
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
    let signed = |by: &str| Call::AcknowledgeBySignature {
        id,
        ciphertext,
        signature: key(by).sign(domain.receipt_digest(id, ciphertext)).unwrap(),
    };
    assert_eq!(
        refused(scene.buyer.run(signed("buyer")).await),
        "ReceiptNotSigned"
    );
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

#[tokio::test]
async fn the_fake_settles() {
    let (_, mut scene) = fake().await;
    settle(&mut scene).await;
}

async fn fake() -> (FakeChain, Scene<FakeChain>) {
    let chain = FakeChain::new(31_337, 1_000_000, |proof| proof.proof.0 == [1]);
    let [seller, buyer] = ["seller", "buyer"].map(|name| chain.as_account(key(name).address()));
    for party in [&seller, &buyer] {
        chain.fund(party.account(), Amount(1_000_000));
    }
    let scene = set_up(seller, buyer).await;
    (chain, scene)
}

#[tokio::test]
async fn a_purpose_is_paid_once_through_crashes() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let before = buyer.chain.balance(buyer.chain.account()).await.unwrap();

    // Not saved: nothing left this machine, nothing remembered.
    let unsaved = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| {
        Err("disk full".into())
    })
    .await;
    assert!(matches!(unsaved, Err(ChainError::Journal(_))));
    assert_eq!(buyer.journal.entry("open"), None);

    // Died after saving, before or after broadcasting: the stored journal is all that is left.
    chain.hold();
    let mut stored = None;
    submit(&buyer.chain, &mut buyer.journal, "open", &open, |journal| {
        stored = Some(serde_json::to_string(journal).unwrap());
        Ok(())
    })
    .await
    .unwrap();
    chain.drop_pool();
    let mut journal: Journal = serde_json::from_str(&stored.unwrap()).unwrap();
    assert_eq!(journal.pending().count(), 1);
    let other = Call::Open(Terms {
        price: Amount(2_000),
        ..scene_terms(&open)
    });
    for _ in 0..2 {
        submit(&buyer.chain, &mut journal, "open", &other, |_| Ok(()))
            .await
            .unwrap();
    }
    // Waits too long: replaced under the same nonce; one of the two is executed.
    let entry = replace(&buyer.chain, &mut journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    assert_eq!(entry.attempts.len(), 2);
    assert_eq!(entry.attempts[0].nonce, entry.attempts[1].nonce);
    chain.release();
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
    // A reorganization and another restart change nothing.
    chain.reorganize(1);
    submit(&buyer.chain, &mut journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
    let after = buyer.chain.balance(buyer.chain.account()).await.unwrap();
    assert_eq!(before.0 - after.0, 1_000);
}

fn scene_terms(open: &Call) -> Terms {
    match open {
        Call::Open(terms) => terms.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_nonce_used_elsewhere_is_noticed() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    chain.hold();
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    chain.drop_pool();
    chain.release();
    // The same key on another machine, with a journal of its own.
    let other = Call::Open(scene.terms(9).await);
    Party::new(scene.buyer.chain.clone())
        .run(other)
        .await
        .unwrap();
    let buyer = &mut scene.buyer;
    let void = ChainError::NonceTaken {
        nonce: 0,
        tx: entry.attempts[0].hash,
    };
    assert_eq!(confirm(&buyer.chain, &entry, PATIENCE).await, Err(void));
    // Forgotten, it can be signed for anew, behind the other one.
    buyer.journal.forget("open");
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    assert_eq!(entry.attempts[0].nonce, 1);
    confirm(&buyer.chain, &entry, PATIENCE).await.unwrap();
}

#[tokio::test]
async fn misuse_and_bad_weather_have_names() {
    let (chain, mut scene) = fake().await;
    let open = Call::Open(scene.terms(8).await);
    let buyer = &mut scene.buyer;
    let foreign = submit(
        &buyer.chain,
        &mut Journal::new(Bytes([9; 20])),
        "x",
        &open,
        |_| Ok(()),
    )
    .await;
    assert!(matches!(
        foreign,
        Err(ChainError::Journal(JournalError::WrongAccount { .. }))
    ));
    let unknown = replace(&buyer.chain, &mut buyer.journal, "x", &open, |_| Ok(())).await;
    assert!(matches!(
        unknown,
        Err(ChainError::Journal(JournalError::UnknownPurpose(_)))
    ));

    let down = ChainError::Unreachable {
        endpoint: "http://127.0.0.1:1".into(),
        reason: "refused".into(),
    };
    chain.fail_next(down.clone());
    assert_eq!(buyer.chain.head().await, Err(down));

    // A call that was fine when signed and reverts in its block: the terms' first deadline passes in between.
    chain.hold();
    let entry = submit(&buyer.chain, &mut buyer.journal, "open", &open, |_| Ok(()))
        .await
        .unwrap();
    chain.advance(5_000);
    chain.release();
    let failed = confirm(&buyer.chain, &entry, PATIENCE).await;
    assert!(
        matches!(failed, Err(ChainError::Failed { .. })),
        "{failed:?}"
    );

    let hurried = Patience {
        limit: Duration::from_millis(100),
        ..PATIENCE
    };
    chain.hold();
    let register = Call::DeployRegistry;
    let entry = submit(
        &buyer.chain,
        &mut buyer.journal,
        "deploy",
        &register,
        |_| Ok(()),
    )
    .await
    .unwrap();
    let waiting = confirm(&buyer.chain, &entry, hurried).await;
    assert!(
        matches!(waiting, Err(ChainError::Timeout { .. })),
        "{waiting:?}"
    );
}

const ANVIL: &str = "../contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

/// A real EVM, ended with the test.
struct Anvil {
    child: Child,
    url: String,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Anvil {
    async fn start() -> Option<Self> {
        let bundled = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(ANVIL);
        let binary = std::env::var_os("ANVIL").map_or(bundled, PathBuf::from);
        if !binary.exists() {
            eprintln!(
                "skipped: no anvil at {}; run npm ci in contracts/ or set ANVIL",
                binary.display()
            );
            return None;
        }
        // A free port, given back just before anvil takes it.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = Command::new(binary)
            .args(["--port", &port.to_string(), "--silent"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let anvil = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
        };
        for _ in 0..200 {
            if anvil.connect("seller").await.is_ok() {
                return Some(anvil);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("anvil did not start");
    }

    fn config(&self) -> Config {
        Config {
            url: self.url.clone(),
            chain_id: 31_337,
            contracts: Contracts::default(),
            timeout: Duration::from_secs(5),
            priority_fee: PRIORITY_FEE,
        }
    }

    async fn connect(&self, name: &str) -> Result<EthersChain, ChainError> {
        EthersChain::connect(self.config(), key(name)).await
    }

    /// One of anvil's own requests.
    async fn cheat(&self, method: &str, params: &str) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let host = self.url.trim_start_matches("http://");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("\"result\""), "{answer}");
    }

    async fn scene(&self) -> Scene<EthersChain> {
        for name in ["seller", "buyer"] {
            let account = key(name).address();
            self.cheat(
                "anvil_setBalance",
                &format!(r#"["{account}","0xde0b6b3a7640000"]"#),
            )
            .await;
        }
        set_up(
            self.connect("seller").await.unwrap(),
            self.connect("buyer").await.unwrap(),
        )
        .await
    }

    async fn pass(&self, seconds: u64) {
        self.cheat("evm_increaseTime", &format!("[{seconds}]"))
            .await;
        self.cheat("evm_mine", "[]").await;
    }
}

#[tokio::test]
async fn the_evm_settles() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    settle(&mut scene).await;
}

#[tokio::test]
async fn the_evm_ends_every_state_by_its_deadline() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;

    let id = scene.open(8).await;
    assert_eq!(
        refused(scene.seller.run(Call::Cancel(id)).await),
        "OnlyBuyerUntil"
    );
    anvil.pass(1_001).await;
    scene.seller.run(Call::Cancel(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Cancelled, [1_000, 0])
    );
    assert_eq!(
        refused(scene.seller.run(Call::Cancel(id)).await),
        "WrongState"
    );

    let id = scene.open(8).await;
    scene.accept(id).await;
    assert_eq!(
        refused(scene.buyer.run(Call::Decline(id)).await),
        "OnlySellerUntil"
    );
    anvil.pass(2_001).await;
    scene.buyer.run(Call::Decline(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Declined, [2_000, 500])
    );

    let id = scene.open(8).await;
    scene.accept(id).await;
    let acknowledge = Call::Acknowledge {
        id,
        ciphertext: keccak(b"ciphertext"),
    };
    scene.seller.run(acknowledge).await.unwrap();
    scene.seller.run(scene.prove(id, 0, 4)).await.unwrap();
    assert_eq!(refused(scene.buyer.run(Call::Slash(id)).await), "TooEarly");
    anvil.pass(3_001).await;
    let late = scene.prove(id, 1, 4);
    assert_eq!(refused(scene.seller.run(late).await), "TooLate");
    scene.buyer.run(Call::Slash(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Slashed, [3_500, 500])
    );
    let unknown = Call::Slash(AgreementId(Hash::ZERO));
    assert_eq!(refused(scene.buyer.run(unknown).await), "UnknownAgreement");

    let before = scene
        .buyer
        .chain
        .balance(key("buyer").address())
        .await
        .unwrap();
    scene
        .buyer
        .run(Call::Withdraw {
            token: Address::ZERO,
        })
        .await
        .unwrap();
    assert_eq!(scene.credits().await, [0, 500]);
    assert!(
        scene
            .buyer
            .chain
            .balance(key("buyer").address())
            .await
            .unwrap()
            < Amount(before.0 + 3_500)
    );
}

#[tokio::test]
async fn the_evm_gives_each_trouble_its_name() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let wrong = Config {
        chain_id: 1,
        ..anvil.config()
    };
    let outcome = EthersChain::connect(wrong, key("buyer")).await.err();
    assert_eq!(
        outcome,
        Some(ChainError::WrongChain {
            expected: 1,
            got: 31_337
        })
    );

    let poor = anvil.connect("poor").await.unwrap();
    let outcome = poor.sign(&Call::DeployRegistry, 0, None).await;
    assert!(
        matches!(
            outcome,
            Err(ChainError::InsufficientFunds {
                available: Amount(0),
                ..
            })
        ),
        "{outcome:?}"
    );

    let nowhere = Contracts {
        registry: Bytes([7; 20]),
        escrow: Bytes([8; 20]),
    };
    let lost = poor.with_contracts(nowhere);
    let no_code = |address| Some(ChainError::NoCode { address });
    assert_eq!(
        lost.check_contracts().await.err(),
        no_code(nowhere.registry)
    );
    assert_eq!(
        lost.agreement(AgreementId(Hash::ZERO)).await.err(),
        no_code(nowhere.escrow)
    );
    let slash = Call::Slash(AgreementId(Hash::ZERO));
    assert_eq!(
        lost.sign(&slash, 0, None).await.err(),
        no_code(nowhere.escrow)
    );

    // The same bytes twice are one transaction; another under the same nonce is void.
    let scene = anvil.scene().await;
    let chain = &scene.buyer.chain;
    let tx = chain.sign(&Call::DeployRegistry, 0, None).await.unwrap();
    let dearer = chain
        .sign(&Call::DeployRegistry, 0, Some(&tx))
        .await
        .unwrap();
    assert!(dearer.max_fee > tx.max_fee && dearer.priority_fee > tx.priority_fee);
    chain.broadcast(&tx).await.unwrap();
    chain.broadcast(&tx).await.unwrap();
    let outcome = chain.broadcast(&dearer).await;
    assert!(
        matches!(outcome, Err(ChainError::NonceTaken { nonce: 0, .. })),
        "{outcome:?}"
    );

    let gone = anvil.connect("buyer").await.unwrap();
    drop(anvil);
    assert!(matches!(
        gone.head().await,
        Err(ChainError::Unreachable { .. })
    ));
}

#[tokio::test]
async fn a_silent_server_runs_into_the_timeout() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = Config {
        url: format!("http://user:secret@{}/path", silent.local_addr().unwrap()),
        chain_id: 1,
        contracts: Contracts::default(),
        timeout: Duration::from_millis(200),
        priority_fee: PRIORITY_FEE,
    };
    let outcome = EthersChain::connect(config.clone(), key("buyer"))
        .await
        .err();
    assert!(
        matches!(outcome, Some(ChainError::Timeout { .. })),
        "{outcome:?}"
    );
    drop(silent);
    let outcome = EthersChain::connect(config, key("buyer"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(outcome, ChainError::Unreachable { .. }),
        "{outcome:?}"
    );
    assert!(!outcome.to_string().contains("secret"), "{outcome}");
}
