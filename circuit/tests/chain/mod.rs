//! A real EVM in the test process, and the compiler that feeds it.

use revm::context::result::{ExecutionResult, Output};
use revm::context::TxEnv;
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::{hardfork::SpecId, Address, Bytes};
use revm::{Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use zknode_circuit::evm::VerifierSource;

/// Gas limit of every transaction: above what an accepted proof takes, so that running out is not a verdict.
const GAS_LIMIT: u64 = 5_000_000;

/// Creation code of `source` by the repository's pinned compiler; `None`, with the reason printed, without it.
/// `ZKNODE_REQUIRE_SOLC=1` makes the absence a failure.
pub fn compile(source: &VerifierSource) -> Option<Vec<u8>> {
    let contracts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contracts");
    if !contracts.join("node_modules/solc").exists() {
        let reason =
            "contracts/node_modules/solc is missing: run `npm install --no-save` in contracts";
        assert!(
            std::env::var_os("ZKNODE_REQUIRE_SOLC").is_none(),
            "{reason}"
        );
        println!("skipped: {reason}");
        return None;
    }
    let mut child = Command::new("node")
        .arg(contracts.join("bin/compile-verifier"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = source.standard_json();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let code = &json["contracts"]["Verifier.yul"]["Verifier"]["evm"]["bytecode"]["object"];
    let Some(code) = code.as_str() else {
        panic!("solc: {}", json["errors"]);
    };
    Some(hex::decode(code).unwrap())
}

/// A chain with one verifier contract on it.
pub struct Chain {
    database: CacheDB<EmptyDB>,
    pub contract: Address,
    pub code_size: usize,
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    pub accepted: bool,
    /// Gas of the whole transaction, calldata included.
    pub gas: u64,
}

impl Chain {
    /// Deploys; fails as a node would when the code is over the limit.
    pub fn deploy(creation: Vec<u8>) -> Self {
        let mut database = CacheDB::<EmptyDB>::default();
        let transaction = TxEnv::builder()
            .create()
            .gas_limit(16_000_000)
            .data(creation.into())
            .build()
            .unwrap();
        let result = Context::mainnet()
            .with_db(&mut database)
            .modify_cfg_chained(|config| config.set_spec_and_mainnet_gas_params(SpecId::PRAGUE))
            .build_mainnet()
            .transact_commit(transaction)
            .unwrap();
        let ExecutionResult::Success {
            output: Output::Create(code, Some(contract)),
            ..
        } = result
        else {
            panic!("deployment failed: {result:?}");
        };
        Self {
            database,
            contract,
            code_size: code.len(),
        }
    }

    /// Calls the contract; only the 32-byte number 1 accepts.
    pub fn call(&mut self, calldata: Vec<u8>) -> Verdict {
        let transaction = TxEnv::builder()
            .call(self.contract)
            .gas_limit(GAS_LIMIT)
            .data(Bytes::from(calldata))
            .nonce(1)
            .build()
            .unwrap();
        let result = Context::mainnet()
            .with_db(&mut self.database)
            .modify_cfg_chained(|config| config.set_spec_and_mainnet_gas_params(SpecId::PRAGUE))
            .build_mainnet()
            .transact(transaction)
            .unwrap()
            .result;
        let mut one = [0u8; 32];
        one[31] = 1;
        Verdict {
            accepted: result.is_success() && result.output().is_some_and(|out| out[..] == one),
            gas: result.tx_gas_used(),
        }
    }
}
