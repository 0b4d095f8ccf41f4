//! Terms under which somebody would gain by cheating: neither side opens or accepts them, unless told to take the risk.

use serde_json::Value;
use zknode::{output::Answer, seller::event::Event};
use zknode_tests::stage::{over, until, Stage};

/// What a test set this small can tell apart.
const ERROR: [&str; 2] = ["--error", "40%"];

/// 9 of 13 samples, amounts large enough for gas to be small beside them.
const WISH: [&str; 6] = [
    "--threshold",
    "9",
    "--price",
    "1ether",
    "--label-cost",
    "0.002ether",
];

/// Exit code and words of a challenge that ends by itself.
async fn challenge(stage: &Stage, url: &str, more: &[&str]) -> anyhow::Result<(i32, String)> {
    let mut all = [&WISH[..], more].concat();
    if !more.contains(&"--error") {
        all.extend(ERROR);
    }
    let arguments = stage.challenge_rationally(url, 13, 9, &all)?;
    let output = stage.buyer.command().args(arguments).output().await?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!words.contains("panicked"), "{words}");
    Ok((output.status.code().unwrap_or(-1), words))
}

/// The buyer names a price and what a label costs; bonds and fees follow, both sides find them safe, and it settles.
#[tokio::test(flavor = "multi_thread")]
async fn safe_terms_are_found_accepted_and_settled() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve_rationally(&[]).await?;
    let all = [&WISH[..], &ERROR, &["--contest", "1"]].concat();
    let arguments = stage.challenge_rationally(&url, 13, 9, &all)?;
    let (answer, verdict): (Value, _) = stage.buyer.run(arguments).await?;
    assert_eq!(verdict, Answer::Yes, "{answer}");
    assert_eq!(answer["outcome"]["state"], "Settled", "{answer}");
    // Price, its own bond, and the fee for the contested proof: more than the price alone.
    let paid = until(&mut serving, over).await?;
    assert!(paid > 1_026_000_000_000_000_000, "{paid}");
    // Of its bond the buyer has everything back, which is no less than the labels.
    let back: u128 = answer["outcome"]["withdrawn"].as_str().unwrap().parse()?;
    assert!(back >= 26_000_000_000_000_000, "{back}");
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buyer_does_not_open_terms_under_which_somebody_would_cheat() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (serving, url) = stage.serve_rationally(&[]).await?;
    let before = stage.transactions(stage.buyer_account).await?;
    let cases: [(&[&str], &[&str]); 6] = [
        (
            &["--preview-fee", "0.01ether"],
            &[
                "delivery-harvest: preview fee 0.01 ether >= labels 0.026 ether",
                "a seller who takes the test set and goes away",
                "raise the preview fee from 0.01 ether to 0.026 ether",
            ],
        ),
        (
            &["--buyer-bond", "0"],
            &["buyer-silence: buyer's bond 0 ether >="],
        ),
        (
            &["--penalty", "1gwei"],
            &["losing-on-purpose", "refusal-pays"],
        ),
        (
            &["--contest-fee", "0"],
            &["contest-griefing: contest fee 0 ether >="],
        ),
        (
            &["--answer-within", "1m"],
            &["answer-window: window 60 s >= outage 900 s"],
        ),
        // What no amount mends: with so few samples a bad model passes by luck.
        (&["--error", "10%"], &["sampling: risk 0.05 >="]),
    ];
    for (terms, words) in cases {
        let (code, said) = challenge(&stage, &url, terms).await?;
        assert_eq!(code, 2, "{terms:?}: {said}");
        for words in words.iter().chain(&["nothing was opened", "--accept-risk"]) {
            assert!(said.contains(words), "{terms:?}: no {words:?} in: {said}");
        }
    }
    assert_eq!(stage.transactions(stage.buyer_account).await?, before);
    serving.stop().await
}

/// The buyer takes the risk; the seller does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_seller_does_not_accept_terms_that_hurt_it() -> anyhow::Result<()> {
    let Some(stage) = Stage::new().await? else {
        return Ok(());
    };
    let (mut serving, url) = stage.serve_rationally(&[]).await?;
    let risky = [
        "--accept-risk",
        "--contest-fee",
        "7",
        "--buyer-bond",
        "0.02ether",
    ];
    let risky = [&risky[..], &["--preview-fee", "0.02ether"]].concat();
    let (code, said) = challenge(&stage, &url, &risky).await?;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("warning, the risk was accepted"), "{said}");
    assert!(said.contains("the seller refuses"), "{said}");
    let reason = until(&mut serving, |event| match event {
        Event::Refused { reason, .. } => Some(reason.clone()),
        _ => None,
    })
    .await?;
    for rule in ["contest-griefing", "buyer-silence"] {
        assert!(reason.contains(rule), "{reason}");
    }
    // The buyer's own trouble is not the seller's.
    assert!(!reason.contains("delivery-harvest"), "{reason}");
    assert_eq!(until(&mut serving, over).await?, 0);
    assert_eq!(stage.held().await?.0, 0);
    serving.stop().await?;
    // Told to take the risk, it does.
    let (mut serving, url) = stage.serve().await?;
    let (code, said) = challenge(&stage, &url, &risky).await?;
    assert_eq!(code, 0, "{said}");
    until(&mut serving, over).await?;
    serving.stop().await
}
