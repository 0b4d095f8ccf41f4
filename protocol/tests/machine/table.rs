//! The tables, read, and what each says to be true of itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use zknode_protocol::{agreement::Agreement, retrieval, round};

use super::game::Game;

/// Of agreements, rounds and retrievals.
pub const ALL: [&str; 3] = [
    Agreement::TABLE,
    round::Record::TABLE,
    retrieval::Record::TABLE,
];

#[derive(Deserialize)]
pub struct Table {
    pub parties: [String; 2],
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
    /// Sums of named amounts: what the sender deposits, and what the parties and nobody are credited.
    pub money: BTreeMap<String, String>,
}

impl Row {
    pub fn pays(&self, whom: &str) -> &str {
        self.money.get(whom).map_or("", String::as_str)
    }
}

pub fn table(text: &str) -> Table {
    serde_json::from_str(text).unwrap()
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

/// Every state has an exit by its deadline that anyone may take, under all conditions, and which leads to an end without
/// anybody doing anything else; terminal states have no exit.
#[test]
fn every_state_has_an_end() {
    for table in ALL.map(table) {
        let terminal = |name: &str| {
            let state = table.states.iter().find(|state| state.name == name);
            state.unwrap().terminal
        };
        for state in table.states.iter().skip(1) {
            let exits = table
                .transitions
                .iter()
                .filter(|row| row.from == state.name);
            let defaults: Vec<&Row> = exits.clone().filter(|row| row.event == "expire").collect();
            if state.terminal {
                assert!(exits.count() == 0 && state.deadline.is_none());
                continue;
            }
            assert!(state.deadline.is_some() && !defaults.is_empty());
            let conditions: BTreeSet<&str> = defaults
                .iter()
                .inspect(|row| {
                    assert_eq!((row.by.as_str(), row.when.as_str()), ("anyone", "after"));
                })
                .flat_map(|row| row.conditions.iter().map(String::as_str))
                .collect();
            // Either one row without conditions, or one for each outcome.
            assert!(conditions.is_empty() || conditions == BTreeSet::from(["failed", "passed"]));
            for row in defaults {
                let next = table
                    .transitions
                    .iter()
                    .filter(|next| next.from == row.to && next.event == "expire")
                    .all(|next| terminal(&next.to));
                assert!(next && row.to != state.name, "{} to {}", state.name, row.to);
            }
        }
    }
}

/// No wei appears or disappears in a row that ends a deal: what is held in each state follows from the deposits on the way.
#[test]
fn every_end_pays_out_what_was_deposited() {
    for table in ALL.map(table) {
        // Any numbers do, since the sums are linear: these tell every combination apart. Fees are looked at by themselves.
        let amounts: BTreeMap<&str, i128> = (table.amounts.keys().map(String::as_str))
            .zip((0..).map(|n| 10_i128.pow(n)))
            .map(|(name, amount)| (name, if name == "contestFee" { 0 } else { amount }))
            .collect();
        let deposit = |from: &str, event: &str| {
            let row = table
                .transitions
                .iter()
                .find(|row| row.from == from && row.event == event);
            sum(row.unwrap().pays("deposit"), &amounts)
        };
        let (own, bond) = (deposit("None", "open"), deposit("Open", "accept"));
        for row in &table.transitions {
            let end = table.states.iter().find(|state| state.name == row.to);
            if !end.unwrap().terminal {
                continue;
            }
            let bond = if row.from == "Open" { 0 } else { bond };
            let fees = match row.from.as_str() {
                "Contested" => amounts["contestFees"],
                _ => 0,
            };
            let [first, second] = &table.parties;
            let paid: i128 = [first, second, "nobody"]
                .map(|whom| sum(row.pays(whom), &amounts))
                .iter()
                .sum();
            assert_eq!(
                paid,
                own + bond + fees,
                "{} {} {}",
                row.from,
                row.event,
                row.to
            );
        }
    }
}

#[test]
fn names_are_known() {
    for table in ALL.map(table) {
        let states: BTreeSet<&str> = table
            .states
            .iter()
            .map(|state| state.name.as_str())
            .collect();
        let [first, second] = &table.parties;
        for row in &table.transitions {
            assert!(states.contains(row.from.as_str()) && states.contains(row.to.as_str()));
            assert!(table.events.contains(&row.event));
            assert!([first, second, "anyone"].contains(&row.by.as_str()));
            for whom in row.money.keys() {
                assert!([first, second, "deposit", "nobody"].contains(&whom.as_str()));
            }
            for condition in &row.conditions {
                let name = table.negations.get(condition).unwrap_or(condition);
                assert!(table.conditions.contains_key(name), "{condition}");
            }
        }
        assert!(table.states.iter().all(|state| !state.says.is_empty()));
    }
}
