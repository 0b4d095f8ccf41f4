//! `zknode account`

use anyhow::Context;
use clap::Subcommand;
use rand::rngs::OsRng;
use serde_json::json;

use super::Session;
use crate::{home::read_file, keys, output::Answer};

#[derive(Subcommand)]
pub enum Command {
    /// Makes an account with a fresh key, encrypted with the password.
    New,
    /// Stores a known secret key (a file with 32 bytes of hex), encrypted with the password.
    Import {
        /// The file.
        file: std::path::PathBuf,
    },
    /// Shows the account's address.
    Show,
}

impl Command {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let home = session.home()?;
        let key = match self {
            Self::New => keys::new_account(&home, &session.password()?, &mut OsRng)?,
            Self::Import { file } => {
                let text = read_file(file, 1 << 10)?;
                let text = String::from_utf8_lossy(&text);
                let digits = text.trim();
                let secret = hex::decode(digits.strip_prefix("0x").unwrap_or(digits))
                    .ok()
                    .with_context(|| format!("{}: expected 32 bytes of hex", file.display()))?;
                keys::import_account(&home, &secret, &session.password()?, &mut OsRng)?
            }
            Self::Show => session.key(&home)?,
        };
        let address = key.address();
        session
            .output()
            .print(&json!({ "address": address }), address.to_string())?;
        Ok(Answer::Yes)
    }
}
