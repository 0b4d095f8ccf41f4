//! Guessing sellers: measured beside computed.

use super::{costs, WISH};
use crate::{
    bounds::clopper_pearson_lower,
    economics::{
        lazy::{self, Answers, Point},
        suggest, Wish,
    },
};

/// Every chance that was measured agrees with the one that was computed, and is below the bound as far as can be told:
/// a true chance outside these intervals would show itself so once in a million points.
fn agrees(points: &[Point]) {
    const RISK: f64 = 1e-6;
    for point in points {
        let (paid, runs) = (point.paid.into(), point.runs.into());
        let lower = clopper_pearson_lower(paid, runs, RISK).unwrap();
        let upper = 1.0 - clopper_pearson_lower(runs - paid, runs, RISK).unwrap();
        assert!(lower <= point.exact && point.exact <= upper, "{point:?}");
        assert!(lower <= point.bound, "{point:?}");
        assert!(point.exact <= point.bound + 1e-9, "{point:?}");
    }
}

#[test]
fn lazy_models_are_paid_no_more_often_than_computed() {
    for (samples, preview, guess) in [
        (1_000, 1, 0.1),
        (1_000, 3, 0.95),
        (1_064, 1, 0.9),
        (200, 0, 0.1),
    ] {
        let mut terms = suggest(&WISH, &costs()).unwrap();
        terms.samples = samples;
        terms.threshold = samples * 98 / 100;
        terms.preview_shards = preview;
        let answers = Answers {
            model: 0.9943,
            guess,
        };
        let shares = [0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 1.0];
        let points = lazy::accuracy(&terms, answers, &shares, 2_000, 7).unwrap();
        agrees(&points);
        assert!(points[0].paid > 1_000);
        assert_eq!(points[8].paid, 0);
        // The more is guessed, the less often it is paid.
        assert!(points.windows(2).all(|pair| pair[0].exact >= pair[1].exact));
    }
}

#[test]
fn false_claims_are_caught_as_often_as_computed() {
    let shares = [0.0, 0.015, 0.03, 0.1, 0.25, 0.5, 1.0];
    for contests in [1, 5, 30, 66] {
        agrees(&lazy::claims(66, contests, &shares, 4_000, 7).unwrap());
    }
}

#[test]
fn guessed_predictions_are_caught_as_often_as_computed() {
    let shares = [0.0, 0.01, 0.025, 0.05, 0.1, 0.3, 1.0];
    for (audits, matches) in [(10, 0.1), (119, 0.1), (59, 0.95)] {
        agrees(&lazy::predictions(500, audits, matches, &shares, 2_000, 7).unwrap());
    }
}

/// What a lazy seller expects under suggested terms, from the plays themselves: nothing to win.
#[test]
fn a_lazy_seller_expects_a_loss() {
    let (costs, wish) = (
        costs(),
        Wish {
            samples: 1_000,
            threshold: 980,
            ..WISH
        },
    );
    let terms = suggest(&wish, &costs).unwrap();
    let answers = Answers {
        model: 0.9943,
        guess: 0.1,
    };
    // From the allowed error on: an accuracy of 95.5 %.
    let points = lazy::accuracy(&terms, answers, &[0.044, 0.06, 0.1, 0.5], 4_000, 9).unwrap();
    for point in points {
        let failed = point.runs - point.paid - point.declined;
        let won = u128::from(point.paid) * (terms.price.0 + 1_000 * costs.label.0);
        // Declining after the preview it keeps the shown labels only.
        let fee = terms.preview_fee.0 - u128::from(terms.shown()) * costs.label.0;
        let penalty = terms.penalty.0 + 1_000 * costs.proof.0 - 1_000 * costs.label.0;
        let lost = u128::from(point.declined) * fee + u128::from(failed) * penalty;
        assert!(lost >= won, "{point:?}: lost {lost}, won {won}");
    }
}
