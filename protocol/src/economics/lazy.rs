//! Sellers who guess, played against the protocol: how often they are paid, measured beside computed.
//!
//! Three places where a seller may guess: the model it commits to ([`accuracy`]), the counts it claims ([`claims`]),
//! and the answers it serves ([`predictions`]). The shards and answers that are looked at are drawn as the protocol
//! draws them ([`draw_shards`]); everything else comes from a generator with a seed, so that the tables repeat.

mod table;

use crate::{
    bounds::passing_chance,
    digest::keccak,
    sampling::{draw_shards, SamplingError},
    value::Hash,
};

use super::{hit_chance, Terms};

pub use table::table;

/// Shares of guessed answers that show the fall of the curve.
pub const SHARES: [f64; 14] = [
    0.0, 0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0,
];

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Share of answers that are guessed, or of shards that are claimed falsely.
    pub share: f64,
    /// Plays.
    pub runs: u32,
    /// Of them, those that ended with the seller paid.
    pub paid: u32,
    /// Of the others, those the seller declined after the preview.
    pub declined: u32,
    /// The chance to be paid, computed.
    pub exact: f64,
    /// A bound on it that needs no sum.
    pub bound: f64,
}

/// How good the answers are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answers {
    /// Chance that an answer of the model is right.
    pub model: f64,
    /// Chance that a guess is: one over the classes, or the accuracy of a smaller model.
    pub guess: f64,
}

impl Answers {
    /// Accuracy when a share of the answers is guessed.
    fn mixed(&self, share: f64) -> f64 {
        self.model + share * (self.guess - self.model)
    }
}

/// The committed model guesses a share of its answers. The seller sees the drawn shards, goes on if their count is in
/// proportion to the threshold, and is paid if the proven count reaches it; a proof leaves nothing else to try.
///
/// The chance is `sum_j P(J = j) P(J' >= T - j)` over the previews j it goes on with; the bound is Hoeffding's,
/// `exp(-2 N (T/N - accuracy)^2)` for an accuracy below T/N, and 1 otherwise.
pub fn accuracy(
    terms: &Terms,
    answers: Answers,
    shares: &[f64],
    runs: u32,
    seed: u64,
) -> Result<Vec<Point>, SamplingError> {
    let mut random = Random(seed);
    let points = shares.iter().map(|&share| {
        let rate = answers.mixed(share);
        let (mut paid, mut declined) = (0, 0);
        for run in 0..runs {
            let drawn = draw(seed, run, terms.shards(), terms.preview_shards)?;
            let mut counts = vec![0_u64; terms.shards() as usize];
            for sample in 0..terms.samples {
                let shard = (sample / terms.shard_size.max(1)) as usize;
                if random.happens(rate) {
                    if let Some(count) = counts.get_mut(shard) {
                        *count += 1;
                    }
                }
            }
            let shown = drawn.iter().map(|index| held(terms, *index)).sum();
            let seen = drawn
                .iter()
                .filter_map(|index| counts.get(*index as usize))
                .sum();
            if !goes_on(terms, seen, shown) {
                declined += 1;
            } else if counts.iter().sum::<u64>() >= u64::from(terms.threshold) {
                paid += 1;
            }
        }
        Ok(Point {
            share,
            runs,
            paid,
            declined,
            exact: paid_chance(terms, rate),
            bound: hoeffding_bound(terms, rate),
        })
    });
    points.collect()
}

/// Samples of one shard.
fn held(terms: &Terms, index: u32) -> u64 {
    let before = index.saturating_mul(terms.shard_size);
    terms
        .samples
        .saturating_sub(before)
        .min(terms.shard_size)
        .into()
}

/// Whether a count in the preview is in proportion to the threshold.
fn goes_on(terms: &Terms, seen: u64, shown: u64) -> bool {
    seen * u64::from(terms.samples) >= u64::from(terms.threshold) * shown
}

/// The chance to go on and be paid. The last shard may hold fewer samples than the others, so the preview's size is
/// one of two, by the chance that the last shard is drawn.
fn paid_chance(terms: &Terms, rate: f64) -> f64 {
    let shards = terms.shards();
    let (drawn, last) = (terms.preview_shards, held(terms, shards.saturating_sub(1)));
    let with_last = hit_chance(shards, 1, drawn);
    let full = u64::from(drawn) * u64::from(terms.shard_size);
    let short = full.saturating_sub(u64::from(terms.shard_size) - last);
    with_last * paid_after(terms, short, rate) + (1.0 - with_last) * paid_after(terms, full, rate)
}

fn paid_after(terms: &Terms, shown: u64, rate: f64) -> f64 {
    let samples = u64::from(terms.samples);
    let shown = shown.min(samples);
    let threshold = u64::from(terms.threshold);
    let least = (threshold * shown).div_ceil(samples.max(1));
    let at_least = |correct: u64, of: u64| match (correct, of) {
        (0, _) => 1.0,
        (correct, of) => passing_chance(correct, of, rate).unwrap_or(0.0),
    };
    (least..=shown)
        .map(|seen| {
            let exactly = at_least(seen, shown)
                - if seen < shown {
                    at_least(seen + 1, shown)
                } else {
                    0.0
                };
            exactly * at_least(threshold.saturating_sub(seen), samples - shown)
        })
        .sum()
}

fn hoeffding_bound(terms: &Terms, rate: f64) -> f64 {
    let gap = f64::from(terms.threshold) / f64::from(terms.samples) - rate;
    if gap <= 0.0 {
        1.0
    } else {
        (-2.0 * f64::from(terms.samples) * gap * gap).exp()
    }
}

/// A share of the shards is claimed with false counts and their proofs withheld; the buyer contests `contests` drawn
/// shards. The seller is paid if none of them is false. The bound is `(1 - share)^contests`.
pub fn claims(
    shards: u32,
    contests: u32,
    shares: &[f64],
    runs: u32,
    seed: u64,
) -> Result<Vec<Point>, SamplingError> {
    let points = shares.iter().map(|&share| {
        let bad = (share * f64::from(shards)).round() as u32;
        let mut paid = 0;
        for run in 0..runs {
            // Which shards are false does not matter for a uniform draw: the first ones.
            let drawn = draw(seed, run, shards, contests)?;
            paid += u32::from(drawn.iter().all(|index| *index >= bad));
        }
        let share = f64::from(bad) / f64::from(shards);
        Ok(Point {
            share,
            runs,
            paid,
            declined: 0,
            exact: 1.0 - hit_chance(shards, bad, contests),
            bound: (1.0 - share).powi(contests as i32),
        })
    });
    points.collect()
}

/// A share of a round's `round` answers is guessed; the buyer has `audits` drawn ones proven for the committed model.
/// A guess that happens to be the model's answer passes. The seller is paid if every audited answer is the model's:
/// the chance and the bound are `(1 - share (1 - match))^audits`, with `answers.guess` as the chance of a match.
pub fn predictions(
    round: u32,
    audits: u32,
    matches: f64,
    shares: &[f64],
    runs: u32,
    seed: u64,
) -> Result<Vec<Point>, SamplingError> {
    let mut random = Random(seed);
    let points = shares.iter().map(|&share| {
        let mut paid = 0;
        for run in 0..runs {
            let wrong: Vec<bool> = (0..round)
                .map(|_| random.happens(share) && !random.happens(matches))
                .collect();
            let drawn = draw(seed, run, round, audits)?;
            let seen = |index: &u32| wrong.get(*index as usize) == Some(&true);
            paid += u32::from(!drawn.iter().any(seen));
        }
        let exact = (1.0 - share * (1.0 - matches)).powi(audits as i32);
        Ok(Point {
            share,
            runs,
            paid,
            declined: 0,
            exact,
            bound: exact,
        })
    });
    points.collect()
}

/// The protocol's own draw, seeded by a run.
fn draw(seed: u64, run: u32, of: u32, wanted: u32) -> Result<Vec<u32>, SamplingError> {
    let seed: Hash = keccak(&[&seed.to_be_bytes()[..], &run.to_be_bytes()].concat());
    draw_shards(seed, of, wanted)
}

/// SplitMix64 (Steele, Lea and Flood 2014): for plays that repeat, not for secrets.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// True with this chance, to 53 bits.
    fn happens(&mut self, chance: f64) -> bool {
        ((self.next() >> 11) as f64) < chance * (1u64 << 53) as f64
    }
}
