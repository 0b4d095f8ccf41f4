//! A real EVM of a test's own.
//!
//! The binary is `$ANVIL`, or the native one in `contracts/node_modules` (its wrapper in `.bin` would leave a child
//! behind when ended). Without either the tests print why they are skipped, or with `ZKNODE_REQUIRE_ANVIL=1` fail.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use zknode_protocol::chain::{
    ethers::{Config, EthersChain, PRIORITY_FEE},
    ChainError, Contracts,
};

use crate::scene::{key, set_up, Scene};

const ANVIL: &str = "../contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil";

/// A real EVM, ended with the test.
pub struct Anvil {
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
    pub async fn start() -> Option<Self> {
        let bundled = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(ANVIL);
        let binary = std::env::var_os("ANVIL").map_or(bundled, PathBuf::from);
        if !binary.exists() {
            let reason = format!(
                "no anvil at {}; run npm install --no-save in contracts/ or set ANVIL",
                binary.display()
            );
            let required = std::env::var_os("ZKNODE_REQUIRE_ANVIL").is_some();
            assert!(!required, "{reason}");
            eprintln!("skipped: {reason}");
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

    pub fn config(&self) -> Config {
        Config {
            url: self.url.clone(),
            chain_id: 31_337,
            contracts: Contracts::default(),
            timeout: Duration::from_secs(5),
            priority_fee: PRIORITY_FEE,
        }
    }

    pub async fn connect(&self, name: &str) -> Result<EthersChain, ChainError> {
        EthersChain::connect(self.config(), key(name)).await
    }

    /// One of anvil's own requests.
    pub async fn cheat(&self, method: &str, params: &str) {
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

    pub async fn scene(&self) -> Scene<EthersChain> {
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

    pub async fn pass(&self, seconds: u64) {
        self.cheat("evm_increaseTime", &format!("[{seconds}]"))
            .await;
        self.cheat("evm_mine", "[]").await;
    }
}
