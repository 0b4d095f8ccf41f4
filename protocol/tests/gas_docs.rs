//! The table of `docs/gas.md` is `contracts/snapshots/Gas.json`. `ZKNODE_BLESS=1` writes it.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::PathBuf};

const BEGIN: &str = "<!-- gas: begin -->\n";
const END: &str = "<!-- gas: end -->\n";

/// A line for each transaction: in ether, in a token; one figure where no money moves.
fn table(snapshots: &BTreeMap<String, String>) -> String {
    let mut rows: BTreeMap<&str, [Option<u64>; 2]> = BTreeMap::new();
    for (name, gas) in snapshots {
        let gas = gas.parse().unwrap();
        let both = [", ether", ", token"].map(|money| name.strip_suffix(money));
        match both {
            [Some(name), _] => rows.entry(name).or_default()[0] = Some(gas),
            [_, Some(name)] => rows.entry(name).or_default()[1] = Some(gas),
            _ => rows.entry(name).or_default()[0] = Some(gas),
        }
    }
    let mut text = String::from("| transaction | ether | token |\n| --- | ---: | ---: |\n");
    for (name, gas) in rows {
        let [ether, token] = gas.map(|gas| gas.map(thousands).unwrap_or_default());
        text += &format!("| {name} | {ether} | {token} |\n");
    }
    text
}

/// 12345 as 12,345.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(text).collect();
    groups.join(",")
}

fn text(digits: &[u8]) -> &str {
    std::str::from_utf8(digits).unwrap()
}

#[test]
fn the_table_is_fresh() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let snapshots = fs::read_to_string(root.join("contracts/snapshots/Gas.json")).unwrap();
    let fresh = table(&serde_json::from_str(&snapshots).unwrap());
    let path = root.join("docs/gas.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("ZKNODE_BLESS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{fresh}{END}{after}")).unwrap();
    } else {
        assert_eq!(found, fresh, "docs/gas.md is stale: ZKNODE_BLESS=1");
    }
}
