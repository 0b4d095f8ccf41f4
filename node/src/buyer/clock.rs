//! How much time a buyer or a requester has to judge a claim, and what it may still do in it.

use std::time::Duration;

/// Longest wait for the sealed items.
const LONGEST_ITEMS: u64 = 3600;

/// A claim's deadlines, at one moment by the chain's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    now: u64,
    window_end: u64,
    deadline: u64,
    /// What is kept back for transactions.
    reserve: u64,
}

impl Clock {
    /// A claim whose window and state end so, of terms that leave `shortest` seconds to act at least.
    pub fn new(now: u64, window_end: u64, deadline: u64, shortest: u32) -> Self {
        Self {
            now,
            window_end,
            deadline,
            reserve: (u64::from(shortest) / 2).max(1),
        }
    }

    /// The same later.
    pub fn at(self, now: u64) -> Self {
        Self { now, ..self }
    }

    pub fn may_contest(&self) -> bool {
        self.now <= self.window_end
    }

    /// What is not proven by now is contested.
    pub fn contests(&self) -> bool {
        self.may_contest() && self.now.saturating_add(self.reserve) > self.window_end
    }

    /// What did not come by now is rejected.
    pub fn rejects(&self) -> bool {
        self.now.saturating_add(self.reserve) > self.deadline
    }

    /// For asking for the proofs of all shards once: a quarter of what is left to contest or to judge.
    pub fn pass(&self) -> Duration {
        let end = if self.may_contest() {
            self.window_end
        } else {
            self.deadline
        };
        let left = end.saturating_sub(self.now);
        Duration::from_secs((left / 4).max(1))
    }

    /// For fetching the items: half of what is left.
    pub fn items(&self) -> Duration {
        let left = self.deadline.saturating_sub(self.now);
        Duration::from_secs((left / 2).clamp(1, LONGEST_ITEMS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A window of 100 s that ends at 1000, a receipt time of 40 s.
    fn at(now: u64) -> Clock {
        Clock {
            now,
            window_end: 1000,
            deadline: 1000,
            reserve: 20,
        }
    }

    #[test]
    fn what_is_missing_is_contested_in_the_last_part_of_the_window_only() {
        assert!(!at(980).contests() && at(981).contests() && at(1000).contests());
        assert!(!at(1001).contests() && !at(1001).may_contest());
        assert!(!at(980).rejects() && at(981).rejects());
    }

    #[test]
    fn nothing_asked_for_outlasts_what_is_left() {
        for now in [0, 900, 990, 999] {
            let (clock, left) = (at(now), Duration::from_secs(1000 - now));
            assert!(clock.pass() <= left && clock.items() <= left, "{now}");
        }
        assert_eq!(at(900).pass(), Duration::from_secs(25));
        assert_eq!(at(900).items(), Duration::from_secs(50));
        // After the window the proofs are still looked at, by the later deadline.
        let later = Clock {
            deadline: 1400,
            ..at(1200)
        };
        assert_eq!(later.pass(), Duration::from_secs(50));
    }
}
