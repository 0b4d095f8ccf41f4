//! The chain reorganizes at every step, by 1 to 5 blocks: what is lost is sent again, and the agreement ends as it would
//! have. In one run each step meets one depth; the other depths at every step are run by
//! `cargo test --release -p zknode-tests --test reorgs -- --ignored`, about three minutes.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use zknode::{demo::role::Role, seller::event::Event};
use zknode_tests::stage::{over, Stage};

/// Blocks on top of what is believed: as many as are thrown away at most.
const CONFIRMATIONS: u64 = 5;

/// A node that believes what is so deep.
fn believe_at_depth(role: &Role) -> anyhow::Result<()> {
    let path = role.home().join("chain.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    config["confirmations"] = CONFIRMATIONS.into();
    Ok(std::fs::write(path, serde_json::to_vec(&config)?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_survives_a_reorganization() -> anyhow::Result<()> {
    reorganize_at_every_step(0).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "each takes as long as the one above, and waits for blocks only"]
async fn every_step_survives_each_depth() -> anyhow::Result<()> {
    for first in 1..CONFIRMATIONS {
        reorganize_at_every_step(first).await?;
    }
    Ok(())
}

/// The first step meets a depth of `first` + 1 blocks, each further one a block more, from 5 on to 1 again.
async fn reorganize_at_every_step(first: u64) -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    believe_at_depth(&stage.seller)?;
    believe_at_depth(&stage.buyer)?;
    let (mut serving, url) = stage.serve().await?;
    let contest = ["--threshold", "9", "--contest", "0", "--contest-fee", "500"];
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &contest)?)?;
    let mut depth = first;
    let paid = loop {
        let event: Event = serving.next().await?;
        if let Some(paid) = over(&event) {
            break paid;
        }
        depth = depth % CONFIRMATIONS + 1;
        stage.reorganize(depth).await?;
    };
    // Price, bond, and the fee of one contest.
    assert_eq!(paid, 1_002_500);
    let answer: Value = challenge.next().await?;
    assert_eq!(answer["outcome"]["state"], "Settled", "{answer}");
    assert_eq!(answer["outcome"]["passed"], true, "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}
