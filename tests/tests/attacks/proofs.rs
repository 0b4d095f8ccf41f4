//! Proofs that prove something else: each is claimed, contested, brought to the chain and refused, and the seller loses
//! its bond. The true one is accepted once, whoever brings it.

use zknode::{
    card::shard_claim,
    testset::{model_points, shard_points},
};
use zknode_circuit::{attestation::Context as ProofContext, verify::Attestation};
use zknode_protocol::{
    agreement::{Mode, State},
    chain::{Call, Chain, ShardProof},
    claim_tree::ShardClaim,
    digest::proof_context,
    value::AgreementId,
};
use zknode_tests::{
    hands::Hands,
    lab::{
        commit_model, contest, inflated, invented, Lab, TestSet, BOND, BUYER_BOND, CONTEST_FEE,
        PRICE,
    },
    tiny::{self, labelled},
};

/// 13 samples in two shards, the first 6 of them right.
fn test_set(lab: &Lab) -> anyhow::Result<TestSet> {
    lab.commit(&labelled(&lab.model.network, 13, 6)?)
}

/// A delivered agreement about it.
async fn delivered(lab: &Lab, set: &TestSet, mode: Mode) -> anyhow::Result<AgreementId> {
    let terms = lab.terms(set, 9, mode).await?;
    lab.bring_to(terms, State::Delivered).await
}

/// Claims leaves over `proof`'s shard, has it contested and brings it: the chain says `refusal`, and at the deadline
/// everything is the buyer's.
async fn costs_the_bond(
    lab: &Lab,
    id: AgreementId,
    (what, leaf, proof): (&str, ShardClaim, ShardProof),
    refusal: &str,
) -> anyhow::Result<()> {
    let (valid, index) = (5, 1);
    let mut other = invented(&leaf);
    (other.count.index, other.count.valid) = (index, valid);
    (other.count.top1, other.count.topk) = (valid, valid);
    let tree = lab.claim(id, vec![leaf, other]).await?;
    lab.buyer.must(contest(id, 0)).await?;
    let answer = Call::Answer {
        proof: Box::new(proof),
        path: tree.path(0)?,
    };
    assert_eq!(lab.seller.refused(answer).await?, refusal, "{what}");
    let paid = lab.expire(id).await?;
    assert_eq!(lab.state(id).await?, State::Slashed, "{what}");
    let all = PRICE + BUYER_BOND + BOND + CONTEST_FEE;
    assert_eq!(paid, (0, all), "{what}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_bound_elsewhere_costs_the_bond() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = test_set(&lab)?;
    let chain = &lab.seller.chain;
    let (chain_id, escrow) = (chain.chain_id(), chain.contracts().escrow);
    let (seller, buyer) = (chain.account(), lab.buyer.chain.account());
    let stranger = lab.stage.stranger().await?;
    let stranger = Hands::of(&lab.stage, &stranger, "stranger").await?;
    // An agreement of another buyer about the same test set.
    let terms = lab.terms(&set, 9, Mode::Optimistic).await?;
    let (of_another_buyer, _) = stranger.open(Call::Open(terms)).await?;
    let earlier = delivered(&lab, &set, Mode::Optimistic).await?;
    type Bound = fn(AgreementId, Elsewhere) -> [u8; 32];
    let elsewhere: [(&str, Bound); 6] = [
        ("another agreement", |_, at| {
            proof_context(at.chain_id, at.escrow, at.earlier, 0, at.seller)
        }),
        ("another buyer's agreement", |_, at| {
            proof_context(at.chain_id, at.escrow, at.of_another_buyer, 0, at.seller)
        }),
        ("another chain", |id, at| {
            proof_context(1, at.escrow, id, 0, at.seller)
        }),
        ("another escrow", |id, at| {
            proof_context(at.chain_id, at.buyer, id, 0, at.seller)
        }),
        ("another payee", |id, at| {
            proof_context(at.chain_id, at.escrow, id, 0, at.buyer)
        }),
        ("another shard", |id, at| {
            proof_context(at.chain_id, at.escrow, id, 1, at.seller)
        }),
    ];
    let at = Elsewhere {
        chain_id,
        escrow,
        earlier,
        of_another_buyer,
        seller,
        buyer,
    };
    for (what, context) in elsewhere {
        let id = delivered(&lab, &set, Mode::Optimistic).await?;
        let proven = lab.attest_for(&set, 0, ProofContext(context(id, at)))?;
        let proof = lab.shard_proof(&set, id, 0, &proven)?;
        let what = (what, shard_claim(0, &proven), proof);
        costs_the_bond(&lab, id, what, "ProofRejected").await?;
    }
    Ok(())
}

/// What a proof may be bound to instead.
#[derive(Clone, Copy)]
struct Elsewhere {
    chain_id: u64,
    escrow: zknode_protocol::value::Address,
    earlier: AgreementId,
    of_another_buyer: AgreementId,
    seller: zknode_protocol::value::Address,
    buyer: zknode_protocol::value::Address,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_something_else_costs_the_bond() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = test_set(&lab)?;
    // A model that was never registered, of the same architecture.
    let other = tiny::network(2);
    let swapped = commit_model(&lab, &other)?;
    // The same images with the wrong labels turned right.
    let flipped = lab.commit(&labelled(&lab.model.network, 13, 13)?)?;
    type Made = (&'static str, Attestation, &'static str);
    for case in 0..5 {
        let id = delivered(&lab, &set, Mode::Optimistic).await?;
        let context = lab.context(id, 0);
        let (what, proven, refusal): Made = match case {
            0 => (
                "a swapped model, as it is",
                lab.prove((&other, &swapped), &set, 0, context)?,
                "ModelPointsMismatch",
            ),
            1 => (
                "a swapped model under the registered name",
                lab.prove((&other, &swapped), &set, 0, context)?,
                "ProofRejected",
            ),
            2 => (
                "other labels, as they are",
                lab.attest_for(&flipped, 0, context)?,
                "ShardNotInDataset",
            ),
            3 => (
                "other labels under the agreed commitment",
                lab.attest_for(&flipped, 0, context)?,
                "ProofRejected",
            ),
            _ => (
                "a count one higher than proven",
                lab.attest(&set, id, 0)?,
                "ProofRejected",
            ),
        };
        let mut leaf = shard_claim(0, &proven);
        let mut proof = lab.shard_proof(&set, id, 0, &proven)?;
        match case {
            1 => proof.model_points = model_points(&lab.model.record.commitment),
            3 => proof.shard_points = shard_points(&set.committed[0].column().commitment()),
            4 => {
                leaf = inflated(leaf, 1);
                proof.shard = leaf.count;
            }
            _ => {}
        }
        costs_the_bond(&lab, id, (what, leaf, proof), refusal).await?;
    }
    Ok(())
}

/// The totals say more than the proofs: no opening fits the proven counts.
#[tokio::test(flavor = "multi_thread")]
async fn an_inflated_leaf_costs_the_bond() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = test_set(&lab)?;
    let id = delivered(&lab, &set, Mode::Optimistic).await?;
    let proven = [lab.attest(&set, id, 0)?, lab.attest(&set, id, 1)?];
    // None of the five of the second shard is right, and one is claimed.
    assert_eq!(proven[1].statement.top1, 0);
    let claimed = vec![
        shard_claim(0, &proven[0]),
        inflated(shard_claim(1, &proven[1]), 1),
    ];
    let tree = lab.claim(id, claimed).await?;
    lab.buyer.must(contest(id, 1)).await?;
    let brought = |count| -> anyhow::Result<Call> {
        let mut proof = lab.shard_proof(&set, id, 1, &proven[1])?;
        proof.shard.top1 = count;
        Ok(Call::Answer {
            proof: Box::new(proof),
            path: tree.path(1)?,
        })
    };
    // The proven count is not in the claim, the claimed one is not proven.
    assert_eq!(lab.seller.refused(brought(0)?).await?, "ShardNotInClaim");
    assert_eq!(lab.seller.refused(brought(1)?).await?, "ProofRejected");
    let all = PRICE + BUYER_BOND + BOND + CONTEST_FEE;
    assert_eq!(lab.expire(id).await?, (0, all));
    Ok(())
}

/// Whoever copies an answer out of the mempool and brings it first pays the gas; the seller earns the fee.
#[tokio::test(flavor = "multi_thread")]
async fn a_copied_proof_pays_the_seller_and_counts_once() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = test_set(&lab)?;
    let stranger = lab.stage.stranger().await?;
    let stranger = Hands::of(&lab.stage, &stranger, "stranger").await?;
    let id = delivered(&lab, &set, Mode::Optimistic).await?;
    let proven = [lab.attest(&set, id, 0)?, lab.attest(&set, id, 1)?];
    let leaves = (0..)
        .zip(&proven)
        .map(|(index, proven)| shard_claim(index, proven));
    let tree = lab.claim(id, leaves.collect()).await?;
    for index in [0, 1] {
        lab.buyer.must(contest(id, index)).await?;
    }
    let answer = Call::Answer {
        proof: Box::new(lab.shard_proof(&set, id, 0, &proven[0])?),
        path: tree.path(0)?,
    };
    stranger.must(answer.clone()).await?;
    let token = zknode_protocol::value::Address::ZERO;
    let earned = |who: &Hands| {
        let (chain, account) = (lab.buyer.chain.clone(), who.chain.account());
        async move { chain.credit(account, token).await.map(|credit| credit.0) }
    };
    assert_eq!(earned(&stranger).await?, 0);
    assert_eq!(earned(&lab.seller).await?, CONTEST_FEE);
    // The same proof again, by anybody: refused.
    assert_eq!(lab.seller.refused(answer).await?, "ShardAlreadyProven");
    assert_eq!(
        lab.buyer.refused(contest(id, 0)).await?,
        "ShardAlreadyContested"
    );
    Ok(())
}

/// Only the shards that look good are proven: one missing is all missing.
#[tokio::test(flavor = "multi_thread")]
async fn favourable_shards_alone_cost_the_bond() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = test_set(&lab)?;
    // Eager: the better shard is proven, twice if it could be, and the second withheld.
    let id = delivered(&lab, &set, Mode::Eager).await?;
    let proven = lab.attest(&set, id, 0)?;
    let prove = Call::ProveShard(Box::new(lab.shard_proof(&set, id, 0, &proven)?));
    lab.seller.must(prove.clone()).await?;
    assert_eq!(lab.seller.refused(prove).await?, "ShardAlreadyProven");
    let all = PRICE + BUYER_BOND + BOND;
    assert_eq!(lab.expire(id).await?, (0, all));
    // By claim: the second is invented, contested, and has no proof.
    let id = delivered(&lab, &set, Mode::Optimistic).await?;
    let proven = [lab.attest(&set, id, 0)?, lab.attest(&set, id, 1)?];
    let second = inflated(invented(&shard_claim(1, &proven[1])), 4);
    let tree = lab
        .claim(id, vec![shard_claim(0, &proven[0]), second])
        .await?;
    lab.buyer.must(contest(id, 1)).await?;
    let answer = Call::Answer {
        proof: Box::new(lab.shard_proof(&set, id, 1, &proven[1])?),
        path: tree.path(1)?,
    };
    assert_eq!(lab.seller.refused(answer).await?, "ShardNotInClaim");
    assert_eq!(lab.expire(id).await?, (0, all + CONTEST_FEE));
    Ok(())
}
