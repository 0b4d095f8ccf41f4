//! Writes Yul: lines, blocks, numbers, and the object around them.

use crate::transcript::encode_scalar;
use halo2curves::bn256::{Fq, Fr};
use halo2curves::ff::PrimeField;
use std::fmt::Write;

/// Precompile calls and transcript steps, shared by all sections. Each reverts on failure.
const FUNCTIONS: &str = "\
function scale() { if iszero(staticcall(gas(), 7, 0, 96, 0, 64)) { revert(0, 0) } }
function join() { if iszero(staticcall(gas(), 6, 0, 128, 0, 64)) { revert(0, 0) } }
function absorb(start, length, digest) -> next {
  let before := sub(start, 32)
  let kept := mload(before)
  mstore(before, digest)
  next := keccak256(before, add(length, 32))
  mstore(before, kept)
}
function again(digest) -> next { mstore(0, digest) mstore8(32, 1) next := keccak256(0, 33) }
";

/// Source under construction.
#[derive(Debug, Default)]
pub(super) struct Yul {
    text: String,
    depth: usize,
}

impl Yul {
    /// Appends one line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        let indent = 2 * (self.depth + 3);
        for line in line.as_ref().lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "{:indent$}{}", "", line.trim_end());
        }
    }

    /// Appends a comment.
    pub fn comment(&mut self, comment: &str) {
        self.line(format!("// {comment}"));
    }

    /// Opens a block whose locals end with it.
    pub fn open(&mut self, comment: &str) {
        self.comment(comment);
        self.line("{");
        self.depth += 1;
    }

    /// Closes the innermost block.
    pub fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.line("}");
    }

    /// The whole object: deployment code, runtime code, key data.
    pub fn object(&self, key: &[u8]) -> String {
        let mut functions = Yul::default();
        functions.line(FUNCTIONS);
        format!(
            "// Generated from a verifying key; do not edit.\n\
             object \"Verifier\" {{\n\
             \x20 code {{ datacopy(0, dataoffset(\"runtime\"), datasize(\"runtime\")) return(0, datasize(\"runtime\")) }}\n\
             \x20 object \"runtime\" {{\n\
             \x20   code {{\n{}{}\x20   }}\n\
             \x20   data \"key\" hex\"{}\"\n\
             \x20 }}\n}}\n",
            self.text,
            functions.text,
            hex::encode(key)
        )
    }
}

/// A scalar as a literal.
pub(super) fn scalar(value: &Fr) -> String {
    literal(&encode_scalar(value))
}

/// A base-field element as a literal.
pub(super) fn coordinate(value: &Fq) -> String {
    let mut bytes = value.to_repr();
    bytes.reverse();
    literal(&bytes)
}

fn literal(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let digits = digits.trim_start_matches('0');
    format!("0x{}", if digits.is_empty() { "0" } else { digits })
}

/// The word at an address.
pub(super) fn load(address: usize) -> String {
    format!("mload({address:#x})")
}

/// The product of the terms modulo r; 1 for none.
pub(super) fn product(terms: impl IntoIterator<Item = String>) -> String {
    terms
        .into_iter()
        .reduce(|a, b| format!("mulmod({a}, {b}, r)"))
        .unwrap_or_else(|| "1".to_owned())
}
