//! `zknode prove` and `zknode verify`: the proof without a chain.

use std::{path::PathBuf, time::Instant};

use anyhow::{ensure, Context as _};
use clap::Args;
use rand::rngs::OsRng;
use serde_json::json;
use zknode_circuit::{
    attestation::Context,
    commitment::{CommittedModel, ModelCommitment, Seed},
    cost::Cost,
    network::model_file,
    verify::Verifier,
};
use zknode_protocol::{
    bounds::clopper_pearson_lower,
    value::{Bytes, Hash},
};

use super::{
    dataset::read_key,
    model::{LayoutArgs, MAX_MODEL},
    DatasetArgs, Session,
};
use crate::{
    buyer::Threshold,
    home::{read_file, write_bytes, write_file},
    output::Answer,
    proof_file::{ProofFile, VERSION},
    proving_keys, setup,
    testset::CommittedSet,
};

/// Longest proof file: 65,536 shards.
const MAX_PROOF: u64 = 2 << 30;

#[derive(Args)]
pub struct Prove {
    /// The model, as `model import` wrote it.
    model: PathBuf,
    #[command(flatten)]
    dataset: DatasetArgs,
    #[command(flatten)]
    layout: LayoutArgs,
    /// Where the proof goes.
    #[arg(long, value_name = "FILE", default_value = "proof.json")]
    out: PathBuf,
    /// Where the verifying key goes.
    #[arg(long, value_name = "FILE", default_value = "model.zkvk")]
    key: PathBuf,
    /// 32 bytes of hex the proof is bound to, such as a number the verifier chose.
    #[arg(long)]
    context: Option<Hash>,
}

impl Prove {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let home = session.home()?;
        let progress = &session.progress;
        let network = model_file::read(&read_file(&self.model, MAX_MODEL)?)?;
        let context = Context(self.context.unwrap_or_default().0);
        ensure!(
            context.scalar().is_some(),
            "the context must be below the order of the BN254 scalar field"
        );
        let layout = self.layout.layout(network.architecture())?;
        let srs = setup::reference_string(&home, layout.options().k, None, progress)?;
        let set = CommittedSet::new(self.dataset.source()?, &layout, &srs, &mut OsRng, progress)?;
        let prover = proving_keys::keys(&home, srs.clone(), layout.clone(), progress)?;
        let verifier = prover.verifier();
        write_file(&self.key, |file| verifier.write(file))?;
        // Both commitments are made for this proof and opened once a shard.
        let model = CommittedModel::new(&layout, &network, &Seed::random(&mut OsRng), &srs)?;
        ensure!(
            set.shards.len() as u32 <= model.opening_limit(),
            "the test set has {} shards, but a commitment hides through {} proofs only; use larger shards (--k)",
            set.shards.len(),
            model.opening_limit()
        );
        let start = Instant::now();
        let openings = set.openings(&layout, &srs)?;
        let expected = setup::estimated_stages(&Cost::of(&layout));
        let mut shards = vec![];
        for (index, opening) in openings.iter().enumerate() {
            let samples = opening.samples();
            let shard = opening.commit(&layout, &srs)?;
            let what = format!("shard {} of {}", index + 1, openings.len());
            let bar = progress.proof(&what, &expected);
            shards.push(prover.prove(
                (&network, &model),
                (&samples, &shard),
                context,
                OsRng,
                |stage| bar.stage(stage),
            )?);
            bar.done();
        }
        let seconds = start.elapsed().as_secs_f64();
        let file = ProofFile {
            version: VERSION,
            key: Bytes(verifier.fingerprint()),
            dataset_root: set.root,
            shards,
        };
        let total = file.verify(verifier, None, Some(set.root), Bytes(context.0))?;
        let text = serde_json::to_vec(&file)?;
        write_bytes(&self.out, &text)?;
        session.output().print(
            &json!({
                "proof": self.out, "key": self.key, "total": total, "seconds": seconds,
                "shards": file.shards.len(), "insecure": srs.is_development(),
            }),
            format!(
                "{} of {} correct, {} within the first {}; {} shards in {seconds:.1} s: {} and {}",
                total.top1,
                total.valid,
                total.topk,
                layout.options().top_k,
                file.shards.len(),
                self.out.display(),
                self.key.display()
            ),
        )?;
        Ok(Answer::Yes)
    }
}

#[derive(Args)]
pub struct Verify {
    /// The proof.
    proof: PathBuf,
    /// Verifying key of the architecture, from someone trusted or made with `model key`.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Make the key again from its architecture and this machine's reference string, and compare: then the key file
    /// need not be trusted.
    #[arg(long)]
    rebuild: bool,
    /// The model commitment it must be about.
    #[arg(long, value_name = "HEX", value_parser = commitment)]
    model: Option<ModelCommitment>,
    /// The dataset root it must be about.
    #[arg(long, value_name = "HEX")]
    root: Option<Hash>,
    /// 32 bytes of hex it must be bound to.
    #[arg(long, value_name = "HEX")]
    context: Option<Hash>,
    /// Answer no below this many correct samples, such as 190 or 98.5%.
    #[arg(long)]
    threshold: Option<Threshold>,
}

fn rebuild(session: &Session, verifier: &Verifier) -> anyhow::Result<()> {
    let layout = setup::layout(verifier.architecture(), verifier.options())?;
    let k = layout.options().k;
    let srs = setup::reference_string(&session.home()?, k, None, &session.progress)?;
    let prover = proving_keys::fresh_keys(srs, layout, &session.progress)?;
    let (expected, found) = (prover.verifier().fingerprint(), verifier.fingerprint());
    ensure!(
        expected == found,
        "the key file is not the key of its architecture under this machine's reference string: expected {}, found {}",
        Bytes(expected),
        Bytes(found)
    );
    Ok(())
}

fn commitment(text: &str) -> Result<ModelCommitment, String> {
    ModelCommitment::try_from(text.to_owned())
}

impl Verify {
    pub fn run(&self, session: &Session) -> anyhow::Result<Answer> {
        let verifier = read_key(&self.key)?;
        if self.rebuild {
            rebuild(session, &verifier)?;
        }
        let text = read_file(&self.proof, MAX_PROOF)?;
        let file: ProofFile = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a proof file", self.proof.display()))?;
        let start = Instant::now();
        let verdict = file.verify(
            &verifier,
            self.model.clone(),
            self.root,
            self.context.unwrap_or_default(),
        );
        let milliseconds = start.elapsed().as_secs_f64() * 1e3;
        let total = match verdict {
            Ok(total) => total,
            Err(error) => {
                session.output().print(
                    &json!({ "accepted": false, "reason": error.to_string() }),
                    format!("no: {error}"),
                )?;
                return Ok(Answer::No);
            }
        };
        let bound = clopper_pearson_lower(total.top1, total.valid, 0.05)?;
        let needed = self
            .threshold
            .map(|threshold| threshold.of(u32::try_from(total.valid).unwrap_or(u32::MAX)));
        let passed = needed.is_none_or(|needed| total.top1 >= u64::from(needed));
        let insecure = verifier.is_insecure();
        let mut words = format!(
            "{}: {} of {} correct ({:.2} %), {} within the first {}\n\
             accuracy above {:.2} % with 95 % confidence, if the samples were drawn at random\n\
             model {}\ndataset {}\nkey {}{}\nverified in {milliseconds:.1} ms",
            if passed {
                "yes"
            } else {
                "no, below the threshold"
            },
            total.top1,
            total.valid,
            100.0 * total.top1 as f64 / total.valid as f64,
            total.topk,
            verifier.options().top_k,
            100.0 * bound,
            total.model,
            total.dataset_root,
            Bytes(verifier.fingerprint()),
            if self.rebuild {
                ", made again here"
            } else {
                ", as its file says"
            },
        );
        if insecure {
            words +=
                "\nINSECURE: made with the development reference string, worthless as evidence";
        }
        session.output().print(
            &json!({
                "accepted": true, "passed": passed, "total": total, "lower_bound_95": bound,
                "milliseconds": milliseconds, "insecure": insecure,
                "key": Bytes(verifier.fingerprint()), "rebuilt": self.rebuild,
            }),
            words,
        )?;
        Ok(passed.into())
    }
}
