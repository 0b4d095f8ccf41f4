//! What a command answers: JSON on stdout when asked for, words on stderr.

use std::io::Write;

use serde::Serialize;

/// The exit code of a command that ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 0.
    Yes,
    /// 1: a proof that does not verify, a threshold that was missed.
    No,
    /// 2: some of several things failed, which the answer says.
    Failed,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// Where answers go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Print JSON too.
    pub json: bool,
}

/// An error with its causes, none of them said twice.
pub fn explain(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    words
}

/// Text as it may go to a terminal: what a stranger wrote must not steer it.
pub fn plain(text: &str) -> String {
    let harmless = |c: char| c == '\n' || c == '\t' || !c.is_control();
    text.chars()
        .map(|c| if harmless(c) { c } else { '\u{fffd}' })
        .collect()
}

impl Output {
    /// Prints why a command failed.
    pub fn print_error(&self, error: &anyhow::Error) {
        let words = explain(error);
        // If nobody reads, the exit code still tells.
        if self.json {
            let line = serde_json::json!({ "error": words });
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        let _ = writeln!(std::io::stderr(), "error: {}", plain(&words));
    }

    /// Prints a command's result.
    pub fn print(&self, value: &impl Serialize, words: impl AsRef<str>) -> anyhow::Result<()> {
        if self.json {
            // Not `println!`, which panics when the reader is gone.
            writeln!(std::io::stdout(), "{}", serde_json::to_string(value)?)?;
        } else {
            writeln!(std::io::stderr(), "{}", plain(words.as_ref()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{anyhow, Context};

    #[test]
    fn no_cause_is_said_twice_and_none_steers_the_terminal() {
        let error = Err::<(), _>(anyhow!("no space left")).context("disk: no space left");
        let error = error.context("saving").err().map(|error| explain(&error));
        assert_eq!(error.as_deref(), Some("saving: disk: no space left"));
        assert_eq!(plain("a\u{1b}[2Jb\r\nc"), "a\u{fffd}[2Jb\u{fffd}\nc");
    }
}
