//! What people see while they wait, on stderr: bars on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use zknode_circuit::prove::Stage;

use crate::output::plain;

/// Longest time left that is shown: two weeks.
const MOST_SECONDS: f64 = 1_209_600.0;

/// Where bars and lines go.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    bars: bool,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// Bars where stderr is a terminal.
    pub fn new() -> Self {
        Self {
            bars: std::io::stderr().is_terminal(),
        }
    }

    /// One line, now. Where nobody reads any more, as after a lost terminal, the work goes on.
    pub fn say(&self, line: impl AsRef<str>) {
        let _ = writeln!(std::io::stderr(), "{}", plain(line.as_ref()));
    }

    /// A bar over bytes.
    pub fn bytes(&self, what: &str) -> Bar {
        self.bar(what, "{msg} {bar:30} {bytes}/{total_bytes} {eta}")
    }

    /// A bar over a count.
    pub fn count(&self, what: &str) -> Bar {
        self.bar(what, "{msg} {bar:30} {pos}/{len} {eta}")
    }

    /// Work whose length is not known.
    pub fn wait(&self, what: &str) -> Bar {
        self.bar(what, "{spinner} {msg} {elapsed}")
    }

    /// The stages of a proof, and how long each is likely to take.
    pub fn proof(&self, what: &str, expected: &[(Stage, f64)]) -> ProofBar {
        let left = Left::default();
        let bar = self.bar(what, "{spinner} {msg} {elapsed}, {left}");
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}, {left}") {
            let left = left.clone();
            bar.0.set_style(style.with_key(
                "left",
                move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = out.write_str(&left.words(Instant::now()));
                },
            ));
        }
        ProofBar {
            bar,
            what: what.to_owned(),
            expected: expected.to_vec(),
            left,
            stages: Mutex::new(vec![]),
        }
    }

    fn bar(&self, what: &str, template: &str) -> Bar {
        if !self.bars {
            self.say(format!("{what} ..."));
        }
        let bar = if self.bars {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        if self.bars {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        Bar(bar)
    }
}

/// One bar; gone when dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// `done` of `all`.
    pub fn at(&self, done: u64, all: u64) {
        self.0.set_length(all);
        self.0.set_position(done);
    }

    /// Finished.
    pub fn done(self) {
        self.0.finish_and_clear();
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// When a proof is likely to be finished.
#[derive(Clone, Default)]
struct Left(Arc<Mutex<Option<Instant>>>);

impl Left {
    fn set(&self, end: Instant) {
        if let Ok(mut left) = self.0.lock() {
            *left = Some(end);
        }
    }

    fn words(&self, now: Instant) -> String {
        let end = self.0.lock().ok().and_then(|end| *end);
        match end.map(|end| end.saturating_duration_since(now).as_secs()) {
            None => "estimating".into(),
            Some(0) => "nearly done".into(),
            Some(seconds) => format!("about {seconds} s left"),
        }
    }
}

/// Seconds left when `stage` begins after `elapsed`: what is expected of it and what follows, at the pace so far.
fn left(expected: &[(Stage, f64)], stage: Stage, elapsed: f64) -> f64 {
    let sum = |done: bool| -> f64 {
        let stages = expected
            .iter()
            .filter(|(other, _)| (*other < stage) == done);
        stages.map(|(_, seconds)| seconds).sum()
    };
    let (before, after) = (sum(true), sum(false));
    match before > 0.0 && elapsed > 0.0 {
        // Half way between the estimate and the pace: early stages are short and say little.
        true => after * (1.0 + elapsed / before) / 2.0,
        false => after,
    }
}

/// The bar of a proof, which also keeps the time of each stage.
pub struct ProofBar {
    bar: Bar,
    what: String,
    expected: Vec<(Stage, f64)>,
    left: Left,
    stages: Mutex<Vec<(Stage, Instant)>>,
}

impl ProofBar {
    /// A stage begins.
    pub fn stage(&self, stage: Stage) {
        self.bar.0.set_message(format!("{}: {stage}", self.what));
        let now = Instant::now();
        if let Ok(mut stages) = self.stages.lock() {
            stages.push((stage, now));
            let begun = stages.first().map_or(now, |(_, begun)| *begun);
            let elapsed = now.duration_since(begun).as_secs_f64();
            let seconds = left(&self.expected, stage, elapsed).clamp(0.0, MOST_SECONDS);
            self.left.set(now + Duration::from_secs_f64(seconds));
        }
    }

    /// Finished: seconds of each stage.
    pub fn done(self) -> Vec<(Stage, f64)> {
        let end = Instant::now();
        let stages = self.stages.lock().map(|s| s.clone()).unwrap_or_default();
        let ends = stages.iter().skip(1).map(|(_, start)| *start).chain([end]);
        let seconds = |(&(stage, start), end): (&(Stage, Instant), Instant)| {
            (stage, end.duration_since(start).as_secs_f64())
        };
        stages.iter().zip(ends).map(seconds).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: [(Stage, f64); 3] = [
        (Stage::Commitments, 10.0),
        (Stage::Quotient, 60.0),
        (Stage::Opening, 5.0),
    ];

    #[test]
    fn what_is_left_follows_the_pace() {
        assert_eq!(left(&EXPECTED, Stage::Commitments, 0.0), 75.0);
        assert_eq!(left(&EXPECTED, Stage::Quotient, 10.0), 65.0);
        // Twice as slow so far.
        assert_eq!(left(&EXPECTED, Stage::Quotient, 20.0), 97.5);
        assert_eq!(left(&EXPECTED, Stage::Opening, 70.0), 5.0);
        assert_eq!(left(&[], Stage::Opening, 70.0), 0.0);
    }

    #[test]
    fn the_words_never_count_below_zero() {
        let left = Left::default();
        let now = Instant::now();
        assert_eq!(left.words(now), "estimating");
        left.set(now + Duration::from_secs(3));
        assert_eq!(left.words(now), "about 3 s left");
        assert_eq!(left.words(now + Duration::from_secs(9)), "nearly done");
    }
}
