//! Every rule has its custom error in the contract, under the same name, and every error its rule; what only one of the two
//! can meet is listed here.

use std::collections::BTreeSet;

const DEAL: &str = include_str!("../../src/deal.rs");
const SHARDS: &str = include_str!("../../src/shards.rs");

/// Errors of the ledger and of the libraries below it: how money and text are handled on chain.
const ON_CHAIN: [&str; 6] = [
    "DepositMismatch",
    "EtherRefused",
    "InvalidShortString",
    "ReentrancyGuardReentrantCall",
    "SafeERC20FailedOperation",
    "StringTooLong",
];

/// Names of the variants of an enum.
fn variants(source: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let body = source.split_once(&head).unwrap().1;
    let body = body.split_once("\n}").unwrap().0;
    let is_variant =
        |line: &&str| line.starts_with("    ") && line[4..].starts_with(char::is_uppercase);
    let name = |line: &str| line.trim().split([' ', ',']).next().unwrap().to_owned();
    let all = body.lines().filter(is_variant).map(name);
    // Those that only carry another error.
    all.filter(|name| !name.contains('(')).collect()
}

/// The variants but for `ours` are the errors but for `theirs`, and no name is there twice.
fn are_the_contracts(artifact: &str, variants: &[String], ours: &[&str], theirs: &[&str]) {
    let abi: serde_json::Value = serde_json::from_str(artifact).unwrap();
    let entries = abi["abi"].as_array().unwrap().iter();
    let errors: Vec<&str> = entries
        .filter(|entry| entry["type"] == "error")
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let variants: Vec<&str> = variants.iter().map(String::as_str).collect();
    let shared = |all: &[&str], alone: &[&str]| {
        let set: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(set.len(), all.len(), "a name twice in {all:?}");
        let alone: BTreeSet<String> = alone.iter().map(ToString::to_string).collect();
        assert!(alone.is_subset(&set), "{alone:?} in {set:?}");
        set.difference(&alone).cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(shared(&variants, ours), shared(&errors, theirs));
}

#[test]
fn rules_are_named_after_the_contracts_errors() {
    let (deal, shards) = (variants(DEAL, "DealError"), variants(SHARDS, "ShardError"));
    let all = |own: &str, name: &str, shards: &[String]| {
        let own = variants(own, name);
        [&own[..], &deal, shards].concat()
    };
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Escrow.json"),
        &all(
            include_str!("../../src/agreement/rule.rs"),
            "RuleError",
            &shards,
        ),
        &["AgreementExists", "AmountOverflow"],
        &[&ON_CHAIN[..], &["InvalidAccountNonce"]].concat(),
    );
    // To the rules of a round a proof is accepted or not.
    let verdicts = [
        "ModelPointsMismatch",
        "ShardPointsLength",
        "VerifierChanged",
    ];
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Predictions.json"),
        &all(include_str!("../../src/round/rule.rs"), "RoundError", &[]),
        &["AmountOverflow"],
        &[&ON_CHAIN[..], &verdicts].concat(),
    );
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Retrieval.json"),
        &all(
            include_str!("../../src/retrieval/rule.rs"),
            "RetrievalError",
            &shards,
        ),
        &["AmountOverflow"],
        &ON_CHAIN,
    );
}
