//! Lies: false witnesses that hold everywhere but in one place.

pub mod linear;
pub mod lookup;
pub mod score;

use crate::support::{nets::net, Case};
use rand::{rngs::StdRng, SeedableRng};
use zknode_circuit::{
    attestation::{Alter, Witness},
    network::Network,
    witness::lanes::{Counts, Lanes},
};

/// A logit beyond all that a fixture gives.
const HIGH: i64 = 1 << 20;

/// A false witness and the network it is for.
pub struct Lie {
    pub case: &'static Case,
    pub witness: Witness,
    pub counts: Counts,
}

impl Lie {
    fn new(case: &'static Case, (lanes, counts): (Lanes, Counts)) -> Self {
        Self {
            case,
            witness: case.witness(lanes),
            counts,
        }
    }

    fn altered(mut self, alter: Alter) -> Self {
        self.witness.alter = Some(alter);
        self
    }
}

/// Another network of the fixture's architecture.
fn other_net() -> Network {
    net(&mut StdRng::seed_from_u64(99))
}

fn run(case: &Case, network: &Network) -> (Lanes, Counts) {
    Lanes::run(case.layout(), network, &case.samples()).unwrap()
}
