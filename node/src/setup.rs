//! From an architecture to keys: reference string (cached in the home), layout, proving and verifying key.

use std::{
    fs,
    io::BufReader,
    path::Path,
    sync::{Arc, OnceLock},
    time::Instant,
};

use anyhow::{bail, Context};
use rand::rngs::OsRng;
use zknode_circuit::{
    cost::{Cost, Ffts, Speed},
    layout::{Layout, LayoutOptions},
    network::Architecture,
    prove::Stage,
    srs::{FileDigest, Srs},
};

use crate::{
    config::is_development,
    home::{write_file, Home},
    progress::Progress,
};

/// The reference string for `2^k` rows. The development string is made on the spot where nothing is at stake: without a
/// chain, or on a development chain; elsewhere it is refused, and a ceremony's must have been imported.
pub fn reference_string(
    home: &Home,
    k: u32,
    chain: Option<u64>,
    progress: &Progress,
) -> anyhow::Result<Arc<Srs>> {
    let path = home.srs(k);
    let development_allowed = chain.is_none_or(is_development);
    if path.exists() {
        let file = fs::File::open(&path).with_context(|| path.display().to_string())?;
        let bar = progress.bytes(&format!("reading the reference string, k = {k}"));
        let srs = Srs::read(BufReader::new(file), |done, all| bar.at(done, all))
            .with_context(|| format!("{}; delete it to make it anew", path.display()))?;
        bar.done();
        if srs.k() != k {
            bail!(
                "{} is for k = {}, expected k = {k}",
                path.display(),
                srs.k()
            );
        }
        if srs.is_development() && !development_allowed {
            bail!(
                "{} is the INSECURE development string, worthless on chain {}: import a ceremony's with `zknode srs import`",
                path.display(),
                chain.unwrap_or_default()
            );
        }
        return Ok(Arc::new(srs));
    }
    if !development_allowed {
        bail!(
            "there is no reference string for k = {k} in {}: import a ceremony's .ptau file with `zknode srs import`",
            path.display()
        );
    }
    let bar = progress.count(&format!("making the INSECURE development string, k = {k}"));
    let srs = Srs::development(k, |done, all| bar.at(done, all))?;
    bar.done();
    save(home, &srs)?;
    Ok(Arc::new(srs))
}

/// Imports the first `2^k` powers of a ceremony's `.ptau` file into the home.
pub fn import_ceremony(
    home: &Home,
    file: &Path,
    k: u32,
    digest: Option<FileDigest>,
    progress: &Progress,
) -> anyhow::Result<Srs> {
    let reader = fs::File::open(file).with_context(|| file.display().to_string())?;
    let bar = progress.bytes("reading the powers of tau");
    let srs = Srs::from_ptau(BufReader::new(reader), k, digest, |done, all| {
        bar.at(done, all)
    })
    .with_context(|| file.display().to_string())?;
    bar.done();
    save(home, &srs)?;
    Ok(srs)
}

fn save(home: &Home, srs: &Srs) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    write_file(&home.srs(srs.k()), |file| {
        outcome = srs.write(file);
        Ok(())
    })?;
    outcome.map_err(Into::into)
}

/// Lays out an architecture whose origin may be hostile.
pub fn layout(architecture: &Architecture, options: &LayoutOptions) -> anyhow::Result<Arc<Layout>> {
    let layout = Layout::new(architecture.clone(), options.clone())?;
    Ok(Arc::new(layout))
}

/// Most rows, as log2, of the FFTs that are timed for an estimate: a few tenths of a second in all.
const MOST_SAMPLED: usize = 16;
/// Runs of them; the fastest counts.
const RUNS: usize = 5;

/// Seconds a proof of this layout is likely to take here.
pub fn estimated_seconds(cost: &Cost) -> f64 {
    let stages = estimated_stages(cost);
    stages.iter().map(|(_, seconds)| seconds).sum()
}

/// The same by stage, from the speed of a few FFTs.
pub fn estimated_stages(cost: &Cost) -> [(Stage, f64); 5] {
    /// Of each size, once a process.
    static FASTEST: [OnceLock<f64>; MOST_SAMPLED + 1] =
        [const { OnceLock::new() }; MOST_SAMPLED + 1];
    let sampled = MOST_SAMPLED.min(cost.k as usize);
    let fastest = FASTEST[sampled].get_or_init(|| fastest_fft(sampled as u32));
    cost.stages(&Speed::guess(cost.k, sampled as u32, *fastest))
}

/// Seconds of one FFT of `2^k` rows.
fn fastest_fft(k: u32) -> f64 {
    let ffts = Ffts::new(k, OsRng);
    let time = |_| {
        let start = Instant::now();
        ffts.run();
        start.elapsed().as_secs_f64() / Ffts::COUNT as f64
    };
    (0..RUNS).map(time).fold(f64::INFINITY, f64::min)
}

/// What a proof of this layout will take, for people, before any key is made.
pub fn estimate(layout: &Layout) -> String {
    let cost = Cost::of(layout);
    format!(
        "expect about {:.0} MB of memory and {:.0} s a proof",
        cost.peak_bytes as f64 / 1e6,
        estimated_seconds(&cost)
    )
}
