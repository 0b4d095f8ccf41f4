//! Files made by snarkjs itself while the test runs: started, contributed to, prepared, truncated.
//!
//! snarkjs is looked for in `ZKNODE_SNARKJS` (its `cli.cjs`) and in `contracts/node_modules`. Without it or without
//! node the test says so and passes: `npm install snarkjs` in an empty folder and the variable make it run.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use zknode_circuit::srs::{Srs, SrsError};

fn snarkjs() -> Result<PathBuf, String> {
    let node = Command::new("node").arg("--version").output();
    if !node.is_ok_and(|node| node.status.success()) {
        return Err("node is not installed".into());
    }
    let installed = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../contracts/node_modules/snarkjs/build/cli.cjs");
    let candidates = [
        std::env::var_os("ZKNODE_SNARKJS").map(PathBuf::from),
        Some(installed),
    ];
    candidates
        .into_iter()
        .flatten()
        .find(|path| path.is_file())
        .ok_or_else(|| "snarkjs is not installed and ZKNODE_SNARKJS is not set".into())
}

/// A fresh folder, removed at the end even if the test fails.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn reads_the_files_of_snarkjs() {
    let snarkjs = match snarkjs() {
        Ok(snarkjs) => snarkjs,
        Err(reason) => {
            eprintln!("skipped: {reason}");
            return;
        }
    };
    let name = format!("srs_snarkjs_{}", std::process::id());
    let folder = Folder(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
    fs::create_dir_all(&folder.0).unwrap();
    let run = |arguments: &[&str]| {
        let run = Command::new("node")
            .arg(&snarkjs)
            .arg("powersoftau")
            .args(arguments)
            .current_dir(&folder.0)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&run.stdout)
        );
    };
    run(&["new", "bn128", "8", "new.ptau"]);
    run(&[
        "contribute",
        "new.ptau",
        "one.ptau",
        "--name=one",
        "-e=zknode",
    ]);
    run(&["prepare", "phase2", "one.ptau", "final.ptau"]);
    run(&["truncate", "final.ptau"]);
    run(&["new", "bls12381", "4", "other.ptau"]);

    let read = |name: &str, k| {
        let file = File::open(folder.0.join(name)).unwrap();
        Srs::from_ptau(file, k, None, |_, _| ())
    };
    let points = |srs: Srs| {
        let mut bytes = Vec::new();
        srs.write(&mut bytes).unwrap();
        bytes[100..bytes.len() - 64].to_vec()
    };
    for k in [1, 5, 7, 8] {
        let prepared = points(read("final.ptau", k).unwrap());
        assert!(prepared == points(read("one.ptau", k).unwrap()), "k = {k}");
        if k < 8 {
            let truncated = points(read("final_07.ptau", k).unwrap());
            assert!(prepared == truncated, "k = {k}");
        }
    }
    assert!(matches!(
        read("final.ptau", 9),
        Err(SrsError::TooSmall {
            wanted: 9,
            power: 8
        })
    ));
    assert!(matches!(read("new.ptau", 8), Err(SrsError::NoContribution)));
    assert!(matches!(
        read("other.ptau", 4),
        Err(SrsError::WrongCurve { .. })
    ));
}
