//! Honest attestations are accepted, and count what the executor counts.

use crate::support::{context, Case};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::attestation::Statement;

#[test]
fn an_honest_witness_satisfies_every_constraint() {
    for case in [Case::get(), Case::cut()] {
        let (lanes, counts) = case.honest();
        let statement = Statement::new(counts, context(7));
        let complaints = case.complaints(&case.witness(lanes), &statement);
        assert!(complaints.is_empty(), "{complaints:?}");
    }
}

#[test]
fn the_contract_accepts_an_honest_attestation() {
    for case in [Case::get(), Case::cut()] {
        let (lanes, counts) = case.honest();
        let statement = Statement::new(counts, context(7));
        let mut attestation = case.attest(case.witness(lanes), statement);
        assert_ne!(case.contract_accepts(&attestation), Some(false));
        // Replayed under another context.
        attestation.statement = Statement::new(counts, context(8));
        assert_ne!(case.contract_accepts(&attestation), Some(true));
    }
}

#[test]
fn an_honest_attestation_counts_what_the_executor_counts() {
    for case in [Case::get(), Case::cut()] {
        counts_what_the_executor_counts(case);
    }
}

fn counts_what_the_executor_counts(case: &Case) {
    let attestation = case
        .prover
        .prove(
            (&case.network, &case.model),
            (&case.samples(), &case.shard),
            context(7),
            StdRng::seed_from_u64(5),
            |_| (),
        )
        .unwrap();
    let ranks: Vec<usize> = case
        .samples()
        .iter()
        .zip(case.traces())
        .map(|(sample, trace)| {
            let label = usize::from(sample.label);
            let own = trace.logits[label];
            let beats = |(j, &logit): (usize, &i64)| logit > own || (logit == own && j < label);
            trace
                .logits
                .iter()
                .enumerate()
                .filter(|&pair| beats(pair))
                .count()
        })
        .collect();
    let below = |limit| ranks.iter().filter(|&&rank| rank < limit).count() as u32;
    let found = attestation.statement;
    assert_eq!(
        (found.valid, found.top1, found.topk),
        (case.labels.len() as u32, below(1), below(2))
    );
    assert_eq!(case.prover.verifier().verify(&attestation), Ok(()));
}
