//! The zknode program: exit code 0 for yes, 1 for no, 2 for an error.

use std::{io::Write, process::ExitCode};

use zknode::{cli, output::Answer};

fn main() -> ExitCode {
    match cli::run() {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::from(2)
        }
    }
}
