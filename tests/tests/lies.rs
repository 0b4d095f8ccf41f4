//! A seller that claims more than it can prove: the buyer sees it in the first shard's evidence, contests, and the bond
//! is lost, on a real chain with real proofs.
#![allow(clippy::unwrap_used)]

use serde_json::{json, Value};
use zknode::{config::ChainConfig, home::Home, keys, seller::event::Event};
use zknode_protocol::{
    chain::{Call, Chain},
    digest::keccak,
    value::AgreementId,
};
use zknode_tests::stage::{until, Stage};

/// Sends a claim of everything under the seller's key, over a tree that holds nothing.
async fn claim_everything(stage: &Stage, id: AgreementId) -> anyhow::Result<()> {
    let home = Home::open(stage.seller.home())?;
    let password = stage.folder.path().join("seller.password");
    let key = keys::account(&home, Some(&password))?;
    let chain = ChainConfig::load(&home)?.connect_checked(key).await?;
    let call = Call::Claim {
        id,
        node: keccak(b"nothing"),
        top1: 13,
        topk: 13,
    };
    let fees = chain.market().await?.first();
    let nonce = chain.next_nonce().await?;
    let tx = chain.sign(&call, nonce, fees).await?;
    chain.broadcast(&tx).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inflated_claim_costs_the_bond() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    // 9 of 13 are right; the seller would be paid for 9, and claims 13.
    let wish = [
        "--threshold",
        "9",
        "--answer-within",
        "500s",
        "--contest-fee",
        "40",
    ];
    let mut challenge = stage.buyer.start(stage.challenge(&url, 13, 9, &wish)?)?;
    let id = until(&mut serving, |event| match event {
        Event::Acknowledged { agreement } => Some(*agreement),
        _ => None,
    })
    .await?;
    // Its honest claim is caught on the way out.
    stage.hold_back().await?;
    stage.until_pending().await?;
    serving.stop().await?;
    stage
        .anvil
        .call("anvil_dropAllTransactions", json!([]))
        .await?;
    stage.anvil.call("evm_setAutomine", json!([true])).await?;
    claim_everything(&stage, id).await?;
    stage.anvil.tick();
    let (serving, _) = stage.serve().await?;
    for _ in 0..2 {
        challenge.until_it_says("contested,").await?;
    }
    stage.pass(501).await?;
    let answer: Value = challenge.next().await?;
    let outcome = &answer["outcome"];
    assert_eq!(outcome["state"], "Slashed", "{answer}");
    // Price and bond, and the fees of both contests.
    assert_eq!(outcome["withdrawn"], "1002080", "{answer}");
    assert_eq!(outcome["passed"], false, "{answer}");
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}
