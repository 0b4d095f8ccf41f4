//! Requests that are not the buyer's, not of this round, or not in order.

use rand::rngs::OsRng;
use zknode::{
    card::{write_delivery, ModelCard},
    delivery::{seal, Sample, ShardOpening},
};
use zknode_circuit::commitment::Seed;
use zknode_protocol::{
    chain::key::Key,
    digest::keccak,
    message::Version,
    round::{
        message::{AuditRequest, Payment, PredictRequest},
        RoundId, RoundState,
    },
};
use zknode_tests::{
    liar::Lie,
    predictions::{accepted, predicted, Predictions, TIMES},
};

/// What is not the buyer's, not of this round or not in order is refused, and costs the seller nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_buyer_asks_and_only_in_order() -> anyhow::Result<()> {
    let Some(scene) = Predictions::new().await? else {
        return Ok(());
    };
    let (mut serving, real) = scene.serve().await?;
    // The last voucher never arrives: the round stays as it is.
    let url = scene.liar(Lie::NoVoucher, &real).await?;
    let wish = [&TIMES[..], &["--audit-rate", "0"]].concat();
    let (order, _) = scene.order(&url, 8, &wish)?;
    let buyer = scene.stage.buyer.start(order)?;
    let round = accepted(&mut serving).await?;
    predicted(&mut serving, 0).await?;
    buyer.stop().await?;

    let key = scene.buyer_key()?;
    let chain = scene.chain(key.clone()).await?;
    let domain = scene.domain(&chain);
    let card: ModelCard = reqwest::get(format!("{real}/v1/model"))
        .await?
        .json()
        .await?;
    let opening = ShardOpening {
        seed: Seed::new([7; 32]),
        samples: vec![Sample {
            pixels: vec![9; 25],
            label: 0,
        }],
    };
    let sealed = seal(&[opening], &card.seller.reading_key.0, &mut OsRng)?;
    let hash = keccak(&sealed);
    let request = |index: u32, key: &Key, of: RoundId| -> anyhow::Result<PredictRequest> {
        Ok(PredictRequest {
            version: Version,
            round,
            index,
            ciphertext_hash: hash,
            ciphertext_bytes: sealed.len() as u64,
            signature: key.sign(domain.request_digest(round, index, hash))?,
            voucher: key.sign(domain.voucher_digest(of, index))?,
        })
    };
    let post = async |path: &str, body: Vec<u8>| -> anyhow::Result<u16> {
        let url = format!("{real}/v1/rounds/{path}");
        let sent = reqwest::Client::new().post(url).body(body).send().await?;
        Ok(sent.status().as_u16())
    };
    let path = format!("{round}/predict");
    let ask = async |request: PredictRequest, sealed: &[u8]| {
        post(&path, write_delivery(&request, sealed)?).await
    };
    let other = RoundId(keccak(b"another round"));
    let thief = scene.seller_key()?;
    // Other inputs for a batch that was answered; beyond the round; somebody else's; another round's voucher.
    assert_eq!(ask(request(0, &key, round)?, &sealed).await?, 422);
    assert_eq!(ask(request(1, &key, round)?, &sealed).await?, 409);
    assert_eq!(ask(request(0, &thief, round)?, &sealed).await?, 403);
    assert_eq!(ask(request(0, &key, other)?, &sealed).await?, 403);
    // Cut short on the way, of a round nobody knows, and no request at all.
    assert_eq!(ask(request(0, &key, round)?, &sealed[1..]).await?, 400);
    let body = write_delivery(&request(0, &key, round)?, &sealed)?;
    assert_eq!(post(&format!("{other}/predict"), body).await?, 404);
    for junk in [vec![], vec![255; 4], vec![0; 3000], vec![b'{'; 50]] {
        assert_eq!(post(&path, junk).await?, 400);
    }
    assert_eq!(post(&path, vec![0; 100_000]).await?, 413);
    // More than was served; an approval by the seller itself; a proof for a stranger, or of a batch never served.
    let payment = |count, digest, key: &Key| -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&Payment {
            version: Version,
            count,
            signature: key.sign(digest)?,
        })?)
    };
    let much = payment(2, domain.voucher_digest(round, 2), &key)?;
    assert_eq!(post(&format!("{round}/voucher"), much).await?, 409);
    let own = payment(1, domain.approval_digest(round, 1), &thief)?;
    assert_eq!(post(&format!("{round}/approval"), own).await?, 403);
    let audit = |index, key: &Key| -> anyhow::Result<Vec<u8>> {
        Ok(serde_json::to_vec(&AuditRequest {
            version: Version,
            signature: key.sign(domain.audit_digest(round, index))?,
        })?)
    };
    let proof = format!("{round}/batches/0/proof");
    assert_eq!(post(&proof, audit(0, &thief)?).await?, 403);
    let proof = format!("{round}/batches/1/proof");
    assert_eq!(post(&proof, audit(1, &key)?).await?, 404);
    assert_eq!(scene.round(&chain, round).await?.state, RoundState::Serving);
    serving.stop().await
}
