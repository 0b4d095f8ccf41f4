//! What people see while they wait, on stderr: bars on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use zknode_circuit::prove::Stage;

use crate::output::plain;

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

    /// The stages of a proof.
    pub fn proof(&self, what: &str) -> ProofBar {
        ProofBar {
            bar: self.bar(what, "{spinner} {msg} {elapsed}"),
            what: what.to_owned(),
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

/// The bar of a proof, which also keeps the time of each stage.
pub struct ProofBar {
    bar: Bar,
    what: String,
    stages: Mutex<Vec<(Stage, Instant)>>,
}

impl ProofBar {
    /// A stage begins.
    pub fn stage(&self, stage: Stage) {
        self.bar.0.set_message(format!("{}: {stage}", self.what));
        if let Ok(mut stages) = self.stages.lock() {
            stages.push((stage, Instant::now()));
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
