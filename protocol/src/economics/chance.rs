//! Chances as integers.

use std::fmt;

/// A chance in parts per billion. Made from a float it is moved by more than the float's own error, up or down,
/// whichever makes the rule that uses it harder to satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// Certain.
    pub const ONE: Self = Self(1_000_000_000);

    /// At least `chance`.
    pub fn at_least(chance: f64) -> Self {
        if chance <= 0.0 {
            return Self(0);
        }
        // Casts saturate.
        Self(((chance * 1e9).ceil() as u32).saturating_add(1)).min(Self::ONE)
    }

    /// At most `chance`.
    pub fn at_most(chance: f64) -> Self {
        Self::at_least(1.0 - chance).complement()
    }

    /// From basis points, exactly; more than all of them is all.
    pub fn from_points(points: u32) -> Self {
        Self(points.saturating_mul(100_000)).min(Self::ONE)
    }

    /// That it does not happen.
    pub fn complement(self) -> Self {
        Self(Self::ONE.0.saturating_sub(self.0))
    }

    /// At most the chance that both happen, if they are independent.
    pub fn and(self, other: Self) -> Self {
        let product = u64::from(self.0) * u64::from(other.0) / u64::from(Self::ONE.0);
        Self(u32::try_from(product).unwrap_or(Self::ONE.0))
    }

    /// Parts per billion.
    pub fn parts(self) -> u128 {
        self.0.into()
    }

    /// As a fraction.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / 1e9
    }
}

impl fmt::Display for Chance {
    /// As a fraction, exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:09}", self.0 / Self::ONE.0, self.0 % Self::ONE.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(text)
    }
}

/// Chance that at least one of `drawn` distinct shards, drawn out of `all`, is among the `bad`: one less the product of
/// `(all - bad - i) / (all - i)`. At least `1 - (1 - bad / all)^drawn`, the bound for draws with replacement.
pub fn hit_chance(all: u32, bad: u32, drawn: u32) -> f64 {
    let (bad, drawn) = (bad.min(all), drawn.min(all));
    if drawn > all - bad {
        return 1.0;
    }
    let good = all - bad;
    let missed: f64 = (0..drawn)
        .map(|i| f64::from(good - i) / f64::from(all - i))
        .product();
    1.0 - missed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(Chance::at_least(0.0), Chance(0));
        assert_eq!(Chance::at_most(1.0), Chance::ONE);
        assert_eq!(Chance::at_least(1.0), Chance::ONE);
        assert_eq!(Chance::at_most(0.0), Chance(0));
        assert_eq!(Chance::from_points(9_900).to_string(), "0.99");
        assert_eq!(Chance::ONE.to_string(), "1");
        assert_eq!(Chance(0).to_string(), "0");
    }

    proptest! {
        #[test]
        fn rounding_goes_one_way(chance in 0.0f64..=1.0) {
            prop_assert!(Chance::at_least(chance).fraction() >= chance);
            prop_assert!(Chance::at_most(chance).fraction() <= chance);
            prop_assert!(Chance::at_least(chance).parts() - Chance::at_most(chance).parts() <= 5);
        }

        #[test]
        fn distinct_draws_hit_more_often(all in 1u32..300, bad in 0u32..300, drawn in 0u32..300) {
            let (bad, drawn) = (bad.min(all), drawn.min(all));
            let bound = 1.0 - (1.0 - f64::from(bad) / f64::from(all)).powi(drawn as i32);
            let chance = hit_chance(all, bad, drawn);
            prop_assert!(chance >= bound - 1e-12 && chance <= 1.0);
            prop_assert_eq!(chance == 0.0, bad == 0 || drawn == 0);
        }
    }
}
