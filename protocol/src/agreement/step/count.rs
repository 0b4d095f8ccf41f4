//! The count: claimed, contested, proven.

use super::{ends::deposited, require, Case, Outcome};
use crate::{
    agreement::{Mode, RuleError, State},
    claim_tree::SumNode,
    deal::{exact_value, in_time},
    shards::{check_leaf, check_shard, claim_root, ShardError, ShardFacts},
    value::{Address, Amount, Hash},
};

impl Case {
    pub(super) fn claim(mut self, node: Hash, top1: u32, topk: u32) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Optimistic)?;
        self.only_seller()?;
        self.in_time()?;
        self.agreement.claim = claim_root(node, self.agreement.terms.samples, top1, topk)?;
        self.agreement.correct = self.counted(top1, topk);
        let window_end = self
            .now
            .time
            .saturating_add(self.agreement.terms.window.into());
        self.agreement.window_end = window_end;
        self.enter(State::Claimed, window_end);
        self.unpaid()
    }

    pub(super) fn approve(self, signer: Option<Address>) -> Outcome {
        self.in_state(&[State::Claimed])?;
        self.signed(self.agreement.buyer, signer)?;
        self.in_time()?;
        self.settled()
    }

    pub(super) fn contest(mut self, index: u32, value: Amount) -> Outcome {
        self.in_state(&[State::Claimed, State::Contested])?;
        self.only_buyer()?;
        self.in_time()?;
        let now = self.now.time;
        in_time(self.agreement.window_end, now)?;
        self.in_range(index)?;
        require(self.agreement.contested.insert(index), || {
            ShardError::ShardAlreadyContested { index }.into()
        })?;
        let terms = self.agreement.terms.clone();
        exact_value(terms.wei(terms.contest_fee), value)?;
        // One deadline for all open contests: a later one prolongs the earlier.
        self.enter(
            State::Contested,
            now.saturating_add(terms.prove_time.into()),
        );
        let effects = deposited(&terms, self.by, terms.contest_fee);
        Ok((self.agreement, effects))
    }

    pub(super) fn answer(mut self, facts: &ShardFacts, proof: Hash, path: &[SumNode]) -> Outcome {
        self.in_state(&[State::Contested])?;
        self.in_time()?;
        let index = facts.shard.index;
        self.in_range(index)?;
        require(self.agreement.contested.contains(&index), || {
            ShardError::ShardNotContested { index }.into()
        })?;
        self.not_proven(index)?;
        let terms = &self.agreement.terms;
        check_leaf(self.agreement.claim, terms.shards, facts.shard, proof, path)?;
        check_shard(terms.dataset_root, terms.shards, facts)?;
        self.agreement.proven.insert(index);
        if self.agreement.unanswered().next().is_none() {
            self.enter(State::Claimed, self.agreement.window_end);
        }
        let effects = self.credits(Amount::ZERO, self.agreement.terms.contest_fee);
        Ok((self.agreement, effects))
    }

    pub(super) fn prove(mut self, facts: &ShardFacts) -> Outcome {
        self.in_state(&[State::Delivered])?;
        self.in_mode(Mode::Eager)?;
        self.in_time()?;
        let shard = &facts.shard;
        self.in_range(shard.index)?;
        self.not_proven(shard.index)?;
        let terms = &self.agreement.terms;
        check_shard(terms.dataset_root, terms.shards, facts)?;

        let correct = self.counted(shard.top1, shard.topk);
        let agreement = &mut self.agreement;
        agreement.proven.insert(shard.index);
        agreement.valid = agreement.valid.saturating_add(shard.valid.into());
        agreement.correct = agreement.correct.saturating_add(correct);
        let complete = agreement.missing().next().is_none();
        let (expected, found) = (agreement.terms.samples, agreement.valid);
        let fits = if complete {
            found == u64::from(expected)
        } else {
            found <= u64::from(expected)
        };
        require(fits, || RuleError::SamplesMismatch { expected, found })?;
        if complete {
            self.settled()
        } else {
            self.unpaid()
        }
    }
}
