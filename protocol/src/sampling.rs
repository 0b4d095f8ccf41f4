//! From a public seed to shard indices: distinct, uniform, the same for everyone who knows the seed.

use thiserror::Error;

use crate::{
    digest::{hash_words, Word},
    value::Hash,
};

/// A draw that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SamplingError {
    /// More indices asked for than there are.
    #[error("cannot draw {wanted} distinct shards out of {available}")]
    TooMany {
        /// Shards to draw.
        wanted: u32,
        /// Shards there are.
        available: u32,
    },
}

/// Draws `wanted` distinct indices below `available`, in drawn order: every ordered selection is equally likely for a
/// uniform seed. A partial Fisher-Yates shuffle over `keccak256(seed, counter)`; words above the largest multiple of
/// the range are thrown away, so there is no modulo bias.
pub fn draw_shards(seed: Hash, available: u32, wanted: u32) -> Result<Vec<u32>, SamplingError> {
    if wanted > available {
        return Err(SamplingError::TooMany { wanted, available });
    }
    let mut stream = Stream { seed, counter: 0 };
    let mut deck: Vec<u32> = (0..available).collect();
    for (position, left) in (0..wanted).zip((1..=available).rev()) {
        let other = position + stream.below(left);
        deck.swap(position as usize, other as usize);
    }
    deck.truncate(wanted as usize);
    Ok(deck)
}

/// Uniform 64-bit words out of a seed: the first eight bytes of `keccak256(seed, counter)`.
struct Stream {
    seed: Hash,
    counter: u64,
}

impl Stream {
    fn next(&mut self) -> u64 {
        let digest = hash_words(&[self.seed.into(), Word::from(self.counter)]);
        self.counter = self.counter.wrapping_add(1);
        digest
            .0
            .iter()
            .take(8)
            .fold(0, |word, byte| (word << 8) | u64::from(*byte))
    }

    /// Uniform below `range`, which is at least 1.
    fn below(&mut self, range: u32) -> u32 {
        let range = u64::from(range);
        let unbiased = u64::MAX - u64::MAX % range;
        loop {
            let word = self.next();
            if word < unbiased {
                return (word % range) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{digest::keccak, value::Bytes};
    use proptest::prelude::*;

    #[test]
    fn every_index_is_drawn_equally_often() {
        let mut seen = [0u32; 7];
        for seed in 0u32..7_000 {
            for index in draw_shards(keccak(&seed.to_be_bytes()), 7, 2).unwrap() {
                seen[index as usize] += 1;
            }
        }
        // 2,000 expected each; the standard deviation is below 38.
        assert!(seen.iter().all(|n| n.abs_diff(2_000) < 190), "{seen:?}");
    }

    #[test]
    fn every_ordered_pair_is_drawn_equally_often() {
        let mut seen = std::collections::BTreeMap::new();
        for seed in 0u32..12_000 {
            let pair = draw_shards(keccak(&seed.to_be_bytes()), 4, 2).unwrap();
            *seen.entry(pair).or_insert(0u32) += 1;
        }
        assert_eq!(seen.len(), 12);
        assert!(seen.values().all(|n| n.abs_diff(1_000) < 160), "{seen:?}");
    }

    #[test]
    fn a_draw_past_the_deck_is_refused() {
        assert_eq!(
            draw_shards(Hash::ZERO, 3, 4),
            Err(SamplingError::TooMany {
                wanted: 4,
                available: 3
            })
        );
        assert_eq!(draw_shards(Hash::ZERO, 0, 0), Ok(vec![]));
    }

    proptest! {
        #[test]
        fn a_draw_is_distinct_and_repeatable(seed: [u8; 32], available in 0u32..200, part in 0u32..=100) {
            let wanted = available * part / 100;
            let drawn = draw_shards(Bytes(seed), available, wanted).unwrap();
            let distinct: std::collections::BTreeSet<_> = drawn.iter().copied().collect();
            prop_assert_eq!(distinct.len(), wanted as usize);
            prop_assert!(drawn.iter().all(|index| *index < available));
            prop_assert_eq!(draw_shards(Bytes(seed), available, wanted).unwrap(), drawn);
        }
    }
}
