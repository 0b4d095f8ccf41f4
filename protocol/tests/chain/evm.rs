//! A real EVM: both roads, every deadline, and every trouble by its name.

use std::time::Duration;

use zknode_protocol::{
    agreement::State,
    chain::{
        created_contract,
        ethers::{Config, EthersChain, PRIORITY_FEE},
        Call, Chain, ChainError, Contracts, Kind,
    },
    digest::keccak,
    value::{Address, AgreementId, Amount, Bytes, Data, Hash},
};

use crate::{
    anvil::Anvil,
    roads::{claim, settle},
    scene::{key, refused},
};

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
        lost.check_contracts(Kind::Escrow).await.err(),
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
    let other = scene.seller.chain.check_contracts(Kind::Retrieval).await;
    assert!(
        matches!(
            &other,
            Err(ChainError::OtherContract { expected: "zknode Retrieval", got, .. }) if got == "zknode Escrow"
        ),
        "{other:?}"
    );
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
