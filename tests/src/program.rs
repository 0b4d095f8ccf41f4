//! The program under test, built as the tests themselves are.

use std::{env, path::PathBuf, process::Command, sync::OnceLock};

use serde_json::Value;

/// The `zknode` executable. Built on first use, so that no test runs a stale one.
pub fn zknode() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(build).clone()
}

// Without the program there is nothing to test.
#[allow(clippy::panic)]
fn build() -> PathBuf {
    let release = !cfg!(debug_assertions);
    let output = Command::new(env!("CARGO"))
        .args(["build", "--package", "zknode", "--message-format", "json"])
        .args(release.then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let executable = messages
        .filter(|message| message["target"]["kind"][0] == "bin")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    executable.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}
