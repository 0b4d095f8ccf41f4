//! What the tests of a table ask of the rules it is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
};

use zknode_protocol::{
    deal::{ModelFacts, Moment},
    value::{Address, Bytes, Hash},
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

/// What is dealt in.
pub const MODEL: ModelFacts = ModelFacts {
    seller: SECOND,
    registered_block: 10,
    retires_at: 0,
    points: Hash::ZERO,
    shard_points: 1,
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

/// One kind of deal, as the rules keep it, under terms that a variant fixes; played with the events of its table.
pub trait Game: Clone + Debug {
    const TABLE: &'static str;
    type Action;

    /// The event as whoever is entitled would send it, about the shard or batch `index`.
    fn action(variant: &Variant, event: &str, index: u32) -> Self::Action;

    /// The deal after an action; `None`: refused.
    fn step(
        before: Option<&Self>,
        by: Address,
        action: Self::Action,
        now: Moment,
    ) -> Option<(Self, Moves)>;

    /// State and deadline.
    fn place(&self) -> (String, u64);

    /// Last second to contest; 0 until something is claimed.
    fn contest_by(&self) -> u64;

    /// The first block at which what is to be drawn cannot be drawn any more; `None` where nothing is.
    fn draw_missed(&self) -> Option<u64> {
        None
    }

    /// Contests not answered.
    fn owed(&self) -> u32;

    /// The table's amounts, with so many contests not answered.
    fn amounts(variant: &Variant, owed: u32) -> BTreeMap<&'static str, i128>;

    /// The way into `state`: events, who sends them, about what; `None` where this variant never is.
    fn reach(variant: &Variant, state: &str) -> Option<Vec<Turn>>;
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
