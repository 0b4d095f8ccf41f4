//! `zknode demo`

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::{import::BUNDLED_MODEL, Session};
use crate::{buyer::Threshold, demo, output::Answer, testset::BUNDLED};

#[derive(Args)]
pub struct Demo {
    /// Keep homes and model in this new folder [default: a temporary one, removed at the end].
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// The Ethereum node [default: the one in contracts/node_modules, else `anvil` on the path].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_ANVIL")]
    anvil: Option<PathBuf>,
    /// The pinned compiler [default: contracts/bin/compile-verifier].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
    compiler: Option<PathBuf>,
    /// A float model in ONNX, or `lenet5`, the bundled one.
    #[arg(long, default_value = BUNDLED_MODEL)]
    model: PathBuf,
    /// A test set, or `mnist-256`, the bundled images.
    #[arg(long, default_value = BUNDLED)]
    dataset: PathBuf,
    /// Images the seller calibrates with.
    #[arg(long, value_name = "DATASET", default_value = BUNDLED)]
    calibrate_on: PathBuf,
    /// Samples of them.
    #[arg(long, value_name = "FROM..TO", default_value = "200..256")]
    calibrate: String,
    /// Images the buyer tests with, the first of the test set; where it holds fewer, they are repeated.
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    images: u32,
    /// What the seller claims to reach: 194, or 97%.
    #[arg(long, default_value = "97%")]
    threshold: Threshold,
    /// log2 of the rows of a proof.
    #[arg(long)]
    k: Option<u32>,
    /// Column triples for activations.
    #[arg(long)]
    lanes: Option<usize>,
}

impl Demo {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let temporary = tempfile::tempdir()?;
        let folder = match &self.folder {
            Some(folder) => {
                std::fs::create_dir(folder).with_context(|| folder.display().to_string())?;
                folder.canonicalize()?
            }
            None => temporary.path().into(),
        };
        let flag = |name: &str, value: Option<String>| {
            let pair = value.map(|value| [name.to_owned(), value]);
            pair.into_iter().flatten().collect::<Vec<_>>()
        };
        let layout = [
            flag("--k", self.k.map(|k| k.to_string())),
            flag("--lanes", self.lanes.map(|lanes| lanes.to_string())),
        ];
        let demo = demo::Demo {
            folder,
            anvil: self.anvil.clone(),
            compiler: self.compiler.clone(),
            model: self.model.clone(),
            dataset: self.dataset.clone(),
            calibrate_on: self.calibrate_on.clone(),
            calibration: self.calibrate.clone(),
            images: self.images,
            threshold: self.threshold,
            layout: layout.concat(),
        };
        let (summary, answer) = demo.run(session.progress).await?;
        session.output().print(&summary, format!("\n{summary}"))?;
        Ok(answer)
    }
}
