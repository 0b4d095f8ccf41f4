//! Tests of the bounds.
#![allow(clippy::unwrap_used)]
use super::*;

#[test]
fn hoeffding_gives_the_known_sizes() {
    let sizes = [0.05, 0.025, 0.01].map(|e| hoeffding_samples(e, 0.05).unwrap());
    assert_eq!(sizes, [600, 2_397, 14_979]);
    assert!(hoeffding_error(600, 0.05).unwrap() <= 0.05);
    assert!(hoeffding_error(599, 0.05).unwrap() > 0.05);
}

#[test]
fn audits_give_the_least_number() {
    for (e, d) in [
        (0.05_f64, 0.05_f64),
        (0.025, 0.05),
        (0.02, 0.025),
        (0.01, 0.05),
        (0.9, 0.5),
    ] {
        let n = audit_samples(e, d).unwrap();
        assert!((1.0 - e).powi(n as i32) <= d);
        assert!((1.0 - e).powi(n as i32 - 1) > d);
    }
    assert_eq!(audit_samples(0.05, 0.05), Ok(59));
}

#[test]
fn clopper_pearson_agrees_with_the_closed_forms() {
    for n in [1_u64, 10, 600, 10_000] {
        let all = clopper_pearson_lower(n, n, 0.05).unwrap();
        assert!(
            (all - 0.05_f64.powf(1.0 / n as f64)).abs() < 1e-12,
            "{n}: {all}"
        );
        let one = clopper_pearson_lower(1, n, 0.05).unwrap();
        assert!(
            (one - -(0.95_f64.ln() / n as f64).exp_m1()).abs() < 1e-12,
            "{n}: {one}"
        );
        assert_eq!(clopper_pearson_lower(0, n, 0.05), Ok(0.0));
    }
}

#[test]
fn clopper_pearson_agrees_with_the_beta_quantile() {
    // scipy.stats.beta.ppf(d, k, n - k + 1)
    let known = [
        (95, 100, 0.05, 0.8977466223567255),
        (9_880, 10_000, 0.05, 0.9860493644416886),
        (990, 1_000, 0.01, 0.9799573940991211),
        (1, 10, 0.9, 0.2056717652757185),
    ];
    for (k, n, d, expected) in known {
        let got = clopper_pearson_lower(k, n, d).unwrap();
        assert!((got - expected).abs() < 1e-9, "{k}/{n}: {got} {expected}");
    }
}

#[test]
fn the_bound_is_tighter_than_hoeffding_and_below_the_rate() {
    for (k, n) in [
        (570_u64, 600_u64),
        (2_350, 2_397),
        (9_000, 10_000),
        (300, 600),
    ] {
        let rate = k as f64 / n as f64;
        let bound = clopper_pearson_lower(k, n, 0.05).unwrap();
        assert!(bound < rate);
        assert!(bound > rate - hoeffding_error(n, 0.05).unwrap());
    }
}

#[test]
fn the_least_size_is_found() {
    // By brute force: every smaller size fails.
    for (points, error, risk) in [
        (9_800, 0.025, 0.05),
        (9_500, 0.05, 0.05),
        (10_000, 0.02, 0.05),
        (6_000, 0.05, 0.01),
        (9_900, 0.01, 0.1),
    ] {
        let size = clopper_pearson_samples(points, error, risk).unwrap();
        let accuracy = f64::from(points) / 10_000.0 - error;
        let fits = |n: u64| {
            let correct = (n * u64::from(points)).div_ceil(10_000);
            passing_chance(correct, n, accuracy).unwrap() <= risk
        };
        let least = (1..).find(|n| fits(*n)).unwrap();
        assert_eq!(size.samples, least, "{points} {error} {risk}");
        assert_eq!(size.correct, (least * u64::from(points)).div_ceil(10_000));
        assert!(size.samples <= hoeffding_samples(error, risk).unwrap());
        let bound = clopper_pearson_lower(size.correct, size.samples, risk).unwrap();
        assert!(bound >= accuracy - 1e-12);
    }
}

#[test]
fn the_fewest_correct_answers_are_found() {
    for (n, accuracy) in [(200, 0.95), (1_000, 0.955), (10_000, 0.99)] {
        let fewest = clopper_pearson_correct(n, accuracy, 0.05).unwrap().unwrap();
        assert!(clopper_pearson_lower(fewest, n, 0.05).unwrap() >= accuracy - 1e-12);
        assert!(clopper_pearson_lower(fewest - 1, n, 0.05).unwrap() < accuracy);
    }
    assert_eq!(clopper_pearson_correct(10, 0.95, 0.05), Ok(None));
}

#[test]
fn a_passing_chance_is_the_sum_of_its_terms() {
    let by_hand = |k: u64, n: u64, p: f64| -> f64 {
        (k..=n)
            .map(|i| {
                let ways: f64 = (1..=i).map(|j| (n - i + j) as f64 / j as f64).product();
                ways * p.powi(i as i32) * (1.0 - p).powi((n - i) as i32)
            })
            .sum()
    };
    for (k, n, p) in [
        (3, 10, 0.2),
        (9, 10, 0.2),
        (1, 10, 0.7),
        (10, 10, 0.9),
        (20, 40, 0.5),
    ] {
        assert!((passing_chance(k, n, p).unwrap() - by_hand(k, n, p)).abs() < 1e-12);
    }
    assert_eq!(passing_chance(0, 5, 0.1), Ok(1.0));
    assert_eq!(passing_chance(1, 5, 0.0), Ok(0.0));
    assert_eq!(passing_chance(5, 5, 1.0), Ok(1.0));
}

#[test]
fn the_papers_table_slips_and_is_not_copied() {
    // arXiv 2210.08674 gives 183 audits for an error of 2.5 % at 95 %: that is the number for about 1.6 %, and at
    // a risk of 2.5 % for 2 %.
    assert_eq!(audit_samples(0.025, 0.05), Ok(119));
    assert_eq!(audit_samples(0.02, 0.025), Ok(183));
}

#[test]
fn numbers_that_describe_nothing_are_refused() {
    for bad in [0.0, 1.0, -0.1, 2.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            hoeffding_samples(bad, 0.05),
            Err(BoundError::Rate { .. })
        ));
        assert!(matches!(
            audit_samples(0.05, bad),
            Err(BoundError::Rate { .. })
        ));
        assert!(matches!(
            clopper_pearson_lower(1, 2, bad),
            Err(BoundError::Rate { .. })
        ));
    }
    assert_eq!(hoeffding_samples(1e-300, 0.05), Err(BoundError::TooFine));
    for (correct, samples) in [(0, 0), (3, 2), (1, u64::MAX)] {
        assert_eq!(
            clopper_pearson_lower(correct, samples, 0.05),
            Err(BoundError::Count { correct, samples })
        );
    }
    assert!(matches!(
        hoeffding_error(0, 0.05),
        Err(BoundError::Count { .. })
    ));
}
