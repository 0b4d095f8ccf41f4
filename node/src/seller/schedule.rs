//! Whether all that is promised can be proven in time. Proofs are made one at a time, the nearest deadline first
//! ([`super::work`]): no other order keeps more promises, so what does not fit by this one is not to be accepted.
//!
//! Some proofs are owed from a known moment on, such as the last second of a delivery; others whenever the other side asks
//! for them, such as those of contested predictions. Taken is the worst: for every moment at which something may begin to be
//! owed, all that may be asked for from then on and be due by some deadline must fit between the two (the processor demand
//! criterion of Baruah, Rosier and Howell, "Algorithms and complexity concerning the preemptive scheduling of periodic,
//! real-time tasks on one processor", 1990). What is begun is finished first: where there are others that are due later, one
//! more proof is counted, or as many more transactions as are sent together.
//!
//! There are three such orders: the prover's, of proofs to be made, at the seconds a proof takes; and two of the chain's
//! ([`super::send`]), of proofs to be brought there, and of the clerk's transactions.

use thiserror::Error;

/// How fast things are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Seconds one takes.
    pub seconds: u64,
    /// How many are begun together: so many of what is due later may be in the way.
    pub together: u64,
}

impl Pace {
    /// One at a time.
    pub fn of(seconds: u64) -> Self {
        Self {
            seconds,
            together: 1,
        }
    }
}

/// Proofs that are owed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duty {
    /// What they belong to, for people.
    whose: String,
    /// How many are to be made.
    proofs: u32,
    /// The first and the last second, Unix, at which they may begin to be owed.
    owed: (u64, u64),
    /// Seconds from then on until the last of them must be made.
    within: u64,
}

/// A deadline that would be missed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "{whose} would miss its deadline {deadline} by {} s: {proofs} proofs or transactions of this node may be asked for in the {left} s before \
     it, and take {needed} s",
    needed.saturating_sub(*.left)
)]
pub struct Late {
    /// What would be late: the new promise, or one given before.
    pub whose: String,
    /// The deadline, Unix seconds.
    pub deadline: u64,
    /// Proofs asked for by then, with those that may be in the way.
    pub proofs: u64,
    /// Seconds they take, with reserve.
    pub needed: u64,
    /// Seconds there are for them.
    pub left: u64,
}

impl Duty {
    /// Proofs that are owed from `from` on, and due at `deadline`, both Unix seconds.
    pub fn by(whose: impl Into<String>, proofs: u32, from: u64, deadline: u64) -> Self {
        Self {
            whose: whose.into(),
            proofs,
            owed: (from, from),
            within: deadline.saturating_sub(from),
        }
    }

    /// Proofs that may be asked for at any moment from `first` to `last` (Unix seconds), and are due `within` seconds then.
    pub fn on_demand(
        whose: impl Into<String>,
        proofs: u32,
        (first, last): (u64, u64),
        within: u64,
    ) -> Self {
        Self {
            whose: whose.into(),
            proofs,
            owed: (first.min(last), last),
            within,
        }
    }

    /// The same, due so many seconds sooner.
    pub fn sooner(&self, seconds: u64) -> Self {
        Self {
            within: self.within.saturating_sub(seconds),
            ..self.clone()
        }
    }

    /// The earliest moment at which they may be due, if they are not owed before `from`.
    fn due(&self, from: u64) -> u64 {
        self.owed.0.max(from).saturating_add(self.within)
    }

    /// The latest moment at which they may be due.
    fn latest(&self) -> u64 {
        self.due(self.owed.1)
    }
}

/// Whether `new` may be promised at `now` (Unix seconds) beside what is `promised`, at this pace: neither it nor any
/// of them is late by it. The [`Late`] one otherwise. What is late anyhow, and no later by the new one, is no reason to
/// refuse it.
pub fn check(new: &Duty, promised: &[Duty], pace: Pace, now: u64) -> Result<(), Late> {
    find(new, promised, pace, now, false)
}

/// The same where what is `promised` has less time by the new one than it had `before`. Where something was late before, that
/// is no reason to refuse it.
pub fn check_hurry(
    new: &Duty,
    before: &[Duty],
    promised: &[Duty],
    pace: Pace,
    now: u64,
) -> Result<(), Late> {
    check(new, promised, pace, now)?;
    if before == promised || find(new, before, pace, now, true).is_err() {
        return Ok(());
    }
    find(new, promised, pace, now, true)
}

/// What would be late: by the new one, or, with `any`, by whatever.
fn find(new: &Duty, promised: &[Duty], pace: Pace, now: u64, any: bool) -> Result<(), Late> {
    if new.proofs == 0 {
        return Ok(());
    }
    let all = promised.iter().chain([new]);
    let all: Vec<&Duty> = all.filter(|duty| duty.proofs > 0).collect();
    let is_new = |duty: &Duty| std::ptr::eq(duty, new);
    for from in moments(&all) {
        let (asked, before): (Vec<&Duty>, Vec<_>) =
            all.iter().copied().partition(|duty| duty.owed.1 >= from);
        let before: Vec<_> = before.into_iter().filter(|duty| !is_new(duty)).collect();
        let mut asked: Vec<_> = asked.iter().map(|duty| (duty.due(from), *duty)).collect();
        asked.sort_by_key(|(due, _)| *due);
        let (mut proofs, mut has_new) = (0u64, false);
        for (index, (deadline, duty)) in asked.iter().enumerate() {
            let deadline = *deadline;
            proofs = proofs.saturating_add(duty.proofs.into());
            has_new |= is_new(duty);
            let later = asked.iter().skip(index + 1);
            if later.clone().any(|(due, _)| *due == deadline) {
                continue;
            }
            // Those that are due later may be under way at that moment; the new ones not before they are promised.
            let later = later.map(|(_, duty)| *duty).filter(|duty| !is_new(duty));
            let begun = before
                .iter()
                .copied()
                .filter(|duty| duty.latest() > deadline);
            let others = total(later.chain(begun));
            let by_new = !has_new && from > now && new.latest() > deadline;
            let by_new = u64::from(by_new) * u64::from(new.proofs);
            let in_the_way = |proofs: u64| proofs.min(pace.together);
            let (all, without) = (
                in_the_way(others.saturating_add(by_new)),
                in_the_way(others),
            );
            let proofs = proofs.saturating_add(all);
            let (needed, left) = (proofs.saturating_mul(pace.seconds), deadline - from);
            if needed > left && (any || has_new || all > without) {
                return Err(Late {
                    whose: duty.whose.clone(),
                    deadline,
                    proofs,
                    needed,
                    left,
                });
            }
        }
    }
    Ok(())
}

/// The moments from which on the most may be asked for: each duty's last one, and the last at which it is still due before
/// another, which may then be under way.
fn moments(all: &[&Duty]) -> Vec<u64> {
    let mut moments: Vec<u64> = all.iter().map(|duty| duty.owed.1).collect();
    for duty in all {
        let before = |other: &&Duty| other.latest().checked_sub(duty.within.saturating_add(1));
        let (first, last) = duty.owed;
        moments.extend(
            all.iter()
                .filter_map(before)
                .filter(|at| (first..last).contains(at)),
        );
    }
    moments.sort_unstable();
    moments.dedup();
    moments
}

fn total<'a>(duties: impl Iterator<Item = &'a Duty>) -> u64 {
    let proofs = duties.map(|duty| u64::from(duty.proofs));
    proofs.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 0;

    fn late(new: &Duty, promised: &[Duty]) -> Option<(String, u64, u64)> {
        late_by(new, promised, 10)
    }

    fn late_by(new: &Duty, promised: &[Duty], seconds: u64) -> Option<(String, u64, u64)> {
        let late = check(new, promised, Pace::of(seconds), NOW).err()?;
        Some((late.whose, late.deadline, late.needed - late.left))
    }

    #[test]
    fn what_fits_fits_exactly() {
        let promised = [Duty::by("first", 3, 0, 30)];
        assert_eq!(late(&promised[0], &[]), None);
        let short = Duty::by("short", 3, 0, 29);
        assert_eq!(late(&short, &[]), Some(("short".into(), 29, 1)));
        // Afterwards, or before: there one of the first's may be under way.
        assert_eq!(late(&Duty::by("new", 2, 0, 50), &promised), None);
        let new = Duty::by("new", 2, 0, 49);
        assert_eq!(late(&new, &promised), Some(("new".into(), 49, 1)));
        let before = [Duty::by("first", 3, 0, 60)];
        assert_eq!(late(&Duty::by("new", 2, 0, 30), &before), None);
        let new = Duty::by("new", 2, 0, 29);
        assert_eq!(late(&new, &before), Some(("new".into(), 29, 1)));
    }

    /// What totals do not show: there is time for both, but not where the old one's deadline comes later.
    #[test]
    fn a_nearer_deadline_makes_an_earlier_promise_late() {
        let promised = [Duty::by("old", 5, 0, 60)];
        let new = Duty::by("new", 2, 0, 40);
        let found = check(&new, &promised, Pace::of(10), NOW).err();
        let expected = Late {
            whose: "old".into(),
            deadline: 60,
            proofs: 7,
            needed: 70,
            left: 60,
        };
        assert_eq!(found, Some(expected));
        assert!(found.is_some_and(|late| late.to_string().contains("deadline 60 by 10 s")));
        // Where the new one is owed later, it is counted from then on only.
        assert_eq!(late(&Duty::by("new", 2, 50, 80), &promised), None);
        let overlapping = Duty::by("new", 3, 30, 60);
        assert_eq!(late(&overlapping, &promised), Some(("new".into(), 60, 20)));
    }

    /// A buyer contests when it hurts.
    #[test]
    fn what_is_asked_for_at_any_time_is_asked_for_at_the_worst() {
        let round = Duty::on_demand("round", 3, (0, 500), 60);
        assert_eq!(late(&round, &[]), None);
        let apart = Duty::by("agreement", 3, 600, 640);
        assert_eq!(late(&apart, std::slice::from_ref(&round)), None);
        let within = Duty::by("agreement", 4, 200, 250);
        // The worst for both is that the round is due just before the agreement.
        let found = late(&within, std::slice::from_ref(&round));
        assert_eq!(found, Some(("agreement".into(), 250, 9)));
        assert_eq!(late(&round, &[within]), Some(("agreement".into(), 250, 9)));
    }

    /// Asked for at its last moment it would be due after the new one, and so before it; a little earlier it is not.
    #[test]
    fn what_is_due_before_may_be_in_the_way_at_an_earlier_moment() {
        let round = Duty::on_demand("round", 3, (5, 8), 9);
        let new = Duty::by("new", 2, 0, 15);
        let found = late_by(&new, std::slice::from_ref(&round), 3);
        assert_eq!(found, Some(("round".into(), 14, 3)));
    }

    #[test]
    fn what_is_late_anyhow_does_not_stand_in_the_way_of_others() {
        let hopeless = Duty::by("hopeless", 9, 0, 30);
        let later = Duty::by("later", 1, 0, 500);
        let promised = [hopeless, later];
        assert_eq!(late(&Duty::by("new", 2, 100, 200), &promised), None);
        assert!(late(&Duty::by("new", 2, 0, 30), &promised).is_some());
        let nothing = Duty::by("new", 0, 0, 0);
        assert_eq!(late(&nothing, &promised), None);
    }

    /// What is sent together is waited for together.
    #[test]
    fn as_many_are_in_the_way_as_are_begun_together() {
        let new = Duty::by("new", 2, 0, 60);
        let late = |others, together| {
            let promised = [Duty::by("others", others, 0, 900)];
            let pace = Pace {
                seconds: 10,
                together,
            };
            check(&new, &promised, pace, NOW).err()
        };
        assert_eq!(late(4, 16), None);
        assert!(late(5, 16).is_some_and(|late| late.proofs == 7));
        assert_eq!(late(50, 4), None);
        assert!(late(50, 16).is_some_and(|late| late.proofs == 18));
    }

    #[test]
    fn numbers_from_outside_do_not_overflow() {
        let most = u64::MAX;
        let duties = [
            Duty::by("a", u32::MAX, most, most),
            Duty::on_demand("b", u32::MAX, (0, most), most),
        ];
        let new = Duty::on_demand("new", 1, (most, 0), most);
        let late = check(&new, &duties, Pace::of(most), NOW).err();
        assert!(late.is_none_or(|late| !late.to_string().is_empty()));
    }

    /// Makes the proofs one by one, the nearest deadline first, each duty owed from its moment in `begins` on; something
    /// else is made first at the moment `other`. Whether any is late.
    fn played(duties: &[Duty], begins: &[u64], seconds: u64, mut other: Option<u64>) -> bool {
        let mut left: Vec<_> = (duties.iter().zip(begins))
            .map(|(duty, from)| (from + duty.within, *from, duty.proofs))
            .collect();
        let mut now = 0;
        loop {
            left.retain(|(_, _, proofs)| *proofs > 0);
            if left.is_empty() {
                return false;
            }
            if other.take_if(|at| *at <= now).is_some() {
                now += seconds;
                continue;
            }
            let owed = left.iter_mut().filter(|(_, from, _)| *from <= now);
            let Some((due, _, proofs)) = owed.min_by_key(|(due, _, _)| *due) else {
                now += 1;
                continue;
            };
            now += seconds;
            *proofs -= 1;
            if now > *due {
                return true;
            }
        }
    }

    /// Every choice of moments.
    fn choices(duties: &[Duty]) -> Vec<Vec<u64>> {
        let mut all = vec![vec![]];
        for duty in duties {
            let moments = || duty.owed.0..=duty.owed.1;
            let longer =
                |begins: Vec<u64>| moments().map(move |at| [begins.clone(), vec![at]].concat());
            all = all.into_iter().flat_map(longer).collect();
        }
        all
    }

    fn duty() -> impl Strategy<Value = Duty> {
        let fields = (1u32..4, 0u64..8, 0u64..4, 0u64..16);
        fields.prop_map(|(proofs, first, span, within)| {
            Duty::on_demand("", proofs, (first, first + span), within)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]

        /// What is accepted is never late, whenever it is asked for; what is refused is late at the worst moment, with one
        /// proof of somebody else's in the way.
        #[test]
        fn the_rule_agrees_with_the_order_played(
            offered in prop::collection::vec(duty(), 1..5),
            seconds in 1u64..4,
        ) {
            let mut promised: Vec<Duty> = vec![];
            for new in offered {
                let verdict = check(&new, &promised, Pace::of(seconds), NOW);
                promised.push(new);
                let begins = choices(&promised);
                if verdict.is_ok() {
                    for begins in &begins {
                        prop_assert!(!played(&promised, begins, seconds, None), "{promised:?} {begins:?}");
                    }
                } else {
                    let others = || [None].into_iter().chain((0..12).map(Some));
                    let is_late = begins.iter().any(|begins| {
                        others().any(|other| played(&promised, begins, seconds, other))
                    });
                    prop_assert!(is_late, "{promised:?} {verdict:?}");
                    promised.pop();
                }
            }
        }
    }
}
