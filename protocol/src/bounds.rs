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

/// Chance that a model right with chance `accuracy` on each sample gets at least `correct` of `samples` right.
pub fn passing_chance(correct: u64, samples: u64, accuracy: f64) -> Result<f64, BoundError> {
    if samples == 0 || correct > samples || samples > MAX_COUNT {
        return Err(BoundError::Count { correct, samples });
    }
    if !(0.0..=1.0).contains(&accuracy) {
        return Err(BoundError::Rate {
            name: "the accuracy",
            got: accuracy,
        });
    }
    if correct == 0 || accuracy == 1.0 {
        return Ok(1.0);
    }
    if accuracy == 0.0 {
        return Ok(0.0);
    }
    let ways = ln_choose(samples, correct);
    Ok(upper_tail(correct, samples, accuracy, ways).clamp(0.0, 1.0))
}

/// A sample size and the count that is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Samples to draw.
    pub samples: u64,
    /// Correct answers to ask for.
    pub correct: u64,
}

/// The least sample size at which a count that reaches `points` basis points of it shows an accuracy of at least that
/// share less `error`, except with chance `risk`: the least N for which `correct = ceil(points N / 10000)` has
/// `P(X >= correct | N, points / 10000 - error) <= risk`, which is what [`clopper_pearson_lower`] inverts. Sizes above
/// it need not all do: the count is whole, so the curve is a saw.
pub fn clopper_pearson_samples(points: u32, error: f64, risk: f64) -> Result<Size, BoundError> {
    let most = hoeffding_samples(error, risk)?;
    let share = f64::from(points) / 10_000.0;
    check_rate("the threshold less the error", share - error)?;
    if points > 10_000 {
        return Err(BoundError::Rate {
            name: "the threshold",
            got: share,
        });
    }
    if most > MAX_COUNT / 5 {
        return Err(BoundError::TooFine);
    }
    let accuracy = share - error;
    let short = 10_000 - u64::from(points);
    let enough = |samples: u64, misses: u64| {
        let chance = passing_chance(samples.saturating_sub(misses), samples, accuracy);
        chance.is_ok_and(|chance| chance <= risk)
    };
    // Sizes that allow the same number of misses lie side by side, and the largest of them says most: if it does not
    // do, none of them does; if it does, the least is found by halving.
    let (mut first, mut misses) = (1_u64, 0_u64);
    while first <= most.saturating_mul(2) {
        let last = if short == 0 {
            most
        } else {
            ((misses + 1) * 10_000).div_ceil(short) - 1
        };
        if first <= last && enough(last, misses) {
            let (mut low, mut high) = (first, last);
            while low < high {
                let middle = low + (high - low) / 2;
                if enough(middle, misses) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            return Ok(Size {
                samples: low,
                correct: low - misses,
            });
        }
        first = last + 1;
        misses += 1;
    }
    Err(BoundError::TooFine)
}

/// The fewest correct answers out of `samples` that show an accuracy of at least `accuracy`, except with chance
/// `risk`; `None` if not even all of them do.
pub fn clopper_pearson_correct(
    samples: u64,
    accuracy: f64,
    risk: f64,
) -> Result<Option<u64>, BoundError> {
    check_rate("the accuracy", accuracy)?;
    check_rate("the risk", risk)?;
    if passing_chance(samples, samples, accuracy)? > risk {
        return Ok(None);
    }
    let (mut low, mut high) = (0, samples);
    while low < high {
        let middle = low + (high - low) / 2;
        if passing_chance(middle, samples, accuracy)? <= risk {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(low))
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
#[path = "bounds_tests.rs"]
mod tests;
