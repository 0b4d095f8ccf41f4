//! A real Ethereum node for the demonstration: Foundry's anvil, on a free loopback port, gone with its owner.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{
        atomic::{AtomicBool, Ordering},
        Arc,
    },
    time::Duration,
};

use anyhow::{bail, ensure, Context};
use rustix::process::{kill_process, Pid, Signal};
use serde_json::{json, Value};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use zknode_protocol::value::{Address, Amount};

/// Longest wait for it to listen.
const START: Duration = Duration::from_secs(30);
/// Pause until a transaction is looked for again.
const POLL: Duration = Duration::from_millis(50);
/// Time between two blocks.
const TICK: Duration = Duration::from_secs(1);
/// Where `npm install` in `contracts/` puts the pinned binaries.
const BUNDLED: &str = "contracts/node_modules/@foundry-rs";

/// A running anvil.
pub struct Anvil {
    url: String,
    ticks: Arc<AtomicBool>,
    process: Child,
}

/// Asked to end, not killed: npm's wrapper hands the request on to anvil, and could not hand on a kill.
impl Drop for Anvil {
    fn drop(&mut self) {
        let pid = self.process.id().and_then(|id| Pid::from_raw(id as i32));
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).ok();
        }
    }
}

impl Anvil {
    /// Starts one and waits until it listens.
    pub async fn start(program: &Path) -> anyhow::Result<Self> {
        let process = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0", "--accounts", "1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("cannot start anvil, {}", program.display()))?;
        let mut anvil = Self {
            url: String::new(),
            ticks: Arc::new(AtomicBool::new(false)),
            process,
        };
        let output = anvil.process.stdout.take().context("anvil has no output")?;
        let mut lines = BufReader::new(output).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await? {
                if let Some(address) = line.strip_prefix("Listening on ") {
                    return Ok(format!("http://{address}"));
                }
            }
            bail!("anvil, {}, ended before it listened", program.display());
        };
        anvil.url = timeout(START, listening).await.with_context(|| {
            format!(
                "anvil, {}, did not listen within {START:?}",
                program.display()
            )
        })??;
        // Read on, or it would block on a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(anvil)
    }

    /// Makes a block every second from now on, as a chain does; anvil by itself waits for transactions.
    pub fn tick(&self) {
        if self.ticks.swap(true, Ordering::Relaxed) {
            return;
        }
        let (url, ticks) = (self.url.clone(), self.ticks.clone());
        tokio::spawn(async move {
            while ticks.load(Ordering::Relaxed) && call(&url, "evm_mine", json!([])).await.is_ok() {
                tokio::time::sleep(TICK).await;
            }
            ticks.store(false, Ordering::Relaxed);
        });
    }

    /// Stops that.
    pub fn stand_still(&self) {
        self.ticks.store(false, Ordering::Relaxed);
    }

    /// Its JSON-RPC address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Gives an account money out of nothing, as only a development node can.
    pub async fn fund(&self, account: Address, amount: Amount) -> anyhow::Result<()> {
        let amount = format!("{:#x}", amount.0);
        self.call("anvil_setBalance", json!([account, amount]))
            .await?;
        Ok(())
    }

    /// What an account has.
    pub async fn balance(&self, account: Address) -> anyhow::Result<Amount> {
        let answer = self
            .call("eth_getBalance", json!([account, "latest"]))
            .await?;
        let text = answer.as_str().and_then(|text| text.strip_prefix("0x"));
        let text = text.context("anvil's balance is not a number")?;
        Ok(Amount(u128::from_str_radix(text, 16)?))
    }

    /// Sends a transaction of the node's own rich account and waits for its receipt.
    pub async fn transact(&self, mut transaction: Value) -> anyhow::Result<Value> {
        let accounts = self.call("eth_accounts", json!([])).await?;
        transaction["from"] = accounts[0].clone();
        let hash = self
            .call("eth_sendTransaction", json!([transaction]))
            .await?;
        let receipt = loop {
            let receipt = self
                .call("eth_getTransactionReceipt", json!([hash]))
                .await?;
            if !receipt.is_null() {
                break receipt;
            }
            tokio::time::sleep(POLL).await;
        };
        ensure!(
            receipt["status"] == "0x1",
            "the transaction failed: {receipt}"
        );
        Ok(receipt)
    }

    /// Any JSON-RPC call.
    pub async fn call(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        call(&self.url, method, params).await
    }
}

async fn call(url: &str, method: &str, params: Value) -> anyhow::Result<Value> {
    let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let response = reqwest::Client::new()
        .post(url)
        .json(&request)
        .send()
        .await?;
    let mut answer: Value = response.json().await?;
    ensure!(
        answer.get("error").is_none(),
        "anvil refuses {method}: {}",
        answer["error"]
    );
    Ok(answer["result"].take())
}

/// The program: the one named, else the project's pinned one in this folder or one above it, else the one on the path.
pub fn program(named: Option<&Path>) -> PathBuf {
    if let Some(path) = named {
        return path.into();
    }
    let here = env::current_dir().unwrap_or_default();
    here.ancestors()
        .find_map(|folder| pinned(&folder.join(BUNDLED)))
        .unwrap_or_else(|| "anvil".into())
}

/// The binary package of this platform; the package named `anvil` is a wrapper in JavaScript.
fn pinned(folder: &Path) -> Option<PathBuf> {
    let packages = folder.read_dir().ok()?.flatten();
    packages
        .filter(|package| package.file_name().to_string_lossy().starts_with("anvil-"))
        .map(|package| package.path().join("bin").join("anvil"))
        .find(|path| path.exists())
}
