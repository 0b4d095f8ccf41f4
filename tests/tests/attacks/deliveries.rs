//! Deliveries that are not what was agreed, to a real seller's node: it denies them, both sides' money burns, nobody
//! gains.

use rand::{rngs::StdRng, SeedableRng};
use serde_json::Value;
use zknode::{
    buyer::Client,
    card::write_delivery,
    delivery::{self, ShardOpening},
    output::Answer,
    seller::event::Event,
    testset::shard_points,
};
use zknode_protocol::{
    agreement::{Mode, State, NOBODY},
    chain::{Call, Chain},
    digest::keccak,
    message::{Domain, ManifestShard, Offer, PreviewManifest, PreviewShard, Version},
    sampling::draw_shards,
    value::Address,
};
use zknode_tests::{
    lab::{Lab, TestSet, BOND, BUYER_BOND, PREVIEW_FEE, PRICE},
    stage::{over, until, Stage},
    tiny::labelled,
};

/// What lies burnt in the escrow's books.
async fn burnt(lab: &Lab) -> anyhow::Result<u128> {
    Ok(lab.buyer.chain.credit(NOBODY, Address::ZERO).await?.0)
}

fn refused(event: &Event) -> Option<String> {
    match event {
        Event::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    }
}

fn drawn(event: &Event) -> Option<()> {
    matches!(event, Event::Drawn { .. }).then_some(())
}

/// A box of these openings under the manifest of that test set.
fn preview(
    set: &TestSet,
    id: zknode_protocol::value::AgreementId,
    drawn: &[u32],
    openings: &[ShardOpening],
    key: &[u8; 32],
) -> anyhow::Result<Vec<u8>> {
    let sealed = delivery::seal(openings, key, &mut StdRng::from_entropy())?;
    let shard = |index: &u32| {
        let committed = &set.committed[*index as usize];
        Ok(PreviewShard {
            index: *index,
            shard: ManifestShard {
                valid: set.openings[*index as usize].samples.len() as u32,
                points: shard_points(&committed.column().commitment()),
            },
            path: set.tree.path(*index)?,
        })
    };
    let manifest = PreviewManifest {
        version: Version,
        agreement: id,
        ciphertext_hash: keccak(&sealed),
        ciphertext_bytes: sealed.len() as u64,
        shards: drawn.iter().map(shard).collect::<anyhow::Result<_>>()?,
    };
    Ok(write_delivery(&manifest, &sealed)?)
}

/// A buyer by hand shows other pixels than it committed to, or noise, and says on chain that it delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_garbled_test_set_is_denied() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let set = lab.commit(&labelled(&lab.model.network, 13, 13)?)?;
    let (mut serving, url) = lab.stage.serve().await?;
    let client = Client::new(&url)?;
    let key = client.model().await?.seller.reading_key.0;
    type Garble = fn(&mut ShardOpening);
    let cases: [(&str, Garble); 3] = [
        ("does not open its commitment", |opening| {
            opening.samples[0].pixels[0] ^= 1
        }),
        ("does not open its commitment", |opening| {
            opening.samples[0].label ^= 1
        }),
        ("samples", |opening| {
            opening.samples.pop();
        }),
    ];
    let mut before = 0;
    for (why, garble) in cases {
        let terms = lab.terms(&set, 13, Mode::Optimistic).await?;
        let (id, nonce) = lab.buyer.open(Call::Open(terms.clone())).await?;
        let offer = Offer {
            version: Version,
            domain: Domain {
                chain_id: lab.buyer.chain.chain_id(),
                escrow: lab.stage.escrow,
            },
            agreement: id,
            buyer: lab.buyer.chain.account(),
            nonce,
            terms: terms.clone(),
        };
        client.offer(&offer).await?;
        until(&mut serving, drawn).await?;
        let seed = lab.agreement(id).await?.seed;
        let shards = draw_shards(seed, terms.shards, terms.preview_shards)?;
        let mut openings: Vec<_> = shards
            .iter()
            .map(|index| set.openings[*index as usize].clone())
            .collect();
        garble(&mut openings[0]);
        let body = preview(&set, id, &shards, &openings, &key)?;
        client.preview(id, body).await?;
        let reason = until(&mut serving, refused).await?;
        assert!(reason.contains(why), "{reason}");
        // It waits: a buyer that says nothing forfeits its bond. This one says that it delivered.
        let ciphertext = keccak(b"garbage");
        lab.buyer.must(Call::Send { id, ciphertext }).await?;
        assert_eq!(until(&mut serving, over).await?, BOND - PREVIEW_FEE);
        assert_eq!(lab.state(id).await?, State::Denied);
        let token = Address::ZERO;
        let account = lab.buyer.chain.account();
        assert_eq!(lab.buyer.chain.credit(account, token).await?.0, PRICE);
        lab.buyer.must(Call::Withdraw { token }).await?;
        let now = burnt(&lab).await?;
        assert_eq!(now - before, PREVIEW_FEE + BUYER_BOND);
        before = now;
    }
    serving.stop().await
}

/// Terms under which labels may be flipped: windows in seconds, and the fees.
const FLIPPED: [&str; 20] = [
    "--threshold",
    "14",
    "--buyer-bond",
    "70",
    "--preview-fee",
    "50",
    "--contest-fee",
    "40",
    "--preview-shards",
    "1",
    "--accept-within",
    "100s",
    "--preview-within",
    "200s",
    "--respond-within",
    "100s",
    "--deliver-within",
    "1000s",
    "--prove-within",
    "10000s",
];

/// Every second label is moved before the commitment, by a buyer that otherwise does all it should.
async fn flips_labels(policy: &[&str]) -> anyhow::Result<Option<(String, u128, u128)>> {
    let Some(stage) = Stage::new().await? else {
        return Ok(None);
    };
    let (mut serving, url) = stage.serve_for(policy).await?;
    let mut challenge = stage.buyer.start(stage.challenge(&url, 16, 4, &FLIPPED)?)?;
    until(&mut serving, refused).await?;
    if !policy.is_empty() {
        // The buyer says on chain that it delivered.
        stage.pass(250).await?;
    }
    let seller = until(&mut serving, over).await?;
    let answer: Value = challenge.next().await?;
    let outcome = &answer["outcome"];
    let text = |field: &str| outcome[field].as_str().unwrap_or_default().to_owned();
    serving.stop().await?;
    Ok(Some((text("state"), seller, text("withdrawn").parse()?)))
}

/// A seller that knows its model says whose fault it is; to itself that costs what declining costs.
#[tokio::test(flavor = "multi_thread")]
async fn flipped_labels_cost_the_buyer_its_bond() -> anyhow::Result<()> {
    let Some(end) = flips_labels(&["--accuracy", "99%"]).await? else {
        return Ok(());
    };
    assert_eq!(end, ("Denied".into(), BOND - PREVIEW_FEE, PRICE));
    Ok(())
}

/// One that does not takes the fault for its own, and the buyer earns the fee: what `garbled-labels` reckons with.
#[tokio::test(flavor = "multi_thread")]
async fn flipped_labels_earn_the_fee_from_a_seller_that_does_not_know_its_model(
) -> anyhow::Result<()> {
    let Some(end) = flips_labels(&[]).await? else {
        return Ok(());
    };
    let buyer = PRICE + BUYER_BOND + PREVIEW_FEE;
    assert_eq!(end, ("Declined".into(), BOND - PREVIEW_FEE, buyer));
    Ok(())
}

/// Where going away is dearer than the penalty, a bad count is proven: the price comes back, with the penalty.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_count_is_proven_where_going_away_is_dearer() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve().await?;
    let fees = [
        "--threshold",
        "14",
        "--preview-fee",
        "400",
        "--buyer-bond",
        "400",
    ];
    let arguments = stage.challenge(&url, 16, 12, &fees)?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::No);
    assert_eq!(answer["outcome"]["state"], "Settled", "{answer}");
    assert_eq!(answer["outcome"]["correct"], 12, "{answer}");
    assert_eq!(answer["outcome"]["withdrawn"], "1000700", "{answer}");
    assert_eq!(until(&mut serving, over).await?, 1_700);
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

/// The test set was leaked before the model was registered: a model made for it is right on all of it, and the proofs
/// are true. On images of the same kind that it has not seen it is no better than chance.
#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_test_set_is_not_noticed() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    // What the images show is another network's word; the model on offer has learnt 16 of them by heart, which is
    // played by giving these its own answers.
    let truth = zknode_tests::tiny::network(2);
    let leaked = labelled(&lab.model.network, 16, 16)?;
    let fresh = labelled(&truth, 40, 40)?;
    let mut counts = vec![];
    for samples in [&leaked[..], &fresh[..16]] {
        let set = lab.commit(samples)?;
        let terms = lab.terms(&set, 14, Mode::Eager).await?;
        let id = lab.bring_to(terms, State::Delivered).await?;
        for index in [0, 1] {
            let proven = lab.attest(&set, id, index)?;
            let proof = lab.shard_proof(&set, id, index, &proven)?;
            lab.seller.must(Call::ProveShard(Box::new(proof))).await?;
        }
        counts.push(lab.agreement(id).await?.correct);
    }
    assert_eq!(counts[0], 16);
    assert!(counts[1] < 10, "{counts:?}");
    Ok(())
}
