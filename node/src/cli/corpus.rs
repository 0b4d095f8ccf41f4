//! `zknode corpus`

use std::path::PathBuf;

use anyhow::bail;
use clap::Subcommand;
use rand::rngs::OsRng;
use serde_json::json;
use zknode_protocol::value::Hash;

use super::{source, value, Session};
use crate::{
    config::ChainConfig,
    corpus::CorpusFile,
    output::Answer,
    seller::model::{choose, OwnModel},
    setup,
    store::Store,
};

#[derive(Subcommand)]
pub enum Command {
    /// Commits to every image of a dataset, for retrievals by a registered model. Labels are not looked at.
    Commit {
        /// IDX images, CIFAR binary, a folder of images with labels.csv, or `mnist-256`.
        dataset: PathBuf,
        /// Images to take, such as 56..256; all of them by default.
        #[arg(long, value_name = "FROM..TO", value_parser = value::range)]
        samples: Option<(usize, Option<usize>)>,
        /// Which registered model [default: the only one].
        #[arg(long)]
        model: Option<Hash>,
        /// Where the commitments and the seeds that open them go. Secret. What an earlier release wrote there keeps its items
        /// and its root, and is given the proof it lacks; the dataset is then the one it names.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

impl Command {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let Self::Commit {
            dataset,
            samples,
            model,
            out,
        } = self;
        let old = out.exists() && CorpusFile::is_old(out)?;
        if out.exists() && !old {
            bail!("{} exists already; move it away first", out.display());
        }
        let home = session.home()?;
        let chain_id = ChainConfig::load(&home)?.chain_id;
        let (id, record) = choose(&Store::open(home.database())?, *model)?;
        let network = OwnModel::network(&home, &record)?;
        let layout = setup::layout(network.architecture(), &record.layout)?;
        let k = layout.options().k;
        let srs = setup::reference_string(&home, k, Some(chain_id), &session.progress)?;
        if let Some(warning) = warning(layout.options().top_k) {
            session.progress.say(warning);
        }
        let (rng, progress) = (&mut OsRng, &session.progress);
        let file = if old {
            CorpusFile::prove_old(out, id, &layout, &srs, rng, progress)?
        } else {
            let source = source(dataset, *samples, 0)?;
            CorpusFile::commit(source, id, &layout, &srs, rng, progress)?
        };
        file.write(out)?;
        let (items, root) = (file.manifest.items.len(), file.manifest.root()?);
        let shards = file.manifest.shards().len();
        session.output().print(
            &json!({ "root": root, "items": items, "shards": shards, "model": id }),
            format!("{items} items in {shards} shards, root {root}"),
        )?;
        Ok(Answer::Yes)
    }
}

/// What a retrieval shows beside the matches.
fn warning(top_k: usize) -> Option<String> {
    (top_k > 1).then(|| {
        format!(
            "warning: this model's proofs also count the top {top_k}, so every retrieval shows to everybody for how many items of \
             each shard the class is among the {top_k} likeliest; a model registered with --top-k 1 shows the matches only"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_beside_the_matches_are_warned_of() {
        assert_eq!(warning(1), None);
        assert!(warning(5).is_some_and(|says| says.contains("top 5")));
    }
}
