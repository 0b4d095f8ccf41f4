//! A real EVM: transactions that are lost, no longer wanted, or too cheap.

use std::time::Duration;

use zknode_protocol::{
    agreement::State,
    chain::{ethers::EthersChain, journal::Patience, Call, Chain, ChainError},
    value::{AgreementId, Amount, Hash},
};

use crate::{
    anvil::Anvil,
    scene::{refused, Party, Scene},
};

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
