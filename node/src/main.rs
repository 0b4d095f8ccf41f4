//! The zknode program: seller and buyer of model accuracy, and the tools both need.

mod buyer;
mod card;
mod cli;
mod config;
mod delivery;
mod home;
mod keys;
mod model_file;
mod output;
mod progress;
mod proof_file;
mod seller;
mod setup;
mod store;
mod testset;
mod verifier_code;
mod wallet;

use std::process::ExitCode;

use output::Answer;

fn main() -> ExitCode {
    match cli::run() {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
