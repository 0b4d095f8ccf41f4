//! `docs/attacks.md` holds what these tests measured, and names tests that are there. `ZKNODE_BLESS=1` writes it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// Tests write side by side.
static PAGE: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The block between `<!-- measured: name -->` and `<!-- end -->` must be this.
pub fn renew(name: &str, block: &str) {
    let _one = PAGE.lock().unwrap();
    let path = root().join("docs/attacks.md");
    let mut page = fs::read_to_string(&path).unwrap();
    let start = format!("<!-- measured: {name} -->\n");
    let from = page
        .find(&start)
        .unwrap_or_else(|| panic!("no block {name}"))
        + start.len();
    let to = from + page[from..].find("<!-- end -->").unwrap();
    if page[from..to] == *block {
        return;
    }
    assert!(
        std::env::var_os("ZKNODE_BLESS").is_some(),
        "docs/attacks.md is stale, `{name}` is now:\n{block}\nrun this test with ZKNODE_BLESS=1"
    );
    page.replace_range(from..to, block);
    fs::write(&path, page).unwrap();
}

/// All text of the sources below a folder.
fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            if !["target", "node_modules", "cache", "out"].contains(&name.as_str()) {
                sources(&path, text);
            }
        } else if [".rs", ".sol", ".json", ".jsonl"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            text.push_str(&fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

/// Every test the page names exists: `name` in backquotes in the last column of a table that has one for tests.
#[test]
fn the_page_names_tests_that_exist() {
    let page = fs::read_to_string(root().join("docs/attacks.md")).unwrap();
    let mut text = String::new();
    for folder in [
        "circuit",
        "protocol",
        "node",
        "tests",
        "contracts/test",
        "contracts/vectors",
    ] {
        sources(&root().join(folder), &mut text);
    }
    let (mut named, mut in_table) = (0, false);
    for line in page.lines() {
        if !line.starts_with('|') {
            in_table = false;
        } else if line.ends_with("| test |") {
            in_table = true;
        } else if in_table && !line.starts_with("| ---") {
            let last = line.trim_end_matches('|').rsplit('|').next().unwrap();
            let names: Vec<_> = last.split('`').skip(1).step_by(2).collect();
            assert!(!names.is_empty(), "no test: {line}");
            for name in names {
                let rust = format!("fn {name}(");
                let solidity = format!("function {name}(");
                let story = format!("\"{name}\"");
                assert!(
                    [rust, solidity, story]
                        .iter()
                        .any(|form| text.contains(form)),
                    "there is no test {name}: {line}"
                );
                named += 1;
            }
        }
    }
    assert!(named > 30, "{named}");
}
