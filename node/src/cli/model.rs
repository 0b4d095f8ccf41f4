//! `zknode model`

use std::{path::PathBuf, sync::Arc};

use clap::{Args, Subcommand};
use rand::rngs::OsRng;
use serde::Serialize;
use serde_json::json;
use zknode_circuit::{
    cost::Cost,
    layout::{Grid, Layout},
    network::{model_file, Architecture, Layer},
    plan::{self, Limits, Wishes},
};
use zknode_protocol::{
    chain::{Call, Chain},
    value::{Amount, Bytes, Hash, ModelId},
};

use super::{import::Import, value, Session};
use crate::{
    home::{read_file, write_file},
    memory,
    output::Answer,
    proving_keys,
    seller::model::{deploy_verifier, register, OwnModel},
    setup,
    verifier_code::{compile, compiler},
};

/// Longest model file.
pub const MAX_MODEL: u64 = 2 << 30;
/// Smallest and largest `k` tried when none is given.
const USUAL_K: std::ops::RangeInclusive<u32> = 12..=21;
/// Share of this machine's memory that a proof may take unless told otherwise.
const MEMORY_SHARE: f64 = 0.8;
/// Memory where the system does not tell.
const USUAL_MEMORY: u64 = 16_000_000_000;

/// How proofs are laid out; what is not given is searched for.
#[derive(Args)]
pub struct LayoutArgs {
    /// log2 of the rows of a proof.
    #[arg(long)]
    k: Option<u32>,
    /// Column triples for activations: more are cheaper to prove and dearer on chain.
    #[arg(long)]
    lanes: Option<usize>,
    /// Tiles that images are cut into, such as 7x7: for a few large images. Divides the sides of every tensor.
    #[arg(long)]
    grid: Option<Grid>,
    /// The k of top-k.
    #[arg(long, default_value_t = 5)]
    top_k: usize,
    /// Samples in a proof [default: as many as fit].
    #[arg(long)]
    shard_size: Option<usize>,
    /// Memory a proof may take, in GB [default: 80 % of this machine's].
    #[arg(long, value_name = "GB")]
    memory_limit: Option<f64>,
    /// Gas that verifying a proof on chain may take.
    #[arg(long, value_name = "GAS", default_value_t = 850_000)]
    gas_limit: u64,
}

impl LayoutArgs {
    /// The layout of an architecture that proves a sample the fastest within the limits.
    pub fn layout(&self, architecture: &Architecture) -> anyhow::Result<Arc<Layout>> {
        let memory = self.memory_limit.map(|gigabytes| (gigabytes * 1e9) as u64);
        let share = memory::total().map(|all| (all as f64 * MEMORY_SHARE) as u64);
        let wishes = Wishes {
            k: self.k,
            lanes: self.lanes,
            samples: self.shard_size,
            grid: self.grid,
            top_k: self.top_k.min(architecture.classes().max(1)),
        };
        let limits = Limits {
            memory: memory.or(share).unwrap_or(USUAL_MEMORY),
            gas: self.gas_limit,
            k: USUAL_K,
        };
        Ok(Arc::new(plan::search(architecture, &wishes, &limits)?))
    }
}

#[derive(Subcommand)]
pub enum Command {
    /// Makes the integer network of a model in ONNX or TensorFlow Lite, float or quantized, and compares the two.
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
        /// Held by the registry while the model is offered, and for 30 days after `model retire`; such as 0.1ether.
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
                let prover = proving_keys::keys(&home, srs, layout, &session.progress)?;
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
                let prover = proving_keys::keys(&party.home, srs, layout, &session.progress)?;
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

/// One layer of the plan.
#[derive(Serialize)]
struct LayerRows {
    name: String,
    kind: &'static str,
    /// Rows of the lanes: activations, whose lookups are the non-linear part.
    lane_rows: usize,
    /// Rows of the weight columns.
    weight_rows: usize,
    /// Rows of the glue program: the linear part.
    glue_rows: usize,
}

fn layer_rows(layout: &Layout) -> Vec<LayerRows> {
    let layers = layout.architecture().layers.iter().enumerate();
    layers
        .map(|(index, layer)| {
            let tensor = index + 1;
            let (name, kind) = match layer {
                Layer::Linear(linear) => (linear.name.clone(), "linear"),
                Layer::MaxPool(pool) => (pool.name.clone(), "max pool"),
                Layer::SumPool(pool) => (pool.name.clone(), "sum pool"),
                Layer::Flatten { .. } => (String::new(), "flatten"),
            };
            let cells = layout.tiles()[tensor].shape.cells() * layer.committed();
            LayerRows {
                name,
                kind,
                lane_rows: cells * layout.rows_per_cell(),
                weight_rows: layout.weight_rows_of(tensor),
                glue_rows: layout.glue().rows_of(index),
            }
        })
        .collect()
}

fn inspect(session: &Session, layout: &Layout) -> anyhow::Result<Answer> {
    let options = layout.options();
    let cost = Cost::of(layout);
    let seconds = setup::estimated_seconds(&cost);
    let layers = layer_rows(layout);
    let mut words = format!(
        "{:<28} {:<9} {:>10} {:>10} {:>10}\n",
        "layer", "kind", "activation", "weight", "glue"
    );
    for layer in &layers {
        let name: String = layer.name.chars().rev().take(28).collect();
        let name: String = name.chars().rev().collect();
        words += &format!(
            "{name:<28} {:<9} {:>10} {:>10} {:>10}\n",
            layer.kind, layer.lane_rows, layer.weight_rows, layer.glue_rows
        );
    }
    let architecture = layout.architecture();
    words += &format!(
        "{} classes, input {}x{}x{}, in tiles of {}\n\
         k = {}, {} lanes: {} samples a proof, {:.2} million activations\n\
         rows: {} of activations, {} of the score, {} of weights in {} columns, {} of the glue program, {} of the lookup \
         table, {} in all\n\
         columns: {} advice of small values and {} of full scalars, {} committed, {} fixed, {} under copies\n\
         a proof: {} FFTs, {} MSMs of small values and {} of full scalars; {} bytes, about {} gas on chain\n\
         {}",
        architecture.classes(),
        architecture.input.channels,
        architecture.input.height,
        architecture.input.width,
        options.grid,
        options.k,
        options.lanes,
        options.samples,
        (layout.lane_rows() * options.lanes) as f64 / 1e6,
        layout.lane_rows(),
        layout.score().rows().len(),
        layout.weights().end(),
        layout.weights().columns(),
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
        cost.proof_bytes,
        cost.gas,
        setup::estimate(layout),
    );
    session.output().print(
        &json!({
            "architecture": architecture, "layout": options, "rows": layout.rows(), "layers": layers,
            "lane_rows": layout.lane_rows(), "score_rows": layout.score().rows().len(),
            "weight_rows": layout.weights().end(), "weight_columns": layout.weights().columns(),
            "glue_rows": layout.glue().end(), "table_rows": layout.table_rows(),
            "cost": cost, "estimate": { "seconds": seconds, "peak_bytes": cost.peak_bytes },
        }),
        words,
    )?;
    Ok(Answer::Yes)
}
