//! The table, read, and what it says to be true of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

const TABLE: &str = include_str!("../../../contracts/agreement.json");

#[derive(Deserialize)]
pub struct Table {
    pub conditions: BTreeMap<String, String>,
    pub negations: BTreeMap<String, String>,
    pub amounts: BTreeMap<String, String>,
    pub states: Vec<StateRow>,
    pub events: Vec<String>,
    pub transitions: Vec<Row>,
}

#[derive(Deserialize)]
pub struct StateRow {
    pub name: String,
    pub deadline: Option<String>,
    #[serde(default)]
    pub terminal: bool,
    pub says: String,
}

#[derive(Deserialize)]
pub struct Row {
    pub from: String,
    pub event: String,
    pub by: String,
    pub when: String,
    #[serde(rename = "if")]
    pub conditions: Vec<String>,
    pub to: String,
    pub money: Money,
}

/// Sums of named amounts.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Money {
    pub deposit: String,
    pub buyer: String,
    pub seller: String,
    pub nobody: String,
}

pub fn table() -> Table {
    serde_json::from_str(TABLE).unwrap()
}

/// `price + buyerBond - penalty`, by what the amounts are.
pub fn sum(text: &str, amounts: &BTreeMap<&str, i128>) -> i128 {
    let mut sign = 1;
    let mut sum = 0;
    for part in text.split_whitespace() {
        match part {
            "+" => sign = 1,
            "-" => sign = -1,
            name => sum += sign * amounts[name],
        }
    }
    sum
}

/// Every state has an exit by its deadline that anyone may take, under all conditions; terminal states have none.
#[test]
fn every_state_has_an_end() {
    let table = table();
    for state in &table.states {
        let exits: Vec<&Row> = table
            .transitions
            .iter()
            .filter(|row| row.from == state.name)
            .collect();
        if state.terminal {
            assert!(exits.is_empty() && state.deadline.is_none());
            continue;
        }
        if state.name == "None" {
            continue;
        }
        assert!(state.deadline.is_some());
        let default: BTreeSet<&str> = exits
            .iter()
            .filter(|row| row.event == "expire")
            .inspect(|row| {
                assert_eq!((row.by.as_str(), row.when.as_str()), ("anyone", "after"));
                let end = table.states.iter().find(|end| end.name == row.to);
                assert!(
                    end.unwrap().terminal,
                    "{} expires to {}",
                    state.name,
                    row.to
                );
            })
            .flat_map(|row| row.conditions.iter().map(String::as_str))
            .collect();
        // Either one row without conditions, or one for each outcome.
        assert!(default.is_empty() || default == BTreeSet::from(["failed", "passed"]));
        assert!(
            exits.iter().any(|row| row.event == "expire"),
            "{}",
            state.name
        );
    }
}

/// No wei appears or disappears in a row that ends an agreement.
#[test]
fn every_end_pays_out_what_was_deposited() {
    let table = table();
    let names = [
        "price",
        "buyerBond",
        "bond",
        "penalty",
        "previewFee",
        "contestFee",
        "contestFees",
    ];
    assert_eq!(
        table.amounts.keys().cloned().collect::<BTreeSet<_>>(),
        names.map(String::from).into()
    );
    // Any numbers do, since the sums are linear: these tell every combination apart.
    let amounts: BTreeMap<&str, i128> = names
        .into_iter()
        .zip([1, 10, 100, 1_000, 10_000, 0, 1_000_000])
        .collect();
    for row in &table.transitions {
        let end = table.states.iter().find(|state| state.name == row.to);
        if !end.unwrap().terminal {
            continue;
        }
        let bond = if row.from == "Open" {
            0
        } else {
            amounts["bond"]
        };
        let fees = if row.from == "Contested" {
            amounts["contestFees"]
        } else {
            0
        };
        let held = amounts["price"] + amounts["buyerBond"] + bond + fees;
        let money = &row.money;
        let paid: i128 = [&money.buyer, &money.seller, &money.nobody]
            .map(|text| sum(text, &amounts))
            .iter()
            .sum();
        assert_eq!(paid, held, "{} {} {}", row.from, row.event, row.to);
    }
}

#[test]
fn names_are_known() {
    let table = table();
    let states: BTreeSet<&str> = table
        .states
        .iter()
        .map(|state| state.name.as_str())
        .collect();
    for row in &table.transitions {
        assert!(states.contains(row.from.as_str()) && states.contains(row.to.as_str()));
        assert!(table.events.contains(&row.event));
        for condition in &row.conditions {
            let name = table.negations.get(condition).unwrap_or(condition);
            assert!(table.conditions.contains_key(name), "{condition}");
        }
    }
    assert!(table.states.iter().all(|state| !state.says.is_empty()));
}
