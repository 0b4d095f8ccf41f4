//! What the buyer of predictions remembers of a round, and the terms it offers.

use std::time::Duration;

use anyhow::{ensure, Context};
use serde::{Deserialize, Serialize};
use zknode_circuit::commitment::Seed;
use zknode_protocol::{
    round::{
        message::{RoundOffer, SignedPrediction},
        RoundId, RoundState, RoundTerms,
    },
    value::{Address, Amount, ModelId, Signature},
};

use crate::{card::ModelCard, testset::Source};

/// A round as the buyer sees it. Secret, for the seeds of its batches: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    version: u16,
    /// Where the seller answers.
    pub seller: String,
    /// The model as it was checked.
    pub card: ModelCard,
    /// What is offered, and under which nonce.
    pub offer: RoundOffer,
    /// Where the inputs are.
    pub source: Source,
    /// In the order they are asked for.
    pub batches: Vec<OrderedBatch>,
    /// Share of the batches whose proof is looked at, drawn one by one once they are answered.
    pub audit_rate: f64,
    /// Why no further batch is asked for or paid.
    pub stopped: Option<String>,
    /// The seller has the voucher for all batches.
    pub paid: bool,
    /// The seller has the buyer's approval of so many.
    pub approved: Option<(u32, Signature)>,
    /// How it ended.
    pub outcome: Option<RoundOutcome>,
    /// Why it never began.
    pub not_opened: Option<String>,
}

/// Format of [`Order`].
const VERSION: u16 = 1;

/// One batch. Secret, for its seed: no `Debug`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedBatch {
    /// Inputs in it.
    pub inputs: u32,
    /// Of the commitment's salt.
    pub seed: Seed,
    /// What the seller signed, checked here.
    pub answer: Option<SignedPrediction>,
    /// Its proof is wanted.
    pub audit: bool,
    /// What became of that.
    pub verdict: Option<Verdict>,
}

/// What a look at a batch's proof came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The proof was verified here, or on the chain.
    Proven,
    /// There is none, or another one: contested.
    Doubted(String),
}

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundOutcome {
    /// A state that absorbs.
    pub state: RoundState,
    /// Batches paid for.
    pub count: u32,
    /// What came back.
    pub withdrawn: Amount,
}

impl Order {
    /// A round about to be opened.
    pub fn new(
        seller: String,
        card: ModelCard,
        offer: RoundOffer,
        source: Source,
        batches: Vec<OrderedBatch>,
        audit_rate: f64,
    ) -> Self {
        Self {
            version: VERSION,
            seller,
            card,
            offer,
            source,
            batches,
            audit_rate,
            stopped: None,
            paid: false,
            approved: None,
            outcome: None,
            not_opened: None,
        }
    }

    /// Fails for one of another release.
    pub fn check_version(&self) -> anyhow::Result<()> {
        ensure!(
            self.version == VERSION,
            "round {} is stored with version {}, this build reads {VERSION}",
            self.id(),
            self.version
        );
        Ok(())
    }

    /// The round.
    pub fn id(&self) -> RoundId {
        self.offer.round
    }

    /// Batches answered.
    pub fn answered(&self) -> u32 {
        let answered = self.batches.iter().filter(|batch| batch.answer.is_some());
        answered.count() as u32
    }

    /// Whether every batch was answered, and no prediction turned out to be false or withheld.
    pub fn is_good(&self) -> bool {
        let good = |batch: &OrderedBatch| {
            batch.answer.is_some() && !matches!(batch.verdict, Some(Verdict::Doubted(_)))
        };
        self.stopped.is_none()
            && self.batches.iter().all(good)
            && self
                .outcome
                .is_some_and(|outcome| outcome.state == RoundState::Settled)
    }
}

/// Time for each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundTimes {
    /// For the seller to accept.
    pub accept: Duration,
    /// To serve all batches, from then on.
    pub serve: Duration,
    /// For the buyer to contest.
    pub window: Duration,
    /// For the seller to bring contested proofs.
    pub answer: Duration,
}

/// What the buyer wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundWish {
    /// What everything is paid in: zero for ether.
    pub token: Address,
    /// Of a batch.
    pub price: Amount,
    /// What the seller puts at stake.
    pub bond: Amount,
    /// What a contested proof earns the seller.
    pub contest_fee: Amount,
    /// Time for each step.
    pub times: RoundTimes,
}

impl RoundWish {
    /// The terms for so many batches, the clock starting at block time `now`.
    pub fn terms(&self, model: ModelId, batches: u32, now: u64) -> anyhow::Result<RoundTerms> {
        let later = |time: u64, step: Duration| time.saturating_add(step.as_secs().max(1));
        let seconds = |time: Duration| {
            let seconds = u32::try_from(time.as_secs().max(1));
            seconds.with_context(|| format!("{time:?} is too long"))
        };
        let accept_by = later(now, self.times.accept);
        let terms = RoundTerms {
            model,
            token: self.token,
            batches,
            price: self.price,
            bond: self.bond,
            contest_fee: self.contest_fee,
            accept_by,
            serve_by: later(accept_by, self.times.serve),
            window: seconds(self.times.window)?,
            prove_time: seconds(self.times.answer)?,
        };
        terms
            .deposit()
            .context("the price of all batches is above 2^128")?;
        Ok(terms)
    }
}
