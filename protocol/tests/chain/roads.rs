//! Both roads from an offer to its settlement, on any chain.

use zknode_protocol::{
    agreement::{Mode, State, Terms},
    chain::{Call, Chain, ChainEvent, ShardProof},
    claim_tree::{ClaimTree, ShardClaim},
    digest::{draw_seed, keccak},
    message::Domain,
    value::{Address, Amount},
};

use crate::scene::{key, refused, Scene};

/// The straight road, with refusals on the way, and both withdrawals.
pub async fn settle<C: Chain>(scene: &mut Scene<C>) {
    let id = scene.open(8).await;
    assert_eq!(scene.state(id).await, State::Open);
    let accept = Call::Accept {
        id,
        value: Amount(500),
    };
    assert_eq!(refused(scene.buyer.run(accept).await), "OnlySeller");
    scene.accept(id).await;
    let ciphertext = keccak(b"ciphertext");
    let chain = &scene.buyer.chain;
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let signed = |by: &str| Call::Acknowledge {
        id,
        ciphertext,
        signature: Some(key(by).sign(domain.receipt_digest(id, ciphertext)).unwrap()),
    };
    assert_eq!(refused(scene.buyer.run(signed("buyer")).await), "NotSigned");
    scene.buyer.run(signed("seller")).await.unwrap();
    scene.seller.run(scene.prove(id, 2, 3)).await.unwrap();
    let half_way = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    assert_eq!(half_way.missing().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(
        (half_way.ciphertext, half_way.valid, half_way.correct),
        (ciphertext, 4, 3)
    );
    let again = scene.prove(id, 2, 3);
    assert_eq!(refused(scene.seller.run(again).await), "ShardAlreadyProven");
    scene.seller.run(scene.prove(id, 0, 3)).await.unwrap();
    let receipt = scene.seller.run(scene.prove(id, 1, 2)).await.unwrap();
    let settled = ChainEvent::Settled {
        id,
        correct: 8,
        passed: true,
    };
    assert!(receipt.events.contains(&settled), "{:?}", receipt.events);
    assert_eq!(scene.state(id).await, State::Settled);
    assert_eq!(scene.credits().await, [0, 1_500]);
    scene
        .seller
        .run(Call::Withdraw {
            token: Address::ZERO,
        })
        .await
        .unwrap();
    assert_eq!(scene.credits().await, [0, 0]);
    let nothing = scene
        .seller
        .run(Call::Withdraw {
            token: Address::ZERO,
        })
        .await;
    assert_eq!(refused(nothing), "NothingToWithdraw");
}

/// Preview, claim, contest, approval: the other road; `mine` makes a block.
pub async fn claim<C: Chain>(scene: &mut Scene<C>, mine: impl AsyncFn()) {
    let terms = Terms {
        mode: Mode::Optimistic,
        buyer_bond: Amount(100),
        preview_fee: Amount(50),
        contest_fee: Amount(40),
        preview_shards: 2,
        window: 500,
        prove_time: 300,
        ..scene.terms(8).await
    };
    let before = scene.credits().await;
    let id = scene.open_with(terms.clone()).await;
    scene.accept(id).await;
    assert_eq!(scene.state(id).await, State::Accepted);
    mine().await;
    mine().await;
    scene.buyer.run(Call::Draw(id)).await.unwrap();
    let drawn = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    let block = scene.buyer.chain.block_at(drawn.draw_block).await.unwrap();
    assert_eq!(drawn.seed, draw_seed(block.unwrap().hash, id));
    let ciphertext = keccak(b"preview");
    scene
        .buyer
        .run(Call::Send { id, ciphertext })
        .await
        .unwrap();
    assert_eq!(scene.state(id).await, State::PreviewSent);
    let signature = None;
    let proceed = Call::Proceed {
        id,
        ciphertext,
        signature,
    };
    assert_eq!(refused(scene.buyer.run(proceed.clone()).await), "NotSigned");
    scene.seller.run(proceed).await.unwrap();
    let acknowledge = Call::Acknowledge {
        id,
        ciphertext,
        signature,
    };
    scene.seller.run(acknowledge).await.unwrap();
    let early = scene.prove(id, 0, 3);
    assert_eq!(refused(scene.seller.run(early).await), "WrongMode");

    let proofs: Vec<ShardProof> = (0..3).map(|index| scene.proof(id, index, 3)).collect();
    let leaf = |proof: &ShardProof| ShardClaim {
        count: proof.shard,
        proof: keccak(&proof.proof.0),
    };
    let tree = ClaimTree::new(proofs.iter().map(leaf).collect()).unwrap();
    let say = Call::Claim {
        id,
        node: tree.top().hash,
        top1: 9,
        topk: 12,
    };
    scene.seller.run(say).await.unwrap();
    let value = Amount(40);
    let contest = |index| Call::Contest { id, index, value };
    assert_eq!(refused(scene.seller.run(contest(1)).await), "OnlyBuyer");
    scene.buyer.run(contest(1)).await.unwrap();
    scene.buyer.run(contest(2)).await.unwrap();
    let contested = scene.buyer.chain.agreement(id).await.unwrap().unwrap();
    assert_eq!((contested.claim, contested.correct), (tree.root(), 9));
    assert_eq!(contested.unanswered().collect::<Vec<_>>(), [1, 2]);
    let summary = scene.buyer.chain.agreement_at_depth(id, 0).await.unwrap();
    let summary = summary.unwrap();
    for (most, expected) in [(16, &[1, 2][..]), (1, &[1])] {
        let unanswered = scene.buyer.chain.unanswered(id, &summary, most).await;
        let unanswered: Vec<_> = unanswered.unwrap().into_iter().collect();
        assert_eq!(unanswered, expected);
    }
    let answer = |index: u32, path| Call::Answer {
        proof: Box::new(proofs[index as usize].clone()),
        path,
    };
    let elsewhere = answer(1, tree.path(0).unwrap());
    assert_eq!(
        refused(scene.seller.run(elsewhere).await),
        "ShardNotInClaim"
    );
    for index in [1, 2] {
        let call = answer(index, tree.path(index).unwrap());
        scene.seller.run(call).await.unwrap();
    }
    assert_eq!(scene.state(id).await, State::Claimed);
    let chain = &scene.buyer.chain;
    let domain = Domain {
        chain_id: chain.chain_id(),
        escrow: chain.contracts().escrow,
    };
    let signature = key("buyer").sign(domain.approval_digest(id, tree.root()));
    let signature = Some(signature.unwrap());
    let approve = Call::Approve { id, signature };
    let receipt = scene.seller.run(approve).await.unwrap();
    assert!(receipt.events.contains(&ChainEvent::Approved(id)));
    assert_eq!(scene.state(id).await, State::Settled);
    let after = scene.credits().await;
    assert_eq!(after, [before[0] + 100, before[1] + 1_580]);
}
