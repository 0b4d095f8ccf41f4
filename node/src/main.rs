//! The zknode program: seller and buyer of model accuracy, and the tools both need.

mod buyer;
mod card;
mod cli;
mod config;
mod delivery;
mod demo;
mod home;
mod keys;
mod output;
mod progress;
mod proof_file;
mod seller;
mod setup;
mod store;
mod testset;
mod verifier_code;
mod wallet;

use std::{io::Write, process::ExitCode};

use output::Answer;

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
