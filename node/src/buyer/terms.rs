//! From what a buyer wishes to the terms of an agreement.

use std::{fmt, str::FromStr, time::Duration};

use anyhow::{bail, ensure, Context};
use zknode_protocol::{
    agreement::{Metric, Mode, Terms},
    value::{Address, Hash, ModelId},
};

use super::Money;

/// Fewest correct answers: a count, or a share of the samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threshold {
    /// So many samples.
    Count(u32),
    /// So many hundredths of a percent of them, rounded up.
    BasisPoints(u32),
}

impl Threshold {
    /// The count for a test set of `samples`.
    pub fn of(&self, samples: u32) -> u32 {
        match *self {
            Self::Count(count) => count,
            Self::BasisPoints(points) => {
                let exact = u64::from(points) * u64::from(samples);
                exact.div_ceil(10_000) as u32
            }
        }
    }
}

impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::BasisPoints(points) => write!(f, "{}.{:02}%", points / 100, points % 100),
        }
    }
}

impl FromStr for Threshold {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let refuse =
            || format!("expected a count such as 190 or a share such as 98.5%, got {text:?}");
        let is_number =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty();
        let Some(percent) = text.strip_suffix('%') else {
            ensure!(is_number(text), refuse());
            return Ok(Self::Count(text.parse().with_context(refuse)?));
        };
        let (whole, fraction) = percent.split_once('.').unwrap_or((percent, "0"));
        ensure!(is_number(whole) && is_number(fraction), refuse());
        ensure!(
            fraction.len() <= 2,
            "expected at most two digits after the point, got {text:?}"
        );
        let digits = format!("{whole}{fraction:0<2}");
        match digits.parse() {
            Ok(points) if points <= 10_000 => Ok(Self::BasisPoints(points)),
            _ => bail!("expected a share between 0% and 100%, got {text:?}"),
        }
    }
}

/// Time for each step, counted from the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For the seller to accept.
    pub accept: Duration,
    /// For the drawn shards to arrive.
    pub preview: Duration,
    /// For the seller to answer on chain what is said to be sent.
    pub respond: Duration,
    /// For the test set to arrive.
    pub deliver: Duration,
    /// For the claim; in eager mode, for the last proof.
    pub prove: Duration,
    /// For the buyer to look at the claim.
    pub window: Duration,
    /// For the seller to bring a contested proof.
    pub answer: Duration,
}

/// What the buyer wishes, but for the test set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Fewest correct answers.
    pub threshold: Threshold,
    /// What counts as correct.
    pub metric: Metric,
    /// What price and bond are in: zero for ether, else an ERC-20 token, in its least unit.
    pub token: Address,
    /// How the count comes to the chain.
    pub mode: Mode,
    /// Shards the seller sees before it goes on.
    pub preview_shards: u32,
    /// All amounts.
    pub money: Money,
    /// Time for each step.
    pub deadlines: Deadlines,
}

impl Wish {
    /// The terms for a committed test set, the clock starting at block time `now`.
    pub fn terms(
        &self,
        model: ModelId,
        root: Hash,
        shards: u32,
        samples: u32,
        now: u64,
    ) -> anyhow::Result<Terms> {
        let threshold = self.threshold.of(samples);
        ensure!(
            threshold <= samples,
            "expected a threshold of at most {samples}, the number of samples, got {threshold}"
        );
        let money = self.money;
        for (what, part) in [
            ("penalty", money.penalty),
            ("preview fee", money.preview_fee),
        ] {
            ensure!(
                part <= money.bond,
                "expected a {what} of at most the bond, {} wei, got {part}",
                money.bond
            );
        }
        let later = |time: u64, step: Duration| time.saturating_add(step.as_secs().max(1));
        let seconds = |time: Duration| {
            u32::try_from(time.as_secs()).with_context(|| format!("{time:?} is too long"))
        };
        let respond = self.deadlines.respond;
        let accept_by = later(now, self.deadlines.accept);
        let preview_by = later(accept_by, self.deadlines.preview);
        let answered = preview_by.saturating_add(respond.as_secs());
        let deliver_by = later(answered, self.deadlines.deliver);
        let answered = deliver_by.saturating_add(respond.as_secs());
        let claim_by = later(answered, self.deadlines.prove);
        Ok(Terms {
            model,
            dataset_root: root,
            token: self.token,
            shards,
            samples,
            threshold,
            price: money.price,
            buyer_bond: money.buyer_bond,
            bond: money.bond,
            penalty: money.penalty,
            preview_fee: money.preview_fee,
            contest_fee: money.contest_fee,
            accept_by,
            preview_by,
            deliver_by,
            claim_by,
            metric: self.metric,
            mode: self.mode,
            preview_shards: self.preview_shards.min(shards),
            response_time: seconds(respond)?,
            window: seconds(self.deadlines.window)?,
            prove_time: seconds(self.deadlines.answer)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_share_rounds_up() {
        let of = |text: &str, samples| text.parse::<Threshold>().unwrap().of(samples);
        assert_eq!(of("190", 200), 190);
        assert_eq!(of("98%", 200), 196);
        assert_eq!(of("98.01%", 200), 197);
        assert_eq!(of("99.5%", 1), 1);
        assert_eq!(of("0%", 9), 0);
        assert_eq!(of("100%", 10_000), 10_000);
        for text in ["190", "98.05%", "100.00%"] {
            assert_eq!(text.parse::<Threshold>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "", "%", ".5%", "5.%", "+5", "-1", "101%", "98.123%", "9x%", "1e3", "100.01%",
        ] {
            assert!(text.parse::<Threshold>().is_err(), "{text:?}");
        }
    }
}
