#![allow(missing_docs, clippy::unwrap_used)]
use rand::{rngs::StdRng, Rng, SeedableRng};
use std::{sync::Arc, time::Instant};
use zknode_circuit::{
    attestation::Context, commitment::*, layout::*, network::*, prove::*, srs::Srs,
    witness::instance::Sample,
};
fn main() {
    let k: u32 = std::env::args().nth(1).unwrap().parse().unwrap();
    let lanes: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    let term = |input: usize, k: usize, p: usize| Term {
        input: TensorId(input),
        kernel: (k, k),
        stride: (1, 1),
        padding: Padding {
            top: p,
            left: p,
            bottom: p,
            right: p,
            value: 0,
        },
        groups: 1,
    };
    let lin = |t: Term, shape: Shape, output| {
        Layer::Linear(Linear {
            name: "l".into(),
            terms: vec![t],
            shape,
            output,
        })
    };
    let pool = |i| {
        Layer::SumPool(SumPool {
            name: "p".into(),
            input: TensorId(i),
            kernel: (2, 2),
            stride: (2, 2),
        })
    };
    let a = Architecture {
        input: Shape::new(1, 28, 28),
        fraction_bits: 8,
        range_bits: 15,
        layers: vec![
            lin(term(0, 5, 2), Shape::new(6, 28, 28), Output::Activation),
            pool(1),
            lin(term(2, 5, 0), Shape::new(16, 10, 10), Output::Activation),
            pool(3),
            Layer::Flatten { input: TensorId(4) },
            lin(term(5, 1, 0), Shape::new(120, 1, 1), Output::Activation),
            lin(term(6, 1, 0), Shape::new(84, 1, 1), Output::Activation),
            lin(term(7, 1, 0), Shape::new(10, 1, 1), Output::Logits),
        ],
    };
    let t = Instant::now();
    let layout = Arc::new(Layout::largest(&a, k, lanes, 5).unwrap());
    println!(
        "layout {:?} samples {} lane rows {} glue {} expose {} weights {}",
        t.elapsed(),
        layout.options().samples,
        layout.lane_rows(),
        layout.glue().end(),
        layout.score().expose(),
        layout.weight_end()
    );
    let shapes = a.shapes().unwrap();
    let mut layers = vec![];
    for (i, l) in a.layers.iter().enumerate() {
        if let Layer::Linear(l) = l {
            layers.push(LinearWeights {
                terms: l
                    .terms
                    .iter()
                    .map(|t| {
                        (0..t.weights(shapes[t.input.0].channels, l.shape.channels))
                            .map(|_| rng.gen_range(-20..21))
                            .collect()
                    })
                    .collect(),
                bias: (0..shapes[i + 1].channels)
                    .map(|_| rng.gen_range(-500..500))
                    .collect(),
            });
        }
    }
    let network = Network::new(a, Weights { layers }).unwrap();
    let images: Vec<Vec<u8>> = (0..layout.options().samples)
        .map(|_| (0..784).map(|_| rng.r#gen()).collect())
        .collect();
    let samples: Vec<_> = images
        .iter()
        .map(|i| Sample {
            pixels: i,
            label: rng.gen_range(0..10),
        })
        .collect();
    let t = Instant::now();
    let srs = Arc::new(Srs::development(k, |_, _| ()).unwrap());
    println!("srs {:?}", t.elapsed());
    let t = Instant::now();
    let prover = Prover::new(srs.clone(), layout.clone()).unwrap();
    println!("keys {:?}", t.elapsed());
    let t = Instant::now();
    let model = CommittedModel::new(&layout, &network, &Seed::new([1; 32]), &srs).unwrap();
    let shard = CommittedShard::new(&layout, &samples, &Seed::new([2; 32]), &srs).unwrap();
    println!("commit {:?}", t.elapsed());
    let t = Instant::now();
    let att = prover
        .prove(
            (&network, &model),
            (&samples, &shard),
            Context::default(),
            StdRng::seed_from_u64(3),
            |s| println!("  {s:?} {:?}", t.elapsed()),
        )
        .unwrap();
    println!(
        "PROVE {:?} per sample {:?} bytes {} {:?}",
        t.elapsed(),
        t.elapsed() / samples.len() as u32,
        att.proof.len(),
        att.statement
    );
    let t = Instant::now();
    prover.verifier().verify(&att).unwrap();
    println!("verify {:?}", t.elapsed());
    let mut f = vec![];
    prover.verifier().write(&mut f).unwrap();
    println!("vk bytes {}", f.len());
    let v = zknode_circuit::verify::Verifier::read(&f[..]).unwrap();
    v.verify(&att).unwrap();
    println!(
        "vk file ok, digest {}",
        hex::encode(v.digest()) == hex::encode(prover.verifier().digest())
    );
    let m = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", m.lines().find(|l| l.starts_with("VmHWM")).unwrap());
}
