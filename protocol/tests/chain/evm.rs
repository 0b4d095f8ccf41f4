//! A real EVM: the straight road, every deadline, and every trouble by its name.
//!
//! The binary is `$ANVIL`, or the native one in `contracts/node_modules` (its wrapper in `.bin` would leave a child
//! behind when ended); without either the tests print why they are skipped.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use zknode_protocol::{
    agreement::State,
    chain::{
        ethers::{Config, EthersChain, PRIORITY_FEE},
        Call, Chain, ChainError, Contracts,
    },
    digest::keccak,
    value::{Address, AgreementId, Amount, Bytes, Hash},
};

use crate::scene::{key, refused, set_up, settle, Scene};

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
                "skipped: no anvil at {}; run npm install --no-save in contracts/ or set ANVIL",
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
    let fees = poor.market().await.unwrap().first();
    let outcome = poor.sign(&Call::DeployRegistry, 0, fees).await;
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
        lost.sign(&slash, 0, fees).await.err(),
        no_code(nowhere.escrow)
    );

    // The same bytes twice are one transaction; another under the same nonce is void.
    let scene = anvil.scene().await;
    let chain = &scene.buyer.chain;
    let market = chain.market().await.unwrap();
    let tx = chain.sign(&Call::DeployRegistry, 0, fees).await.unwrap();
    let dearer = chain
        .sign_again(&tx, market.raised(tx.fees()))
        .await
        .unwrap();
    assert!(dearer.max_fee > tx.max_fee && dearer.priority_fee > tx.priority_fee);
    chain.broadcast(&tx).await.unwrap();
    while chain.receipt(tx.hash).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
