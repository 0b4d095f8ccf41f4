//! A lazy seller: its model answers at random with probability p. The rule is played with the integer network's own
//! answers and held against the exact chance and the bound; three points are proven and settled on the chain.

use rand::{rngs::StdRng, Rng, SeedableRng};
use zknode_protocol::{
    agreement::{Mode, State},
    bounds::{clopper_pearson_lower, passing_chance},
    chain::Call,
    sampling::draw_shards,
    value::Bytes,
};
use zknode_tests::{
    lab::{Lab, BOND, BUYER_BOND, PENALTY, PRICE},
    tiny::{self, answer_of, image, Labelled},
};

use crate::page::renew;

/// Samples, and how many must be right.
const SAMPLES: usize = 200;
const THRESHOLD: u64 = 194;
/// Samples a proof, shards in all and shown.
const SHARD: usize = 8;
const SHARDS: u32 = 25;
const SHOWN: u32 = 8;
/// Agreements played for each share.
const PLAYS: u32 = 5_000;
const CLASSES: u8 = 4;
/// A true chance outside the intervals shows itself so once in a million points.
const RISK: f64 = 1e-6;

/// An image with the network's answer as its label, and what a seller answers who guesses with probability `p`.
fn lazy_answer(rng: &mut StdRng, right: u8, p: f64) -> u8 {
    if rng.gen_bool(p) {
        rng.gen_range(0..CLASSES)
    } else {
        right
    }
}

/// The seller's rule, as its node has it: it goes away once the threshold is out of reach.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Paid,
    GoneAfterPreview,
    GoneAfterDelivery,
}

fn play(rng: &mut StdRng, answers: &[u8], p: f64) -> End {
    let right: Vec<bool> = answers
        .iter()
        .map(|right| lazy_answer(rng, *right, p) == *right)
        .collect();
    let drawn = draw_shards(Bytes(rng.gen()), SHARDS, SHOWN).unwrap();
    let wrong_in = |shard: &u32| {
        let from = *shard as usize * SHARD;
        right[from..from + SHARD]
            .iter()
            .filter(|right| !**right)
            .count() as u64
    };
    let allowed = SAMPLES as u64 - THRESHOLD;
    if drawn.iter().map(wrong_in).sum::<u64>() > allowed {
        End::GoneAfterPreview
    } else if (0..SHARDS).map(|shard| wrong_in(&shard)).sum::<u64>() > allowed {
        End::GoneAfterDelivery
    } else {
        End::Paid
    }
}

/// Hoeffding's bound on the chance to be paid, `exp(-2 N (T/N - accuracy)^2)`.
fn bound(accuracy: f64) -> f64 {
    let gap = THRESHOLD as f64 / SAMPLES as f64 - accuracy;
    if gap <= 0.0 {
        1.0
    } else {
        (-2.0 * SAMPLES as f64 * gap * gap).exp()
    }
}

#[test]
fn a_lazy_seller_is_paid_no_more_often_than_the_bound() {
    let mut rng = StdRng::seed_from_u64(7);
    let network = tiny::network(1);
    let answers: Vec<u8> = (0..SAMPLES)
        .map(|_| answer_of(&network, &image(&mut rng)).unwrap())
        .collect();
    let mut text = String::from(
        "| answered at random | paid, measured | gone after the preview | gone after the delivery | paid, computed | bound |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    let mut last = 1.0;
    for p in [0.0, 0.02, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0] {
        let (mut paid, mut early, mut late) = (0, 0, 0);
        for _ in 0..PLAYS {
            match play(&mut rng, &answers, p) {
                End::Paid => paid += 1,
                End::GoneAfterPreview => early += 1,
                End::GoneAfterDelivery => late += 1,
            }
        }
        let accuracy = 1.0 - p * (1.0 - 1.0 / f64::from(CLASSES));
        let exact = passing_chance(THRESHOLD, SAMPLES as u64, accuracy).unwrap();
        let bound = bound(accuracy);
        let runs = u64::from(PLAYS);
        let lower = clopper_pearson_lower(paid, runs, RISK).unwrap();
        let upper = 1.0 - clopper_pearson_lower(runs - paid, runs, RISK).unwrap();
        assert!(lower <= exact && exact <= upper, "{p}: {paid}, {exact}");
        assert!(
            exact <= bound + 1e-9 && lower <= bound,
            "{p}: {exact}, {bound}"
        );
        assert!(exact <= last);
        last = exact;
        let share = |count: u64| format!("{:.2} %", 100.0 * count as f64 / f64::from(PLAYS));
        text.push_str(&format!(
            "| {:.0} % | {} | {} | {} | {:.2} % | {:.2} % |\n",
            100.0 * p,
            share(paid),
            share(early),
            share(late),
            100.0 * exact,
            100.0 * bound
        ));
    }
    assert!(last < 1e-9);
    renew("lazy", &text);
}

/// Two shards proven and settled for models that guess 0, 30 and 100 %: paid exactly where the count reaches 14 of 16.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_lazy_seller_answered_is_proven() -> anyhow::Result<()> {
    let Some(lab) = Lab::new().await? else {
        return Ok(());
    };
    let mut rng = StdRng::seed_from_u64(11);
    let mut counts = vec![];
    for p in [0.0, 0.3, 1.0] {
        let mut samples: Vec<Labelled> = vec![];
        let mut right = 0;
        for _ in 0..16 {
            let pixels = image(&mut rng);
            let answer = answer_of(&lab.model.network, &pixels)?;
            // A wrong answer to a true label is the same to the count as the right answer to a moved one.
            let label = lazy_answer(&mut rng, answer, p);
            right += u64::from(label == answer);
            samples.push((pixels, label));
        }
        let set = lab.commit(&samples)?;
        let terms = lab.terms(&set, 14, Mode::Eager).await?;
        let id = lab.bring_to(terms, State::Delivered).await?;
        for index in [0, 1] {
            let proven = lab.attest(&set, id, index)?;
            let proof = lab.shard_proof(&set, id, index, &proven)?;
            lab.seller.must(Call::ProveShard(Box::new(proof))).await?;
        }
        assert_eq!(lab.agreement(id).await?.correct, right, "{p}");
        let paid = lab.paid().await?;
        if right >= 14 {
            assert_eq!(paid, (PRICE + BOND, BUYER_BOND), "{p}");
        } else {
            assert_eq!(paid, (BOND - PENALTY, PRICE + BUYER_BOND + PENALTY), "{p}");
        }
        counts.push(right);
    }
    assert!(
        counts[0] == 16 && counts[1] < 16 && counts[2] < 14,
        "{counts:?}"
    );
    Ok(())
}
