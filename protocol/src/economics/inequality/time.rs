//! Whether every honest party has the time it needs.

use super::{set, Fix, Inequality, Sums, Term};
use crate::{
    deal::NOTICE_PERIOD,
    economics::{words::Words, Rule, Settlement},
};

impl Sums<'_> {
    pub(super) fn preview_window(&self) -> Option<Inequality> {
        self.has_preview()
            .then(|| self.window(Rule::PreviewWindow, Term::PreviewWindow, 0))
    }

    pub(super) fn deliver_window(&self) -> Inequality {
        self.window(Rule::DeliverWindow, Term::DeliverWindow, 0)
    }

    pub(super) fn respond_window(&self) -> Inequality {
        self.window(Rule::RespondWindow, Term::RespondWindow, 0)
    }

    pub(super) fn prove_window(&self) -> Inequality {
        let shards = u64::from(self.shards);
        let proving = shards.saturating_mul(self.costs.seconds_per_shard);
        let posting = match self.terms.settlement {
            Settlement::Eager => self.blocks(),
            Settlement::Claim { .. } => 0,
        };
        let work = proving.saturating_add(posting);
        self.window(Rule::ProveWindow, Term::ProveWindow, work)
    }

    pub(super) fn contest_window(&self) -> Option<Inequality> {
        self.claim?;
        Some(self.window(Rule::ContestWindow, Term::ContestWindow, self.blocks()))
    }

    pub(super) fn answer_window(&self) -> Option<Inequality> {
        self.claim?;
        Some(self.window(Rule::AnswerWindow, Term::AnswerWindow, self.blocks()))
    }

    pub(super) fn lifetime(&self) -> Inequality {
        let windows = self.terms.windows;
        let total = windows.total();
        let words = Words::default()
            .text("notice period ")
            .count(NOTICE_PERIOD)
            .text(" s >= all windows ")
            .count(total)
            .text(" s");
        Inequality::new(
            Rule::Lifetime,
            NOTICE_PERIOD.into(),
            total.into(),
            words,
            || {
                let excess = total - NOTICE_PERIOD;
                let longest = [
                    (Term::PreviewWindow, windows.preview),
                    (Term::DeliverWindow, windows.deliver),
                    (Term::ProveWindow, windows.prove),
                    (Term::ContestWindow, windows.contest),
                    (Term::AnswerWindow, windows.answer),
                ]
                .into_iter()
                .max_by_key(|(_, seconds)| *seconds);
                match longest.and_then(|(term, seconds)| Some((term, seconds.checked_sub(excess)?)))
                {
                    Some((term, seconds)) => set(term, seconds.into()),
                    None => Fix::Nothing,
                }
            },
        )
    }

    /// Seconds until every shard had a block of its own.
    fn blocks(&self) -> u64 {
        self.costs.block_seconds.saturating_mul(self.shards.into())
    }

    fn window(&self, rule: Rule, term: Term, work: u64) -> Inequality {
        let window = self.terms.get(term);
        let needed = self.costs.outage.saturating_add(work);
        let words = Words::default()
            .text("window ")
            .count(u64::try_from(window).unwrap_or(u64::MAX))
            .text(" s >= outage ")
            .count(self.costs.outage)
            .text(" s + work ")
            .count(work)
            .text(" s");
        Inequality::new(rule, window, needed.into(), words, || {
            set(term, needed.into())
        })
    }
}
