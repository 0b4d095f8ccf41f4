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
        created_contract,
        ethers::{Config, EthersChain, PRIORITY_FEE},
        journal::Patience,
        Call, Chain, ChainError, Contracts,
    },
    digest::keccak,
    value::{Address, AgreementId, Amount, Bytes, Data, Hash},
};

use crate::scene::{claim, key, refused, set_up, settle, Party, Scene};

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
async fn the_evm_settles_a_claim() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    claim(&mut scene, async || anvil.cheat("evm_mine", "[]").await).await;
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
        "OnlyBuyer"
    );
    assert_eq!(
        refused(scene.seller.run(Call::Expire(id)).await),
        "TooEarly"
    );
    anvil.pass(1_001).await;
    scene.seller.run(Call::Expire(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Cancelled, [1_000, 0])
    );
    assert_eq!(
        refused(scene.seller.run(Call::Expire(id)).await),
        "WrongState"
    );

    let id = scene.open(8).await;
    scene.accept(id).await;
    assert_eq!(
        refused(scene.buyer.run(Call::Decline(id)).await),
        "OnlySeller"
    );
    anvil.pass(2_001).await;
    scene.buyer.run(Call::Expire(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Forfeited, [2_000, 500])
    );

    let id = scene.open(8).await;
    scene.accept(id).await;
    let acknowledge = Call::Acknowledge {
        id,
        ciphertext: keccak(b"ciphertext"),
        signature: None,
    };
    scene.seller.run(acknowledge).await.unwrap();
    scene.seller.run(scene.prove(id, 0, 4)).await.unwrap();
    assert_eq!(refused(scene.buyer.run(Call::Expire(id)).await), "TooEarly");
    anvil.pass(3_001).await;
    let late = scene.prove(id, 1, 4);
    assert_eq!(refused(scene.seller.run(late).await), "TooLate");
    scene.buyer.run(Call::Expire(id)).await.unwrap();
    assert_eq!(
        (scene.state(id).await, scene.credits().await),
        (State::Slashed, [3_500, 500])
    );
    let unknown = Call::Expire(AgreementId(Hash::ZERO));
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
    let slash = Call::Expire(AgreementId(Hash::ZERO));
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

/// Runs out before a held pool is emptied.
const HURRIED: Patience = Patience {
    poll: Duration::from_millis(20),
    limit: Duration::from_millis(1_000),
    depth: 0,
};

impl Anvil {
    /// The seller's acceptance waits in the pool, is lost there, and the node starts again.
    async fn lost_acceptance(&self, scene: &mut Scene<EthersChain>, id: AgreementId) {
        self.cheat("evm_setAutomine", "[false]").await;
        let lost = scene.seller.execute("accept X", &accept(id), HURRIED).await;
        assert!(matches!(lost, Err(ChainError::NotMined { .. })), "{lost:?}");
        self.cheat("anvil_dropAllTransactions", "[]").await;
        self.cheat("evm_setAutomine", "[true]").await;
        scene.seller.restart();
    }
}

fn accept(id: AgreementId) -> Call {
    let value = Amount(500);
    Call::Accept { id, value }
}

#[tokio::test]
async fn the_evm_takes_a_withdrawal_for_what_is_no_longer_wanted() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    let (id, other) = (scene.open(8).await, scene.open(9).await);
    let first = scene.seller.chain.next_nonce().await.unwrap();
    anvil.lost_acceptance(&mut scene, id).await;
    scene.buyer.run(Call::Cancel(id)).await.unwrap();

    let seller = &mut scene.seller;
    let receipt = seller.execute("accept Y", &accept(other), HURRIED).await;
    assert!(receipt.unwrap().succeeded);
    assert_eq!(seller.chain.next_nonce().await.unwrap(), first + 2);
    let again = seller.execute("accept X", &accept(id), HURRIED).await;
    assert_eq!(refused(again), "WrongState");
    assert_eq!(seller.journal.entry("accept X"), None);
}

/// The withdrawal reaches the pool while the original is still there, and replaces it.
#[tokio::test]
async fn the_evm_lets_the_withdrawal_replace_the_original() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    let (id, other) = (scene.open(8).await, scene.open(9).await);
    anvil.cheat("evm_setAutomine", "[false]").await;
    let seller = &mut scene.seller;
    let waits = seller.execute("accept X", &accept(id), HURRIED).await;
    assert!(
        matches!(waits, Err(ChainError::NotMined { .. })),
        "{waits:?}"
    );
    // Time passes the acceptance by, in the next block as well.
    anvil.cheat("evm_increaseTime", "[1001]").await;
    anvil
        .cheat(
            "anvil_dropTransaction",
            &format!(r#"["{}"]"#, tx_of(seller)),
        )
        .await;
    anvil.cheat("evm_mine", "[]").await;
    let raw = &seller.journal.entry("accept X").unwrap().attempts[0].tx;
    seller.chain.broadcast(raw).await.unwrap();
    let withdrawn = seller.execute("accept Y", &accept(other), HURRIED).await;
    assert!(
        matches!(withdrawn, Err(ChainError::NotMined { .. })),
        "{withdrawn:?}"
    );
    let attempts = &seller.journal.entry("accept X").unwrap().attempts;
    assert!(attempts.len() == 2 && attempts[1].withdraws, "{attempts:?}");
    anvil.cheat("evm_mine", "[]").await;
    let receipt = seller.chain.receipt(attempts[1].tx.hash).await.unwrap();
    assert!(receipt.unwrap().succeeded);
}

fn tx_of(party: &Party<EthersChain>) -> Hash {
    let entry = party.journal.entry("accept X").unwrap();
    entry.attempts.last().unwrap().tx.hash
}

#[tokio::test]
async fn the_evm_is_offered_more_when_its_base_fee_rises() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    let id = scene.open(8).await;
    anvil.lost_acceptance(&mut scene, id).await;
    // Two blocks: the first of that price, and one that anvil measures the pool by.
    for _ in 0..2 {
        anvil
            .cheat("anvil_setNextBlockBaseFeePerGas", r#"["0x2540be400"]"#)
            .await;
        anvil.cheat("evm_mine", "[]").await;
    }
    let seller = &mut scene.seller;
    let stale = seller.journal.entry("accept X").unwrap().attempts[0]
        .tx
        .clone();
    let outcome = seller.chain.broadcast(&stale).await;
    assert!(
        matches!(outcome, Err(ChainError::Underpriced { .. })),
        "{outcome:?}"
    );
    let receipt = seller.execute("accept X", &accept(id), HURRIED).await;
    assert!(receipt.unwrap().succeeded);
    assert_eq!(scene.state(id).await, State::Previewed);
}

#[tokio::test]
async fn the_evm_tells_an_agreement_at_depth_and_what_is_allowed() {
    let Some(anvil) = Anvil::start().await else {
        return;
    };
    let mut scene = anvil.scene().await;
    let id = scene.open(8).await;
    scene.accept(id).await;
    let chain = &scene.buyer.chain;
    let at = async |depth| {
        let summary = chain.agreement_at_depth(id, depth).await.unwrap();
        summary.map(|summary| summary.state)
    };
    assert_eq!(at(0).await, Some(State::Previewed));
    assert_eq!(at(1).await, Some(State::Open));
    assert_eq!(at(2).await, None);
    // Before there was an escrow.
    assert_eq!(at(1_000).await, None);
    assert_eq!(chain.is_proven(id, 0).await, Ok(false));

    let artifact = include_str!("../../../contracts/artifacts/test/TestToken.json");
    let artifact: serde_json::Value = serde_json::from_str(artifact).unwrap();
    let code = artifact["bytecode"].as_str().unwrap();
    let creation_code = Data(hex::decode(code.trim_start_matches("0x")).unwrap());
    let deploy = Call::DeployVerifier { creation_code };
    let receipt = scene.buyer.run(deploy).await.unwrap();
    let token = created_contract(&scene.buyer.chain, &receipt)
        .await
        .unwrap();
    let owner = scene.buyer.chain.account();
    for amount in [Amount(7), Amount(u128::MAX), Amount::ZERO] {
        scene
            .buyer
            .run(Call::ApproveToken { token, amount })
            .await
            .unwrap();
        let allowed = scene.buyer.chain.allowance(token, owner).await;
        assert_eq!(allowed, Ok(amount));
    }
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
