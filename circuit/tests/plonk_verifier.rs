//! The Rust verifier: what it accepts, and every way it must refuse.
#![allow(clippy::unwrap_used, clippy::panic)]

mod fixture;

use fixture::{proven, SMALL};
use zknode_circuit::plonk::verify_proof;

#[test]
fn an_honest_proof_is_accepted() {
    let case = proven(SMALL);
    let statement = case.statement(&case.scalars);
    assert_eq!(
        verify_proof(&case.kzg(), case.pk.get_vk(), &statement, &case.proof),
        Ok(())
    );
}
