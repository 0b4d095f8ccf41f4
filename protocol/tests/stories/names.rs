//! Every rule has its custom error in the contract, under the same name; only an id that is taken and sums past 2^128
//! cannot happen there.

const DEAL: &str = include_str!("../../src/deal.rs");
const SHARDS: &str = include_str!("../../src/shards.rs");

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

fn are_the_contracts(artifact: &str, variants: &[String], ours_alone: &[&str]) {
    let abi: serde_json::Value = serde_json::from_str(artifact).unwrap();
    let entries = abi["abi"].as_array().unwrap().iter();
    let errors: Vec<&str> = entries
        .filter(|entry| entry["type"] == "error")
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    for variant in variants {
        let ours_alone = ours_alone.contains(&variant.as_str());
        assert_eq!(errors.contains(&variant.as_str()), !ours_alone, "{variant}");
    }
}

#[test]
fn rules_are_named_after_the_contracts_errors() {
    let (deal, shards) = (variants(DEAL, "DealError"), variants(SHARDS, "ShardError"));
    assert!(deal.len() >= 10 && shards.len() >= 13);
    let all = |own: &str, name: &str, with_shards: bool| {
        let mut all = variants(own, name);
        all.extend(deal.clone());
        if with_shards {
            all.extend(shards.clone());
        }
        all
    };
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Escrow.json"),
        &all(
            include_str!("../../src/agreement/rule.rs"),
            "RuleError",
            true,
        ),
        &["AgreementExists", "AmountOverflow"],
    );
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Predictions.json"),
        &all(include_str!("../../src/round/rule.rs"), "RoundError", false),
        &["AmountOverflow"],
    );
    are_the_contracts(
        include_str!("../../../contracts/artifacts/Retrieval.json"),
        &all(
            include_str!("../../src/retrieval/rule.rs"),
            "RetrievalError",
            true,
        ),
        &["AmountOverflow"],
    );
}
