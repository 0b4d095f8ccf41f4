//! A seller and a buyer on a chain of their own, with a registered model.

use std::{
    env,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    time::Duration,
};

use rand::Rng;
use serde_json::{json, Value};
use tempfile::TempDir;
use zknode::{
    demo::{
        anvil::{self, Anvil},
        role::{Role, Running},
    },
    output::Answer,
    progress::Progress,
    seller::event::Event,
};
use zknode_circuit::network::Network;
use zknode_protocol::value::{Address, Amount, ModelId};

use crate::{program::zknode, tiny};

/// What each side starts with.
const FUNDS: Amount = Amount(10 * 1_000_000_000_000_000_000);

/// The stage.
pub struct Stage {
    /// Everything on disk.
    pub folder: TempDir,
    /// The chain.
    pub anvil: Anvil,
    /// The seller, its model registered.
    pub seller: Role,
    /// Its account.
    pub seller_account: Address,
    /// The buyer, who knows the contracts.
    pub buyer: Role,
    /// Its account.
    pub buyer_account: Address,
    /// The escrow.
    pub escrow: Address,
    /// The seller's model.
    pub model: ModelId,
    /// Its network.
    pub network: Network,
    compiler: PathBuf,
    /// Where the seller listens, before and after every crash.
    listen: SocketAddr,
}

impl Stage {
    /// Sets it up; `None`, with the reason printed, where anvil or the compiler is not installed.
    /// `ZKNODE_REQUIRE_ANVIL=1` makes the absence a failure.
    pub async fn new() -> anyhow::Result<Option<Self>> {
        Self::with(tiny::network(1)).await
    }

    /// The same with another model.
    pub async fn with(network: Network) -> anyhow::Result<Option<Self>> {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let compiler = root.join("contracts/bin/compile-verifier");
        let named = env::var_os("ZKNODE_ANVIL").map(PathBuf::from);
        let program = anvil::program(named.as_deref());
        if !program.exists() || !root.join("contracts/node_modules/solc").exists() {
            let reason = "anvil or solc is missing: run `npm install --no-save` in contracts";
            anyhow::ensure!(env::var_os("ZKNODE_REQUIRE_ANVIL").is_none(), reason);
            println!("skipped: {reason}");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let anvil = Anvil::start(&program).await?;
        anvil.tick();
        let zknode = zknode();
        let role = |name| Role::new(name, &zknode, folder.path(), Progress::new());
        let (seller, seller_account) = role("seller").await?;
        let (buyer, buyer_account) = role("buyer").await?;
        for account in [seller_account, buyer_account] {
            anvil.fund(account, FUNDS).await?;
        }
        let deploy = ["contract", "deploy", "--rpc", anvil.url()];
        let (contracts, _): (Value, _) = seller.run(deploy).await?;
        let text = |field: &str| contracts[field].as_str().unwrap_or_default().to_owned();
        let mut connect = vec!["contract", "use", "--rpc", anvil.url()];
        let (registry, escrow) = (text("registry"), text("escrow"));
        connect.extend(["--registry", &registry, "--escrow", &escrow]);
        buyer.run::<Value>(connect).await?;
        let model = folder.path().join("tiny.zkm");
        tiny::write_model(&network, &model)?;
        let mut register: Vec<PathBuf> = vec!["model".into(), "register".into(), model];
        register.extend(tiny::LAYOUT.map(PathBuf::from));
        register.extend(["--stake".into(), "1gwei".into()]);
        register.extend(["--compiler".into(), compiler.clone()]);
        let (registered, _): (Value, _) = seller.run(register).await?;
        let listen = free_address();
        Ok(Some(Self {
            folder,
            anvil,
            seller,
            seller_account,
            buyer,
            buyer_account,
            escrow: escrow.parse()?,
            model: serde_json::from_value(registered["model"].clone())?,
            network,
            compiler,
            listen,
        }))
    }

    /// Starts the seller's node: it, and where it listens.
    pub async fn serve(&self) -> anyhow::Result<(Running, String)> {
        self.serve_for(&[]).await
    }

    /// The same with more arguments. The amounts of these tests are wei, small enough to be told apart; gas alone is
    /// dearer, and no rational party would take part.
    pub async fn serve_for(&self, more: &[&str]) -> anyhow::Result<(Running, String)> {
        let mut all = vec!["--accept-risk"];
        all.extend(more);
        self.serve_rationally(&all).await
    }

    /// A seller that takes no risk.
    pub async fn serve_rationally(&self, more: &[&str]) -> anyhow::Result<(Running, String)> {
        let listen = self.listen.to_string();
        let arguments = ["seller", "serve", "--listen", &listen];
        let policy = ["--time-per-shard", "1s", "--price-per-sample", "1"];
        let policy = policy.into_iter().chain(["--shortest-answer", "10s"]);
        let arguments = arguments.into_iter().chain(policy);
        let arguments = arguments.chain(more.iter().copied());
        let mut serving = self.seller.start(arguments)?;
        match serving.next().await? {
            Event::Listening { url, .. } => Ok((serving, url)),
            other => anyhow::bail!("expected the seller to listen, got {other}"),
        }
    }

    /// Arguments of a buyer's challenge: `samples` of which `correct` are right, and what else is wanted.
    pub fn challenge(
        &self,
        url: &str,
        samples: usize,
        correct: usize,
        more: &[&str],
    ) -> anyhow::Result<Vec<PathBuf>> {
        let mut all = vec!["--price", "1000000", "--bond", "2000", "--penalty", "300"];
        all.push("--accept-risk");
        for fee in ["--buyer-bond", "--preview-fee", "--contest-fee"] {
            if !more.contains(&fee) {
                all.extend([fee, "0"]);
            }
        }
        all.extend(more);
        self.challenge_rationally(url, samples, correct, &all)
    }

    /// The same, of a buyer that takes no risk and names no amount.
    pub fn challenge_rationally(
        &self,
        url: &str,
        samples: usize,
        correct: usize,
        more: &[&str],
    ) -> anyhow::Result<Vec<PathBuf>> {
        let folder = self.folder.path().join(format!("{samples}-{correct}"));
        let dataset = tiny::write_dataset(&self.network, &folder, samples, correct)?;
        let mut arguments: Vec<PathBuf> = vec!["buyer".into(), "challenge".into()];
        arguments.extend(["--seller".into(), url.into()]);
        arguments.extend(["--dataset".into(), dataset]);
        arguments.extend(more.iter().map(PathBuf::from));
        arguments.extend(self.compiler());
        Ok(arguments)
    }

    /// Runs the one challenge the buyer left unfinished.
    pub async fn resume(&self) -> anyhow::Result<(Value, Answer)> {
        let (mut answer, verdict): (Value, _) = self.buyer.run(self.resumption()).await?;
        Ok((answer["challenges"][0].take(), verdict))
    }

    /// Starts it, to be killed.
    pub fn start_resume(&self) -> anyhow::Result<Running> {
        self.buyer.start(self.resumption())
    }

    fn resumption(&self) -> impl Iterator<Item = PathBuf> {
        ["buyer".into(), "resume".into()].into_iter()
    }

    /// The argument that names the compiler.
    pub fn compiler(&self) -> [PathBuf; 2] {
        ["--compiler".into(), self.compiler.clone()]
    }

    /// Moves the chain's clock on.
    pub async fn pass(&self, seconds: u64) -> anyhow::Result<()> {
        let call = |method, params| self.anvil.call(method, params);
        call("evm_increaseTime", json!([seconds])).await?;
        call("evm_mine", json!([])).await?;
        Ok(())
    }

    /// Makes blocks, all at once.
    pub async fn blocks(&self, count: u64) -> anyhow::Result<()> {
        self.anvil.call("anvil_mine", json!([count])).await?;
        Ok(())
    }

    /// Throws the newest blocks away, with what was in them, and makes as many empty ones.
    pub async fn reorganize(&self, depth: u64) -> anyhow::Result<()> {
        self.anvil.call("anvil_reorg", json!([depth, []])).await?;
        Ok(())
    }

    /// Somebody else with an account, who knows the contracts.
    pub async fn stranger(&self) -> anyhow::Result<Role> {
        let name = "stranger";
        let program = zknode();
        let new = Role::new(name, &program, self.folder.path(), Progress::new());
        let (stranger, account) = new.await?;
        self.anvil.fund(account, FUNDS).await?;
        std::fs::copy(
            self.buyer.home().join("chain.json"),
            stranger.home().join("chain.json"),
        )?;
        Ok(stranger)
    }

    /// Transactions an account ever made.
    pub async fn transactions(&self, account: Address) -> anyhow::Result<u64> {
        let count = self
            .anvil
            .call("eth_getTransactionCount", json!([account, "latest"]));
        number(&count.await?)
    }

    /// Lets every transaction wait until [`Stage::mine`].
    pub async fn hold_back(&self) -> anyhow::Result<()> {
        self.anvil.stand_still();
        self.anvil.call("evm_setAutomine", json!([false])).await?;
        Ok(())
    }

    /// Waits until a transaction waits.
    pub async fn until_pending(&self) -> anyhow::Result<()> {
        loop {
            let pool = self.anvil.call("txpool_status", json!([])).await?;
            if number(&pool["pending"])? > 0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Puts what waits into a block, and what comes later at once.
    pub async fn mine(&self) -> anyhow::Result<()> {
        self.anvil.call("evm_mine", json!([])).await?;
        // And the block that draws a preview, should that have been an acceptance.
        self.blocks(2).await?;
        self.anvil.call("evm_setAutomine", json!([true])).await?;
        self.anvil.tick();
        Ok(())
    }

    /// A fresh ERC-20 token of which both sides have `amount`.
    pub async fn token(&self, amount: u128) -> anyhow::Result<Address> {
        let artifact = include_str!("../../contracts/artifacts/test/TestToken.json");
        let artifact: Value = serde_json::from_str(artifact)?;
        let deployed = self
            .anvil
            .transact(json!({ "data": artifact["bytecode"] }))
            .await?;
        let token = &deployed["contractAddress"];
        for account in [self.seller_account, self.buyer_account] {
            // mint(address,uint256)
            let account = hex::encode(account.0);
            let data = format!("0x40c10f19{account:0>64}{amount:064x}");
            self.anvil
                .transact(json!({ "to": token, "data": data }))
                .await?;
        }
        Ok(serde_json::from_value(token.clone())?)
    }

    /// What an account has of a token.
    pub async fn tokens(&self, token: Address, account: Address) -> anyhow::Result<u128> {
        // balanceOf(address)
        let data = format!("0x70a08231{:0>64}", hex::encode(account.0));
        let call = json!([{ "to": token, "data": data }, "latest"]);
        let word = self.anvil.call("eth_call", call).await?;
        let digits = word.as_str().unwrap_or_default().trim_start_matches("0x");
        Ok(u128::from_str_radix(digits, 16)?)
    }

    /// What the escrow holds: nothing, once everybody has withdrawn.
    pub async fn held(&self) -> anyhow::Result<Amount> {
        self.anvil.balance(self.escrow).await
    }
}

/// An address that stays free while the seller is down: below the ports that systems hand out by themselves, from which
/// connections and other tests take theirs.
fn free_address() -> SocketAddr {
    loop {
        let port = rand::thread_rng().gen_range(20_000..30_000);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// Waits for the first event that `wanted` takes something from.
pub async fn until<T>(
    serving: &mut Running,
    wanted: impl Fn(&Event) -> Option<T>,
) -> anyhow::Result<T> {
    loop {
        let event: Event = serving.next().await?;
        if let Some(found) = wanted(&event) {
            return Ok(found);
        }
    }
}

fn number(value: &Value) -> anyhow::Result<u64> {
    let digits = value.as_str().and_then(|text| text.strip_prefix("0x"));
    let digits = digits.ok_or_else(|| anyhow::anyhow!("expected a number, got {value}"))?;
    Ok(u64::from_str_radix(digits, 16)?)
}

/// What the seller took in the end.
pub fn over(event: &Event) -> Option<u128> {
    match event {
        Event::Over { withdrawn, .. } => Some(withdrawn.0),
        _ => None,
    }
}
