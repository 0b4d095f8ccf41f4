//! A chain that is down, another one, a poor account, contracts that are not there, agreements that are not ours: each
//! gets exit code 2 and an error that says so, and no money moves.
#![allow(clippy::unwrap_used)]

use std::{fs, path::PathBuf, process::Output};

use serde_json::{json, Value};
use zknode::{demo::role::Role, progress::Progress, seller::event::Event};
use zknode_tests::{
    program::zknode,
    stage::{over, until, Stage},
};

/// Runs a command as `role`: exit code and stderr.
async fn run(role: &Role, arguments: &[PathBuf]) -> anyhow::Result<(Option<i32>, String)> {
    let Output { status, stderr, .. } = role.command().args(arguments).output().await?;
    let words = String::from_utf8_lossy(&stderr).into_owned();
    assert!(!words.contains("panicked"), "{words}");
    Ok((status.code(), words))
}

async fn refuses(role: &Role, arguments: &str, words: &[&str]) -> anyhow::Result<()> {
    let arguments: Vec<PathBuf> = arguments.split_whitespace().map(PathBuf::from).collect();
    refuses_all(role, &arguments, words).await
}

async fn refuses_all(role: &Role, arguments: &[PathBuf], words: &[&str]) -> anyhow::Result<()> {
    let (code, said) = run(role, arguments).await?;
    assert_eq!(code, Some(2), "{arguments:?}: {said}");
    for words in words {
        assert!(
            said.contains(words),
            "{arguments:?}: expected {words:?} in: {said}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn chains_accounts_and_contracts() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (seller, buyer, url) = (&stage.seller, &stage.buyer, stage.anvil.url());
    let contracts: Value = serde_json::from_slice(&fs::read(buyer.home().join("chain.json"))?)?;
    let (registry, escrow) = (&contracts["registry"], &contracts["escrow"]);
    let (registry, escrow) = (registry.as_str().unwrap(), escrow.as_str().unwrap());
    let use_them = |rpc: &str, id: u64, registry: &str, escrow: &str| {
        format!("contract use --rpc {rpc} --chain-id {id} --registry {registry} --escrow {escrow}")
    };
    // Nobody there; another chain; accounts without code; the two mixed up.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let dead = format!("http://{closed}");
    refuses(buyer, &use_them(&dead, 31_337, registry, escrow), &[&dead]).await?;
    refuses(
        buyer,
        &use_them(url, 1, registry, escrow),
        &["chain", "31337", "1"],
    )
    .await?;
    let empty = "0x00000000000000000000000000000000000000aa";
    refuses(buyer, &use_them(url, 31_337, empty, escrow), &[empty]).await?;
    refuses(
        buyer,
        &use_them(url, 31_337, escrow, registry),
        &["is not an escrow"],
    )
    .await?;
    // The configuration that worked is still there.
    let again = fs::read(buyer.home().join("chain.json"))?;
    assert_eq!(serde_json::from_slice::<Value>(&again)?, contracts);

    // Wrong password; a second account.
    let password = stage.folder.path().join("seller.password");
    let right = fs::read(&password)?;
    fs::write(&password, "wrong\n")?;
    refuses(seller, "account show", &["account.json", "does not open"]).await?;
    fs::write(&password, right)?;
    refuses(seller, "account new", &["exists already"]).await?;

    // Agreements that are unknown, malformed.
    let unknown = format!("0x{}", "ab".repeat(32));
    refuses(
        buyer,
        &format!("escrow status {unknown}"),
        &["no agreement", &unknown],
    )
    .await?;
    refuses(
        buyer,
        &format!("escrow refund {unknown}"),
        &["no agreement"],
    )
    .await?;
    refuses(buyer, "escrow status 0x12", &["0x12"]).await?;

    // A seller that is not there, one that offers another model, a buyer that cannot pay.
    let nobody = stage.challenge(&dead, 9, 9, &["--threshold", "9"])?;
    refuses_all(buyer, &nobody, &["cannot be reached"]).await?;
    let (mut serving, url) = stage.serve().await?;
    let other = stage.challenge(&url, 9, 9, &["--threshold", "9", "--model", &unknown])?;
    refuses_all(buyer, &other, &["offers model", &unknown]).await?;
    let many = stage.challenge(&url, 9, 9, &["--threshold", "10"])?;
    refuses_all(buyer, &many, &["at most 9", "10"]).await?;
    let before = stage.transactions(stage.buyer_account).await?;
    let mut costly = stage.challenge(&url, 9, 9, &["--threshold", "9"])?;
    let price = costly
        .iter()
        .position(|argument| argument.as_os_str() == "1000000");
    costly[price.unwrap()] = "11ether".into();
    refuses_all(buyer, &costly, &["no money moved"]).await?;
    assert_eq!(stage.transactions(stage.buyer_account).await?, before);

    // An agreement that is over, or somebody else's.
    let mut challenge = buyer.start(stage.challenge(&url, 10, 9, &["--threshold", "9"])?)?;
    let id = until(&mut serving, |event| match event {
        Event::Offered { agreement } => Some(agreement.to_string()),
        _ => None,
    })
    .await?;
    refuses(seller, &format!("escrow refund {id}"), &[]).await?;
    until(&mut serving, over).await?;
    challenge.next::<Value>().await?;
    let program = zknode();
    let stranger = Role::new("other", &program, stage.folder.path(), Progress::new());
    let (stranger, account) = stranger.await?;
    stage
        .anvil
        .call("anvil_setBalance", json!([account, "0xde0b6b3a7640000"]))
        .await?;
    stranger
        .run::<Value>(use_them(stage.anvil.url(), 31_337, registry, escrow).split_whitespace())
        .await?;
    refuses(&stranger, &format!("escrow settle {id}"), &["is between"]).await?;
    let (code, said) = run(buyer, &["escrow".into(), "status".into(), id.into()]).await?;
    assert_eq!(code, Some(0), "{said}");
    serving.stop().await
}
