//! `sample-size` and `terms` as people run them: exit codes, JSON, and what a refusal says.
#![allow(clippy::unwrap_used)]

use std::{fs, process::Command};

use serde_json::Value;
use zknode_tests::program::zknode;

/// Runs a command: exit code, stdout as JSON if there is any, stderr.
fn run(arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(zknode()).args(arguments).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!words.contains("panicked"), "{words}");
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), json, words)
}

const SUGGEST: [&str; 14] = [
    "terms",
    "suggest",
    "--samples",
    "10000",
    "--shard-size",
    "152",
    "--threshold",
    "98%",
    "--label-cost",
    "0.00002ether",
    "--proof-cost",
    "1gwei",
    "--gas-price",
    "1gwei",
];

#[test]
fn sizes_are_those_of_the_library() {
    let (code, json, _) = run(&[
        "sample-size",
        "--json",
        "--error",
        "2.5%",
        "--threshold",
        "98%",
        "--samples",
        "200",
    ]);
    assert_eq!(code, 0);
    assert_eq!(json["version"], 1);
    assert_eq!(json["hoeffding"], 2_397);
    assert_eq!(json["audits"], 119);
    assert_eq!(json["clopper_pearson"][0]["samples"], 138);
    assert_eq!(json["clopper_pearson"][0]["correct"], 136);
    assert_eq!(json["given"]["fewest_correct"], 197);
    let (code, _, words) = run(&["sample-size", "--error", "2.5%"]);
    assert_eq!(code, 0);
    assert!(
        words.contains("2397 samples") && words.contains("119 audited"),
        "{words}"
    );
    for wrong in [
        &["sample-size", "--error", "0%"][..],
        &["sample-size", "--error", "2.5"],
        &["sample-size", "--error", "1%", "--confidence", "100%"],
        &["sample-size", "--error", "5%", "--threshold", "4%"],
    ] {
        assert_eq!(run(wrong).0, 2, "{wrong:?}");
    }
}

#[test]
fn terms_are_suggested_changed_and_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("terms.json");
    let path = file.to_str().unwrap();
    let mut suggest = SUGGEST.to_vec();
    suggest.extend(["--json", "--out", path]);
    let (code, json, _) = run(&suggest);
    assert_eq!((code, &json["safe"]), (0, &Value::Bool(true)));
    assert_eq!(run(&["terms", "check", path]).0, 0);

    let mut changed: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let fee = changed["terms"]["preview_fee"].clone();
    changed["terms"]["preview_fee"] = "400000000000000".into();
    fs::write(&file, changed.to_string()).unwrap();
    let (code, _, words) = run(&["terms", "check", path]);
    assert_eq!(code, 1);
    for part in [
        "delivery-harvest: preview fee 0.0004 ether >= labels 0.2 ether",
        "a seller who takes the test set and goes away",
        "raise the preview fee from 0.0004 ether to 0.2 ether",
    ] {
        assert!(words.contains(part), "{part:?} in: {words}");
    }
    let (code, json, _) = run(&["terms", "check", path, "--json"]);
    assert_eq!((code, &json["safe"]), (1, &Value::Bool(false)));
    let rules = json["inequalities"].as_array().unwrap();
    let broken = rules
        .iter()
        .find(|rule| rule["rule"] == "delivery-harvest")
        .unwrap();
    assert_eq!(broken["holds"], false);
    assert_eq!(broken["fix"]["set"][0]["to"], "200000000000000000");

    changed["terms"]["preview_fee"] = fee;
    changed["version"] = 1.into();
    fs::write(&file, changed.to_string()).unwrap();
    let (code, _, words) = run(&["terms", "check", path]);
    assert_eq!(code, 2);
    assert!(words.contains("version 2, got 1"), "{words}");
    changed["version"] = 2.into();
    changed["terms"]["threshold"] = 10_001.into();
    fs::write(&file, changed.to_string()).unwrap();
    let (code, _, words) = run(&["terms", "check", path]);
    assert_eq!(code, 2);
    assert!(
        words.contains("a threshold of at most 10000, got 10001"),
        "{words}"
    );
}

#[test]
fn no_terms_is_a_no_and_names_the_rule() {
    let mut few = SUGGEST.to_vec();
    few[3] = "50";
    let (code, _, words) = run(&few);
    assert_eq!(code, 1);
    assert!(words.contains("`sampling`"), "{words}");
    let mut blind = SUGGEST.to_vec();
    blind.extend(["--vigilance", "0%"]);
    assert_eq!(run(&blind).0, 1);
    blind.push("--eager");
    assert_eq!(run(&blind).0, 0);
}

#[test]
fn lazy_sellers_are_played() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("terms.json");
    let path = file.to_str().unwrap();
    let mut suggest = SUGGEST.to_vec();
    suggest.extend(["--out", path]);
    assert_eq!(run(&suggest).0, 0);
    let lazy = [
        "terms",
        "lazy",
        path,
        "--accuracy",
        "99.43%",
        "--guess",
        "10%",
        "--runs",
        "50",
        "--json",
    ];
    let (code, json, _) = run(&lazy);
    assert_eq!(code, 0);
    let points = json["points"].as_array().unwrap();
    assert!(points[0]["paid"].as_u64().unwrap() > 40);
    assert_eq!(points.last().unwrap()["paid"], 0);
    assert_eq!(run(&lazy).1, json);
}
