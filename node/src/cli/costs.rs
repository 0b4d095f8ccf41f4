//! What things cost a party, as it says or as is assumed.

use std::time::Duration;

use clap::Args;
use zknode_protocol::{economics::Costs, value::Amount};

use super::value;
use crate::costs::gas;

/// What terms are judged by; nothing of it is written into the agreement. Amounts are in its money.
#[derive(Args)]
#[command(next_help_heading = "Costs")]
pub struct CostArgs {
    /// What a labelled sample costs that nobody has seen [default: the price, shared out among the samples].
    #[arg(long, value_parser = value::amount)]
    pub label_cost: Option<Amount>,
    /// What proving costs, a sample.
    #[arg(long, default_value = "1gwei", value_parser = value::amount)]
    proof_cost: Amount,
    /// What a plain inference costs.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    inference_cost: Amount,
    /// What gas costs [default: twice what the chain asks now].
    #[arg(long, value_parser = value::amount)]
    pub gas_price: Option<Amount>,
    /// What looking at a registered model costs a buyer.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    look_cost: Amount,
    /// What a pass is worth to the seller beyond the price.
    #[arg(long, default_value = "0", value_parser = value::amount)]
    prize: Amount,
    /// What the answer is worth to the buyer [default: not judged].
    #[arg(long, value_parser = value::amount)]
    worth: Option<Amount>,
    /// How far below the threshold a model may be and pass by luck.
    #[arg(long, default_value = "2.5%", value_parser = value::share)]
    error: u32,
    /// How sure the test must be of that.
    #[arg(long, default_value = "95%", value_parser = value::share)]
    confidence: u32,
    /// Chance that the buyer, or a watcher for it, is there to contest.
    #[arg(long, default_value = "99%", value_parser = value::share)]
    vigilance: u32,
    /// Yearly cost of locked money.
    #[arg(long, default_value = "5%", value_parser = value::share)]
    interest: u32,
    /// Longest time an honest party is cut off.
    #[arg(long, default_value = "15m", value_parser = value::duration)]
    outage: Duration,
    /// Time to prove a shard.
    #[arg(long, default_value = "30s", value_parser = value::duration)]
    shard_time: Duration,
    /// Time between blocks.
    #[arg(long, default_value = "12s", value_parser = value::duration)]
    block_time: Duration,
}

impl CostArgs {
    /// With what is known by now. `answer_gas` is the gas of bringing one proof.
    pub fn costs(&self, label: Amount, gas_price: Amount, answer_gas: u128) -> Costs {
        Costs {
            label,
            proof: self.proof_cost,
            inference: self.inference_cost,
            look: self.look_cost,
            prize: self.prize,
            worth: self.worth,
            gas: gas(gas_price, answer_gas),
            error: self.error,
            risk: 10_000_u32.saturating_sub(self.confidence),
            vigilance: self.vigilance,
            interest: self.interest,
            outage: self.outage.as_secs(),
            seconds_per_shard: self.shard_time.as_secs(),
            block_seconds: self.block_time.as_secs(),
        }
    }
}
