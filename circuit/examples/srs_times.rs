//! Times of the reference string on this machine: `cargo run --release -p zknode-circuit --example srs_times -- 17 20`.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::srs::Srs;

fn main() {
    for k in std::env::args().skip(1).map(|k| k.parse().unwrap()) {
        let start = Instant::now();
        let srs = Srs::development(k, |_, _| ()).unwrap();
        println!("{srs}");
        println!("  build {:.2} s", start.elapsed().as_secs_f64());
        let start = Instant::now();
        let mut file = Vec::new();
        srs.write(&mut file).unwrap();
        println!(
            "  write {:.2} s, {} bytes",
            start.elapsed().as_secs_f64(),
            file.len()
        );
        let start = Instant::now();
        let read = Srs::read(file.as_slice(), |_, _| ()).unwrap();
        println!("  read  {:.2} s", start.elapsed().as_secs_f64());
        let start = Instant::now();
        read.audit(StdRng::seed_from_u64(0)).unwrap();
        println!("  audit {:.2} s", start.elapsed().as_secs_f64());
    }
}
