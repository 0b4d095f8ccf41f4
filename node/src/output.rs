//! What a command answers: JSON on stdout when asked for, words on stderr.

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
            println!("{}", serde_json::to_string(value)?);
        } else {
            eprintln!("{}", words.as_ref());
        }
        Ok(())
    }
}
