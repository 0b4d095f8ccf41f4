//! Gas and size of the generated contract, pinned in `pins/evm_verifier.json` (`ZKNODE_BLESS=1` renews the file).

use crate::chain::{compile, Chain};
use crate::fixture::{proven, Proven, Size, LARGE, SMALL};
use serde_json::{json, Value};
use std::path::Path;
use zknode_circuit::evm::{EvmError, VerifierSource, CODE_LIMIT};

/// Most gas that a verification may take as a transaction.
const GAS_LIMIT: u64 = 1_000_000;

fn source(case: &Proven) -> VerifierSource {
    VerifierSource::new(&case.kzg(), case.pk.get_vk(), &case.basis).unwrap()
}

/// Gas before the first instruction. It depends on the zero bytes of the proof, which differ from proof to proof.
fn intrinsic_gas(calldata: &[u8]) -> u64 {
    let bytes = calldata.iter().map(|byte| if *byte == 0 { 4 } else { 16 });
    21_000 + bytes.sum::<u64>()
}

fn measure(size: Size) -> Option<Value> {
    let case = proven(size);
    let source = source(&case);
    let mut chain = Chain::deploy(compile(&source)?);
    let calldata = source
        .calldata(&case.commitments, &case.scalars, &case.proof)
        .unwrap();
    let intrinsic = intrinsic_gas(&calldata);
    let verdict = chain.call(calldata);
    assert!(verdict.accepted);
    assert!(verdict.gas <= GAS_LIMIT, "{} gas", verdict.gas);
    assert!(chain.code_size <= CODE_LIMIT, "{} bytes", chain.code_size);
    println!("{size:?}: {} gas in all", verdict.gas);
    Some(json!({
        "code_bytes": chain.code_size,
        "execution_gas": verdict.gas - intrinsic,
        "proof_bytes": case.proof.len(),
    }))
}

#[test]
fn gas_and_size_are_pinned_and_within_the_limits() {
    let Some(small) = measure(SMALL) else { return };
    let Some(large) = measure(LARGE) else { return };
    let found = json!({ "small": small, "large": large });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pins/evm_verifier.json");
    if std::env::var_os("ZKNODE_BLESS").is_some() {
        let text = serde_json::to_string_pretty(&found).unwrap() + "\n";
        std::fs::write(&path, text).unwrap();
    }
    let pinned: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(found, pinned, "if this is meant: ZKNODE_BLESS=1");
}

#[test]
fn the_source_is_a_function_of_the_key() {
    let case = proven(SMALL);
    let (first, second) = (source(&case), source(&case));
    assert_eq!(first, second);
    assert_eq!(first.commitments, 2);
    assert_eq!(first.scalars, crate::fixture::SCALARS);
    assert_eq!(first.proof_length, case.proof.len());
}

#[test]
fn a_key_without_instance_columns_has_no_contract() {
    use crate::fixture::plain::{key, Plain};
    let (kzg, vk) = key(Plain::WithoutInstance);
    assert_eq!(
        VerifierSource::new(&kzg, &vk, &[]),
        Err(EvmError::NoInstanceColumn)
    );
}

#[test]
fn a_column_opened_too_often_has_no_table_entry() {
    use crate::fixture::plain::{key, Plain};
    let (kzg, vk) = key(Plain::ManyRotations);
    assert_eq!(
        VerifierSource::new(&kzg, &vk, &[]),
        Err(EvmError::TooManyRotations {
            expected: 15,
            got: 16
        })
    );
}
