//! The verifier contract of a key, compiled by the pinned Solidity compiler.
//!
//! Both sides compile: the seller to deploy it, the buyer to see that the contract the registry names is the one of the
//! key it made itself. The same source and compiler give the same bytes.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{bail, Context};
use zknode_circuit::{evm::VerifierSource, verify::Verifier};
use zknode_protocol::{digest::keccak, value::Hash};

/// The compiler program, relative to the project's folder: standard JSON in, standard JSON out.
const BUNDLED: &str = "contracts/bin/compile-verifier";

/// A compiled verifier contract.
#[derive(Clone, Debug)]
pub struct VerifierCode {
    /// What a deployment sends.
    pub creation: Vec<u8>,
    /// What then lies on the chain.
    pub runtime: Vec<u8>,
}

impl VerifierCode {
    /// The code hash the registry notes.
    pub fn hash(&self) -> Hash {
        keccak(&self.runtime)
    }
}

/// The compiler to use: the one named, else the project's own in this folder or one above it.
pub fn compiler(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return Ok(path.into());
    }
    let here = env::current_dir()?;
    here.ancestors()
        .map(|folder| folder.join(BUNDLED))
        .find(|path| path.exists())
        .with_context(|| {
            format!(
                "no compiler: {BUNDLED} is neither in {} nor above it; run `npm install --no-save` in contracts/ and name it with --compiler",
                here.display()
            )
        })
}

/// Generates and compiles the verifier contract of a key.
pub fn compile(verifier: &Verifier, compiler: &Path) -> anyhow::Result<VerifierCode> {
    let source = VerifierSource::new(verifier.kzg(), verifier.key(), verifier.statement_basis())?;
    let name = compiler.display();
    let mut child = Command::new(compiler)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run the compiler {name}"))?;
    let mut input = child.stdin.take().context("the compiler takes no input")?;
    input.write_all(source.standard_json().as_bytes())?;
    drop(input);
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!(
            "the compiler {name} fails ({}): {}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        );
    }
    let json: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the compiler {name} does not answer in JSON"))?;
    let code = |kind: &str| {
        let object = &json["contracts"]["Verifier.yul"]["Verifier"]["evm"][kind]["object"];
        let text = object.as_str().filter(|text| !text.is_empty());
        let text = text.with_context(|| format!("the compiler {name} gives no {kind}"))?;
        hex::decode(text).with_context(|| format!("the compiler {name} gives odd {kind}"))
    };
    Ok(VerifierCode {
        creation: code("bytecode")?,
        runtime: code("deployedBytecode")?,
    })
}
