//! Bad files and arguments: each gets exit code 2 and an error that says what is wrong, and leaves nothing behind.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use zknode_tests::{program::zknode, tiny};

/// A folder with a home, the tiny model and a test set.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let network = tiny::network(1);
        tiny::write_model(&network, &folder.path().join("tiny.zkm")).unwrap();
        tiny::write_dataset(&network, folder.path(), 9, 7).unwrap();
        fs::write(folder.path().join("password"), "secret words\n").unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn images(&self) -> PathBuf {
        self.path("tiny-images-idx3-ubyte")
    }

    /// Runs a command in the folder: exit code and stderr.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(zknode())
            .current_dir(self.folder.path())
            .args(["--home", "home", "--password-file", "password"])
            .args(arguments)
            .env_remove("ZKNODE_HOME")
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!words.contains("panicked"), "{words}");
        (output.status.code().unwrap(), words)
    }

    /// The command fails and says all of `words`.
    fn refuses(&self, arguments: &[&str], words: &[&str]) {
        let (code, said) = self.run(arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}");
        for words in words {
            assert!(
                said.contains(words),
                "{arguments:?}: expected {words:?} in: {said}"
            );
        }
    }

    fn prove(&self) -> Vec<&'static str> {
        let mut arguments = vec!["prove", "tiny.zkm", "--dataset", "tiny-images-idx3-ubyte"];
        arguments.extend(tiny::LAYOUT);
        arguments
    }
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn datasets() {
    let desk = Desk::new();
    let prove = desk.prove();
    let tiny_set = || {
        drop(tiny::write_dataset(
            &tiny::network(1),
            desk.folder.path(),
            9,
            7,
        ))
    };
    let labels = desk.path("tiny-labels-idx1-ubyte");

    change(&desk.images(), |bytes| bytes.truncate(100));
    desk.refuses(&prove, &["tiny-images-idx3-ubyte", "byte"]);
    tiny_set();
    change(&desk.images(), |bytes| bytes.push(0));
    desk.refuses(&prove, &["tiny-images-idx3-ubyte"]);
    // A declared size of 4 GB allocates nothing.
    tiny_set();
    change(&desk.images(), |bytes| bytes[4..8].fill(0xff));
    desk.refuses(&prove, &["tiny-images-idx3-ubyte"]);
    tiny_set();
    change(&labels, |bytes| bytes[8] = 4);
    desk.refuses(&prove, &["label", "4"]);
    // A label fewer than images.
    tiny_set();
    change(&labels, |bytes| {
        bytes[7] = 8;
        bytes.pop();
    });
    desk.refuses(&prove, &["8", "9"]);
    // No samples at all.
    tiny::write_dataset(&tiny::network(1), desk.folder.path(), 0, 0).unwrap();
    desk.refuses(&prove, &["tiny-images-idx3-ubyte"]);
    fs::remove_file(&labels).unwrap();
    desk.refuses(&prove, &["without a file of labels"]);
    desk.refuses(
        &["prove", "tiny.zkm", "--dataset", "nowhere"],
        &["nowhere", "No such file"],
    );
    // Images of another size, and samples that are not there.
    desk.refuses(
        &["prove", "tiny.zkm", "--dataset", "mnist-256"],
        &["1x5x5", "1x28x28"],
    );
    tiny_set();
    let beyond = [&prove[..], &["--samples", "5..10"]].concat();
    desk.refuses(&beyond, &["5..10", "0..9"]);
    assert!(!desk.path("proof.json").exists());
}

#[test]
fn models() {
    let desk = Desk::new();
    let inspect = ["model", "inspect", "tiny.zkm"];
    let fresh = fs::read(desk.path("tiny.zkm")).unwrap();
    let rewrite = |change: fn(&mut Vec<u8>)| {
        let mut bytes = fresh.clone();
        change(&mut bytes);
        fs::write(desk.path("tiny.zkm"), bytes).unwrap();
    };
    assert_eq!(desk.run(&inspect).0, 0);
    rewrite(|bytes| bytes[8] = 9);
    desk.refuses(&inspect, &["version 9", "versions 1 to 2"]);
    rewrite(|bytes| bytes.truncate(bytes.len() - 1));
    desk.refuses(&inspect, &["damaged", "bytes"]);
    rewrite(|bytes| *bytes.last_mut().unwrap() ^= 1);
    desk.refuses(&inspect, &["damaged", "digest"]);
    rewrite(|bytes| *bytes = b"ONNX".to_vec());
    desk.refuses(&inspect, &["not a zknode model file", "model import"]);
    desk.refuses(&["model", "inspect", "nowhere.zkm"], &["nowhere.zkm"]);

    let import = ["model", "import", "x.onnx", "--calibrate", "mnist-256"];
    fs::write(desk.path("x.onnx"), b"not a model").unwrap();
    desk.refuses(&import, &["x.onnx"]);
    fs::write(desk.path("x.onnx"), b"").unwrap();
    desk.refuses(&import, &["x.onnx"]);
    // The beginning of a TensorFlow Lite file: known by its content, not by its name.
    fs::write(desk.path("x.onnx"), b"\x1c\0\0\0TFL3").unwrap();
    desk.refuses(&import, &["x.onnx", "TensorFlow Lite"]);
    desk.refuses(&["model", "import", "lenet5"], &["--calibrate"]);
    // Images the model does not take.
    desk.refuses(
        &[
            "model",
            "import",
            "lenet5",
            "--calibrate",
            "tiny-images-idx3-ubyte",
        ],
        &["1x28x28", "1x5x5"],
    );
    desk.refuses(
        &[
            "model",
            "import",
            "lenet5",
            "--calibrate",
            "mnist-256",
            "--range-bits",
            "3",
        ],
        &["accumulators reach", "range bits"],
    );
    assert!(!desk.path("model.zkm").exists());
}

#[test]
fn layouts_and_reference_strings() {
    let desk = Desk::new();
    let prove = |more: &[&'static str]| {
        let start = ["prove", "tiny.zkm", "--dataset", "tiny-images-idx3-ubyte"];
        [&start[..], more].concat()
    };
    desk.refuses(&prove(&["--k", "8"]), &["k = 8", "raise k"]);
    desk.refuses(&prove(&["--k", "99"]), &["k must be"]);
    desk.refuses(&prove(&["--k", "12", "--lanes", "5"]), &["lanes", "5"]);
    desk.refuses(&prove(&["--k", "12", "--shard-size", "9"]), &["9"]);
    let beyond = format!("0x{}", "f".repeat(64));
    let context = [&prove(&[])[..], &["--context", &beyond]].concat();
    desk.refuses(&context, &["scalar field"]);

    // A reference string that is cut, changed, or for another k.
    assert_eq!(desk.run(&["srs", "make", "--k", "12"]).0, 0);
    let string = desk.path("home/srs/k12.srs");
    let fresh = fs::read(&string).unwrap();
    fs::write(&string, &fresh[..fresh.len() / 2]).unwrap();
    desk.refuses(&desk.prove(), &["k12.srs", "delete it"]);
    let mut changed = fresh.clone();
    changed[fresh.len() / 2] ^= 1;
    fs::write(&string, changed).unwrap();
    desk.refuses(&desk.prove(), &["k12.srs"]);
    assert_eq!(desk.run(&["srs", "make", "--k", "13"]).0, 0);
    fs::copy(desk.path("home/srs/k13.srs"), &string).unwrap();
    desk.refuses(&desk.prove(), &["k = 13", "expected k = 12"]);
    fs::write(desk.path("x.ptau"), b"ptau").unwrap();
    let import = ["srs", "import", "x.ptau", "--k", "12", "--digest"];
    let pinned = "0".repeat(128);
    desk.refuses(&[&import[..], &[&pinned]].concat(), &["x.ptau"]);
}

/// One sample, a full shard, one more; then another process, which knows public files only, judges the proof.
#[test]
fn proofs_of_any_size_and_no_altered_one() {
    let desk = Desk::new();
    let network = tiny::network(1);
    for (samples, correct, shards) in [(1, 1, 1), (8, 5, 1), (9, 7, 2)] {
        tiny::write_dataset(&network, desk.folder.path(), samples, correct).unwrap();
        let (code, said) = desk.run(&desk.prove());
        assert_eq!(code, 0, "{said}");
        assert!(
            said.contains(&format!("{correct} of {samples} correct")),
            "{said}"
        );
        assert!(said.contains(&format!("{shards} shards")), "{said}");
    }
    // The verifier's folder: nothing of the seller's, nothing of the buyer's.
    let public = tempfile::tempdir().unwrap();
    for name in ["proof.json", "model.zkvk"] {
        fs::copy(desk.path(name), public.path().join(name)).unwrap();
    }
    let verify = |arguments: &[&str]| {
        let output = Command::new(zknode())
            .current_dir(public.path())
            .args([
                "--home",
                "home",
                "verify",
                "proof.json",
                "--key",
                "model.zkvk",
            ])
            .args(arguments)
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!words.contains("panicked"), "{words}");
        (output.status.code().unwrap(), words)
    };
    let (code, said) = verify(&["--threshold", "7"]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("7 of 9 correct") && said.contains("INSECURE"),
        "{said}"
    );
    assert_eq!(verify(&["--threshold", "8"]).0, 1);
    assert_eq!(
        verify(&["--context", &format!("0x{}", "01".repeat(32))]).0,
        1
    );
    assert_eq!(verify(&["--root", &format!("0x{}", "01".repeat(32))]).0, 1);

    let proof = public.path().join("proof.json");
    let text = fs::read_to_string(&proof).unwrap();
    let told = |from: &str, to: &str| {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        fs::write(&proof, changed).unwrap();
    };
    told(r#""top1":7"#, r#""top1":8"#);
    let (code, said) = verify(&[]);
    assert_eq!((code, said.starts_with("no")), (1, true), "{said}");
    told(r#""version":1"#, r#""version":2"#);
    let (code, said) = verify(&[]);
    assert!(code == 1 && said.contains("version 1, got 2"), "{said}");
    fs::write(&proof, &text[..text.len() / 2]).unwrap();
    let (code, said) = verify(&[]);
    assert!(code == 2 && said.contains("not a proof file"), "{said}");
    fs::write(&proof, &text).unwrap();
    change(&public.path().join("model.zkvk"), |bytes| {
        bytes.truncate(1000)
    });
    let (code, said) = verify(&[]);
    assert!(code == 2 && said.contains("truncated"), "{said}");
}
