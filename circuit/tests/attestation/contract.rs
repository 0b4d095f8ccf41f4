//! The contract generated from the key of the real circuit: true claims accepted, false ones refused, within limits.
//!
//! Gas and size do not depend on the network or on k, only on lanes, remainder bits and `top_k`.

use crate::chain::{compile, Chain};
use halo2curves::bn256::{Fr, G1Affine};
use halo2curves::ff::Field;
use rand::{rngs::StdRng, SeedableRng};
use std::sync::Arc;
use zknode_circuit::attestation::Context;
use zknode_circuit::commitment::{CommittedModel, CommittedShard, Seed};
use zknode_circuit::cost::Cost;
use zknode_circuit::evm::{VerifierSource, CODE_LIMIT};
use zknode_circuit::layout::{Grid, Layout, LayoutOptions};
use zknode_circuit::network::{
    Architecture, Layer, Linear, LinearWeights, Network, Output, Padding, Shape, TensorId, Term,
    Weights,
};
use zknode_circuit::prove::Prover;
use zknode_circuit::srs::Srs;
use zknode_circuit::verify::Attestation;
use zknode_circuit::witness::instance::Sample;

/// Most gas that a verification may take as a transaction.
const GAS_LIMIT: u64 = 1_000_000;

fn dense(input: usize, outputs: usize, output: Output) -> Layer {
    let padding = Padding {
        top: 0,
        left: 0,
        bottom: 0,
        right: 0,
        value: 0,
    };
    Layer::Linear(Linear {
        name: format!("dense {input}"),
        terms: vec![Term {
            input: TensorId(input),
            kernel: (1, 1),
            stride: (1, 1),
            padding,
            groups: 1,
        }],
        shape: Shape::new(outputs, 1, 1),
        output,
    })
}

fn network(fraction_bits: u32) -> Network {
    let architecture = Architecture {
        input: Shape::new(4, 1, 1),
        fraction_bits,
        range_bits: 11,
        layers: vec![dense(0, 3, Output::Activation), dense(1, 3, Output::Logits)],
    };
    let weights = |inputs: i64, seed: i64| LinearWeights {
        terms: vec![(0..3 * inputs).map(|i| (i + seed) % 5 - 2).collect()],
        bias: vec![3, -1, 2],
    };
    let layers = vec![weights(4, 0), weights(3, 1)];
    Network::new(architecture, Weights { layers }).unwrap()
}

fn attest(fraction_bits: u32, k: u32, lanes: usize) -> (Prover, Attestation) {
    let network = network(fraction_bits);
    let options = LayoutOptions {
        k,
        lanes,
        samples: 16,
        grid: Grid::WHOLE,
        top_k: 2,
    };
    let layout = Arc::new(Layout::new(network.architecture().clone(), options).unwrap());
    let srs = Arc::new(Srs::development(k, |_, _| ()).unwrap());
    let prover = Prover::new(srs.clone(), layout.clone()).unwrap();
    let pixels: Vec<Vec<u8>> = (0u8..8)
        .map(|n| (0..4).map(|i| 31 * n + 7 * i).collect())
        .collect();
    let samples: Vec<Sample<'_>> = pixels
        .iter()
        .enumerate()
        .map(|(n, pixels)| Sample {
            pixels,
            label: (n % 3) as _,
        })
        .collect();
    let model = CommittedModel::new(&layout, &network, &Seed::new([1; 32]), &srs).unwrap();
    let shard = CommittedShard::new(&layout, &samples, &Seed::new([2; 32]), &srs).unwrap();
    let context = Context([7; 32]);
    let rng = StdRng::seed_from_u64(3);
    let attestation = prover
        .prove((&network, &model), (&samples, &shard), context, rng, |_| ())
        .unwrap();
    (prover, attestation)
}

#[test]
fn the_contract_of_the_circuit_settles_within_the_limits() {
    for lanes in [8, 16] {
        settle(4, 12, lanes);
    }
}

/// Remainders of 8 bits, as the bundled model has them, need 2^17 rows.
#[test]
#[ignore = "takes minutes"]
fn so_does_that_of_the_bundled_model() {
    settle(8, 17, 8);
}

fn settle(fraction_bits: u32, k: u32, lanes: usize) {
    let (prover, attestation) = attest(fraction_bits, k, lanes);
    let verifier = prover.verifier();
    let source =
        VerifierSource::new(verifier.kzg(), verifier.key(), verifier.statement_basis()).unwrap();
    assert_eq!(source.vk_digest, verifier.digest());
    assert_eq!(source.proof_length, attestation.proof.len());
    let Some(code) = compile(&source) else { return };
    let mut chain = Chain::deploy(code);
    let model = attestation.model.columns().iter();
    let points: Vec<_> = model
        .chain([&attestation.shard])
        .map(|c| c.point().unwrap())
        .collect();
    let scalars = attestation.statement.scalars().unwrap();
    let mut call = |points: &[G1Affine], scalars: &[Fr]| {
        chain.call(
            source
                .calldata(points, scalars, &attestation.proof)
                .unwrap(),
        )
    };
    let verdict = call(&points, &scalars);
    assert!(verdict.accepted);
    for row in 0..scalars.len() {
        let mut other = scalars;
        other[row] += Fr::ONE;
        assert!(!call(&points, &other).accepted, "scalar {row}");
    }
    assert!(!call(&[points[1], points[0]], &scalars).accepted);
    println!(
        "{lanes} lanes, {fraction_bits} bits: {} gas, {} bytes of code, {} bytes of proof",
        verdict.gas,
        chain.code_size,
        attestation.proof.len()
    );
    assert!(verdict.gas <= GAS_LIMIT, "{} gas", verdict.gas);
    // What is told before there are keys.
    let cost = Cost::of(prover.layout());
    assert_eq!(cost.proof_bytes as usize, attestation.proof.len());
    let off = cost.gas.abs_diff(verdict.gas);
    assert!(100 * off <= 3 * verdict.gas, "estimated {} gas", cost.gas);
    assert!(chain.code_size <= CODE_LIMIT, "{} bytes", chain.code_size);
}
