//! What the tests of a table ask of the rules it is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use zknode_protocol::{
    deal::Moment,
    value::{Address, Bytes},
};

use super::table::Table;

/// The first party of each table (buyer, requester), the second (seller, responder), and somebody else.
pub const FIRST: Address = Bytes([1; 20]);
pub const SECOND: Address = Bytes([2; 20]);
pub const STRANGER: Address = Bytes([3; 20]);

pub const START: Moment = Moment {
    block: 11,
    time: 1_000,
};

/// Which conditions of the table hold.
#[derive(Clone, Debug)]
pub struct Variant(BTreeSet<String>);

impl Variant {
    pub fn all(table: &Table) -> Vec<Self> {
        let names: Vec<&String> = table.conditions.keys().collect();
        let chosen = |bits: usize| {
            let chosen = (0..names.len()).filter(|i| bits >> i & 1 == 1);
            Self(chosen.map(|i| names[i].clone()).collect())
        };
        (0..1 << names.len()).map(chosen).collect()
    }

    pub fn is(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    pub fn holds(&self, table: &Table, condition: &str) -> bool {
        match table.negations.get(condition) {
            Some(name) => !self.is(name),
            None => self.is(condition),
        }
    }
}

/// The money an event moves: from the sender's wallet, and to the credit of the two parties and of nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    pub deposit: i128,
    pub first: i128,
    pub second: i128,
    pub nobody: i128,
}

/// One kind of deal under fixed terms, played with the events of its table.
pub trait Game: Sized {
    const TABLE: &'static str;
    type Record: Clone + Debug;

    fn new(variant: Variant) -> Self;

    /// The event as whoever is entitled would send it, about the shard or batch `index`; `None`: refused.
    fn step(
        &self,
        before: Option<&Self::Record>,
        event: &str,
        by: Address,
        index: u32,
        now: Moment,
    ) -> Option<(Self::Record, Moves)>;

    /// State and deadline.
    fn place(record: &Self::Record) -> (String, u64);

    /// Last second to contest; 0 until something is claimed.
    fn window_end(record: &Self::Record) -> u64;

    /// The first block at which what is to be drawn cannot be drawn any more; `None` where nothing is.
    fn draw_missed(_: &Self::Record) -> Option<u64> {
        None
    }

    fn unanswered(record: &Self::Record) -> u32;

    /// The table's amounts, with so many contests not answered.
    fn amounts(&self, unanswered: u32) -> BTreeMap<&'static str, i128>;

    /// The way into `state`: events, who sends them, about what; `None` where this variant never is.
    fn reach(&self, state: &str) -> Option<Vec<Turn>>;
}

/// A step on the way into a state.
#[derive(Clone, Copy)]
pub enum Turn {
    /// Somebody does something.
    Do(&'static str, Address, u32),
    /// Time passes up to this second.
    At(u64),
    /// Time passes up to the deadline, and so many seconds more.
    Deadline(u64),
    /// Two blocks pass.
    Blocks,
}
