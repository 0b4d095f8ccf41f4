//! `zknode dataset`

use std::{fs, io::BufReader, path::PathBuf};

use anyhow::Context;
use clap::Subcommand;
use rand::rngs::OsRng;
use serde_json::json;
use zknode_circuit::verify::Verifier;

use super::{DatasetArgs, Session};
use crate::{
    output::Answer,
    setup,
    store::{Store, Table},
    testset::CommittedSet,
};

#[derive(Subcommand)]
pub enum Command {
    /// Commits to a test set, shard by shard, for proofs of one architecture; keeps the salt in the home.
    Commit {
        #[command(flatten)]
        dataset: DatasetArgs,
        /// Verifying key of the architecture, as `prove --key` and `model key` write it.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

impl Command {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let Self::Commit { dataset, key } = self;
        let home = session.home()?;
        let verifier = read_key(key)?;
        let layout = setup::layout(verifier.architecture(), verifier.options())?;
        let srs = setup::reference_string(&home, verifier.options().k, None, &session.progress)?;
        let source = dataset.source()?;
        let set = CommittedSet::new(source, &layout, &srs, &mut OsRng, &session.progress)?;
        let store = Store::open(home.database())?;
        store.put(Table::Datasets, &set.root.to_string(), &set)?;
        let shards: Vec<_> = set.shards.iter().map(|shard| shard.commitment).collect();
        session.output().print(
            &json!({ "root": set.root, "samples": set.samples(), "shards": shards }),
            format!(
                "root {}\n{} samples in {} shards",
                set.root,
                set.samples(),
                shards.len()
            ),
        )?;
        Ok(Answer::Yes)
    }
}

/// Reads a verifying-key file.
pub fn read_key(path: &std::path::Path) -> anyhow::Result<Verifier> {
    let file = fs::File::open(path).with_context(|| path.display().to_string())?;
    Verifier::read(BufReader::new(file)).with_context(|| path.display().to_string())
}
