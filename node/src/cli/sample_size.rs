//! `zknode sample-size`

use clap::Args;
use serde_json::json;
use zknode_protocol::bounds::{
    audit_samples, clopper_pearson_correct, clopper_pearson_lower, clopper_pearson_samples,
    hoeffding_error, hoeffding_samples,
};

use super::{value, Session};
use crate::output::Answer;

/// Version of the JSON.
const VERSION: u16 = 1;
/// Thresholds that are shown when none is named, in basis points.
const SHOWN: [u32; 5] = [9_000, 9_500, 9_800, 9_900, 9_950];

#[derive(Args)]
pub struct SampleSize {
    /// How far the true accuracy may be below the measured one, such as 2.5%.
    #[arg(long, value_parser = value::share)]
    error: u32,
    /// How sure that must be, such as 95%.
    #[arg(long, default_value = "95%", value_parser = value::share)]
    confidence: u32,
    /// The accuracy to be reached: its size is exact, and far smaller near 100% [default: a table].
    #[arg(long, value_parser = value::share)]
    threshold: Option<u32>,
    /// Says too what a test set of this size shows.
    #[arg(long, value_name = "N")]
    samples: Option<u64>,
}

impl SampleSize {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let fraction = |points: u32| f64::from(points) / 10_000.0;
        let error = fraction(self.error);
        let risk = fraction(10_000_u32.saturating_sub(self.confidence));
        let hoeffding = hoeffding_samples(error, risk)?;
        let audits = audit_samples(error, risk)?;
        let mut words = format!(
            "at most {} below the measured accuracy, {} sure:\n  {hoeffding} samples, whatever the model (Hoeffding)",
            percent(self.error),
            percent(self.confidence),
        );
        let named = self.threshold.map(|threshold| vec![threshold]);
        let thresholds = named.unwrap_or_else(|| {
            let shown = SHOWN.into_iter().filter(|points| *points > self.error);
            shown.collect()
        });
        let mut exact = vec![];
        for points in thresholds {
            let size = clopper_pearson_samples(points, error, risk)?;
            let lower = clopper_pearson_lower(size.correct, size.samples, risk)?;
            words.push_str(&format!(
                "\n  {} samples, {} of them correct, show {} (Clopper-Pearson, threshold {})",
                size.samples,
                size.correct,
                percent(points.saturating_sub(self.error)),
                percent(points),
            ));
            exact.push(json!({
                "threshold": fraction(points), "samples": size.samples, "correct": size.correct, "at_least": lower,
            }));
        }
        words.push_str(&format!(
            "\nserved answers: where {} are wrong, {audits} audited ones meet one of these, {} sure: (1-e)^n <= d",
            percent(self.error),
            percent(self.confidence),
        ));
        let mut given = serde_json::Value::Null;
        if let Some(samples) = self.samples {
            let measured = hoeffding_error(samples, risk)?;
            words.push_str(&format!(
                "\n{samples} samples: error {:.2}% (Hoeffding)",
                measured * 100.0
            ));
            let mut correct = None;
            if let Some(points) = self.threshold {
                let accuracy = fraction(points.saturating_sub(self.error));
                correct = clopper_pearson_correct(samples, accuracy, risk)?;
                let shown = percent(points.saturating_sub(self.error));
                words.push_str(&match correct {
                    Some(correct) => format!("; {correct} correct show {shown} (Clopper-Pearson)"),
                    None => format!("; not even all correct show {shown} (Clopper-Pearson)"),
                });
            }
            given = json!({ "samples": samples, "hoeffding_error": measured, "fewest_correct": correct });
        }
        session.output().print(
            &json!({
                "version": VERSION, "error": error, "confidence": fraction(self.confidence), "hoeffding": hoeffding,
                "clopper_pearson": exact, "audits": audits, "given": given,
            }),
            words,
        )?;
        Ok(Answer::Yes)
    }
}

/// Basis points as people write them.
pub fn percent(points: u32) -> String {
    let text = format!("{}.{:02}", points / 100, points % 100);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_written_as_they_are_read() {
        for (points, text) in [
            (9_800, "98%"),
            (250, "2.5%"),
            (1, "0.01%"),
            (10_000, "100%"),
            (0, "0%"),
        ] {
            assert_eq!(percent(points), text);
            assert_eq!(value::share(text).ok(), Some(points));
        }
    }
}
