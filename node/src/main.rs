//! The zknode program: exit code 0 for yes, 1 for no, 2 for an error.

use std::process::ExitCode;

use zknode::{
    cli::{self, Reported},
    output::Answer,
};

fn main() -> ExitCode {
    match cli::run() {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Ok(Answer::Failed) | Err(Reported) => ExitCode::from(2),
    }
}
