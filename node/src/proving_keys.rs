//! Proving keys: made, or read from the cache in the home.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::bail;
use zknode_circuit::{
    cost::Cost,
    key_cache::{Fingerprint, KeyCacheError},
    layout::Layout,
    prove::Prover,
    srs::Srs,
};

use crate::{
    home::{write_file, Home},
    memory,
    output::explain,
    progress::Progress,
    setup::estimate,
};

/// Keys of fewer rows are made as fast as they are read.
const LEAST_K: u32 = 16;
/// Files that are kept: at k = 20 each takes nearly 2 GB.
const KEPT: usize = 3;
/// No write takes longer.
const LONGEST_WRITE: Duration = Duration::from_secs(3600);
/// How the files end.
const EXTENSION: &str = "zkpk";

/// Keys of a layout, after saying what they and proofs will take: from the home's cache, or made and put there.
pub fn keys(
    home: &Home,
    srs: Arc<Srs>,
    layout: Arc<Layout>,
    progress: &Progress,
) -> anyhow::Result<Prover> {
    check_memory(&layout, progress)?;
    if layout.options().k < LEAST_K {
        return make(srs, layout, progress);
    }
    let fingerprint = Fingerprint::of(&srs, &layout)?;
    let path = home.keys().join(format!("{fingerprint}.{EXTENSION}"));
    if path.exists() {
        let bar = progress.wait(&format!("reading keys, k = {}", layout.options().k));
        match read(&path, &fingerprint, &srs, &layout) {
            Ok(prover) => {
                bar.done();
                return Ok(prover);
            }
            Err(error) => progress.say(format!(
                "{}: {}; making them anew",
                path.display(),
                explain(&error.into())
            )),
        }
    }
    let prover = make(srs, layout, progress)?;
    forget_oldest(&home.keys());
    // A cache: where there is no room for it, work goes on without.
    let bar = progress.wait("caching the keys");
    if let Err(error) = write_file(&path, |file| prover.write_keys(&fingerprint, file)) {
        progress.say(format!("the keys are not cached: {error}"));
    }
    bar.done();
    Ok(prover)
}

/// Makes the keys, whatever lies in a cache: for who judges others, or measures.
pub fn fresh_keys(
    srs: Arc<Srs>,
    layout: Arc<Layout>,
    progress: &Progress,
) -> anyhow::Result<Prover> {
    check_memory(&layout, progress)?;
    make(srs, layout, progress)
}

fn make(srs: Arc<Srs>, layout: Arc<Layout>, progress: &Progress) -> anyhow::Result<Prover> {
    let bar = progress.wait(&format!("making keys, k = {}", layout.options().k));
    let prover = Prover::new(srs, layout)?;
    bar.done();
    Ok(prover)
}

fn check_memory(layout: &Layout, progress: &Progress) -> anyhow::Result<()> {
    progress.say(estimate(layout));
    let (needed, have) = (Cost::of(layout).peak_bytes, memory::total());
    if have.is_some_and(|have| have < needed) {
        bail!(
            "k = {} needs about {} MB of memory, this machine has {} MB: use a smaller k, or fewer lanes",
            layout.options().k,
            needed / 1_000_000,
            have.unwrap_or_default() / 1_000_000
        );
    }
    Ok(())
}

fn read(
    path: &Path,
    fingerprint: &Fingerprint,
    srs: &Arc<Srs>,
    layout: &Arc<Layout>,
) -> Result<Prover, KeyCacheError> {
    let file = fs::File::open(path)?;
    let prover = Prover::read_keys(srs.clone(), layout.clone(), fingerprint, &file)?;
    // So that what is used is kept.
    let _ = file.set_modified(SystemTime::now());
    Ok(prover)
}

/// Makes room for another file: keeps those used last, and nothing of a write that was cut off long ago.
fn forget_oldest(folder: &Path) {
    let Ok(files) = fs::read_dir(folder) else {
        return;
    };
    let (mut keys, mut cut_off) = (vec![], vec![]);
    for file in files.flatten() {
        let Ok(modified) = file.metadata().and_then(|file| file.modified()) else {
            continue;
        };
        let path = file.path();
        match path.extension().is_some_and(|e| e == EXTENSION) {
            true => keys.push((modified, path)),
            false if modified.elapsed().is_ok_and(|age| age > LONGEST_WRITE) => cut_off.push(path),
            false => {}
        }
    }
    keys.sort();
    let old = (keys.len() + 1).saturating_sub(KEPT);
    for path in keys.drain(..old).map(|(_, path)| path).chain(cut_off) {
        let _ = fs::remove_file(path);
    }
}
