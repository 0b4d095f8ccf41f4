//! `zknode bench`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use zknode_circuit::network::{
    import::{self, ImportOptions},
    model_file, Network,
};
use zknode_datasets::fixtures;

use super::{
    import::BUNDLED_MODEL,
    model::{LayoutArgs, MAX_MODEL},
    source, Session,
};
use crate::{
    bench,
    demo::anvil,
    home::{read_file, Home},
    output::Answer,
    setup,
    testset::BUNDLED,
};

/// Arguments of the benchmark.
#[derive(Args)]
pub struct Bench {
    /// A model, as `model import` wrote it, or `lenet5`, the bundled one.
    #[arg(default_value = BUNDLED_MODEL)]
    model: PathBuf,
    /// Images to prove, taken again and again until there are enough.
    #[arg(long, default_value = BUNDLED)]
    dataset: PathBuf,
    /// Added to every label: 1 for networks whose class 0 is the background.
    #[arg(long, value_name = "N", default_value_t = 0)]
    label_offset: u16,
    /// How many [default: one full proof].
    #[arg(long)]
    images: Option<usize>,
    #[command(flatten)]
    layout: LayoutArgs,
    /// The Ethereum node to measure gas on [default: the one in contracts/node_modules, else `anvil` on the path].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_ANVIL")]
    anvil: Option<PathBuf>,
    /// The pinned compiler [default: contracts/bin/compile-verifier].
    #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
    compiler: Option<PathBuf>,
}

impl Bench {
    /// Measures and prints.
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let network = self.network()?;
        let layout = self.layout.layout(network.architecture())?;
        let samples = source(&self.dataset, None, self.label_offset)?.read(&layout)?;
        // Nothing here is worth keeping: a temporary home, unless one is named.
        let temporary = tempfile::tempdir()?;
        let home = match &session.shared.home {
            Some(_) => session.home()?,
            None => Home::open(&temporary.path().join("home"))?,
        };
        let k = layout.options().k;
        let srs = setup::reference_string(&home, k, None, &session.progress)?;
        let bench = bench::Bench {
            network,
            samples,
            images: self.images.unwrap_or(layout.options().samples).max(1),
            layout,
            compiler: self.compiler.clone(),
            anvil: anvil::program(self.anvil.as_deref()),
        };
        let figures = bench.run(srs, &session.progress).await?;
        session.output().print(&figures, format!("\n{figures}"))?;
        Ok(Answer::Yes)
    }

    fn network(&self) -> anyhow::Result<Network> {
        if self.model != Path::new(BUNDLED_MODEL) {
            let file = read_file(&self.model, MAX_MODEL)?;
            return model_file::read(&file).with_context(|| self.model.display().to_string());
        }
        let images = fixtures::mnist_256()?;
        let images: Vec<_> = images.samples().iter().map(|s| s.image.pixels()).collect();
        let file = fixtures::lenet5_onnx()?;
        let imported = import::onnx(file, &images, &ImportOptions::default(), &mut |_| ())?;
        Ok(imported.network)
    }
}
