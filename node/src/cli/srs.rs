//! `zknode srs`

use std::path::PathBuf;

use anyhow::ensure;
use clap::Subcommand;
use rand::rngs::OsRng;
use serde_json::json;
use zknode_circuit::srs::{FileDigest, Srs};

use super::Session;
use crate::{output::Answer, setup};

#[derive(Subcommand)]
pub enum Command {
    /// Makes and caches the INSECURE development string, for development chains only.
    Make {
        /// log2 of the rows.
        #[arg(long)]
        k: u32,
    },
    /// Reads a powers-of-tau ceremony's file (`.ptau`, BN254), checks it and caches what is needed.
    Import {
        /// The file.
        file: PathBuf,
        /// log2 of the rows.
        #[arg(long)]
        k: u32,
        /// BLAKE2b-512 the file must have, as the ceremony published it.
        #[arg(long, required_unless_present = "unpinned")]
        digest: Option<FileDigest>,
        /// Take a file whose origin nothing vouches for: whoever made it may know its secret.
        #[arg(long, conflicts_with = "digest")]
        unpinned: bool,
    },
    /// Checks a cached string against itself: powers, Lagrange basis and G2 point share one secret.
    Audit {
        /// log2 of the rows.
        #[arg(long)]
        k: u32,
    },
}

impl Command {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let home = session.home()?;
        let progress = &session.progress;
        match self {
            Self::Make { k } => {
                let srs = setup::reference_string(&home, *k, None, progress)?;
                show(session, &srs)
            }
            Self::Import {
                file, k, digest, ..
            } => {
                let srs = setup::import_ceremony(&home, file, *k, *digest, progress)?;
                if digest.is_none() {
                    progress.say("UNPINNED: nothing says whose ceremony this was");
                }
                show(session, &srs)
            }
            Self::Audit { k } => {
                let path = home.srs(*k);
                ensure!(
                    path.exists(),
                    "there is no reference string for k = {k} in {}",
                    path.display()
                );
                let srs = setup::reference_string(&home, *k, None, progress)?;
                let bar = progress.wait("auditing");
                srs.audit(OsRng)?;
                bar.done();
                show(session, &srs)
            }
        }
    }
}

fn show(session: &Session, srs: &Srs) -> anyhow::Result<Answer> {
    session.output().print(
        &json!({
            "k": srs.k(),
            "provenance": srs.provenance().to_string(),
            "insecure": srs.is_development(),
        }),
        srs.to_string(),
    )?;
    Ok(Answer::Yes)
}
