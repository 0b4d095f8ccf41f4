//! Times of a corpus of LeNet-5's images on this machine, by full shards of 152:
//! `cargo run --release -p zknode-circuit --example corpus_times -- 1 10`.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    commitment::Seed,
    corpus::{
        apart::{prove, verify, Opening, PROOF_BYTES},
        commit_item, Item,
    },
    layout::{Grid, Layout},
    network::import::{onnx, ImportOptions},
    srs::Srs,
};
use zknode_datasets::fixtures;

fn main() {
    let images = fixtures::mnist_256().unwrap();
    let images: Vec<_> = images.samples().iter().map(|s| s.image.pixels()).collect();
    let model = fixtures::lenet5_onnx().unwrap();
    let network = onnx(model, &images, &ImportOptions::default(), &mut |_| ()).unwrap();
    let architecture = network.network.architecture();
    let layout = Layout::largest(architecture, 17, 8, Grid::WHOLE, 1).unwrap();
    let srs = Srs::development(17, |_, _| ()).unwrap();
    let (samples, salt) = (layout.options().samples, layout.data_salt().len());
    println!("{samples} items a shard, {salt} salt rows");
    let mut rng = StdRng::seed_from_u64(0);
    for shards in std::env::args()
        .skip(1)
        .map(|n| n.parse::<usize>().unwrap())
    {
        let seeds: Vec<_> = (0..shards * samples)
            .map(|_| Seed::random(&mut rng))
            .collect();
        let start = Instant::now();
        let items: Vec<_> = (seeds.iter().enumerate())
            .map(|(index, seed)| {
                let (place, pixels) = (index % samples, images[index % images.len()]);
                let item = Item {
                    place,
                    pixels,
                    seed,
                };
                Opening {
                    position: index as u32,
                    commitment: commit_item(&layout, &srs, item).unwrap(),
                    pixels,
                    seed,
                }
            })
            .collect();
        let seconds = start.elapsed().as_secs_f64();
        println!("{} items, {PROOF_BYTES} bytes of proof", items.len());
        println!("  commit {seconds:.2} s");
        let start = Instant::now();
        let proof = prove(&layout, &srs, &items, &mut rng).unwrap();
        println!("  prove  {:.2} s", start.elapsed().as_secs_f64());
        let published: Vec<_> = (items.iter())
            .map(|item| (item.position, item.commitment))
            .collect();
        let start = Instant::now();
        verify(&layout, &srs, &published, &proof).unwrap();
        println!("  verify {:.3} s", start.elapsed().as_secs_f64());
    }
}
