//! What a real Ethereum node asks for one verification.

use std::path::Path;

use anyhow::Context;
use serde::Serialize;
use serde_json::{json, Value};
use zknode_circuit::{
    evm::VerifierSource,
    verify::{Attestation, Verifier},
};

use crate::{demo::anvil::Anvil, progress::Progress, verifier_code::compile};

/// What the verifier contract costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Gas {
    /// Of a transaction that verifies one proof and does nothing else.
    pub gas: u64,
    /// Of its deployment.
    pub deploy_gas: u64,
    /// Length of the contract's code.
    pub code_bytes: usize,
}

/// Deploys the verifier of a key on a fresh chain and verifies a proof there.
pub async fn measure(
    verifier: &Verifier,
    attestation: Option<&Attestation>,
    compiler: &Path,
    anvil: &Path,
    progress: &Progress,
) -> anyhow::Result<Gas> {
    let attestation = attestation.context("there is no proof to verify")?;
    let bar = progress.wait("verifying on chain");
    let code = compile(verifier, compiler)?;
    let source = VerifierSource::new(verifier.kzg(), verifier.key(), verifier.statement_basis())?;
    let columns = attestation.model.columns().iter();
    let points: Option<Vec<_>> = columns
        .chain([&attestation.shard])
        .map(|commitment| commitment.point())
        .collect();
    let points = points.context("a commitment is not a point")?;
    let scalars = attestation
        .statement
        .scalars()
        .context("the context is not a scalar")?;
    let calldata = source.calldata(&points, &scalars, &attestation.proof)?;

    let anvil = Anvil::start(anvil).await?;
    let data = format!("0x{}", hex::encode(&code.creation));
    let deployed = anvil.transact(json!({ "data": data })).await?;
    let contract = &deployed["contractAddress"];
    let data = format!("0x{}", hex::encode(calldata));
    let call = json!({ "to": contract, "data": data });
    let verified = anvil.transact(call).await?;
    bar.done();
    Ok(Gas {
        gas: gas_used(&verified)?,
        deploy_gas: gas_used(&deployed)?,
        code_bytes: code.runtime.len(),
    })
}

fn gas_used(receipt: &Value) -> anyhow::Result<u64> {
    let text = receipt["gasUsed"].as_str().unwrap_or_default();
    let digits = text.strip_prefix("0x").context("no gas in the receipt")?;
    Ok(u64::from_str_radix(digits, 16)?)
}
