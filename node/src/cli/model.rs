//! `zknode model`

use std::{path::PathBuf, sync::Arc};

use anyhow::{bail, Context};
use clap::{Args, Subcommand};
use rand::rngs::OsRng;
use serde_json::json;
use zknode_circuit::{
    cost::Cost,
    layout::{Grid, Layout, LayoutOptions},
    network::{model_file, Architecture},
};
use zknode_protocol::{
    chain::{Call, Chain},
    value::{Amount, Bytes, Hash, ModelId},
};

use super::{import::Import, value, Session};
use crate::{
    home::{read_file, write_file},
    output::Answer,
    seller::model::{deploy_verifier, register, OwnModel},
    setup,
    verifier_code::{compile, compiler},
};

/// Longest model file.
pub const MAX_MODEL: u64 = 2 << 30;
/// Smallest and largest `k` tried when none is given.
const USUAL_K: std::ops::RangeInclusive<u32> = 12..=20;

/// How proofs are laid out.
#[derive(Args)]
pub struct LayoutArgs {
    /// log2 of the rows of a proof [default: the least that holds the network].
    #[arg(long)]
    k: Option<u32>,
    /// Column triples for activations: more are cheaper to prove and dearer on chain.
    #[arg(long, default_value_t = 8)]
    lanes: usize,
    /// Tiles that images are cut into, such as 7x7: for a few large images. Divides the sides of every tensor.
    #[arg(long, default_value_t = Grid::WHOLE)]
    grid: Grid,
    /// The k of top-k.
    #[arg(long, default_value_t = 5)]
    top_k: usize,
    /// Samples in a proof, a multiple of the lanes [default: as many as fit].
    #[arg(long)]
    shard_size: Option<usize>,
}

impl LayoutArgs {
    /// The layout of an architecture.
    pub fn layout(&self, architecture: &Architecture) -> anyhow::Result<Arc<Layout>> {
        let top_k = self.top_k.min(architecture.classes().max(1));
        let at = |k: u32| match self.shard_size {
            None => Layout::largest(architecture, k, self.lanes, self.grid, top_k),
            Some(samples) => {
                let options = LayoutOptions {
                    k,
                    lanes: self.lanes,
                    samples,
                    grid: self.grid,
                    top_k,
                };
                Layout::new(architecture.clone(), options)
            }
        };
        if let Some(k) = self.k {
            return Ok(Arc::new(at(k)?));
        }
        let mut refused = None;
        for k in USUAL_K {
            match at(k) {
                Ok(layout) => return Ok(Arc::new(layout)),
                Err(error) => refused = Some(error),
            }
        }
        match refused {
            Some(error) => Err(error).context("no k up to 20 holds this network"),
            None => bail!("no k was tried"),
        }
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Makes the integer network of a float ONNX model, and compares the two.
    Import(Box<Import>),
    /// Shows a model's architecture and how its proofs would be laid out.
    Inspect {
        /// The model, as `model import` wrote it.
        model: PathBuf,
        #[command(flatten)]
        layout: LayoutArgs,
    },
    /// Writes the verifying key of a model's architecture: all a verifier needs, and nothing of the weights.
    Key {
        /// The model.
        model: PathBuf,
        #[command(flatten)]
        layout: LayoutArgs,
        /// Where it goes.
        #[arg(long, value_name = "FILE", default_value = "model.zkvk")]
        out: PathBuf,
    },
    /// Gives notice that a model is no longer offered; agreements that are open go on.
    Retire {
        /// Its id.
        model: Hash,
    },
    /// Takes the stake of a retired model back, once the notice period is over.
    WithdrawStake {
        /// Its id.
        model: Hash,
    },
    /// Commits to a model, deploys its verifier and registers both on the chain.
    Register {
        /// The model.
        model: PathBuf,
        #[command(flatten)]
        layout: LayoutArgs,
        /// Wei held by the registry while the model is offered.
        #[arg(long, value_parser = value::amount)]
        stake: Amount,
        /// Where buyers reach this seller, such as http://host:port.
        #[arg(long, default_value = "")]
        endpoint: String,
        /// The pinned compiler [default: contracts/bin/compile-verifier].
        #[arg(long, value_name = "PROGRAM", env = "ZKNODE_COMPILER")]
        compiler: Option<PathBuf>,
    },
}

impl Command {
    pub async fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        match self {
            Self::Import(arguments) => arguments.run(session),
            Self::Inspect { model, layout } => {
                let network = model_file::read(&read_file(model, MAX_MODEL)?)?;
                let layout = layout.layout(network.architecture())?;
                inspect(session, &layout)
            }
            Self::Key { model, layout, out } => {
                let home = session.home()?;
                let network = model_file::read(&read_file(model, MAX_MODEL)?)?;
                let layout = layout.layout(network.architecture())?;
                let srs =
                    setup::reference_string(&home, layout.options().k, None, &session.progress)?;
                let prover = setup::keys(srs, layout, &session.progress)?;
                write_file(out, |file| prover.verifier().write(file))?;
                let digest = Bytes(prover.verifier().digest());
                let fingerprint = Bytes(prover.verifier().fingerprint());
                session.output().print(
                    &json!({ "key": out, "digest": digest, "fingerprint": fingerprint }),
                    format!(
                        "{}: fingerprint {fingerprint}, circuit {digest}",
                        out.display()
                    ),
                )?;
                Ok(Answer::Yes)
            }
            Self::Retire { model } => {
                let call = Call::Retire(ModelId(*model));
                once(session, *model, "retire", call).await
            }
            Self::WithdrawStake { model } => {
                let call = Call::WithdrawStake(ModelId(*model));
                once(session, *model, "withdraw stake", call).await
            }
            Self::Register {
                model,
                layout,
                stake,
                endpoint,
                compiler: named,
            } => {
                let party = session.party().await?;
                let compiler = compiler(named.as_deref())?;
                let file = read_file(model, MAX_MODEL)?;
                let layout = layout.layout(model_file::read(&file)?.architecture())?;
                let chain = party.wallet.chain();
                let k = layout.options().k;
                let srs = setup::reference_string(
                    &party.home,
                    k,
                    Some(chain.chain_id()),
                    &session.progress,
                )?;
                let registry = (chain.chain_id(), chain.contracts().registry);
                let mut own = OwnModel::commit(
                    &party.home,
                    &party.store,
                    &file,
                    layout.clone(),
                    &srs,
                    registry,
                    &mut OsRng,
                )?;
                let prover = setup::keys(srs, layout, &session.progress)?;
                let bar = session.progress.wait("compiling the verifier contract");
                let code = compile(prover.verifier(), &compiler)?;
                bar.done();
                let verifier = deploy_verifier(&party.wallet, &code).await?;
                let architecture = Bytes(prover.verifier().digest());
                let id = register(
                    &party.wallet,
                    &party.store,
                    &mut own,
                    architecture,
                    verifier,
                    endpoint.clone(),
                    *stake,
                )
                .await?;
                session.output().print(
                    &json!({
                        "model": id, "architecture": architecture, "verifier": verifier,
                        "commitment": own.record.commitment, "code_bytes": code.runtime.len(),
                        "layout": own.layout.options(),
                    }),
                    format!("model {id}\narchitecture {architecture}\nverifier {verifier}"),
                )?;
                Ok(Answer::Yes)
            }
        }
    }
}

/// One transaction about a model, sent once.
async fn once(session: &Session, model: Hash, what: &str, call: Call) -> anyhow::Result<Answer> {
    let party = session.party().await?;
    let receipt = party
        .wallet
        .execute(&format!("{what} {model}"), &call)
        .await?;
    let found = party.wallet.chain().model(ModelId(model)).await?;
    let retires_at = found.map(|model| model.retires_at);
    session.output().print(
        &json!({ "model": model, "retires_at": retires_at, "transaction": receipt.tx, "gas": receipt.gas }),
        format!("{what} {model}: done, {} gas", receipt.gas),
    )?;
    Ok(Answer::Yes)
}

fn inspect(session: &Session, layout: &Layout) -> anyhow::Result<Answer> {
    let options = layout.options();
    let cost = Cost::of(layout);
    let seconds = setup::estimated_seconds(&cost);
    let words = format!(
        "{} layers, {} classes, input {}x{}x{}\n\
         k = {}, {} lanes: {} samples a proof\n\
         rows: {} of activations, {} of the glue program, {} of the lookup table, {} in all\n\
         columns: {} advice of small values and {} of full scalars, {} committed, {} fixed, {} under copies\n\
         a proof: {} FFTs, {} MSMs of small values and {} of full scalars\n\
         {}",
        layout.architecture().layers.len(),
        layout.architecture().classes(),
        layout.architecture().input.channels,
        layout.architecture().input.height,
        layout.architecture().input.width,
        options.k,
        options.lanes,
        options.samples,
        layout.lane_rows(),
        layout.glue().end(),
        layout.table_rows(),
        layout.rows(),
        cost.small_columns,
        cost.full_columns,
        cost.instance_columns,
        cost.fixed_columns,
        cost.permuted_columns,
        cost.ffts,
        cost.small_msms,
        cost.full_msms,
        setup::estimate(layout),
    );
    session.output().print(
        &json!({
            "architecture": layout.architecture(), "layout": options, "rows": layout.rows(),
            "lane_rows": layout.lane_rows(), "glue_rows": layout.glue().end(), "table_rows": layout.table_rows(),
            "cost": cost, "estimate": { "seconds": seconds, "peak_bytes": cost.peak_bytes },
        }),
        words,
    )?;
    Ok(Answer::Yes)
}
