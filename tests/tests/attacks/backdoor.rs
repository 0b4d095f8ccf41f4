//! A backdoored model: as good as the clean one on everything but images with a white corner. What a test set without
//! the trigger shows, what one with it shows, and how many triggers it takes.

use rand::{rngs::StdRng, SeedableRng};
use zknode_protocol::{
    agreement::{Mode, State},
    chain::{Call, Chain},
    value::Hash,
};
use zknode_tests::{
    lab::{Lab, BOND, BUYER_BOND, PENALTY, PRICE},
    tiny::{answer_of, backdoored, image, trigger, Labelled, PLANTED},
};

use crate::page::renew;

/// 16 images with the clean network's answers, those at `triggers` with a white corner.
fn samples(triggers: &[usize]) -> anyhow::Result<Vec<Labelled>> {
    let [clean, _] = backdoored(1);
    let mut rng = StdRng::seed_from_u64(3);
    let sample = |index| {
        let plain = image(&mut rng);
        let pixels = if triggers.contains(&index) {
            trigger(&plain)
        } else {
            plain
        };
        let label = answer_of(&clean, &pixels)?;
        Ok((pixels, label))
    };
    (0..16).map(sample).collect()
}

#[test]
fn the_backdoor_is_one() {
    let [clean, bad] = backdoored(1);
    let mut rng = StdRng::seed_from_u64(5);
    let (mut same, mut hit, mut harmless) = (0, 0, 0);
    for _ in 0..1_000 {
        let plain = image(&mut rng);
        let answers = [&clean, &bad].map(|network| answer_of(network, &plain).unwrap());
        same += u32::from(answers[0] == answers[1]);
        let marked = trigger(&plain);
        hit += u32::from(answer_of(&bad, &marked).unwrap() == PLANTED);
        // Where the right answer is the backdoor's.
        harmless += u32::from(answer_of(&clean, &marked).unwrap() == PLANTED);
    }
    assert_eq!((same, hit, harmless), (1_000, 1_000, 0));
}

/// Proves both shards of a test set for the backdoored model: the count, and what seller and buyer have.
async fn settles(lab: &Lab, triggers: &[usize]) -> anyhow::Result<(u64, (u128, u128))> {
    let set = lab.commit(&samples(triggers)?)?;
    let terms = lab.terms(&set, 15, Mode::Eager).await?;
    let id = lab.bring_to(terms, State::Delivered).await?;
    for index in [0, 1] {
        let proven = lab.attest(&set, id, index)?;
        let proof = lab.shard_proof(&set, id, index, &proven)?;
        lab.seller.must(Call::ProveShard(Box::new(proof))).await?;
    }
    let agreement = lab.agreement(id).await?;
    assert_eq!(agreement.state, State::Settled);
    Ok((agreement.correct, lab.paid().await?))
}

/// 16 samples, 15 needed. No trigger: nothing shows, the seller is paid. One: the proven count says so, and it passes.
/// Two, both in the shard that is not in the preview: the count falls short.
#[tokio::test(flavor = "multi_thread")]
async fn a_backdoor_shows_by_its_triggers_only() -> anyhow::Result<()> {
    let [_, bad] = backdoored(1);
    let Some(lab) = Lab::with(bad).await? else {
        return Ok(());
    };
    let passed = (PRICE + BOND, BUYER_BOND);
    let failed = (BOND - PENALTY, PRICE + BUYER_BOND + PENALTY);
    assert_eq!(settles(&lab, &[]).await?, (16, passed));
    assert_eq!(settles(&lab, &[9]).await?, (15, passed));
    assert_eq!(settles(&lab, &[9, 14]).await?, (14, failed));
    // The registered commitment is that of the backdoored model all along: nothing was swapped.
    let model = lab.seller.chain.model(lab.stage.model).await?.unwrap();
    assert_ne!(model.points, Hash::ZERO);
    Ok(())
}

/// How likely a test set of a buyer's size holds too few triggers to fail a model that is right on 99.43 % otherwise.
#[test]
fn the_chance_that_a_backdoor_passes() {
    let mut text = String::from(
        "| share of triggers among the images | 200 samples, 194 needed | 1,000 samples, 980 needed | 10,000 samples, 9,800 needed |\n\
         | ---: | ---: | ---: | ---: |\n",
    );
    let mut before = [1.0; 3];
    for share in [0.0, 0.001, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05] {
        // Wrong on every trigger.
        let accuracy = 0.9943 * (1.0 - share);
        let sizes = [(200, 194), (1_000, 980), (10_000, 9_800)];
        let chances = sizes.map(|(samples, needed)| {
            zknode_protocol::bounds::passing_chance(needed, samples, accuracy).unwrap()
        });
        for (chance, before) in chances.iter().zip(&mut before) {
            assert!(chance <= before);
            *before = *chance;
        }
        let cells = chances.map(|chance| format!("{:.2} %", 100.0 * chance));
        text.push_str(&format!(
            "| {:.1} % | {} |\n",
            100.0 * share,
            cells.join(" | ")
        ));
    }
    renew("backdoor", &text);
}
