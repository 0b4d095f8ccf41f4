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

impl Output {
    /// Prints a command's result.
    pub fn print(&self, value: &impl Serialize, words: impl AsRef<str>) -> anyhow::Result<()> {
        if self.json {
            // Not `println!`, which panics when the reader is gone.
            writeln!(std::io::stdout(), "{}", serde_json::to_string(value)?)?;
        } else {
            writeln!(std::io::stderr(), "{}", words.as_ref())?;
        }
        Ok(())
    }
}
