//! What a count says about a model: sample sizes and exact lower bounds, computed and never copied from a table.
//!
//! Rates are fractions in (0, 1). `error` is the half-width e, `risk` the chance d that the statement is wrong.

use thiserror::Error;

/// Numbers that describe no experiment.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum BoundError {
    /// A rate that is no fraction strictly between 0 and 1.
    #[error("{name} must lie strictly between 0 and 1, got {got}")]
    Rate {
        /// Which rate.
        name: &'static str,
        /// Its value.
        got: f64,
    },
    /// No samples, or more correct answers than samples.
    #[error("{correct} correct out of {samples} samples is no count")]
    Count {
        /// Correct answers.
        correct: u64,
        /// Samples.
        samples: u64,
    },
    /// A sample size beyond 2^53, where a float no longer counts.
    #[error("the sample size for this error and risk is too large to count: allow a larger error")]
    TooFine,
}

/// Samples needed so that the measured accuracy is within `error` below the true one except with chance `risk`, for
/// any distribution: `ceil(ln(1/d) / (2 e^2))` (Hoeffding 1963, theorem 1; one side).
pub fn hoeffding_samples(error: f64, risk: f64) -> Result<u64, BoundError> {
    check_rate("the error", error)?;
    check_rate("the risk", risk)?;
    whole((1.0 / risk).ln() / (2.0 * error * error))
}

/// Error left after `samples` samples at this risk: the inverse of [`hoeffding_samples`].
pub fn hoeffding_error(samples: u64, risk: f64) -> Result<f64, BoundError> {
    check_rate("the risk", risk)?;
    if samples == 0 {
        return Err(BoundError::Count {
            correct: 0,
            samples,
        });
    }
    Ok(((1.0 / risk).ln() / (2.0 * samples as f64)).sqrt())
}

/// Checks per round so that a server wrong on a fraction `error` of its answers goes unseen with chance at most
/// `risk`: the least n with `(1 - e)^n <= d` (arXiv 2210.08674, section 5).
pub fn audit_samples(error: f64, risk: f64) -> Result<u64, BoundError> {
    check_rate("the error", error)?;
    check_rate("the risk", risk)?;
    whole(risk.ln() / (-error).ln_1p())
}

/// The accuracy that a model with `correct` of `samples` right has at least, except with chance `risk`: the exact
/// one-sided bound (Clopper and Pearson 1934), the p with `P(X >= correct | samples, p) = risk`, rounded down.
pub fn clopper_pearson_lower(correct: u64, samples: u64, risk: f64) -> Result<f64, BoundError> {
    check_rate("the risk", risk)?;
    if samples == 0 || correct > samples || samples > MAX_COUNT {
        return Err(BoundError::Count { correct, samples });
    }
    if correct == 0 {
        return Ok(0.0);
    }
    let ways = ln_choose(samples, correct);
    // The tail grows with p and reaches about one half at the measured rate, or more than the risk at 1.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..64 {
        let middle = 0.5 * (low + high);
        if upper_tail(correct, samples, middle, ways) <= risk {
            low = middle;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Counts above this are refused: the tail's error would grow past 1e-9, and no test set is that large.
const MAX_COUNT: u64 = 10_000_000;

/// `P(X >= correct)` for `samples` draws at rate `p`; `ways` is the logarithm of the binomial coefficient.
fn upper_tail(correct: u64, samples: u64, p: f64, ways: f64) -> f64 {
    if p * samples as f64 >= correct as f64 {
        // At or above the mean the tail exceeds every risk below about one half; sum the complement instead.
        return 1.0 - lower_tail(correct, samples, p, ways);
    }
    let odds = p / (1.0 - p);
    let first = (ways + correct as f64 * p.ln() + (samples - correct) as f64 * (-p).ln_1p()).exp();
    sum_falling(
        first,
        (correct..samples).map(|i| odds * (samples - i) as f64 / (i + 1) as f64),
    )
}

/// `P(X < correct)` at a rate at or above `correct / samples`, summed downward from `correct - 1`.
fn lower_tail(correct: u64, samples: u64, p: f64, ways: f64) -> f64 {
    if p >= 1.0 {
        return 0.0;
    }
    let odds = (1.0 - p) / p;
    let at = (ways + correct as f64 * p.ln() + (samples - correct) as f64 * (-p).ln_1p()).exp();
    let down = |i: u64| odds * i as f64 / (samples - i + 1) as f64;
    sum_falling(at * down(correct), (1..correct).rev().map(down))
}

/// `first + first r1 + first r1 r2 + ...`, until a term no longer counts. The ratios fall below 1 and keep falling.
fn sum_falling(first: f64, ratios: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut term) = (first, first);
    for ratio in ratios {
        term *= ratio;
        sum += term;
        if term < sum * 1e-18 {
            break;
        }
    }
    sum
}

/// `ln(n choose k)` as a sum of logarithms; `1 <= k <= n`.
fn ln_choose(n: u64, k: u64) -> f64 {
    let k = k.min(n - k);
    (1..=k).map(|i| ((n - k + i) as f64 / i as f64).ln()).sum()
}

fn check_rate(name: &'static str, got: f64) -> Result<(), BoundError> {
    if got > 0.0 && got < 1.0 {
        Ok(())
    } else {
        Err(BoundError::Rate { name, got })
    }
}

fn whole(samples: f64) -> Result<u64, BoundError> {
    let up = samples.ceil();
    if up.is_finite() && up < 9.0e15 {
        Ok((up as u64).max(1))
    } else {
        Err(BoundError::TooFine)
    }
}

#[cfg(test)]
mod tests {
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
}
