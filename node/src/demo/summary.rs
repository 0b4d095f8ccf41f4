//! What came out, as a table.

use std::fmt;

use serde::Serialize;
use zknode_protocol::{
    agreement::State,
    bounds::clopper_pearson_lower,
    value::{Address, Amount},
};

use super::Share;
use crate::{
    buyer::{challenge::Outcome, Threshold},
    cli::value::ether,
    seller::event::Event,
};

/// Proofs that are listed one by one; of more the range is told.
const FEW: usize = 8;

/// The demonstration's figures, all taken from what the processes told and from the chain.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Float and integer network on the seller's calibration images.
    float: Option<Share>,
    integer: Option<Share>,
    claimed: u32,
    proven: u64,
    samples: u64,
    lower_bound_95: f64,
    state: State,
    passed: bool,
    proofs: Vec<Proof>,
    claim_gas: u64,
    verifier: Address,
    verifier_code_bytes: usize,
    seller: Paid,
    buyer: Paid,
}

/// One shard.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Proof {
    samples: u32,
    correct: u32,
    seconds: f64,
    verify_milliseconds: f64,
    bytes: usize,
    gas: u64,
}

/// What an account took from the escrow, and what it has now.
#[derive(Clone, Copy, Debug, Serialize)]
struct Paid {
    account: Address,
    withdrawn: Amount,
    balance: Amount,
}

impl Summary {
    /// Gathers it.
    pub fn new(
        (float, integer): (Option<Share>, Option<Share>),
        (verifier, verifier_code_bytes): (Address, usize),
        events: &[Event],
        outcome: Outcome,
        threshold: Threshold,
        [seller, buyer]: [Address; 2],
        [seller_balance, buyer_balance]: [Amount; 2],
    ) -> anyhow::Result<Self> {
        let mut proofs: Vec<Proof> = vec![];
        let mut of = |shard: u32, change: &dyn Fn(&mut Proof)| {
            let shard = shard as usize;
            if proofs.len() <= shard {
                proofs.resize(shard + 1, Proof::default());
            }
            change(&mut proofs[shard]);
        };
        let (mut seller_withdrawn, mut claim_gas) = (Amount::ZERO, 0);
        for event in events {
            match event {
                Event::Proof {
                    shard,
                    seconds,
                    verify_milliseconds,
                    proof_bytes,
                    ..
                } => of(*shard, &|proof| {
                    proof.seconds = *seconds;
                    proof.verify_milliseconds = *verify_milliseconds;
                    proof.bytes = *proof_bytes;
                }),
                Event::Proven {
                    shard,
                    top1,
                    valid,
                    gas,
                    ..
                } => of(*shard, &|proof| {
                    proof.correct = *top1;
                    proof.samples = *valid;
                    proof.gas = *gas;
                }),
                Event::Claimed { gas, .. } => claim_gas = *gas,
                Event::Over { withdrawn, .. } => seller_withdrawn = *withdrawn,
                _ => {}
            }
        }
        Ok(Self {
            float,
            integer,
            claimed: threshold.of(outcome.valid as u32),
            proven: outcome.correct,
            samples: outcome.valid,
            lower_bound_95: clopper_pearson_lower(outcome.correct, outcome.valid, 0.05)?,
            state: outcome.state,
            passed: outcome.passed,
            proofs,
            claim_gas,
            verifier,
            verifier_code_bytes,
            seller: Paid {
                account: seller,
                withdrawn: seller_withdrawn,
                balance: seller_balance,
            },
            buyer: Paid {
                account: buyer,
                withdrawn: outcome.withdrawn,
                balance: buyer_balance,
            },
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: u64, all: u64| 100.0 * part as f64 / all.max(1) as f64;
        let mut row = |name: &str, value: String| writeln!(f, "{name:<18} {value}");
        let share = |share: Share| {
            let Share { correct, samples } = share;
            format!(
                "{correct} of {samples} ({:.2} %)",
                percent(correct, samples)
            )
        };
        let joined = |digits: usize, value: &dyn Fn(&Proof) -> f64| {
            let all = self.proofs.iter().map(value);
            if self.proofs.len() <= FEW {
                let all: Vec<_> = all.map(|one| format!("{one:.digits$}")).collect();
                return all.join(" + ");
            }
            let (least, most) = all.fold((f64::INFINITY, 0.0), |(least, most), one| {
                (f64::min(least, one), f64::max(most, one))
            });
            let count = self.proofs.len();
            format!("{count} times {least:.digits$} to {most:.digits$}")
        };
        if let (Some(float), Some(integer)) = (self.float, self.integer) {
            row(
                "calibration",
                format!("float {}, integer {}", share(float), share(integer)),
            )?;
        }
        row(
            "claimed",
            format!(
                "at least {} of {} correct ({:.2} %)",
                self.claimed,
                self.samples,
                percent(self.claimed.into(), self.samples)
            ),
        )?;
        row(
            "proven",
            format!(
                "exactly {} of {} correct ({:.2} %); above {:.2} % with 95 % confidence",
                self.proven,
                self.samples,
                percent(self.proven, self.samples),
                100.0 * self.lower_bound_95
            ),
        )?;
        let seconds: f64 = self.proofs.iter().map(|proof| proof.seconds).sum();
        row(
            "prove time",
            format!(
                "{} s, {:.2} s an image",
                joined(1, &|proof| proof.seconds),
                seconds / self.samples.max(1) as f64
            ),
        )?;
        row(
            "verify time",
            format!("{} ms", joined(1, &|proof| proof.verify_milliseconds)),
        )?;
        row(
            "proofs",
            format!("{} bytes", joined(0, &|proof| proof.bytes as f64)),
        )?;
        if self.claim_gas > 0 {
            let all = self.proofs.len();
            row(
                "claimed on chain",
                format!(
                    "{} gas; all {all} proofs verified by the buyer, who approved",
                    self.claim_gas
                ),
            )?;
        }
        for (shard, proof) in self.proofs.iter().enumerate() {
            if proof.gas > 0 {
                row(
                    "proven on chain",
                    format!(
                        "shard {shard}: {} of {} correct, {} gas, by {} ({} bytes of code)",
                        proof.correct,
                        proof.samples,
                        proof.gas,
                        self.verifier,
                        self.verifier_code_bytes
                    ),
                )?;
            }
        }
        row("ended", format!("{:?}", self.state))?;
        let took = |paid: &Paid| {
            let (account, amount) = (paid.account, ether(paid.withdrawn));
            format!("{account} took {amount} from the escrow")
        };
        row("seller", took(&self.seller))?;
        write!(f, "{:<18} {}", "buyer", took(&self.buyer))
    }
}
