//! What transactions cost, and what is said of terms that leave somebody a reason to cheat.

use zknode_circuit::{cost::Cost, layout::Layout};
use zknode_protocol::{
    agreement,
    chain::{Chain, ChainError},
    economics::{
        inequalities_of, Costs, EconomicsError, Fix, Gas, Inequality, Rule, Setting, Terms,
    },
    value::{Address, Amount},
};

use crate::cli::value::ether;

/// Gas of each transaction: what the contracts' snapshot says, rounded up.
const OPEN_GAS: u128 = 302_000;
const ACCEPT_GAS: u128 = 67_000;
const ACKNOWLEDGE_GAS: u128 = 58_000;
const CLAIM_GAS: u128 = 71_000;
const APPROVE_GAS: u128 = 98_000;
const CONTEST_GAS: u128 = 69_000;
/// Of answering a contest, the verifier and what every transaction costs left out.
const ANSWER_GAS: u128 = 116_000;
/// Of a whole answer for LeNet-5 at k = 17.
pub const ANSWER_WITH_PROOF_GAS: u128 = 880_000;

/// Gas of bringing a contested proof of this layout: the estimate is within 3 %.
pub fn answer_gas(layout: &Layout) -> u128 {
    u128::from(Cost::of(layout).gas) * 103 / 100 + ANSWER_GAS
}

/// The fee for each proof that is contested, where the one who contests names none: in ether, twice what its gas costs now,
/// as the other side asks for what it costs then; in tokens, whose price only the parties know, none.
pub async fn contest_fee(
    layout: &Layout,
    token: Option<Address>,
    chain: &impl Chain,
) -> Result<Amount, ChainError> {
    if token.is_some() {
        return Ok(Amount::ZERO);
    }
    let price = chain.market().await?.price().0;
    let gas = answer_gas(layout).saturating_mul(2);
    Ok(Amount(gas.saturating_mul(price)))
}

/// What each transaction costs at a price of gas.
pub fn gas(price: Amount, answer: u128) -> Gas {
    let gas = |units: u128| Amount(price.0.saturating_mul(units));
    Gas {
        open: gas(OPEN_GAS),
        accept: gas(ACCEPT_GAS),
        acknowledge: gas(ACKNOWLEDGE_GAS),
        claim: gas(CLAIM_GAS),
        approve: gas(APPROVE_GAS),
        contest: gas(CONTEST_GAS),
        prove_shard: gas(answer),
    }
}

/// The rules that the terms of an agreement break, each in words.
pub fn broken(
    agreement: &agreement::Terms,
    setting: &Setting,
    costs: &Costs,
    matters: impl Fn(Rule) -> bool,
) -> Result<Vec<String>, EconomicsError> {
    let terms = Terms::of(agreement, setting, costs)?;
    let all = inequalities_of(&terms, costs, matters)?.into_iter();
    Ok(all
        .filter(|rule| !rule.holds())
        .map(|rule| failing(&rule, &terms))
        .collect())
}

/// An inequality that does not hold, with its numbers and what would mend it.
pub fn failing(inequality: &Inequality, terms: &Terms) -> String {
    format!(
        "{}: {}\n  without it: {}\n  to mend it: {}",
        inequality.rule,
        inequality.words.say(ether),
        inequality.rule.protects_against(),
        mend(&inequality.fix, terms),
    )
}

/// The change in words.
fn mend(fix: &Fix, terms: &Terms) -> String {
    match fix {
        Fix::Nothing => "no single term does it".into(),
        Fix::SettleEagerly => "settle eagerly: nobody looks at a claim".into(),
        Fix::Samples { samples, threshold } => {
            format!("{samples} samples, {threshold} of them correct")
        }
        Fix::Set(changes) => {
            let words = changes.iter().map(|change| {
                let amount = |value: u128| match change.term.is_money() {
                    true => ether(Amount(value)),
                    false => format!("{value} s"),
                };
                let before = terms.get(change.term);
                let verb = if change.to.0 > before {
                    "raise"
                } else {
                    "lower"
                };
                format!(
                    "{verb} {} from {} to {}",
                    change.term.name(),
                    amount(before),
                    amount(change.to.0)
                )
            });
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::Value;

    #[test]
    fn gas_is_no_less_than_the_contracts_need() {
        let snapshot: Value =
            serde_json::from_str(include_str!("../../contracts/snapshots/Gas.json")).unwrap();
        for (call, gas) in [
            ("open, ether", OPEN_GAS),
            ("accept, ether", ACCEPT_GAS),
            ("acknowledge, ether", ACKNOWLEDGE_GAS),
            ("claim, ether", CLAIM_GAS),
            ("approve and settle, ether", APPROVE_GAS),
            ("contest, ether", CONTEST_GAS),
            ("answer a contest, ether", ANSWER_GAS + 21_000),
        ] {
            let measured: u128 = snapshot[call].as_str().unwrap().parse().unwrap();
            assert!(
                measured <= gas && gas < measured + 1_000,
                "{call}: {measured}"
            );
        }
    }
}
