//! Inequalities with their numbers, in the words of whoever prints them.

use crate::value::Amount;

use super::Chance;

/// A piece of an inequality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it is.
    Text(&'static str),
    /// Money, in base units.
    Money(Amount),
    /// A chance.
    Chance(Chance),
    /// Samples, shards or seconds.
    Count(u64),
}

/// An inequality with its numbers put in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(Vec<Piece>);

impl Words {
    /// Adds text.
    pub fn text(mut self, text: &'static str) -> Self {
        self.0.push(Piece::Text(text));
        self
    }

    /// Adds an amount after its name.
    pub fn money(self, name: &'static str, amount: u128) -> Self {
        let mut words = self.text(name);
        words.0.push(Piece::Money(Amount(amount)));
        words
    }

    /// Adds a chance.
    pub fn chance(mut self, chance: Chance) -> Self {
        self.0.push(Piece::Chance(chance));
        self
    }

    /// Adds a number.
    pub fn count(mut self, count: impl Into<u64>) -> Self {
        self.0.push(Piece::Count(count.into()));
        self
    }

    /// The whole, amounts written by `money`.
    pub fn say(&self, money: impl Fn(Amount) -> String) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Money(amount) => money(*amount),
                Piece::Chance(chance) => chance.to_string(),
                Piece::Count(count) => count.to_string(),
            })
            .collect()
    }
}
