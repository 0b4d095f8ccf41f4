//! The contract's entry: lengths, canonical encodings, the scalar column's commitment, the transcript.

use super::memory::Memory;
use super::yul::{scalar, Yul};
use crate::plonk::ProofShape;

/// Copies the calldata into place, refuses what is not canonical, and commits to the public scalars.
pub(super) fn read_statement(yul: &mut Yul, shape: &ProofShape, memory: &Memory) {
    let Memory {
        instances,
        points,
        evaluations,
        opening_quotient,
        proof_end,
        key_start,
        scalar_basis,
        ..
    } = *memory;
    let scalars_at = 64 * memory.commitments;
    let proof_at = scalars_at + 32 * memory.scalars;
    let proof_length = shape.proof_length();
    let total = proof_at + proof_length;
    yul.comment("exact length; the statement and the proof go where the transcript hashes them");
    yul.line(format!(
        "if iszero(eq(calldatasize(), {total})) {{ revert(0, 0) }}"
    ));
    yul.line(format!(
        "datacopy({key_start:#x}, dataoffset(\"key\"), datasize(\"key\"))"
    ));
    // Loaded rather than written as a literal: the compiler would repeat 32 bytes at every use.
    yul.line(format!("let r := mload({key_start:#x})"));
    yul.line(format!(
        "mstore({:#x}, {})",
        memory.digest,
        scalar(&shape.digest)
    ));
    yul.line(format!("calldatacopy({instances:#x}, 0, {scalars_at})"));
    yul.line(format!(
        "calldatacopy({points:#x}, {proof_at}, {proof_length})"
    ));
    yul.open("scalars below r; no identity in the proof (no point has y = 0); the precompiles check the rest");
    yul.line("let bad := 0");
    yul.line(format!(
        "for {{ let p := {evaluations:#x} }} lt(p, {opening_quotient:#x}) {{ p := add(p, 32) }} {{ bad := or(bad, iszero(lt(mload(p), r))) }}"
    ));
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {evaluations:#x}) {{ p := add(p, 64) }} {{ bad := or(bad, iszero(mload(p))) }}",
        points + 32
    ));
    yul.line(format!(
        "for {{ let p := {:#x} }} lt(p, {proof_end:#x}) {{ p := add(p, 64) }} {{ bad := or(bad, iszero(mload(p))) }}",
        opening_quotient + 32
    ));
    yul.line("if bad { revert(0, 0) }");
    yul.close();
    yul.open("the last instance column: sum of scalar times the Lagrange point of its row");
    yul.line("mstore(0, 0) mstore(32, 0)");
    yul.line(format!("let point := {scalar_basis:#x}"));
    yul.line(format!(
        "for {{ let at := {scalars_at} }} lt(at, {proof_at}) {{ at := add(at, 32) }} {{"
    ));
    yul.line("  let s := calldataload(at)");
    yul.line("  if iszero(lt(s, r)) { revert(0, 0) }");
    yul.line("  mcopy(64, point, 64) mstore(128, s)");
    yul.line("  if iszero(staticcall(gas(), 7, 64, 96, 64, 64)) { revert(0, 0) }");
    yul.line("  join()");
    yul.line("  point := add(point, 64)");
    yul.line("}");
    yul.line(format!("mcopy({:#x}, 0, 64)", points - 64));
    yul.close();
}

/// Draws every challenge, in the order of the proof.
pub(super) fn replay_transcript(yul: &mut Yul, shape: &ProofShape, memory: &Memory) {
    yul.open("transcript");
    let mut replay = Replay {
        yul,
        memory,
        hashed: None,
        end: memory.points,
        challenge: 0,
    };
    for round in &shape.rounds {
        replay.round(64 * round.points, round.challenges);
    }
    replay.round(32 * shape.evaluations.len(), 2);
    replay.round(64, 1);
    yul.close();
}

struct Replay<'a> {
    yul: &'a mut Yul,
    memory: &'a Memory,
    /// Up to where a digest covers the bytes; `None` before the first.
    hashed: Option<usize>,
    end: usize,
    challenge: usize,
}

impl Replay<'_> {
    fn round(&mut self, bytes: usize, challenges: usize) {
        self.end += bytes;
        for _ in 0..challenges {
            let end = self.end;
            match self.hashed {
                None => {
                    let start = self.memory.digest;
                    self.yul.line(format!(
                        "let digest := keccak256({start:#x}, {})",
                        end - start
                    ));
                }
                Some(start) if start < end => self.yul.line(format!(
                    "digest := absorb({start:#x}, {}, digest)",
                    end - start
                )),
                Some(_) => self.yul.line("digest := again(digest)"),
            }
            self.hashed = Some(end);
            self.yul.line(format!(
                "mstore({:#x}, mod(digest, r))",
                self.memory.challenge(self.challenge)
            ));
            self.challenge += 1;
        }
    }
}
