//! Measures a layout on this machine, in one run with the machine's own speed, so that figures of different machines
//! can be compared: what matters is `prove / floor`.

mod gas;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc, time::Instant};

use anyhow::ensure;
use rand::rngs::OsRng;
use serde::Serialize;
use zknode_circuit::{
    attestation::Context,
    commitment::{CommittedModel, CommittedShard, Seed},
    cost::{Cost, Ffts, Probe, Speed},
    layout::Layout,
    network::Network,
    prove::{Prover, Stage},
    srs::Srs,
    verify::Attestation,
    witness::instance::Sample as CircuitSample,
};

use crate::{
    delivery::Sample, memory, output::explain, progress::Progress, proving_keys::fresh_keys, setup,
    verifier_code,
};

/// Verifications that are timed; the median counts.
const VERIFICATIONS: usize = 21;
/// Operations of each kind that are timed, before and after proving; the fastest counts.
const PROBES: usize = 3;

/// What is measured.
pub struct Bench {
    /// The network.
    pub network: Network,
    /// How its proofs are laid out.
    pub layout: Arc<Layout>,
    /// Images that are proven, over and over if there are too few.
    pub samples: Vec<Sample>,
    /// How many.
    pub images: usize,
    /// The compiler of verifier contracts, if gas is to be measured.
    pub compiler: Option<PathBuf>,
    /// The Ethereum node to measure it on.
    pub anvil: PathBuf,
}

/// What came out. Times in seconds where nothing else is said.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    images: usize,
    images_per_proof: usize,
    k: u32,
    lanes: usize,
    threads: usize,
    correct: u64,
    keys: f64,
    prove: Vec<f64>,
    seconds_per_image: f64,
    stages: BTreeMap<Stage, f64>,
    cost: Cost,
    speed: Speed,
    floor: f64,
    prove_over_floor: f64,
    proof_bytes: usize,
    verify_milliseconds: f64,
    chain: Option<gas::Gas>,
    /// Why `chain` is missing.
    chain_skipped: Option<String>,
    peak_rss_bytes: Option<u64>,
    peak_estimate_bytes: u64,
}

impl Bench {
    /// Measures.
    pub async fn run(&self, srs: Arc<Srs>, progress: &Progress) -> anyhow::Result<Figures> {
        ensure!(!self.samples.is_empty(), "there are no images to prove");
        let start = Instant::now();
        let prover = fresh_keys(srs.clone(), self.layout.clone(), progress)?;
        let keys = start.elapsed().as_secs_f64();
        let before = speed(&srs, progress);
        let proofs = tokio::task::block_in_place(|| self.prove(&prover, progress))?;
        let peak_rss_bytes = memory::peak();
        let after = speed(&srs, progress);
        let speed = Speed {
            fft: before.fft.min(after.fft),
            small_msm: before.small_msm.min(after.small_msm),
            full_msm: before.full_msm.min(after.full_msm),
        };
        let (chain, chain_skipped) = match self.gas(&prover, &proofs, progress).await {
            Ok(gas) => (Some(gas), None),
            Err(error) => (None, Some(explain(&error))),
        };
        let cost = Cost::of(&self.layout);
        let floor = cost.floor(&speed);
        let prove: Vec<f64> = proofs.iter().map(|proof| proof.seconds).collect();
        let total: f64 = prove.iter().sum();
        let count = proofs.len() as f64;
        let mut stages = BTreeMap::new();
        for (stage, seconds) in proofs.iter().flat_map(|proof| &proof.stages) {
            *stages.entry(*stage).or_default() += seconds / count;
        }
        let correct = proofs
            .iter()
            .map(|p| u64::from(p.attestation.statement.top1));
        let options = self.layout.options();
        Ok(Figures {
            images: self.images,
            images_per_proof: options.samples,
            k: options.k,
            lanes: options.lanes,
            threads: std::thread::available_parallelism().map_or(1, |threads| threads.get()),
            correct: correct.sum(),
            keys,
            seconds_per_image: total / self.images as f64,
            stages,
            speed,
            floor,
            prove_over_floor: total / count / floor,
            proof_bytes: prover.verifier().proof_length(),
            verify_milliseconds: verify(&prover, &proofs)?,
            chain,
            chain_skipped,
            peak_rss_bytes,
            peak_estimate_bytes: cost.peak_bytes,
            prove,
            cost,
        })
    }

    fn prove(&self, prover: &Prover, progress: &Progress) -> anyhow::Result<Vec<Proof>> {
        let srs = prover.srs();
        let model =
            CommittedModel::new(&self.layout, &self.network, &Seed::random(&mut OsRng), srs)?;
        let images: Vec<CircuitSample<'_>> = self
            .samples
            .iter()
            .cycle()
            .take(self.images)
            .map(|sample| CircuitSample {
                pixels: &sample.pixels,
                label: sample.label,
            })
            .collect();
        let shards = images.chunks(self.layout.options().samples);
        let count = shards.len();
        let expected = setup::estimated_stages(&Cost::of(&self.layout));
        let mut proofs = vec![];
        for (index, samples) in shards.enumerate() {
            let seed = Seed::random(&mut OsRng);
            let shard = CommittedShard::new(&self.layout, samples, &seed, srs)?;
            let what = format!("proof {} of {count}", index + 1);
            let bar = progress.proof(&what, &expected);
            let start = Instant::now();
            let attestation = prover.prove(
                (&self.network, &model),
                (samples, &shard),
                Context::default(),
                OsRng,
                |stage| bar.stage(stage),
            )?;
            proofs.push(Proof {
                attestation,
                seconds: start.elapsed().as_secs_f64(),
                stages: bar.done(),
            });
        }
        Ok(proofs)
    }

    async fn gas(
        &self,
        prover: &Prover,
        proofs: &[Proof],
        progress: &Progress,
    ) -> anyhow::Result<gas::Gas> {
        let named = self.compiler.as_deref();
        let compiler = verifier_code::compiler(named)?;
        let proof = proofs.first().map(|proof| &proof.attestation);
        gas::measure(prover.verifier(), proof, &compiler, &self.anvil, progress).await
    }
}

struct Proof {
    attestation: Attestation,
    seconds: f64,
    stages: Vec<(Stage, f64)>,
}

/// This machine's own speed.
fn speed(srs: &Srs, progress: &Progress) -> Speed {
    let bar = progress.wait("measuring this machine");
    let probe = Probe::new(srs, OsRng);
    let fastest = |run: &dyn Fn()| {
        let times = (0..PROBES).map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        });
        times.fold(f64::INFINITY, f64::min)
    };
    let speed = Speed {
        fft: fastest(&|| probe.ffts().run()) / Ffts::COUNT as f64,
        small_msm: fastest(&|| probe.small_msm()),
        full_msm: fastest(&|| probe.full_msm()),
    };
    bar.done();
    speed
}

/// Median of a verification.
fn verify(prover: &Prover, proofs: &[Proof]) -> anyhow::Result<f64> {
    let mut times = vec![];
    for proof in proofs.iter().cycle().take(VERIFICATIONS) {
        let start = Instant::now();
        prover.verifier().verify(&proof.attestation)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times.get(times.len() / 2).copied().unwrap_or_default())
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<18} {value}");
        let gigabytes = |bytes: u64| bytes as f64 / 1e9;
        row(
            "layout",
            format!(
                "k = {}, {} lanes, {} images a proof, {} threads",
                self.k, self.lanes, self.images_per_proof, self.threads
            ),
        )?;
        row(
            "images",
            format!("{}, {} correct", self.images, self.correct),
        )?;
        let times: Vec<_> = self.prove.iter().map(|time| format!("{time:.1}")).collect();
        row(
            "prove",
            format!(
                "{} s, {:.3} s an image, keys {:.1} s",
                times.join(" + "),
                self.seconds_per_image,
                self.keys
            ),
        )?;
        for (stage, seconds) in &self.stages {
            row("", format!("{seconds:>6.2} s {stage}"))?;
        }
        row(
            "floor",
            format!(
                "{:.1} s: {} FFTs of {:.1} ms, {} small MSMs of {:.0} ms, {} full MSMs of {:.0} ms",
                self.floor,
                self.cost.ffts,
                self.speed.fft * 1e3,
                self.cost.small_msms,
                self.speed.small_msm * 1e3,
                self.cost.full_msms,
                self.speed.full_msm * 1e3
            ),
        )?;
        row("prove / floor", format!("{:.2}", self.prove_over_floor))?;
        row(
            "proof",
            format!(
                "{} bytes, verified in {:.1} ms",
                self.proof_bytes, self.verify_milliseconds
            ),
        )?;
        match (&self.chain, &self.chain_skipped) {
            (Some(gas), _) => row(
                "on chain",
                format!("{} gas, {} bytes of code", gas.gas, gas.code_bytes),
            )?,
            (None, reason) => row(
                "on chain",
                format!("skipped: {}", reason.as_deref().unwrap_or_default()),
            )?,
        }
        let measured = self.peak_rss_bytes.map_or("unknown".into(), |bytes| {
            format!("{:.2} GB", gigabytes(bytes))
        });
        write!(
            f,
            "{:<18} {measured}, estimated {:.2} GB",
            "peak memory",
            gigabytes(self.peak_estimate_bytes)
        )
    }
}
